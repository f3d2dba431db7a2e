"""What the benches of the server share: servers that are started and stopped, and requests that say when their bytes came.

The client stands on the processors that it measures, so it does little: one raw socket a request, no parsing before the
answer is whole. Every request has a connection of its own, for every server alike.
"""
import asyncio
import json
import math
import os
import pathlib
import re
import socket
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOCHE = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))


def part_of(values, share):
    """The smallest value that `share` of all do not pass (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


class Ours:
    """`cloche serve` with one model, which it knows as `model`."""
    name = "cloche"

    def __init__(self, model, data, threads=0, args=()):
        self.model = pathlib.Path(model).stem
        self.process = subprocess.Popen([CLOCHE, "serve", "--json", "--listen", "127.0.0.1:0", "--data", str(data), "--model", str(model),
                                         *(["-t", str(threads)] if threads else []), *args], stdout=subprocess.PIPE, text=True)
        self.address = None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "listening":
                self.address = ("127.0.0.1", int(event["url"].rsplit(":", 1)[1]))
            if event["event"] == "ready":
                return
        raise SystemExit(f"{CLOCHE} serve ended with {self.process.wait()}")

    def rss_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024

    def stop(self):
        self.process.terminate()
        rc = self.process.wait(60)
        if rc != 0:
            raise SystemExit(f"{self.name} ended with {rc}")


class Theirs(Ours):
    """llama-server with slots for all clients. No prompt is cached; what it would save of slots it does not."""
    name = "llama-server"

    def __init__(self, program, model, threads, n_slots, n_ctx, args=()):
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.address = s.getsockname()
        self.model = pathlib.Path(model).stem
        self.process = subprocess.Popen([program, "-m", str(model), "--host", "127.0.0.1", "--port", str(self.address[1]),
                                         "-t", str(threads), "-tb", str(threads), "-np", str(n_slots), "-c", str(n_slots * n_ctx),
                                         "--cont-batching", "--no-cache-prompt", "-cram", "0", "--no-ui", *args],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while asyncio.run(post(self.address, "/health", None)).status != 200:
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{program} does not serve {model}")
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def unchunked(pieces):
    """(seconds, bytes) of a body in chunks, from pieces as they came."""
    held, left = b"", 0
    for t, piece in pieces:
        held += piece
        while held:
            if left == 0:
                size, line_end, rest = held.partition(b"\r\n")
                if not line_end:
                    break
                if size:
                    left = int(size.split(b";")[0], 16)
                held = rest
            else:
                yield t, held[:left]
                left, held = left - len(held[:left]), held[left:]


class Reply:
    """A whole reply: status, headers, and the body as it came: (seconds since the request was sent, bytes)."""

    def __init__(self, pieces):
        raw, i = b"", 0
        while b"\r\n\r\n" not in raw and i < len(pieces):
            raw += pieces[i][1]
            i += 1
        head, _, rest = raw.partition(b"\r\n\r\n")
        self.status, self.headers, self.body, self.pieces = 0, head.decode("latin-1").lower(), b"", []
        if not head:
            return
        self.status = int(head.split(b" ", 2)[1])
        self.pieces = [(pieces[i - 1][0], rest), *pieces[i:]]
        if "transfer-encoding: chunked" in self.headers:
            self.pieces = list(unchunked(self.pieces))
        self.body = b"".join(p for _, p in self.pieces)

    def json(self):
        return json.loads(self.body)

    def events(self):
        """(seconds, object) of every event of a stream but [DONE]; the seconds are those of the piece that ended it."""
        found, held = [], b""
        for t, piece in self.pieces:
            *lines, held = (held + piece).split(b"\n")
            found += [(t, json.loads(line[6:])) for line in lines if line.startswith(b"data: {")]
        return found


async def post(address, path, body, key=None):
    """POST with a body (an object, or bytes as they are), GET without. Connections that are refused are status 0."""
    pieces = []
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    head = (f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
            + (f"Authorization: Bearer {key}\r\n" if key else "") + f"Content-Length: {len(data)}\r\n\r\n")
    begin = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:
        return Reply(pieces)
    try:
        writer.write(head.encode() + data)
        while piece := await reader.read(1 << 16):
            pieces.append((time.perf_counter() - begin, piece))
    finally:
        writer.close()
    return Reply(pieces)


class Answer:
    """A streamed answer of /v1/completions or /v1/chat/completions: when its text came, and what was counted."""

    def __init__(self, reply):
        self.times, self.usage, self.text = [], None, ""
        if reply.status != 200:
            raise SystemExit(f"status {reply.status}: {reply.body[:300]}")
        for t, e in reply.events():
            if "error" in e:
                raise SystemExit(f"error in a stream: {e}")
            self.usage = e.get("usage") or self.usage
            for c in e["choices"]:
                text = c.get("text") or c.get("delta", {}).get("content")
                if text:
                    self.times.append(t)
                    self.text += text

    @property
    def first_s(self):
        return self.times[0]

    @property
    def last_s(self):
        return self.times[-1]

    @property
    def gaps_s(self):
        return [b - a for a, b in zip(self.times, self.times[1:])]


def medians(rows):
    """The medians of figures that all rows have."""
    return {k: statistics.median(r[k] for r in rows) for k in rows[0]}
