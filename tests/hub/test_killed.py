"""kill -9 of the server while clients commit, push and upload, and of `cloche import`, `push` and `pull` while they work on its data
folder, on one that is pushed from and on one that is pulled into: what was acknowledged is there, nothing is half there.

CLOCHE_HUB_KILLS (10) is how often the server dies; commands die oftener."""
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx2 as httpx

from serving import BIN, Server
from test_git import ENV

KILLS = int(os.environ.get("CLOCHE_HUB_KILLS", "10"))
KINDS = ("commits", "pushes", "files", "xets", "imports", "sent", "pulled")

# The stock client, which needs seconds to start: it waits for an address, then uploads by Xet and says what is done.
XET = """
import json, random, sys
from huggingface_hub import HfApi
import hf_xet
print("ready", flush=True)
url, token, repo, round_ = json.loads(sys.stdin.readline())
api = HfApi(endpoint=url, token=token)
for n in range(10000):
    rng = random.Random(f"x {round_} {n}")
    data = rng.randbytes(rng.randrange(1, 400000)) + bytes(70000)
    done = api.upload_file(path_or_fileobj=data, path_in_repo=f"r{round_}/x{n}.bin", repo_id=repo)
    print(json.dumps([n, done.oid]), flush=True)
"""


def xet_bytes(round_, n):
    rng = random.Random(f"x {round_} {n}")
    return rng.randbytes(rng.randrange(1, 400000)) + bytes(70000)


def xet_client(home):
    env = {**os.environ, "HF_HOME": str(home)}
    return subprocess.Popen([sys.executable, "-c", XET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)


class Writers:
    """Threads that write until the server dies; what each was told is done. Two data folders beside the hub's: `near` is pushed
    from, `far` is pulled into."""

    def __init__(self, hub, folder, round_, before):
        self.hub, self.folder, self.round, self.before = hub, folder, round_, before
        self.near, self.far = folder / "near", folder / "far"
        self.commits, self.pushes, self.files, self.xets = [], [], [], []  # (repository, commit id, path, text or bytes)
        self.imports, self.sent, self.pulled = [], [], []                   # as these, by our commands
        self.running, self.over, self.killed = {}, False, 0
        self.rng = random.Random(f"commands {round_}")

    def commit(self, i):
        repo = f"alice/kill-{i}"
        with self.hub.http("alice") as c:
            for n in range(10000):
                path, text = f"r{self.round}/f{n}.txt", f"{self.round} {i} {n}\n" * 20
                lines = [{"key": "header", "value": {"summary": path}}, {"key": "file", "value": {"path": path, "content": text}}]
                r = c.post(f"/api/models/{repo}/commit/main", content="\n".join(map(json.dumps, lines)), headers={"Content-Type": "application/x-ndjson"})
                assert r.status_code == 200, r.text
                self.commits.append((repo, r.json()["commitOid"], path, text))

    def push(self, i):
        repo, clone = f"alice/kill-git-{i}", self.folder / f"clone-{self.round}-{i}"
        subprocess.run(["git", "clone", "-q", self.hub.git_url(repo, "alice"), clone], env=ENV, check=True, capture_output=True)
        for n in range(10000):
            (clone / f"g{self.round}-{n}.txt").write_text(f"{n}\n" * 50)
            subprocess.run(["git", "add", "-A"], cwd=clone, env=ENV, check=True)
            subprocess.run(["git", "commit", "-qm", str(n)], cwd=clone, env=ENV, check=True)
            oid = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, env=ENV, check=True, capture_output=True, text=True).stdout.strip()
            subprocess.run(["git", "push", "-q", "origin", "HEAD:main"], cwd=clone, env=ENV, check=True, capture_output=True)
            self.pushes.append((repo, oid, f"g{self.round}-{n}.txt", f"{n}\n" * 50))

    def large(self, i):
        repo, rng = f"alice/kill-{i}", random.Random(f"{self.round} {i}")
        with self.hub.http("alice") as c:
            for n in range(10000):
                data = rng.randbytes(rng.randrange(1, 300000))
                oid = hashlib.sha256(data).hexdigest()
                r = c.post(f"/{repo}.git/info/lfs/objects/batch", json={"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(data)}]})
                assert r.status_code == 200, r.text
                up = r.json()["objects"][0]["actions"]["upload"]
                assert c.put(up["href"], content=data, headers={**up.get("header", {})}).status_code == 200
                path = f"r{self.round}/w{n}.bin"
                lines = [{"key": "header", "value": {"summary": path}}, {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, "size": len(data)}}]
                r = c.post(f"/api/models/{repo}/commit/main", content="\n".join(map(json.dumps, lines)), headers={"Content-Type": "application/x-ndjson"})
                assert r.status_code == 200, r.text
                self.files.append((repo, r.json()["commitOid"], path, data))

    def xet(self, client):
        repo = "alice/kill-xet"
        client.stdin.write(json.dumps([self.hub.url, self.hub.tokens["alice"], repo, self.round]) + "\n")
        client.stdin.flush()
        for line in client.stdout:  # ends when the client is killed, a moment after the server
            n, oid = json.loads(line)
            self.xets.append((repo, oid, f"r{self.round}/x{n}.bin", xet_bytes(self.round, n)))

    def command(self, who, *args, **env):
        """What it said, or None: it was killed, a moment after it began or with the server, or the server was."""
        p = self.running[who] = subprocess.Popen([BIN, *map(str, args), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
        patience = self.rng.choice([60, 60, self.rng.uniform(0.005, 0.3)])
        try:
            out, errors = p.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            p.kill()
            out, errors = p.communicate()
        self.killed += p.returncode == -9
        alone = args[0] == "import"  # the others may find that the server is gone
        assert p.returncode in (0, -9, *([] if alone else [1])), (args, p.returncode, errors)
        return json.loads(out) if p.returncode == 0 else None

    def bring(self, who, data, repo, n):
        """A folder becomes a commit of a repository in a data folder."""
        rng, source = random.Random(f"{who} {self.round} {n}"), self.folder / f"in-{who}"
        source.mkdir(exist_ok=True)
        text, large = f"{who} {self.round} {n}\n", rng.randbytes(rng.randrange(1, 200000))
        (source / "a.txt").write_text(text)
        (source / "w.bin").write_bytes(large)
        said = self.command(who, "import", source, "--repo", repo, "--data", data)
        return [(repo, said["main"], "a.txt", text), (repo, said["main"], "w.bin", large)] if said else []

    def import_(self, i):
        for n in range(10000):
            if self.over:
                break
            self.imports += self.bring("import", self.hub.data, f"lab/kill-import-{i}", n)

    def send(self, i):
        repo = f"lab/kill-sent-{i}"
        for n in range(10000):
            made = self.bring("send", self.near, repo, n)
            if made and self.command("send", "push", repo, "--to", self.hub.url, "--create", "--data", self.near, HF_TOKEN=self.hub.tokens["alice"]):
                self.sent += made
            if self.over:
                break

    def pull(self, i):
        repo = f"alice/kill-{i}"
        while not self.over:
            known = self.last(repo)
            if self.command("pull", "pull", repo, "--from", self.hub.url, "--data", self.far, HF_TOKEN=self.hub.tokens["alice"]):
                self.pulled = known

    def last(self, repo):
        """Some of what was acknowledged last, in the round before when nothing was yet."""
        return [x for done in (self.commits, self.files) for x in [y for y in done if y[0] == repo][-2:]] or self.before

    def run(self, kinds, seconds, client):
        faults = []

        def guarded(work, i):
            try:
                work(i)
            except (OSError, subprocess.CalledProcessError):
                pass
            except Exception as e:  # of the client: the connection broke; an answer that is no 200 is a fault
                if isinstance(e, AssertionError):
                    faults.append(e)
        first = [("xet", client), ("import_", 0), ("send", 0), ("pull", 1)]  # which need a second or two before something is done
        threads = [threading.Thread(target=guarded, args=(getattr(self, k), i)) for k, i in [*first, *kinds]]
        for t in threads[:len(first)]:
            t.start()
        for _ in range(200):
            if not self.xets:
                time.sleep(0.05)
        for t in threads[len(first):]:
            t.start()
        time.sleep(seconds)
        self.hub.server.process.kill()
        self.over = True
        for p in list(self.running.values()):
            if self.rng.random() < 0.5:
                p.kill()
        self.hub.server.process.wait()
        time.sleep(0.05)
        client.kill()
        client.wait()
        for t in threads:
            t.join(120)
        assert not faults, faults


def is_whole(data):
    done = subprocess.run([BIN, "fsck", "--json", "--data", str(data)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and json.loads(done.stdout)["faults"] == 0, (data, done.stdout, done.stderr)


def are_there(client, all_):
    for repo, oid, path, want in all_:
        r = client.get(f"/{repo}/resolve/{oid}/{path}")
        assert r.status_code == 200 and r.content == (want if isinstance(want, bytes) else want.encode()), (repo, oid, path, r.status_code)


def check(hub, w):
    for data in (hub.data, w.near, w.far):
        if (data / "cloche.db").exists():
            is_whole(data)
    if w.pulled:
        far = Server(w.far)
        with httpx.Client(base_url=far.url, timeout=60) as c:
            are_there(c, w.pulled)
        assert far.stop() == 0, far.errors
    all_ = w.commits + w.pushes + w.files + w.xets + w.imports + w.sent
    with hub.http("alice") as c:
        are_there(c, all_)
        for repo in {x[0] for x in all_}:
            done = [x[1] for x in all_ if x[0] == repo]
            history = [k["id"] for k in c.get(f"/api/models/{repo}/commits/main", params={"limit": 1000}).json()]
            assert set(done) <= set(history) or len(history) == 1000, (repo, len(done))


def test_what_was_acknowledged_survives_a_kill(own_hub, tmp_path):
    hub, rng = own_hub, random.Random(1)
    kinds = [("commit", 0), ("commit", 0), ("commit", 1), ("large", 0), ("large", 1), ("push", 0)]
    for repo in ("alice/kill-0", "alice/kill-1", "alice/kill-git-0", "alice/kill-xet"):
        hub.api("alice").create_repo(repo)
    counts, commands, before, client = Counter(), 0, [], xet_client(tmp_path / "home")
    for i in range(KILLS):
        w, ready, client = Writers(hub, tmp_path, i, before), client, xet_client(tmp_path / "home")
        assert ready.stdout.readline() == "ready\n"
        w.run(kinds, rng.uniform(0.3, 2.5), ready)
        hub.server = Server(hub.data)
        hub.url = hub.server.url
        check(hub, w)
        for what in KINDS:
            counts[what] += len(getattr(w, what))
        commands, before = commands + w.killed, w.last("alice/kill-1")
        shutil.rmtree(tmp_path / f"clone-{i}-0", ignore_errors=True)
    client.kill()
    client.wait()
    print(f"{KILLS} kills of the server, {commands} of commands; acknowledged: {dict(counts)}")
    needed = KINDS if KILLS >= 50 else ("commits", "files", "xets", "imports")
    assert counts.total() > KILLS and all(counts[k] for k in needed), "too little was acknowledged to say anything"
