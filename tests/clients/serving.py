"""A `cloche serve` of one's own: started on a free port, told when it is ready, stopped at the end."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))
if not os.path.isabs(BIN):
    BIN = str(ROOT / BIN)
START_S = 120


class Server:
    """The program with its own data folder. `url` has no slash at the end."""

    def __init__(self, data, *args, listen="127.0.0.1:0", ready=True, **env):
        self.events = []
        self.errors = []
        self.seen = threading.Condition()
        self.process = subprocess.Popen([BIN, "serve", "--json", "--listen", listen, "--data", str(data), *map(str, args)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
        for stream, line in ((self.process.stdout, self._event), (self.process.stderr, self._error)):
            threading.Thread(target=self._read, args=(stream, line), daemon=True).start()
        self.url = self.wait_for("listening")["url"]
        if ready:
            self.wait_for("ready")

    def _read(self, stream, take):
        for line in stream:
            take(line)
        with self.seen:
            self.events.append({"event": "end"})
            self.seen.notify_all()

    def _event(self, line):
        with self.seen:
            self.events.append(json.loads(line))
            self.seen.notify_all()

    def _error(self, line):
        self.errors.append(line)

    def wait_for(self, name):
        def found():
            return [e for e in self.events if e["event"] in (name, "end")]
        with self.seen:
            assert self.seen.wait_for(found, START_S), f"no '{name}' after {START_S} s: {self.errors}"
            event = found()[0]
        assert event["event"] == name, f"it ended before '{name}': {self.errors}"
        return event

    @property
    def address(self):
        m = re.match(r"https?://\[?([^\]]*?)\]?:(\d+)$", self.url)
        return m.group(1), int(m.group(2))

    def connect(self, timeout=30):
        return socket.create_connection(self.address, timeout=timeout)

    def http(self, **kw):
        return httpx.Client(base_url=self.url, timeout=120, **kw)

    def metric(self, name, **labels):
        """The sum of a metric's samples with these labels."""
        total = 0.0
        for line in httpx.get(self.url + "/metrics", timeout=30).text.splitlines():
            m = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
            if not line.startswith("#") and m.group(1) == name:
                have = dict(re.findall(r'(\w+)="([^"]*)"', m.group(2) or ""))
                if all(have.get(k) == v for k, v in labels.items()):
                    total += float(m.group(3))
        return total

    def rss_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024

    def stop(self, sig=signal.SIGTERM, timeout=60):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()


def read_reply(sock):
    """Status, headers and body of one HTTP reply on a raw socket; the rest stays unread."""
    f = sock.makefile("rb")
    status = int(f.readline().split()[1])
    headers = {}
    for line in iter(f.readline, b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if status in (100, 204, 304):
        return status, headers, b""
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(f.readline().split(b";")[0], 16):
            body += f.read(size)
            f.readline()
        f.readline()
        return status, headers, body
    return status, headers, f.read(int(headers.get("content-length", 0)))
