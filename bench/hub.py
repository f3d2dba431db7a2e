#!/usr/bin/env python3
"""The hub's speed, beside the machine's own limits. Standard library alone; wrk, nginx and curl where a part needs them.

  bench/hub.py PROGRAM resolve  [--seconds 10]      small files a second, by wrk, which shares the processors
  bench/hub.py PROGRAM download [--mib 2048]        a large file beside nginx's and beside `cat`, in turns
  bench/hub.py PROGRAM upload   [--mib 2048]        a large file beside writing and hashing the same bytes, in turns
  bench/hub.py PROGRAM clone    [--commits 2000]    git clone of a long history

--data DIR keeps the data folder; --json FILE writes every figure. A figure stands beside what was measured in the same run."""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "model_type": "llama", "vocab_size": 128256,
                     "words": ["abc def"] * 40}, indent=2)


class Hub:
    """A server on a data folder with one user, and requests to it."""

    def __init__(self, program, data):
        self.program, self.data = program, data
        if not pathlib.Path(data, "cloche.db").exists():
            self.cli("user", "add", "anna")
        self.token = json.loads(self.cli("token", "create", "--user", "anna", "--write", "--json"))["token"]
        self.process = subprocess.Popen([program, "serve", "--json", "--listen", "127.0.0.1:0", "--data", data], stdout=subprocess.PIPE,
                                        text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.port = urllib.parse.urlsplit(self.url).port

    def cli(self, *args):
        return subprocess.run([self.program, *args, "--data", self.data], check=True, capture_output=True, text=True).stdout

    def ask(self, method, path, body=None, **headers):
        headers = {"Authorization": f"Bearer {self.token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        r = urllib.request.Request(self.url + path if path.startswith("/") else path, data=body, method=method, headers=headers)
        with urllib.request.urlopen(r, timeout=600) as answer:
            return answer.read()

    def create(self, name):
        self.ask("POST", "/api/repos/create", json.dumps({"name": name, "type": "model"}).encode(), Content_Type="application/json")

    def commit(self, repo, *lines):
        text = "\n".join(json.dumps(line) for line in ({"key": "header", "value": {"summary": "bench"}}, *lines))
        return json.loads(self.ask("POST", f"/api/models/{repo}/commit/main", text.encode(), Content_Type="application/x-ndjson"))["commitOid"]

    def memory(self):
        """MiB now, and at most so far."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return {k: int(re.search(rf"{name}:\s*(\d+)", text)[1]) // 1024 for k, name in (("rss_mib", "VmRSS"), ("peak_mib", "VmHWM"))}

    def close(self):
        self.process.terminate()
        self.process.wait()


def timed(*args, **kw):
    start = time.monotonic()
    subprocess.run(args, check=True, **kw)
    return time.monotonic() - start


def median(xs):
    return round(statistics.median(xs), 3)


# --- small files -----------------------------------------------------------------------------------------------------

def wrk(url, seconds, connections, token=None):
    head = ["-H", f"Authorization: Bearer {token}"] if token else []
    text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *head, url], check=True, capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", text)
    return {"requests_s": round(float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1])), "p50": re.search(r"50%\s+(\S+)", text)[1],
            "p99": re.search(r"99%\s+(\S+)", text)[1], "faults": bad[0] if bad else None}


def resolve(hub, a):
    with contextlib.suppress(urllib.error.HTTPError):
        hub.create("small")
        hub.commit("anna/small", {"key": "file", "value": {"path": "config.json", "content": CONFIG}})
    url = f"{hub.url}/anna/small/resolve/main/config.json"
    wrk(url, 1, 16)
    out = {f"{c} connections": wrk(url, a.seconds, c) for c in (1, 16, 64, 256)}
    out["64 connections, with a token"] = wrk(url, a.seconds, 64, hub.token)
    with contextlib.suppress(urllib.error.HTTPError):
        hub.ask("PUT", "/api/models/anna/small/settings", json.dumps({"private": True}).encode(), Content_Type="application/json")
    out["64 connections, private"] = wrk(url, a.seconds, 64, hub.token)
    hub.ask("PUT", "/api/models/anna/small/settings", json.dumps({"private": False}).encode(), Content_Type="application/json")
    out["memory"] = hub.memory()
    return out


# --- large files -----------------------------------------------------------------------------------------------------

def noise(path, mib):
    """Random bytes, so that nothing is compressed or found twice."""
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(os.urandom(1 << 20))


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            h.update(piece)
    return h.hexdigest()


def lfs_upload(hub, repo, path, sha, size):
    """Seconds of the PUT alone."""
    ask = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": sha, "size": size}]}
    reply = json.loads(hub.ask("POST", f"/{repo}.git/info/lfs/objects/batch", json.dumps(ask).encode(), Content_Type="application/vnd.git-lfs+json"))
    action = reply["objects"][0].get("actions")
    if not action:
        return None
    up = action["upload"]
    head = [x for k, v in up.get("header", {}).items() for x in ("-H", f"{k}: {v}")]
    return timed("curl", "-sSf", "-o", os.devnull, "-T", str(path), *head, up["href"])


def commit_large(hub, repo, name, sha, size):
    hub.commit(repo, {"key": "lfsFile", "value": {"path": name, "algo": "sha256", "oid": sha, "size": size}})


@contextlib.contextmanager
def nginx(folder):
    """One that serves a folder, as the package comes: one worker, sendfile."""
    where = pathlib.Path(tempfile.mkdtemp(prefix="bench-nginx-"))
    port = 18500 + os.getpid() % 1000
    (where / "nginx.conf").write_text(f"""daemon off; user root; worker_processes 1; pid {where}/pid; error_log {where}/error.log;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {where}/a; proxy_temp_path {where}/b; fastcgi_temp_path {where}/c;
uwsgi_temp_path {where}/d; scgi_temp_path {where}/e; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}""")
    p = subprocess.Popen(["nginx", "-c", str(where / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        p.terminate()
        p.wait()
        shutil.rmtree(where, ignore_errors=True)


def fetch(url):
    return timed("curl", "-sSfL", "-o", os.devnull, url)


def xet_upload(hub, repo, path, name, python):
    """By the stock client; seconds."""
    code = ("import sys; from huggingface_hub import HfApi; HfApi(endpoint=sys.argv[1], token=sys.argv[2]).upload_file("
            "path_or_fileobj=sys.argv[3], path_in_repo=sys.argv[4], repo_id=sys.argv[5])")
    env = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": tempfile.mkdtemp(prefix="bench-home-")}
    try:
        return timed(python, "-c", code, hub.url, hub.token, str(path), name, repo, env=env, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(env["HF_HOME"], ignore_errors=True)


def download(hub, a):
    """Every round: `cat` to nothing, nginx, ours from a whole file, ours from what came by Xet. The file is in the page cache."""
    size = a.mib << 20
    folder = pathlib.Path(hub.data, "bench")
    folder.mkdir(exist_ok=True)
    path = folder / "large.bin"
    if not path.exists() or path.stat().st_size != size:
        noise(path, a.mib)
    sha = digest(path)
    with contextlib.suppress(urllib.error.HTTPError):
        hub.create("large")
    lfs_upload(hub, "anna/large", path, sha, size)
    commit_large(hub, "anna/large", "large.bin", sha, size)
    names = {"ours": f"{hub.url}/anna/large/resolve/main/large.bin"}
    if a.python:
        other = folder / "other.bin"
        if not other.exists():
            noise(other, a.mib)
        with contextlib.suppress(urllib.error.HTTPError):
            hub.create("large-xet")
            xet_upload(hub, "anna/large-xet", other, "other.bin", a.python)
        names["ours, came by Xet"] = f"{hub.url}/anna/large-xet/resolve/main/other.bin"
    times = {k: [] for k in ("cat", "nginx", *names)}
    with nginx(folder) as web:
        for i in range(a.rounds + 1):  # the first warms up
            with open(os.devnull, "wb") as nowhere, subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as p:
                start = time.monotonic()
                subprocess.run(["cat"], stdin=p.stdout, stdout=nowhere, check=True)
                row = {"cat": time.monotonic() - start}
            row["nginx"] = fetch(f"{web}/large.bin")
            row |= {k: fetch(u) for k, u in names.items()}
            for k, v in row.items():
                if i > 0:
                    times[k].append(v)
    out = {k: {"s": median(v), "mib_s": round(a.mib / median(v))} for k, v in times.items()}
    for k in names:
        out[k]["of_nginx"] = median([b / x for b, x in zip(times["nginx"], times[k])])
    return {**out, "memory": hub.memory()}


def upload(hub, a):
    """Every round new bytes: written by dd with fsync, hashed by sha256sum, then sent. The limit of one that hashes while it writes is
    the slower of the two; of one that does one after the other, their sum."""
    size = a.mib << 20
    folder = pathlib.Path(hub.data, "bench")
    folder.mkdir(exist_ok=True)
    times = {"dd fsync": [], "sha256sum": [], "LFS": [], "Xet": []}
    with contextlib.suppress(urllib.error.HTTPError):
        hub.create("up")
    for i in range(a.rounds):
        path, copy = folder / "up.bin", folder / "copy.bin"
        noise(path, a.mib)
        sha = digest(path)
        times["dd fsync"].append(timed("dd", f"if={path}", f"of={copy}", "bs=1M", "conv=fsync", stderr=subprocess.DEVNULL))
        copy.unlink()
        times["sha256sum"].append(timed("sha256sum", str(path), stdout=subprocess.DEVNULL))
        times["LFS"].append(lfs_upload(hub, "anna/up", path, sha, size))
        commit_large(hub, "anna/up", f"{i}.bin", sha, size)
        if a.python:
            noise(path, a.mib)
            times["Xet"].append(xet_upload(hub, "anna/up", path, f"x{i}.bin", a.python))
        path.unlink()
    out = {k: {"s": median(v), "mib_s": round(a.mib / median(v))} for k, v in times.items() if v}
    limits = {"slower": [max(d, s) for d, s in zip(times["dd fsync"], times["sha256sum"])],
              "sum": [d + s for d, s in zip(times["dd fsync"], times["sha256sum"])]}
    for k in ("LFS", "Xet"):
        for name, limit in limits.items():
            if times[k]:
                out[k][f"of_{name}"] = median([x / t for x, t in zip(limit, times[k])])
    return {**out, "memory": hub.memory()}


# --- git -------------------------------------------------------------------------------------------------------------

def clone(hub, a):
    """A history of one small change a commit in 40 files of 8 KB; clones of all, of one commit, and a fetch of the last ten."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-git-"))
    env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@x",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@x", "HOME": str(work)}
    git = lambda *args, cwd=None: timed("git", *args, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: E731
    url = f"http://anna:{hub.token}@127.0.0.1:{hub.port}/anna/history"
    first = False
    with contextlib.suppress(urllib.error.HTTPError):
        hub.create("history")
        first = True
    if first:
        git("clone", "-q", url, str(work / "src"))
        lines = [f"commit refs/heads/main\ncommitter a <a@x> {1700000000 + i} +0000\ndata 1\nx\n" + ("from refs/heads/main^0\n" if i == 0 else "") +
                 f"M 100644 inline f{i % 40}.txt\ndata <<EOF\n" + "".join(f"line {j} of file {i % 40}, version {i if j == i % 200 else 0}\n" for j in range(220)) +
                 "EOF\n" for i in range(a.commits)]
        subprocess.run(["git", "fast-import", "--quiet"], cwd=work / "src", env=env, input="\n".join(lines).encode(), check=True)
        git("push", "-q", "origin", "main", cwd=work / "src")
    out = {"clone": [], "shallow": [], "fetch": []}
    for i in range(a.rounds):
        out["clone"].append(git("clone", "-q", "--bare", url, str(work / f"c{i}")))
        out["shallow"].append(git("clone", "-q", "--depth", "1", url, str(work / f"s{i}")))
        subprocess.run(["git", "update-ref", "refs/heads/main", "main~10"], cwd=work / f"c{i}", env=env, check=True)
        subprocess.run("git reflog expire --expire=now --all; git gc -q --prune=now", shell=True, cwd=work / f"c{i}", env=env, check=True)
        out["fetch"].append(git("fetch", "-q", "origin", "main", cwd=work / f"c{i}"))
    pack = sum(p.stat().st_size for p in (work / "c0" / "objects" / "pack").glob("*.pack"))
    shutil.rmtree(work)
    return {**{k: {"s": median(v)} for k, v in out.items()}, "pack_kib_after_gc": pack >> 10, "memory": hub.memory()}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("part", choices=("resolve", "download", "upload", "clone"))
    p.add_argument("--seconds", type=int, default=10)
    p.add_argument("--mib", type=int, default=2048)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--commits", type=int, default=2000)
    p.add_argument("--data")
    p.add_argument("--json")
    p.add_argument("--python", help="one that has huggingface_hub and hf_xet; without it nothing goes by Xet")
    a = p.parse_args()
    data = a.data or tempfile.mkdtemp(prefix="bench-hub-")
    hub = Hub(str(pathlib.Path(a.program).resolve()), data)
    try:
        out = {a.part: globals()[a.part](hub, a)}
    finally:
        hub.close()
        if not a.data:
            shutil.rmtree(data, ignore_errors=True)
    for name, row in out[a.part].items():
        print(f"{name:32}", "  ".join(f"{k} {v}" for k, v in row.items()) if isinstance(row, dict) else row)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(out, indent=1) + "\n")


main()
