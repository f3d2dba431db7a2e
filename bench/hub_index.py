"""How fast the hub lists and searches: fills a data folder with repositories, serves it, and times requests over HTTP.

    python3 bench/hub_index.py build/cloche [--rows 1500000] [--n 200] [--data DIR]

Rows are written by SQL, as creating them would take hours; names, tags, downloads and dates follow a power law, one in twenty
repositories is private. Each line is a request: p50 and p99 of its time in ms, and how many rows the first page had."""
import argparse
import http.client
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import tempfile
import time
import urllib.parse

WORDS = """llama mistral qwen gemma phi bert roberta whisper flux stable diffusion tiny small base large mini instruct chat code math vision
audio speech text embed rerank reward sft dpo lora merge awq gptq gguf fp8 int4 distill moe expert agent tool long context french german
spanish chinese legal medical finance bio chem story poem""".split()
TAGS = ["transformers", "safetensors", "pytorch", "text-generation", "en", "license:apache-2.0", "license:mit", "gguf", "llama", "zh"]
TAGS += [f"dataset:lab/set-{i}" for i in range(3000)]


def fill(db, n, rng):
    now = 1_790_000_000
    owners = [(i + 10, f"{i:024x}", f"owner-{i}") for i in range(max(10, n // 40))]
    db.executemany("INSERT INTO accounts (id, oid, name, kind, created) VALUES (?, ?, ?, 'user', 0)", owners)
    for i in range(n):
        owner = owners[int(len(owners) * rng.random() ** 3)]
        name = "-".join(rng.choice(WORDS) for _ in range(rng.randint(2, 4))) + f"-{i}"
        popular = int(rng.paretovariate(0.8))
        db.execute("INSERT INTO repos (id, oid, type, namespace, name, private, gated, disabled, created, modified, downloads, likes)"
                   " VALUES (?, ?, 'model', ?, ?, ?, 'no', 0, ?, ?, ?, ?)",
                   (i + 1, f"{i + 1:024x}", owner[0], name, rng.random() < 0.05, now - n + i, now - rng.randrange(n), popular, popular // 20))
        tags = sorted({TAGS[min(int(rng.paretovariate(0.7)) - 1, len(TAGS) - 1)] for _ in range(8)})
        db.execute("INSERT INTO repo_cards (repo, sha, card, tags, config, task, library) VALUES (?, ?, ?, ?, NULL, 'text-generation', 'transformers')",
                   (i + 1, os.urandom(20), json.dumps({"license": "mit"}), json.dumps(tags)))
        db.executemany("INSERT INTO repo_tags (type, tag, repo) VALUES (0, ?, ?)", [(t, i + 1) for t in tags])
    db.commit()


def measure(port, token, path, n):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    times, rows, link = [], 0, None
    for i in range(n):
        start = time.perf_counter()
        c.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        r = c.getresponse()
        body = r.read()
        times.append((time.perf_counter() - start) * 1e3)
        assert r.status == 200, body
        if i == 0:
            rows, link = len(json.loads(body)), r.headers.get("Link")
    times.sort()
    return times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))], rows, link


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--rows", type=int, default=1_500_000)
    p.add_argument("--n", type=int, default=200)
    p.add_argument("--data")
    a = p.parse_args()
    data = a.data or tempfile.mkdtemp(prefix="hub-index-")
    cli = lambda *args, **kw: subprocess.run([a.program, *args, "--data", data], check=True, capture_output=True, text=True, **kw).stdout  # noqa: E731
    fresh = not pathlib.Path(data, "cloche.db").exists()
    if fresh:
        cli("user", "add", "anna")
        start = time.monotonic()
        db = sqlite3.connect(pathlib.Path(data, "cloche.db"))
        db.execute("PRAGMA synchronous = OFF")
        fill(db, a.rows, random.Random(7))
        db.close()
        print(f"{a.rows} repositories written in {time.monotonic() - start:.0f} s, {pathlib.Path(data, 'cloche.db').stat().st_size >> 20} MiB")
    token = json.loads(cli("token", "create", "--user", "anna", "--json"))["token"]
    start = time.monotonic()
    server = subprocess.Popen([a.program, "serve", "--json", "--listen", "127.0.0.1:0", "--data", data], stdout=subprocess.PIPE, text=True)
    try:
        port = urllib.parse.urlsplit(json.loads(server.stdout.readline())["url"]).port
        measure(port, None, "/api/models?limit=30", 1)
        size = sum(f.stat().st_size for f in pathlib.Path(data).glob("cloche.db*"))
        print(f"start and first page {time.monotonic() - start:.2f} s{' (with the making of sets)' if fresh else ''}, {size // a.rows} bytes a repository on disk")
        asks = [("first page", "/api/models?limit=30"), ("by downloads", "/api/models?limit=30&sort=downloads"),
                ("by date", "/api/models?limit=30&sort=lastModified"), ("1,000 rows", "/api/models?limit=1000"),
                ("frequent word", "/api/models?limit=30&search=llama"), ("two words", "/api/models?limit=30&search=llama&search=poem"),
                ("rare word", f"/api/models?limit=30&search=-{a.rows // 2}"), ("no such word", "/api/models?limit=30&search=xyzzy-nothing"),
                ("two letters", "/api/models?limit=30&search=qw"), ("frequent tag", "/api/models?limit=30&filter=transformers"),
                ("rare tag", "/api/models?limit=30&filter=dataset:lab/set-2500"),
                ("two tags", "/api/models?limit=30&filter=transformers&filter=dataset:lab/set-20"), ("an author", "/api/models?limit=30&author=owner-0"),
                ("small author", f"/api/models?limit=30&author=owner-{a.rows // 41}"),
                ("tag and word", "/api/models?limit=30&filter=gguf&search=whisper&sort=downloads")]
        print(f"{'':16}{'p50 ms':>9}{'p99 ms':>9}{'rows':>7}")
        for name, path in asks:
            for who, t in (("", None), (" (user)", token)):
                p50, p99, rows, _ = measure(port, t, path, a.n if "1,000" not in name else max(5, a.n // 10))
                if not t or name in ("first page", "frequent word"):
                    print(f"{name + who:22}{p50:9.2f}{p99:9.2f}{rows:7}")
        path = "/api/models?limit=100"
        for _ in range(50):
            _, _, _, link = measure(port, None, path, 1)
            path = link[link.index("/api"):link.index(">")]
        p50, p99, rows, _ = measure(port, None, path, a.n)
        print(f"{'the 51st page':22}{p50:9.2f}{p99:9.2f}{rows:7}")
        p50, p99, _, _ = measure(port, None, "/api/models-tags-by-type", 10)
        print(f"{'tags by type':22}{p50:9.2f}{p99:9.2f}")
        status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        now, most = (int(re.search(name + r":\s*(\d+)", status)[1]) >> 10 for name in ("VmRSS", "VmHWM"))
        print(f"memory {now} MiB, at most {most}")
    finally:
        server.terminate()
        server.wait()


main()
