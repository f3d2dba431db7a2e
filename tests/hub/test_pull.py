"""Pull: from one Cloche (the hub of the fixture, filled by the real huggingface_hub) into another data folder."""
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time
import urllib.parse

import pytest
from serving import BIN, Server

MB = 1_000_000


def noise(n, seed):
    """Not what other files upload to the same hub: Xet would not store it again."""
    return random.Random(f"pull {seed}").randbytes(n)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def command(data, *args, **env):
    clean = {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HF_ENDPOINT")}
    return subprocess.run([BIN, *map(str, args), "--data", str(data)], env={**clean, **env}, capture_output=True, text=True, timeout=300)


def cloche(data, *args, code=0, **env):
    done = command(data, *args, **env)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if code == 0 and "--json" in args else done.stdout + done.stderr


def pull(data, url, repo, *args, code=0, token=None, **env):
    more = ["--token", token] if token else []
    return cloche(data, "pull", repo, "--from", url, *more, *args, "--json", code=code, **env)


def git(*args, cwd):
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1", "GIT_LFS_SKIP_SMUDGE": "1",
           "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@x.test", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@x.test"}
    done = subprocess.run(["git", *map(str, args)], cwd=cwd, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def tree(folder):
    return {str(p.relative_to(folder)): sha256(p.read_bytes()) for p in pathlib.Path(folder).rglob("*")
            if p.is_file() and ".cache" not in p.parts and ".git" not in p.parts}


def history(url, cwd, repo):
    """Every ref and every commit, as git has them from a clone."""
    name = f"clone-{random.randrange(1 << 40)}"
    git("clone", "-q", "--mirror", f"{url}/{repo}", name, cwd=cwd)
    git("-C", name, "fsck", "--strict", "--full", cwd=cwd)
    return git("-C", name, "for-each-ref", "--format=%(refname) %(objectname)", cwd=cwd), git("-C", name, "log", "--all", "--format=raw", cwd=cwd)


@contextlib.contextmanager
def serving(data):
    s = Server(data)
    try:
        yield s
    finally:
        assert s.stop() == 0, s.errors


def ask(url, path):
    """The status."""
    c = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    c.request("GET", path)
    r = c.getresponse()
    r.read()
    c.close()
    return r.status


def fsck(data):
    return cloche(data, "fsck")


@pytest.fixture(scope="module")
def source(hub, tmp_path_factory):
    """A model with a history: small files, one that came by Xet, one by LFS, a branch, two tags."""
    api, folder = hub.api("alice"), tmp_path_factory.mktemp("source")
    api.create_repo("lab/source")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "weights.safetensors").write_bytes(noise(3 * MB, 1))
    (folder / "sub").mkdir()
    (folder / "sub" / "extra.bin").write_bytes(noise(2 * MB, 2))
    api.upload_folder(folder_path=folder, repo_id="lab/source", commit_message="first")
    api.create_tag("lab/source", tag="v1", tag_message="one")
    api.upload_file(path_or_fileobj=noise(1 * MB, 3), path_in_repo="sub/extra.bin", repo_id="lab/source", commit_message="second")
    api.create_branch("lab/source", branch="dev")
    api.upload_file(path_or_fileobj=b"dev only\n", path_in_repo="dev.txt", repo_id="lab/source", revision="dev")
    api.create_tag("lab/source", tag="v2")
    api.upload_file(path_or_fileobj=b"# A card\n", path_in_repo="README.md", repo_id="lab/source")
    return "lab/source"


def test_what_was_pulled_is_what_was_there(hub, source, tmp_path):
    data = tmp_path / "b"
    r = pull(data, hub.url, source)
    assert r["id"] == source and r["new"] and r["refs"] == 4 and r["files"] == 3 and r["absent"] == 0
    assert "all is whole" in fsck(data)
    again = pull(data, hub.url, source)
    assert not again["new"] and again["refs"] == again["files"] == again["objects"] == 0 and again["main"] == r["main"]
    with serving(data) as b:
        from huggingface_hub import HfApi
        there, here = hub.api("alice"), HfApi(endpoint=b.url, token=False)
        one = there.snapshot_download(source, local_dir=tmp_path / "one")
        two = here.snapshot_download(source, local_dir=tmp_path / "two")
        assert tree(one) == tree(two) and len(tree(one)) == 5
        assert there.model_info(source).sha == here.model_info(source).sha == r["main"]
        for rev in ("v1", "v2", "dev"):
            assert tree(there.snapshot_download(source, revision=rev, local_dir=tmp_path / ("a" + rev))) == \
                tree(here.snapshot_download(source, revision=rev, local_dir=tmp_path / ("b" + rev)))
        assert history(hub.url, tmp_path, source) == history(b.url, tmp_path, source)
        assert "license" not in (here.model_info(source).card_data or {})


def test_a_second_pull_brings_what_is_new(hub, tmp_path):
    api, data = hub.api("alice"), tmp_path / "b"
    api.create_repo("lab/growing", repo_type="dataset", private=True)
    api.upload_file(path_or_fileobj=noise(MB, 4), path_in_repo="a.parquet", repo_id="lab/growing", repo_type="dataset")
    assert "a token may be needed" in pull(data, hub.url, "lab/growing", "--type", "dataset", code=5)
    assert not (data / "cloche.db").exists()
    token = hub.read_tokens["rita"]
    assert pull(data, hub.url, "lab/growing", "--type", "dataset", token=token)["files"] == 1
    listed = cloche(data, "repo", "list", "--json")
    assert [(r["id"], r["type"], r["private"]) for r in listed] == [("lab/growing", "dataset", True)]
    api.upload_file(path_or_fileobj=noise(MB, 5), path_in_repo="b.parquet", repo_id="lab/growing", repo_type="dataset")
    r = pull(data, hub.url, "lab/growing", "--type", "dataset", HF_TOKEN=token)
    assert (r["files"], r["refs"], r["objects"], r["new"]) == (1, 1, 3, False)
    fsck(data)
    orgs = cloche(data, "org", "list", "--json")
    assert [(o["name"], o["members"]) for o in orgs] == [("lab", 0)]
    assert "org-created" in (data / "audit.log").read_text()


def test_what_is_not_there(hub, tmp_path):
    assert pull(tmp_path / "b", hub.url, "lab/nothing", code=5) and not (tmp_path / "b").exists()
    pull(tmp_path / "b", hub.url, "lab/nothing", code=4, token=hub.tokens["bob"])
    pull(tmp_path / "b", "http://127.0.0.1:1", "lab/nothing", code=1)
    pull(tmp_path / "b", "ftp://127.0.0.1", "lab/nothing", code=2)
    pull(tmp_path / "b", hub.url, "nothing", code=2)
    for name in ("CLOCHE_OFFLINE", "HF_HUB_OFFLINE"):
        assert f"{name} is set" in pull(tmp_path / "b", hub.url, "lab/nothing", code=5, **{name: "1"})


def test_a_revision_and_patterns(hub, source, tmp_path):
    from huggingface_hub import HfApi
    one, two, three = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    r = pull(one, hub.url, source, "--revision", "v1", "--exclude", "sub/*")
    assert (r["refs"], r["files"], r["absent"]) == (2, 1, 1)  # the tag, and main at it
    fsck(one)
    commit = hub.api().model_info(source, revision="v1").sha
    assert pull(two, hub.url, source, "--revision", commit, "--include", "*.safetensors")["main"] == commit
    with serving(one) as b:
        api = HfApi(endpoint=b.url, token=False)
        assert {f.rfilename for f in api.model_info(source).siblings} == {".gitattributes", "config.json", "weights.safetensors", "sub/extra.bin"}
        assert api.hf_hub_download(source, "weights.safetensors", cache_dir=tmp_path / "cache")
        from huggingface_hub.errors import EntryNotFoundError
        with pytest.raises(EntryNotFoundError):
            api.hf_hub_download(source, "sub/extra.bin", cache_dir=tmp_path / "cache")
    assert pull(one, hub.url, source)["absent"] == 0
    fsck(one)
    assert pull(three, hub.url, source, "--revision", "none", code=4)
    pull(three, hub.url, source, "--revision", "dev")
    with serving(three) as b:
        assert [x.name for x in HfApi(endpoint=b.url, token=False).list_repo_refs(source).branches] == ["dev", "main"]


def test_a_digest_alone_opens_nothing(hub, tmp_path):
    """What lies here in a private repository does not become a pulled one's because that names it: its bytes have to come."""
    secret, data = noise(1 * MB, 77), tmp_path / "b"
    api = hub.api("alice")
    api.create_repo("lab/names")
    api.upload_file(path_or_fileobj=secret, path_in_repo="w.bin", repo_id="lab/names")
    (tmp_path / "w.bin").write_bytes(secret)
    cloche(data, "import", tmp_path / "w.bin", "--repo", "ward/secret", "--private")
    r = pull(data, hub.url, "lab/names", "--exclude", "*.bin")
    assert r["files"] == 0 and r["absent"] == 1
    with serving(data) as b:
        assert ask(b.url, "/lab/names/resolve/main/w.bin") == 404
        assert ask(b.url, "/ward/secret/resolve/main/w.bin") == 401
    r = pull(data, hub.url, "lab/names")
    assert r["files"] == 1 and r["bytes"] == len(secret) and r["absent"] == 0
    with serving(data) as b:
        assert ask(b.url, "/lab/names/resolve/main/w.bin") == 200
        assert ask(b.url, "/ward/secret/resolve/main/w.bin") == 401
    r = pull(data, hub.url, "lab/names")
    assert r["files"] == 0
    assert "all is whole" in fsck(data)


def test_older_large_files_come_when_asked_for(hub, tmp_path):
    api, data = hub.api("alice"), tmp_path / "b"
    api.create_repo("lab/older")
    for seed in (6, 7):
        api.upload_file(path_or_fileobj=noise(MB, seed), path_in_repo="a.bin", repo_id="lab/older")
    r = pull(data, hub.url, "lab/older")
    assert (r["files"], r["absent"]) == (1, 1)
    fsck(data)
    r = pull(data, hub.url, "lab/older", "--history")
    assert (r["files"], r["absent"]) == (1, 0)
    fsck(data)
    d = sha256(noise(MB, 6))
    assert (data / "lfs" / d[:2] / d[2:4] / d).read_bytes() == noise(MB, 6)


def test_a_branch_that_went_another_way(hub, tmp_path):
    from huggingface_hub import HfApi
    api, data = hub.api("alice"), tmp_path / "b"
    api.create_repo("lab/diverged")
    first = pull(data, hub.url, "lab/diverged")["main"]
    cloche(data, "user", "add", "root", "--admin")
    token = cloche(data, "token", "create", "--user", "root", "--write", "--json")["token"]
    with serving(data) as b:
        here = HfApi(endpoint=b.url, token=token)
        mine = here.upload_file(path_or_fileobj=b"here", path_in_repo="a.txt", repo_id="lab/diverged").oid
        r = pull(data, hub.url, "lab/diverged")  # a server runs meanwhile
        assert r["main"] == mine and r["ahead"] == 1
        theirs = api.upload_file(path_or_fileobj=b"there", path_in_repo="a.txt", repo_id="lab/diverged").oid
        assert "another way" in pull(data, hub.url, "lab/diverged", code=5)
        assert here.model_info("lab/diverged").sha == mine and first
        assert pull(data, hub.url, "lab/diverged", "--force")["main"] == theirs
        assert here.model_info("lab/diverged").sha == theirs
    fsck(data)


# --- a hub that is not what it seems -------------------------------------------------------------------------------------

class Far:
    """Passes requests on to a hub and keeps what was asked: [(method, path, headers)]. `answer(request, status, headers, body)`
    may change a reply; `slow` is seconds after each 64 KiB of a large file."""

    def __init__(self, url, answer=None, slow=0):
        self.seen = seen = []
        host, port = urllib.parse.urlsplit(url).netloc.split(":")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen.append((self.command, self.path, dict(self.headers.items())))
                up = http.client.HTTPConnection(host, int(port), timeout=60)
                up.request(self.command, self.path, body=body, headers=dict(self.headers.items()))
                r = up.getresponse()
                status, headers, got = r.status, dict(r.getheaders()), r.read()
                if answer:
                    status, headers, got = answer(self, status, headers, got)
                self.send_response_only(status)
                for k, v in headers.items():
                    if k.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(k, v)
                self.send_header("Content-Length", str(len(got)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for at in range(0, len(got), 65536):
                        self.wfile.write(got[at:at + 65536])
                        if slow and len(got) > 65536:
                            time.sleep(slow)

            do_GET = do_HEAD = do_POST = do_PUT = pass_on

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def gets(self, path):
        return [h for m, p, h in self.seen if m == "GET" and p.startswith(path)]

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.server.shutdown()
        self.server.server_close()


def leftovers(data):
    return [p for p in pathlib.Path(data).rglob("*.tmp-part")]


@pytest.fixture(scope="module")
def large(hub):
    hub.api("alice").create_repo("lab/large")
    hub.api("alice").upload_file(path_or_fileobj=noise(20 * MB, 8), path_in_repo="a.bin", repo_id="lab/large")
    return "lab/large"


def through(far):
    """Large files are fetched from where the hub itself says: make it say this address."""
    def change(request, status, headers, got):
        return status, headers, got.replace(far["hub"].encode(), far["url"].encode()) if b"_lfs" in got[:4096] else got
    return change


def test_killed_in_the_middle_it_goes_on(hub, large, tmp_path):
    data, at = tmp_path / "b", {"hub": hub.url}
    with Far(hub.url, through(at), slow=0.02) as far:
        at["url"] = far.url
        env = {**os.environ, "HF_TOKEN": hub.tokens["rita"]}
        kills, size = 0, 0
        while kills < 3:
            p = subprocess.Popen([BIN, "pull", large, "--from", far.url, "--data", str(data)], env=env, stderr=subprocess.PIPE)
            end = time.time() + 60
            while time.time() < end and p.poll() is None:
                now = sum(f.stat().st_size for f in leftovers(data))
                if now > size + 2 * MB:
                    break
                time.sleep(0.01)
            assert p.poll() is None, p.stderr.read()
            p.send_signal(signal.SIGKILL)
            p.wait()
            p.stderr.close()
            size = sum(f.stat().st_size for f in leftovers(data))
            kills += 1
            assert cloche(data, "repo", "list", "--json") == [], "nothing is visible yet"
        assert size >= 6 * MB
        r = pull(data, far.url, large)
        assert r["files"] == 1 and r["new"] and not leftovers(data)
        ranges = [h.get("Range") for h in far.gets("/_lfs/")]
        assert len(ranges) == 4 and ranges[0] is None and all(x.startswith("bytes=") for x in ranges[1:])
        assert int(ranges[3][6:-1]) >= size
    fsck(data)
    d = sha256(noise(20 * MB, 8))
    assert (data / "lfs" / d[:2] / d[2:4] / d).read_bytes() == noise(20 * MB, 8)


def test_a_redirect_gets_no_token(hub, large, tmp_path):
    token = hub.tokens["rita"]
    with Far(hub.url) as other, Far(hub.url) as third:
        def change(request, status, headers, got):
            if request.path.endswith("/batch"):
                return status, headers, got.replace(hub.url.encode(), home.url.encode())
            if request.path.startswith("/_lfs/"):
                return 302, {"Location": other.url.replace("127.0.0.1", "localhost") + request.path}, b""
            return status, headers, got
        with Far(hub.url, change) as home:
            r = pull(tmp_path / "b", home.url, large, token=token)
            assert r["files"] == 1
            asked = home.gets("/_lfs/")
            assert len(asked) == 1 and asked[0]["Authorization"] == "Bearer " + token
            assert all("Authorization" in h for m, p, h in home.seen)
        assert len(other.seen) == 1 and not third.seen
        assert not any(token in v for _, p, h in other.seen for v in [p, *h.values()])

        def away(request, status, headers, got):
            return 302, {"Location": third.url + request.path}, b""
        with Far(hub.url, away) as home:  # for anything but large files nobody is sent elsewhere
            assert "sends us to" in pull(tmp_path / "c", home.url, large, code=5, token=token)
        assert not third.seen
    fsck(tmp_path / "b")


@pytest.mark.parametrize("lie,code", [("other", 3), ("less", 1), ("more", 3)])
def test_wrong_bytes_are_refused(hub, large, tmp_path, lie, code):
    data, at = tmp_path / "b", {"hub": hub.url}

    def wrong(request, status, headers, got):
        if request.path.startswith("/_lfs/"):
            got = {"other": got[:-1] + bytes([got[-1] ^ 1]) if got else b"", "less": got[:-1], "more": got + b"x"}[lie]
        return through(at)(request, status, headers, got)
    with Far(hub.url, wrong) as far:
        at["url"] = far.url
        assert "large file" in pull(data, far.url, large, code=code)
    assert cloche(data, "repo", "list", "--json") == []
    assert not [p for p in (data / "lfs").rglob("*") if p.is_file() and "." not in p.name]
    assert lie == "less" or not leftovers(data), "what can never be right is not kept"


def test_a_pack_that_lies(hub, source, tmp_path):
    """A byte of it is changed; its SHA-1 tells."""
    def change(request, status, headers, got):
        return status, headers, got.replace(b"PACK", b"PACK", 1)[:-40] + b"\0" + got[-39:] if b"PACK" in got[:200] else got
    with Far(hub.url, change) as far:
        pull(tmp_path / "b", far.url, source, code=1)
    assert cloche(tmp_path / "b", "repo", "list", "--json") == []


def test_proxies_of_the_environment(hub, large, tmp_path):
    seen = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_error(403, "not through here")
        do_POST = do_GET

        def log_message(self, *args):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        proxy = f"http://127.0.0.1:{s.server_address[1]}"
        pull(tmp_path / "b", hub.url, large, code=5, http_proxy=proxy)
        assert seen == [f"{hub.url}/api/models/{large}"]
        assert pull(tmp_path / "b", hub.url, large, http_proxy=proxy, no_proxy="127.0.0.1")["files"] == 1
        assert len(seen) == 1
        s.shutdown()


def test_the_kept_token_stays_at_home(hub, large, tmp_path):
    """What huggingface_hub keeps is sent to HF_ENDPOINT, and to nobody else who is named."""
    (tmp_path / "token").write_text(hub.tokens["rita"] + "\n")
    with Far(hub.url) as far:
        pull(tmp_path / "b", far.url, large, HF_TOKEN_PATH=tmp_path / "token")
        assert not any("Authorization" in h for _, _, h in far.seen)
        cloche(tmp_path / "c", "pull", large, HF_TOKEN_PATH=tmp_path / "token", HF_ENDPOINT=far.url)
        assert any(h.get("Authorization") == "Bearer " + hub.tokens["rita"] for _, _, h in far.seen)


# --- push --------------------------------------------------------------------------------------------------------------

def push(data, url, repo, *args, code=0, token=None, **env):
    more = ["--token", token] if token else []
    return cloche(data, "push", repo, "--to", url, *more, *args, "--json", code=code, **env)


def test_push_makes_it_there(hub, source, tmp_path):
    data = tmp_path / "b"
    pull(data, hub.url, source, "--history")
    push(data, hub.url, source, "--as", "alice/pushed", code=4, token=hub.tokens["alice"])
    assert push(data, hub.url, source, "--as", "alice/pushed", "--create", code=5)
    r = push(data, hub.url, source, "--as", "alice/pushed", "--create", token=hub.tokens["alice"])
    assert r["created"] and r["refs"] == 4 and r["files"] == 3
    refs, log = history(hub.url, tmp_path, "alice/pushed")
    assert (refs, log) == history(hub.url, tmp_path, source)
    api = hub.api("bob")
    assert tree(api.snapshot_download(source, local_dir=tmp_path / "one")) == tree(api.snapshot_download("alice/pushed", local_dir=tmp_path / "two"))
    again = push(data, hub.url, source, "--as", "alice/pushed", token=hub.tokens["alice"])
    assert again["refs"] == again["files"] == 0 and not again["created"]
    assert "may not do that" in push(data, hub.url, source, "--as", "alice/pushed2", "--create", code=5, token=hub.read_tokens["alice"])


def test_push_goes_on_where_it_was_killed_after_it_made_the_repository(hub, source, tmp_path):
    data, token = tmp_path / "b", hub.tokens["alice"]
    pull(data, hub.url, source, "--history")
    hub.api("alice").create_repo("alice/made")  # as far as it came
    assert "another way" in push(data, hub.url, source, "--as", "alice/made", code=5, token=token)
    r = push(data, hub.url, source, "--as", "alice/made", "--create", token=token)
    assert not r["created"] and history(hub.url, tmp_path, "alice/made") == history(hub.url, tmp_path, source)
    hub.api("alice").create_repo("alice/kept")  # but what has files stays
    hub.api("alice").upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="alice/kept")
    assert "another way" in push(data, hub.url, source, "--as", "alice/kept", "--create", code=5, token=token)


def test_push_to_another_folder_that_is_empty(hub, source, tmp_path):
    """Into a hub that has none of the bytes."""
    data, other = tmp_path / "b", tmp_path / "c"
    pull(data, hub.url, source, "--history")
    cloche(other, "user", "add", "carl")
    token = cloche(other, "token", "create", "--user", "carl", "--write", "--json")["token"]
    with serving(other) as c:
        r = push(data, c.url, source, "--as", "carl/pushed", "--create", token=token)
        assert r["files"] == 3 and r["bytes"] == 6 * MB
        assert history(c.url, tmp_path, "carl/pushed") == history(hub.url, tmp_path, source)
    fsck(other)


def test_push_forward_and_another_way(hub, tmp_path):
    from huggingface_hub import HfApi
    api, data, alice = hub.api("alice"), tmp_path / "b", hub.tokens["alice"]
    api.create_repo("alice/ways")
    pull(data, hub.url, "alice/ways")
    cloche(data, "user", "add", "root", "--admin")
    token = cloche(data, "token", "create", "--user", "root", "--write", "--json")["token"]
    with serving(data) as b:
        here = HfApi(endpoint=b.url, token=token)
        mine = here.upload_file(path_or_fileobj=noise(MB, 9), path_in_repo="a.bin", repo_id="alice/ways").oid
        r = push(data, hub.url, "alice/ways", token=alice)
        assert (r["refs"], r["files"]) == (1, 1) and api.model_info("alice/ways").sha == mine
        api.upload_file(path_or_fileobj=b"there", path_in_repo="b.txt", repo_id="alice/ways")
        here.upload_file(path_or_fileobj=b"here", path_in_repo="b.txt", repo_id="alice/ways")
        assert "another way" in push(data, hub.url, "alice/ways", code=5, token=alice)
        assert "answers 403" in push(data, hub.url, "alice/ways", "--force", code=5, token=hub.read_tokens["alice"])
        push(data, hub.url, "alice/ways", "--force", token=alice)
        assert api.model_info("alice/ways").sha == here.model_info("alice/ways").sha
        api.upload_file(path_or_fileobj=b"more", path_in_repo="c.txt", repo_id="alice/ways")
        pull(data, hub.url, "alice/ways")
        api.upload_file(path_or_fileobj=b"yet more", path_in_repo="c.txt", repo_id="alice/ways")
        assert "another way" in push(data, hub.url, "alice/ways", code=5, token=alice), "what is there is not known here"
        pull(data, hub.url, "alice/ways")
        assert push(data, hub.url, "alice/ways", token=alice)["refs"] == 0


def test_push_in_parts(hub, tmp_path):
    """A hub that asks for multipart, as huggingface.co does for very large files."""
    api, data, parts = hub.api("alice"), tmp_path / "b", {}
    api.create_repo("alice/parts-from")
    content = noise(2 * MB + 7, 10)
    api.upload_file(path_or_fileobj=content, path_in_repo="a.bin", repo_id="alice/parts-from")
    pull(data, hub.url, "alice/parts-from")
    api.create_repo("bob/parts-to", token=hub.tokens["bob"])
    done = []

    def change(request, status, headers, got):
        url = urllib.parse.urlsplit(request.path)
        if url.path.endswith("/batch"):
            o = json.loads(got)
            for row in o["objects"]:
                act = row.get("actions", {}).get("upload")
                if act and row["size"] > MB:
                    done.append((act["href"], row["oid"]))
                    n = -(-row["size"] // MB)
                    act.update(href=far.url + "/done", header={"chunk_size": str(MB), **{str(i + 1): f"{far.url}/part/{i + 1}" for i in range(n)}})
                    o["transfer"] = "multipart"
            return status, headers, json.dumps(o).encode()
        if url.path.startswith("/part/"):
            i = int(url.path[6:])
            parts[i] = request.sent
            return 200, {"ETag": f'"e{i}"'}, b""
        if url.path == "/done":
            said = json.loads(request.sent)
            assert said["oid"] == done[0][1] and [p["etag"] for p in said["parts"]] == [f'"e{i}"' for i in sorted(parts)]
            with hub.http() as c:
                assert c.put(done[0][0], content=b"".join(parts[i] for i in sorted(parts))).status_code == 200
            return 200, {}, b"{}"
        return status, headers, got
    with Far(hub.url, change) as far:
        r = push(data, far.url, "alice/parts-from", "--as", "bob/parts-to", "--force", token=hub.tokens["bob"])
        assert r["files"] == 1 and sorted(parts) == [1, 2, 3] and b"".join(parts[i] for i in (1, 2, 3)) == content
        assert not any("Authorization" in h for m, p, h in far.seen if m == "PUT")
    got = hub.api("bob").hf_hub_download("bob/parts-to", "a.bin", cache_dir=tmp_path / "cache")
    assert pathlib.Path(got).read_bytes() == content
