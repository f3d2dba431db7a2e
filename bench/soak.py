#!/usr/bin/env python3
"""A server under mixed load for a long time: errors that nobody expects, memory that grows, books that a kill -9 harms.

  bench/soak.py MODEL.gguf [--minutes 30] [--workers 24] [--seed 1] [--json FILE]

Workers ask at random for one thing after the other: answers whole and streamed, several at once, held to a schema, with
tools, with receipts (replayed), through Ollama's interface, scored prompts; they go away in the middle, send half a body,
read slowly, send what is no JSON, and use keys that may little, that are made and revoked meanwhile. Some requests come
again and again: their text must stay the same. At the end the server is killed (-9) under load and started again: the audit
log holds, the keys are there, and no answer that was complete is missing from either.

Exit code 1 when anything was unexpected, or when memory grew: the median of the last minutes against that of the first
(five of each, the warm-up left out; fewer when it runs for less than 15). Time in which the machine stopped this program does not count, and
requests that such a pause cut are not held against the server.
"""
import argparse
import asyncio
import collections
import json
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import load

sys.path.insert(0, str(load.ROOT / "tests"))
import tiny_models  # noqa: E402

GROWTH_MAX = 1.05
PAUSE_S = 5
WAIT_S = 600
FILL_AT_ONCE, FILL_WORDS = 16, 120  # prompts that fill the memory for contexts
FILL_S = 240  # at most
FILL_STEP, FILL_LEVEL = 2**17, 5    # it is full when so many rounds in turn add less than so many bytes
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
          "required": ["name", "age"], "additionalProperties": False}
FORM = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"enum": ["Kyoto", "Oslo"]}}, "required": ["city"], "additionalProperties": False}}}
BROKEN = [b"{", b"", b"[]", b"null", b"{\"model\": 1}", b"\xff\xfe", b"{\"messages\": \"x\"}", b"[" * 5000, b"{\"a\":1,\"a\":2}"]
WORDS = "the rain in spain stays mainly on plain a river runs through every town that was built beside it long ago".split()


class Unexpected(Exception):
    pass


def expect(true, *what):
    if not true:
        raise Unexpected(*what)


class Keys:
    """Keys made by the program itself; what answers were acknowledged to each."""

    def __init__(self, data):
        self.data, self.secret = data, {}
        self.answers, self.tokens = collections.Counter(), collections.Counter()

    def run(self, *args):
        out = subprocess.run([load.CLOCHE, *args, "--data", str(self.data), "--json"], check=True, capture_output=True, text=True).stdout
        return json.loads(out)

    def add(self, name, *limits):
        self.secret[name] = self.run("key", "add", name, *limits)["key"]

    def complete(self, name, prompt, output):
        self.answers[name] += 1
        self.tokens[name] += prompt + output


class Client:
    """One kind of request a method: do_<kind>. They raise what they do not expect."""

    def __init__(self, server, keys, rng, texts):
        self.server, self.keys, self.rng, self.texts = server, keys, rng, texts

    # --- asking ---

    def words(self, n_max=60):
        return " ".join(self.rng.choices(WORDS, k=self.rng.randint(1, n_max)))

    def body(self, **more):
        return {"model": self.server.model, "messages": [{"role": "user", "content": self.words()}], "max_tokens": self.rng.randint(1, 48),
                "temperature": self.rng.choice([0, 0.8, 1.3]), "seed": self.rng.getrandbits(32), **more}

    async def post(self, path, body, key="anna"):
        reply = await load.post(self.server.address, path, body, self.keys.secret[key])
        expect(reply.status, path, "no reply")
        return reply

    async def ask(self, path, body, key="anna"):
        """An answer, whole; its use is noted, as it is complete."""
        reply = await self.post(path, body, key)
        expect(reply.status == 200, path, reply.status, reply.body[:300])
        r = reply.json()
        if path.startswith("/v1"):
            self.keys.complete(key, r["usage"]["prompt_tokens"], r["usage"]["completion_tokens"])
        return r

    async def stream(self, body, key="anna"):
        reply = await self.post("/v1/chat/completions", {**body, "stream": True, "stream_options": {"include_usage": True}}, key)
        expect(reply.status == 200, reply.status, reply.body[:300])
        expect(reply.body.endswith(b"data: [DONE]\n\n"), "a stream without its end", reply.body[-300:])
        events = [e for _, e in reply.events()]
        expect(not any("error" in e for e in events), events[-1])
        self.keys.complete(key, events[-1]["usage"]["prompt_tokens"], events[-1]["usage"]["completion_tokens"])
        choices = [e["choices"][0] for e in events if e["choices"]]
        expect(sum(c["finish_reason"] is not None for c in choices) == 1, "not one end", choices[-2:])
        return "".join(c["delta"].get("content") or "" for c in choices)

    # --- kinds ---

    async def do_whole(self):
        r = await self.ask("/v1/chat/completions", self.body())
        expect(r["choices"][0]["finish_reason"] in ("stop", "length"), r)

    async def do_stream(self):
        await self.stream(self.body())

    async def do_several(self):
        r = await self.ask("/v1/completions", {**self.body(n=2), "prompt": [self.words(), self.words()]})
        expect([c["index"] for c in r["choices"]] == [0, 1, 2, 3], r)

    async def do_the_same(self):
        i = self.rng.randrange(8)
        body = {"model": self.server.model, "messages": [{"role": "user", "content": " ".join(WORDS[i:i + 5 + i])}], "max_tokens": 16 + 8 * i,
                "temperature": i % 3 / 2, "seed": i}
        text = await self.stream(body) if self.rng.random() < 0.5 else (await self.ask("/v1/chat/completions", body))["choices"][0]["message"]["content"]
        expect(self.texts.setdefault(i, text) == text, "another text", i, self.texts[i], text)

    async def do_schema(self):
        model = self.rng.choice([self.server.model, "caller"])
        r = await self.ask("/v1/chat/completions", self.body(model=model, response_format=FORM, max_tokens=200))
        value = json.loads(r["choices"][0]["message"]["content"])
        expect(list(value) == ["name", "age"] and isinstance(value["name"], str) and 0 <= value["age"] <= 150, value)

    async def do_tools(self):
        r = await self.ask("/v1/chat/completions", self.body(model="caller", tools=[TOOL], tool_choice="required", parallel_tool_calls=False, max_tokens=200))
        call = r["choices"][0]["message"]["tool_calls"][0]["function"]
        expect(json.loads(call["arguments"])["city"] in ("Kyoto", "Oslo"), call)

    async def do_receipt(self):
        r = await self.ask("/v1/chat/completions", self.body(x_receipt=True))
        receipt = r["choices"][0]["x_receipt"]
        expect(receipt["stored"], receipt)
        if self.rng.random() < 0.3:
            reply = await self.post("/v1/receipts/replay", receipt["text"].encode())
            expect(reply.status == 200 and reply.json()["same"], reply.status, reply.body[:300])

    async def do_ollama(self):
        reply = await self.post("/api/chat", {"model": self.server.model, "messages": [{"role": "user", "content": self.words()}],
                                              "options": {"num_predict": 20, "seed": 1}})
        expect(reply.status == 200 and json.loads(reply.body.splitlines()[-1])["done"], reply.status, reply.body[-300:])

    async def do_scores(self):
        r = await self.ask("/v1/completions", {"model": self.server.model, "prompt": self.words(), "max_tokens": 1, "logprobs": 1, "echo": True})
        expect(r["choices"][0]["logprobs"]["token_logprobs"][0] is None, r)

    async def do_small_things(self):
        path, body = self.rng.choice([("/tokenize", {"model": self.server.model, "content": self.words()}), ("/v1/models", None), ("/metrics", None),
                                      ("/api/tags", None), ("/tokenizer_info", None), ("/readyz", None)])
        reply = await self.post(path, body)
        expect(reply.status == 200, path, reply.status, reply.body[:300])

    # --- what goes wrong ---

    async def connect(self, body, **options):
        """A connection that has sent a request, and nothing read."""
        data = json.dumps(body).encode()
        reader, writer = await asyncio.open_connection(*self.server.address, **options)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
                     % (self.keys.secret["anna"].encode(), len(data)))
        return reader, writer, data

    async def do_go_away(self):
        reader, writer, data = await self.connect(self.body(stream=True, max_tokens=400, ignore_eos=True))
        writer.write(data)
        for _ in range(self.rng.randint(0, 12)):
            await reader.read(500)
        writer.transport.abort() if self.rng.random() < 0.5 else writer.close()

    async def do_go_away_unanswered(self):
        _, writer, data = await self.connect(self.body(max_tokens=400, ignore_eos=True))
        writer.write(data)
        await asyncio.sleep(self.rng.random())
        writer.close()

    async def do_half_a_body(self):
        _, writer, data = await self.connect(self.body())
        writer.write(data[:self.rng.randrange(len(data))])
        await asyncio.sleep(3 * self.rng.random())
        writer.close()

    async def do_read_slowly(self):
        reader, writer, data = await self.connect(self.body(stream=True, max_tokens=150, ignore_eos=True, logprobs=True, top_logprobs=20), limit=1024)
        writer.write(data)
        read = b""
        for _ in range(60):
            piece = await reader.read(256)
            read = (read + piece)[-65536:] if read else piece
            if not piece:
                break
            await asyncio.sleep(0.05)
        expect(read.startswith(b"HTTP/1.1 200") or len(read) > 15000, read[:100])
        writer.close()

    async def do_idle(self):
        _, writer = await asyncio.open_connection(*self.server.address)
        await asyncio.sleep(5 * self.rng.random())
        writer.close()

    async def do_no_json(self):
        data = self.rng.choice(BROKEN)
        reader, writer, _ = await self.connect({})
        writer.transport.abort()
        reader, writer = await asyncio.open_connection(*self.server.address)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
                     % (self.keys.secret["anna"].encode(), len(data)) + data)
        reply = await reader.read()
        writer.close()
        expect(reply.startswith(b"HTTP/1.1 400"), data[:20], reply[:300])

    async def do_wrong_key(self):
        reply = await load.post(self.server.address, "/v1/chat/completions", self.body(), "ck_" + "x" * 51)
        expect(reply.status == 401, reply.status, reply.body[:300])

    async def do_small_quota(self):
        reply = await self.post("/v1/chat/completions", self.body(), "small")
        expect(reply.status in (200, 429), reply.status, reply.body[:300])
        if reply.status == 200:
            self.keys.complete("small", reply.json()["usage"]["prompt_tokens"], reply.json()["usage"]["completion_tokens"])

    async def do_one_at_a_time(self):
        replies = await asyncio.gather(*(self.post("/v1/chat/completions", self.body(), "narrow") for _ in range(2)))
        expect({r.status for r in replies} <= {200, 429}, *[r.body[:300] for r in replies])
        for r in replies:
            if r.status == 200:
                self.keys.complete("narrow", r.json()["usage"]["prompt_tokens"], r.json()["usage"]["completion_tokens"])

    async def do_key_for_a_while(self):
        name = f"guest{id(self) % 97}"
        if name in self.keys.secret:
            return
        self.keys.add(name)
        try:
            await self.ask("/v1/chat/completions", self.body(max_tokens=4), name)
            self.keys.run("key", "revoke", name)
            reply = await self.post("/v1/chat/completions", self.body(max_tokens=4), name)
            expect(reply.status == 401, "a key that was revoked", reply.status)
        finally:
            del self.keys.secret[name]


WEIGHTS = {"whole": 6, "stream": 8, "several": 2, "the_same": 6, "schema": 4, "tools": 3, "receipt": 3, "ollama": 3, "scores": 2,
           "small_things": 4, "go_away": 4, "go_away_unanswered": 2, "half_a_body": 3, "read_slowly": 1, "idle": 2, "no_json": 3,
           "wrong_key": 2, "small_quota": 2, "one_at_a_time": 1, "key_for_a_while": 1}


class Soak:
    def __init__(self, server, keys, args):
        self.server, self.keys, self.args = server, keys, args
        self.counts, self.faults, self.texts, self.rss = collections.Counter(), [], {}, []
        self.run_s, self.paused_s, self.pauses, self.over, self.killed = 0.0, 0.0, [], False, False

    async def work(self, i):
        rng = random.Random(f"{self.args.seed} {i}")
        client = Client(self.server, self.keys, rng, self.texts)
        while not self.over:
            kind = rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
            begin = time.monotonic()
            try:
                await asyncio.wait_for(getattr(client, "do_" + kind)(), WAIT_S)
                self.counts[kind] += 1
            except (Unexpected, OSError, asyncio.TimeoutError, KeyError, ValueError, IndexError, subprocess.CalledProcessError) as e:
                if self.killed:
                    return
                if any(t > begin for t in self.pauses):
                    self.counts["cut by a pause"] += 1
                elif not isinstance(e, ConnectionError) or kind not in ("go_away", "half_a_body", "go_away_unanswered"):
                    self.faults.append(f"{kind}: {type(e).__name__} {e}")
                    print("  unexpected: " + self.faults[-1][:500], flush=True)

    async def watch(self):
        last, told = time.monotonic(), 0
        while self.run_s < (self.args.warm_up + self.args.minutes) * 60 and len(self.faults) < 50:
            await asyncio.sleep(1)
            now = time.monotonic()
            if now - last > PAUSE_S:
                self.paused_s += now - last
                self.pauses.append(now)
            else:
                self.run_s += now - last
            last = now
            self.rss.append((self.run_s, self.server.rss_bytes()))
            if self.run_s >= told * 60:
                told += 1
                print(f"  minute {self.run_s / 60:5.1f}  memory {self.rss[-1][1] / 2**20:7.1f} MiB  requests {sum(self.counts.values())}", flush=True)

    async def fill(self):
        """Prompts that no one sent before, until the memory for contexts of both models is full: from then on it is used again.
        (Under a sanitizer memory has no level: FILL_S is enough.)"""
        rng, before, level, begin = random.Random(self.args.seed), 0, 0, time.monotonic()
        while level < FILL_LEVEL and time.monotonic() - begin < FILL_S:
            for model in (self.server.model, "caller"):
                bodies = [{"model": model, "prompt": " ".join(rng.choices(WORDS, k=FILL_WORDS)), "max_tokens": 1} for _ in range(FILL_AT_ONCE)]
                replies = await asyncio.gather(*(load.post(self.server.address, "/v1/completions", b, self.keys.secret["anna"]) for b in bodies))
                expect({r.status for r in replies} == {200}, "filling", [r.status for r in replies])
            now = self.server.rss_bytes()
            level = level + 1 if now - before < FILL_STEP else 0
            before = now
        print(f"  contexts are full  memory {before / 2**20:7.1f} MiB", flush=True)

    async def run(self):
        """The load; at the end the server is killed under it."""
        await self.fill()
        workers = [asyncio.create_task(self.work(i)) for i in range(self.args.workers)]
        await self.watch()
        self.killed = self.over = True
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()
        await asyncio.gather(*workers)

    def medians(self):
        """Of memory in the first and in the last minutes, MiB."""
        begin = self.args.warm_up * 60
        span = min(300, (self.run_s - begin) / 3)
        first = [b for t, b in self.rss if begin <= t <= begin + span]
        last = [b for t, b in self.rss if t >= self.run_s - span]
        return statistics.median(first) / 2**20, statistics.median(last) / 2**20


def check_books(soak, keys, before):
    """What stands in the audit log and at the keys after the kill, beside what clients know."""
    faults = []
    report = keys.run("audit")
    if not report["holds"]:
        faults.append(f"audit: {report}")
    lines = [json.loads(x) for p in keys.data.glob("audit*.log") for x in p.read_text(encoding="utf-8").splitlines() if x]
    written = collections.Counter(x.get("key") for x in lines if x["event"] == "answer" and x.get("status") == 200)
    listed = {k["name"]: k for k in keys.run("key", "list", "--all") if k["name"] in before}
    for name in before:
        if listed.get(name, {}).get("state") != "valid":
            faults.append(f"key {name}: {listed.get(name)}")
            continue
        used = listed[name]["used"]["all"]
        if used["prompt"] + used["output"] < keys.tokens[name]:
            faults.append(f"key {name}: {used} in the books, {keys.tokens[name]} tokens were acknowledged")
        if written[name] < keys.answers[name]:
            faults.append(f"key {name}: {written[name]} answers in the audit log, {keys.answers[name]} were complete")
    print(f"after kill -9: {report['last']} lines of the audit log hold, {report['torn']} torn; {dict(keys.answers)} answers were complete")
    return faults


def again(model, folder, soak, keys):
    """The next start answers as before, to the keys from before."""
    server = start(model, folder, soak.args)
    client = Client(server, keys, random.Random(1), soak.texts)

    async def some():
        for _ in range(24):
            await client.do_the_same()
    asyncio.run(some())
    server.stop()
    return [] if keys.run("audit")["holds"] else ["audit: it does not hold after the second start"]


def start(model, folder, args):
    return load.Ours(model, folder / "data", args.threads, ("--model", folder / "caller.gguf", "--kv-memory", args.kv_memory))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--warm-up", type=float, default=2, help="minutes before those")
    ap.add_argument("--workers", type=int, default=24)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--kv-memory", default="64MiB", help="small enough to be full soon")
    ap.add_argument("-t", "--threads", type=int, default=0)
    ap.add_argument("--json", metavar="FILE", help="memory over time and counts")
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "caller.gguf").write_bytes(tiny_models.model_bytes("q8_0", tiny_models.TOOL_TEMPLATE))
        keys = Keys(folder / "data")
        keys.add("anna")
        keys.add("small", "--tokens-per-day", "3000")
        keys.add("narrow", "--concurrent", "1")
        soak = Soak(start(args.model, folder, args), keys, args)
        asyncio.run(soak.run())
        first, last = soak.medians()
        faults = soak.faults + check_books(soak, keys, ["anna", "small", "narrow"]) + again(args.model, folder, soak, keys)
    if last > first * GROWTH_MAX:
        faults.append(f"memory grew from {first:.1f} to {last:.1f} MiB")
    print(f"{soak.run_s / 60:.1f} minutes ({soak.paused_s:.0f} s paused): {dict(soak.counts)}")
    print(f"memory, median of the first minutes {first:.1f} MiB, of the last {last:.1f} MiB")
    print("\n".join(["unexpected: " + f[:500] for f in faults] or ["nothing unexpected"]))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"rss": soak.rss, "counts": soak.counts, "faults": faults}, indent=1), encoding="utf-8")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
