"""kill -9 of the server while clients commit, push and upload: what was acknowledged is there, nothing is half there.

CLOCHE_HUB_KILLS (10) is how often."""
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

from serving import BIN, Server
from test_git import ENV

KILLS = int(os.environ.get("CLOCHE_HUB_KILLS", "10"))

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
    """Threads that write until the server dies; what each was told is done."""

    def __init__(self, hub, folder, round_):
        self.hub, self.folder, self.round = hub, folder, round_
        self.commits, self.pushes, self.files, self.xets = [], [], [], []  # (repository, commit id, path, text or bytes)

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
        threads = [threading.Thread(target=guarded, args=(getattr(self, k), i)) for k, i in [("xet", client), *kinds]]
        threads[0].start()
        for _ in range(200):  # its first upload takes a second or two; the kill comes during the next ones
            if not self.xets:
                time.sleep(0.05)
        for t in threads[1:]:
            t.start()
        time.sleep(seconds)
        self.hub.server.process.kill()
        self.hub.server.process.wait()
        time.sleep(0.05)
        client.kill()
        client.wait()
        for t in threads:
            t.join(120)
        assert not faults, faults


def check(hub, w):
    fsck = json.loads(subprocess.run([BIN, "fsck", "--json", "--data", str(hub.data)], capture_output=True, text=True, timeout=300).stdout)
    assert fsck["faults"] == 0, fsck
    all_ = w.commits + w.pushes + w.files + w.xets
    with hub.http("alice") as c:
        for repo, oid, path, want in all_:
            r = c.get(f"/{repo}/resolve/{oid}/{path}")
            assert r.status_code == 200 and r.content == (want if isinstance(want, bytes) else want.encode()), (repo, oid, path, r.status_code)
        for repo in {x[0] for x in all_}:
            done = [x[1] for x in all_ if x[0] == repo]
            history = [k["id"] for k in c.get(f"/api/models/{repo}/commits/main", params={"limit": 1000}).json()]
            assert set(done) <= set(history) or len(history) == 1000, (repo, len(done))


def test_what_was_acknowledged_survives_a_kill(own_hub, tmp_path):
    hub, rng = own_hub, random.Random(1)
    kinds = [("commit", 0), ("commit", 0), ("commit", 1), ("large", 0), ("large", 1), ("push", 0)]
    for repo in ("alice/kill-0", "alice/kill-1", "alice/kill-git-0", "alice/kill-xet"):
        hub.api("alice").create_repo(repo)
    counts, client = Counter(), xet_client(tmp_path / "home")
    for i in range(KILLS):
        w, ready, client = Writers(hub, tmp_path, i), client, xet_client(tmp_path / "home")
        assert ready.stdout.readline() == "ready\n"
        w.run(kinds, rng.uniform(0.3, 2.5), ready)
        hub.server = Server(hub.data)
        hub.url = hub.server.url
        check(hub, w)
        for what in ("commits", "pushes", "files", "xets"):
            counts[what] += len(getattr(w, what))
        shutil.rmtree(tmp_path / f"clone-{i}-0", ignore_errors=True)
    client.kill()
    client.wait()
    print(f"{KILLS} kills; acknowledged: {dict(counts)}")
    assert counts.total() > KILLS and all(counts[k] for k in ("commits", "files", "xets")), "too little was acknowledged to say anything"
