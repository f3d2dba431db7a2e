"""Large files as git-lfs and clients without Xet send them: huggingface_hub, git-lfs, the endpoints by hand, and lies."""
import base64
import concurrent.futures
import hashlib
import io
import os
import pathlib
import random
import subprocess
import time

import pytest
from xet import sign

MB = 1_000_000


def noise(n, seed):
    return random.Random(seed).randbytes(n)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def no_xet(monkeypatch):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


def whole(hub, data):
    """Where the file lies whole: under the hub's name and under the library's."""
    d = sha256(data)
    return [hub.data / where / d[:2] / d[2:4] / d for where in ("lfs", "blobs/sha256")]


# --- the real clients ------------------------------------------------------------------------------------------------

def test_uploads_without_xet(hub, no_xet, tmp_path):
    api, data = hub.api("alice"), noise(5 * MB, 1)
    api.create_repo("alice/lfs-plain")
    (tmp_path / "a.bin").write_bytes(data)
    api.upload_file(path_or_fileobj=tmp_path / "a.bin", path_in_repo="sub/a.bin", repo_id="alice/lfs-plain")
    got = hub.api("bob").hf_hub_download("alice/lfs-plain", "sub/a.bin", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == data
    one, two = whole(hub, data)
    assert one.read_bytes() == data and one.samefile(two)
    info = api.get_paths_info("alice/lfs-plain", ["sub/a.bin"])[0]
    assert info.lfs.sha256 == sha256(data) and info.size == len(data) and info.xet_hash is None


def test_a_folder_without_xet(hub, no_xet, tmp_path):
    api = hub.api("alice")
    api.create_repo("alice/lfs-folder", repo_type="dataset")
    (tmp_path / "in").mkdir()
    for i in range(4):
        (tmp_path / "in" / f"{i}.parquet").write_bytes(noise(i * MB + 1, i))
    api.upload_folder(folder_path=tmp_path / "in", repo_id="alice/lfs-folder", repo_type="dataset")
    got = pathlib.Path(api.snapshot_download("alice/lfs-folder", repo_type="dataset", local_dir=tmp_path / "out"))
    for i in range(4):
        assert (got / f"{i}.parquet").read_bytes() == noise(i * MB + 1, i)


def test_an_open_file(hub, tmp_path):
    """Which the client sends so even when it has Xet."""
    api, data = hub.api("alice"), noise(2 * MB, 2)
    api.create_repo("alice/lfs-object")
    api.upload_file(path_or_fileobj=io.BytesIO(data), path_in_repo="a.bin", repo_id="alice/lfs-object")
    got = api.hf_hub_download("alice/lfs-object", "a.bin", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == data and whole(hub, data)[0].exists()


def test_a_file_that_came_whole_and_then_by_xet(hub, tmp_path):
    api, data = hub.api("alice"), noise(2 * MB, 3)
    api.create_repo("alice/lfs-both")
    api.upload_file(path_or_fileobj=io.BytesIO(data), path_in_repo="a.bin", repo_id="alice/lfs-both")
    api.upload_file(path_or_fileobj=data, path_in_repo="b.bin", repo_id="alice/lfs-both")
    a, b = api.get_paths_info("alice/lfs-both", ["a.bin", "b.bin"])
    assert a.lfs.sha256 == b.lfs.sha256 == sha256(data)
    got = api.hf_hub_download("alice/lfs-both", "b.bin", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == data


def git(*args, cwd, **env):
    clean = {"GIT_TERMINAL_PROMPT": "0", "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@x.test",
             "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@x.test"}
    return subprocess.run(["git", *map(str, args)], cwd=cwd, env={**os.environ, **clean, **env}, capture_output=True, text=True, timeout=120)


def must(done):
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("ending", ["", ".git"])
def test_git_lfs(hub, tmp_path, ending):
    name, data = f"alice/lfs-git{ending.replace('.', '-')}", noise(3 * MB, ending)
    hub.api("alice").create_repo(name, private=True)
    url = hub.git_url(name, "alice") + ending
    must(git("lfs", "install", cwd=tmp_path))
    must(git("clone", url, "one", cwd=tmp_path))
    (tmp_path / "one" / "a.bin").write_bytes(data)
    must(git("add", "a.bin", cwd=tmp_path / "one", HOME=str(tmp_path)))
    must(git("commit", "-m", "a large file", cwd=tmp_path / "one", HOME=str(tmp_path)))
    must(git("push", "origin", "HEAD:main", cwd=tmp_path / "one", HOME=str(tmp_path)))
    assert whole(hub, data)[0].read_bytes() == data
    must(git("clone", url, "two", cwd=tmp_path))
    assert (tmp_path / "two" / "a.bin").read_bytes() == data
    got = hub.api("alice").hf_hub_download(name, "a.bin", cache_dir=tmp_path / "cache")
    assert pathlib.Path(got).read_bytes() == data
    stranger = git("clone", hub.git_url(name, "bob") + ending, "three", cwd=tmp_path)
    assert stranger.returncode != 0


def test_git_lfs_reads_what_came_by_xet(hub, tmp_path):
    data = noise(2 * MB, 4)
    hub.api("alice").create_repo("alice/lfs-from-xet")
    hub.api("alice").upload_file(path_or_fileobj=data, path_in_repo="a.bin", repo_id="alice/lfs-from-xet")
    must(git("lfs", "install", cwd=tmp_path))
    must(git("clone", hub.git_url("alice/lfs-from-xet"), "one", cwd=tmp_path))
    assert (tmp_path / "one" / "a.bin").read_bytes() == data


# --- by hand ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def repo(hub):
    hub.api("alice").create_repo("alice/lfs-hand", private=True)
    return "alice/lfs-hand"


def batch(hub, repo, objects, operation="upload", user="alice", headers=None, **more):
    with hub.http(user) as c:
        return c.post(f"/{repo}.git/info/lfs/objects/batch", headers=headers or {},
                      json={"operation": operation, "transfers": ["basic", "multipart"], "hash_algo": "sha256", "objects": objects} | more)


def named(data):
    return {"oid": sha256(data), "size": len(data)}


def href(hub, repo, data, operation="upload", user="alice"):
    r = batch(hub, repo, [named(data)], operation, user)
    assert r.status_code == 200, r.text
    return r.json()["objects"][0]["actions"][operation]["href"]


def verify(hub, repo, obj, user="alice"):
    with hub.http(user) as c:
        return c.post(f"/{repo}.git/info/lfs/verify", json=obj)


def put(hub, url, data, **headers):
    with hub.http() as c:
        return c.put(url, content=data, headers=headers)


def test_an_object_from_batch_to_download(hub, repo):
    data = noise(100_000, 5)
    r = batch(hub, repo, [named(data)], ref={"name": "main"})
    assert r.headers["content-type"] == "application/vnd.git-lfs+json"
    body = r.json()
    assert body["transfer"] == "basic" and body["hash_algo"] == "sha256"
    (o,) = body["objects"]
    assert o["oid"] == sha256(data) and o["size"] == len(data) and o["authenticated"] is True
    check = o["actions"]["verify"]["href"]
    with hub.http() as c:
        assert c.post(check, json=named(data)).status_code == 404, "not yet"
    assert verify(hub, repo, named(data)).status_code == 404, "not yet"
    assert batch(hub, repo, [named(data)], "download").json()["objects"][0]["error"]["code"] == 404
    assert put(hub, o["actions"]["upload"]["href"], data).status_code == 200
    assert verify(hub, repo, named(data)).status_code == 200
    with hub.http() as c:
        assert c.post(check, json=named(data)).status_code == 200
        assert c.post(check, json={**named(data), "size": 1}).status_code == 422
        assert c.post(check, json=named(b"another")).status_code == 403
    assert "actions" not in batch(hub, repo, [named(data)]).json()["objects"][0]
    url = href(hub, repo, data, "download")
    with hub.http() as c:
        assert c.get(url).content == data
        r = c.get(url, headers={"Range": "bytes=99990-"})
        assert (r.status_code, r.content) == (206, data[99990:])
        assert c.get(url, headers={"Range": "bytes=100000-"}).status_code == 416


def test_a_client_that_offers_xet(hub, repo):
    """huggingface_hub 1.0 to 1.19 and @huggingface/hub negotiate so."""
    body = batch(hub, repo, [named(b"by xet")], transfers=["basic", "multipart", "xet"]).json()
    assert body["transfer"] == "xet"
    action = body["objects"][0]["actions"]["upload"]
    assert action["header"]["X-Xet-Cas-Url"] == hub.url + "/xet" and int(action["header"]["X-Xet-Token-Expiration"]) > time.time()
    with hub.http("alice") as c:
        assert c.get(action["href"]).status_code == 200
    with hub.http(token=action["header"]["X-Xet-Access-Token"]) as c:
        assert c.head(f"/xet/v1/xorbs/default/{'0' * 64}").status_code == 404
    assert batch(hub, repo, [named(b"x")], "download", transfers=["xet"]).json()["transfer"] == "basic"


def test_many_at_once(hub, repo):
    """More than there are threads for the slow end of an upload."""
    files = [noise(300_000, f"many {i}") for i in range(24)]
    rows = batch(hub, repo, [named(f) for f in files]).json()["objects"]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        done = list(pool.map(lambda i: put(hub, rows[i]["actions"]["upload"]["href"], files[i]).status_code, range(24)))
    assert done == [200] * 24
    assert all("actions" not in o for o in batch(hub, repo, [named(f) for f in files]).json()["objects"])


def test_the_other_spelling_of_the_address(hub, repo):
    data = noise(10, 6)
    with hub.http("alice") as c:
        for path in (f"/{repo}/info/lfs/objects/batch", f"/{repo}.git/info/lfs/objects/batch"):
            assert c.post(path, json={"operation": "upload", "hash_algo": "sha_256", "objects": [named(data)]}).status_code == 200


def test_basic_authorization(hub, repo):
    for who, status in (("alice", 200), ("bob", 404)):
        code = base64.b64encode(f"anybody:{hub.tokens[who]}".encode()).decode()
        r = batch(hub, repo, [named(b"x")], user=None, headers={"Authorization": "Basic " + code})
        assert r.status_code == status


@pytest.mark.parametrize("name,user,reading,operation,status", [
    ("alice/lfs-hand", None, False, "upload", 401),
    ("alice/lfs-hand", None, False, "download", 401),
    ("alice/lfs-hand", "bob", False, "upload", 404),
    ("alice/lfs-hand", "bob", False, "download", 404),
    ("alice/lfs-hand", "alice", True, "upload", 403),
    ("alice/lfs-hand", "alice", True, "download", 200),
    ("alice/lfs-public", None, False, "upload", 401),
    ("alice/lfs-public", None, False, "download", 200),
    ("alice/lfs-public", "bob", False, "upload", 200),  # a pull request may come of it
    ("alice/lfs-public", "bob", True, "upload", 403),
    ("alice/lfs-none", "alice", False, "upload", 404),
])
def test_who_may(hub, repo, name, user, reading, operation, status):
    hub.api("alice").create_repo("alice/lfs-public", exist_ok=True)
    given = (hub.read_tokens if reading else hub.tokens)[user] if user else None
    headers = {"Authorization": f"Bearer {given}"} if given else {}
    r = batch(hub, name, [named(b"x")], operation, None, headers)
    assert r.status_code == status
    if status >= 400:
        assert r.headers["content-type"] == "application/vnd.git-lfs+json"
        assert r.json()["message"] and r.json()["request_id"] == r.headers["x-request-id"]
        assert ("lfs-authenticate" in r.headers) == (status == 401)


def test_requests_that_are_none(hub, repo):
    assert batch(hub, repo, [named(b"x")], "steal").status_code == 422
    assert batch(hub, repo, [named(b"x")], hash_algo="md5").status_code == 409
    assert batch(hub, repo, "x").status_code == 422
    assert batch(hub, repo, [named(b"x")] * 1001).status_code == 413
    assert batch(hub, repo, [1]).status_code == 200
    with hub.http("alice") as c:
        assert c.post(f"/{repo}.git/info/lfs/objects/batch", content=b"{").status_code == 400
    for bad in ({"oid": "x", "size": 1}, {"oid": sha256(b"x").upper(), "size": 1}, {"oid": sha256(b"x"), "size": -1},
                {"oid": sha256(b"x")}, {"oid": sha256(b"x"), "size": 1 << 62}, {"oid": sha256(b"x") + "/../..", "size": 1}):
        (o,) = batch(hub, repo, [bad]).json()["objects"]
        assert o["error"]["code"] == 422 and o["error"]["message"] and "actions" not in o, bad
        assert verify(hub, repo, bad).status_code == 422


# --- lies ------------------------------------------------------------------------------------------------------------

def test_bytes_that_are_not_what_was_promised(hub, repo):
    data = noise(50_000, 7)
    for why, sent in (("a changed byte", data[:-1] + bytes([data[-1] ^ 1])), ("too few", data[:-1]), ("too many", data + b"x"), ("none", b"")):
        assert put(hub, href(hub, repo, data), sent).status_code == 422, why
    def pieces(extra):
        yield data
        yield extra
    assert put(hub, href(hub, repo, data), pieces(b"more")).status_code == 422, "in chunks, whose sum is not told before"
    assert verify(hub, repo, named(data)).status_code == 404
    assert not any(p.exists() for p in whole(hub, data)), "nothing of it was published"
    assert put(hub, href(hub, repo, data), pieces(b"")).status_code == 200
    assert verify(hub, repo, {"oid": sha256(data), "size": 49_999}).status_code == 422
    assert batch(hub, repo, [{"oid": sha256(data), "size": 1}]).json()["objects"][0]["error"]["code"] == 422


def test_a_connection_that_breaks(hub, repo):
    data = noise(50_000, 8)
    url = href(hub, repo, data)
    with hub.server.connect() as s:
        s.sendall(f"PUT {url[len(hub.url):]} HTTP/1.1\r\nHost: {hub.url[7:]}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data[:40_000])
    assert verify(hub, repo, named(data)).status_code == 404 and not whole(hub, data)[0].exists()
    assert put(hub, url, data).status_code == 200, "the address serves again"


def test_addresses_that_are_not_signed_so(hub, repo):
    data = noise(1000, 9)
    url = href(hub, repo, data)
    text = url.rsplit("/", 1)[1]
    fields = text.split(".")[0]
    past = int(time.time()) - 1
    assert put(hub, f"{hub.url}/_lfs/put/{sign(hub.data, 'lfs-put', fields, past)}", data).status_code == 403
    assert put(hub, f"{hub.url}/_lfs/put/{sign(hub.data, 'lfs-get', fields)}", data).status_code == 403
    assert put(hub, url.replace(sha256(data), sha256(b"x")), b"x").status_code == 403
    assert put(hub, url.replace("-1000-", "-1001-"), data + b"x").status_code == 403
    assert put(hub, url[:-1] + ("0" if url[-1] != "0" else "1"), data).status_code == 403
    assert put(hub, f"{hub.url}/_lfs/put/x", data).status_code == 403
    assert not whole(hub, data)[0].exists()
    with hub.http() as c:
        assert c.get(f"{hub.url}/_lfs/get/{text}").status_code == 403
    assert put(hub, f"{hub.url}/_lfs/put/{sign(hub.data, 'lfs-put', fields)}", data).status_code == 200


def test_an_address_ends_with_its_repository(hub):
    api, data = hub.api("alice"), noise(1000, 10)
    api.create_repo("alice/lfs-gone")
    url = href(hub, "alice/lfs-gone", data)
    api.delete_repo("alice/lfs-gone")
    assert put(hub, url, data).status_code == 404
    api.create_repo("alice/lfs-gone")
    assert put(hub, url, data).status_code == 404


def test_another_repositorys_file(hub, repo):
    data = noise(1000, 11)
    assert put(hub, href(hub, repo, data), data).status_code == 200
    hub.api("bob").create_repo("bob/lfs-thief")
    assert verify(hub, "bob/lfs-thief", named(data), "bob").status_code == 404
    assert batch(hub, "bob/lfs-thief", [named(data)], "download", "bob").json()["objects"][0]["error"]["code"] == 404
    assert "actions" in batch(hub, "bob/lfs-thief", [named(data)], "upload", "bob").json()["objects"][0], "its bytes are asked for"
    lines = ('{"key":"header","value":{"summary":"x"}}\n'
             f'{{"key":"lfsFile","value":{{"path":"a.bin","algo":"sha256","oid":"{sha256(data)}","size":1000}}}}\n')
    with hub.http("bob") as c:
        r = c.post("/api/models/bob/lfs-thief/commit/main", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert r.status_code == 400


def test_an_address_for_reading_ends_with_the_file(hub):
    """When the repository goes; who may read at the batch is asked anew each time."""
    api, data = hub.api("alice"), noise(1000, 12)
    api.create_repo("alice/lfs-short")
    assert put(hub, href(hub, "alice/lfs-short", data), data).status_code == 200
    url = href(hub, "alice/lfs-short", data, "download")
    with hub.http() as c:
        assert c.get(url).content == data
        api.delete_repo("alice/lfs-short")
        assert c.get(url).status_code == 404


def test_an_empty_file(hub, repo):
    assert put(hub, href(hub, repo, b""), b"").status_code == 200
    with hub.http() as c:
        r = c.get(href(hub, repo, b"", "download"))
    assert (r.status_code, r.content) == (200, b"")


def test_locks(hub, repo):
    with hub.http("alice") as c:
        assert c.post(f"/{repo}.git/info/lfs/locks/verify", json={}).json() == {"ours": [], "theirs": []}
        assert c.get(f"/{repo}.git/info/lfs/locks").json() == {"locks": []}
        assert c.post(f"/{repo}.git/info/lfs/locks", json={"path": "a"}).status_code == 501
    with hub.http("bob") as c:
        assert c.post(f"/{repo}.git/info/lfs/locks/verify", json={}).status_code == 404
