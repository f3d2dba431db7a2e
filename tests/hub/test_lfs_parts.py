"""Large files in parts: huggingface_hub's own way, git-lfs with the agent of `hf lfs-enable-largefiles`, by hand, and lies."""
import concurrent.futures
import io
import os
import pathlib
import shutil
import subprocess
import sys
import time

import httpx2 as httpx
import pytest
from serving import Server
from test_lfs import batch, git, must, named, noise, put, sha256, verify, whole

PART = 1 << 20


@pytest.fixture(scope="module")
def small(hub):
    """Another server on the hub's folder, whose parts are small."""
    s = Server(hub.data, "--lfs-part", "1MiB")
    yield s
    assert s.stop() == 0, s.errors


@pytest.fixture
def parts_hub(hub, small, monkeypatch):
    monkeypatch.setattr(hub, "url", small.url)
    return hub


@pytest.fixture
def repo(parts_hub, request):
    name = "alice/" + request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60]
    parts_hub.api("alice").create_repo(name, private=True)
    return name


def left(hub):
    return [p.name for p in (hub.data / "lfs").rglob("*.tmp-*")]


def actions(hub, repo, data):
    r = batch(hub, repo, [named(data)])
    assert r.status_code == 200 and r.json()["transfer"] == "multipart", r.text
    return r.json()["objects"][0]["actions"]


def part_of(action, data, n):
    """(address, bytes) of part n, from 1."""
    size = int(action["header"]["chunk_size"])
    return action["header"][str(n)], data[(n - 1) * size:n * size]


def commit(hub, action, data, n):
    listed = [{"partNumber": i, "etag": f'"{i}"'} for i in range(1, n + 1)]
    with hub.http() as c:
        return c.post(action["href"], json={"oid": sha256(data), "parts": listed})


# --- the real clients ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [PART + 1, 3 * PART, 5 * PART - 7])
def test_the_python_client(parts_hub, repo, tmp_path, size):
    api, data = parts_hub.api("alice"), noise(size, size)
    api.upload_file(path_or_fileobj=io.BytesIO(data), path_in_repo="a.bin", repo_id=repo)
    got = api.hf_hub_download(repo, "a.bin", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == data and not left(parts_hub)
    one, two = whole(parts_hub, data)
    assert one.read_bytes() == data and one.samefile(two)


def test_git_lfs_with_the_clients_agent(parts_hub, repo, tmp_path):
    hf = pathlib.Path(sys.executable).with_name("hf")
    data, less = noise(3 * PART + 5, "agent"), noise(1000, "less")
    must(git("lfs", "install", cwd=tmp_path))
    must(git("clone", parts_hub.git_url(repo, "alice"), "one", cwd=tmp_path))
    one = tmp_path / "one"
    subprocess.run([hf, "lfs-enable-largefiles", one], check=True, capture_output=True, timeout=60)
    must(git("config", "lfs.customtransfer.multipart.path", hf, cwd=one))
    (one / "a.bin").write_bytes(data)
    (one / "b.bin").write_bytes(less)
    must(git("add", "a.bin", "b.bin", cwd=one, HOME=str(tmp_path)))
    must(git("commit", "-m", "large files", cwd=one, HOME=str(tmp_path)))
    must(git("push", "origin", "HEAD:main", cwd=one, HOME=str(tmp_path), HF_ENDPOINT=parts_hub.url))
    assert whole(parts_hub, data)[0].read_bytes() == data and whole(parts_hub, less)[0].read_bytes() == less and not left(parts_hub)
    shutil.rmtree(one)
    must(git("clone", parts_hub.git_url(repo, "alice"), "two", cwd=tmp_path))
    assert (tmp_path / "two" / "a.bin").read_bytes() == data
    must(git("lfs", "fsck", cwd=tmp_path / "two", HOME=str(tmp_path)))


# --- by hand ---------------------------------------------------------------------------------------------------------

def test_who_is_told_to_send_parts(parts_hub, repo):
    large, small = named(noise(PART + 1, 1)), named(noise(PART, 2))
    assert batch(parts_hub, repo, [large], transfers=["basic"]).json()["transfer"] == "basic"
    assert batch(parts_hub, repo, [small]).json()["transfer"] == "basic", "it has one part"
    assert batch(parts_hub, repo, [large], transfers=["basic", "multipart", "xet"]).json()["transfer"] == "xet"
    both = batch(parts_hub, repo, [large, small]).json()
    assert both["transfer"] == "multipart"
    assert [sorted(o["actions"]["upload"]["header"]) for o in both["objects"]] == [["1", "2", "chunk_size"], ["1", "chunk_size"]]
    huge = batch(parts_hub, repo, [{"oid": sha256(b"huge"), "size": 1 << 40}]).json()["objects"][0]["actions"]["upload"]["header"]
    n, part = len(huge) - 1, int(huge["chunk_size"])
    assert n <= 1000 and (n - 1) * part < 1 << 40 <= n * part, "not too many addresses"
    many = batch(parts_hub, repo, [{"oid": sha256(b"%d" % i), "size": 1 << 40} for i in range(1000)])
    assert sum(len(o["actions"]["upload"]["header"]) - 1 for o in many.json()["objects"]) <= 20_000


def test_parts_in_any_order_and_again(parts_hub, repo):
    data = noise(7 * PART + 3, 3)
    a = actions(parts_hub, repo, data)["upload"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: put(parts_hub, *part_of(a, data, n)), (8, 3, 1, 7, 2, 6, 4, 5, 3, 8)))
    assert [r.status_code for r in replies] == [200] * 10 and all(r.headers["etag"] for r in replies)
    assert verify(parts_hub, repo, named(data)).status_code == 404 and not whole(parts_hub, data)[0].exists(), "not before it is told"
    assert commit(parts_hub, a, data, 8).status_code == 200
    assert verify(parts_hub, repo, named(data)).status_code == 200 and whole(parts_hub, data)[0].read_bytes() == data and not left(parts_hub)
    r = commit(parts_hub, a, data, 8)
    assert r.status_code == 422 and "no part" in r.json()["message"]
    assert whole(parts_hub, data)[0].read_bytes() == data


def test_the_rest_after_a_restart(hub, parts_hub, repo):
    """What one server took, another goes on with: nothing is in memory alone."""
    data = noise(3 * PART, 4)
    a = actions(parts_hub, repo, data)["upload"]
    assert put(parts_hub, *part_of(a, data, 2)).status_code == 200
    s = Server(hub.data, "--lfs-part", "4MiB")
    for n in (1, 3):
        url, body = part_of(a, data, n)
        assert httpx.put(s.url + url[len(parts_hub.url):], content=body).status_code == 200
    assert httpx.post(s.url + a["href"][len(parts_hub.url):], json={}).status_code == 200
    assert s.stop() == 0, s.errors
    assert whole(hub, data)[0].read_bytes() == data


# --- lies ------------------------------------------------------------------------------------------------------------

def test_parts_that_are_not_what_was_promised(parts_hub, repo):
    data = noise(2 * PART + 9, 5)
    a = actions(parts_hub, repo, data)["upload"]
    url, body = part_of(a, data, 2)
    for why, sent in (("too few", body[:-1]), ("too many", body + b"x"), ("none", b"")):
        assert put(parts_hub, url, sent).status_code == 422, why
    def pieces(extra):
        yield body
        yield extra
    assert put(parts_hub, url, pieces(b"more")).status_code == 422, "in chunks, whose sum is not told before"
    for missing in (1, 2, 3):
        for n in {1, 2, 3} - {missing}:
            assert put(parts_hub, *part_of(a, data, n)).status_code == 200
        assert commit(parts_hub, a, data, 3).status_code == 422, "a part is missing"
        assert not left(parts_hub) and not whole(parts_hub, data)[0].exists()
    for n in (1, 2, 3):
        url, body = part_of(a, data, n)
        assert put(parts_hub, url, body[:-1] + bytes([body[-1] ^ (n == 2)])).status_code == 200
    r = commit(parts_hub, a, data, 3)
    assert r.status_code == 422 and "sha256" in r.json()["message"], "a changed byte"
    assert verify(parts_hub, repo, named(data)).status_code == 404 and not left(parts_hub)
    with parts_hub.http() as c:
        assert c.post(a["href"], content=b"x" * (2 << 20)).status_code == 413, "no list is so long"
    assert put(parts_hub, a["href"].replace("/parts/", "/part/"), data[:9]).status_code == 403
    assert put(parts_hub, a["header"]["1"].replace(f"-0-{PART}-", f"-5-{PART}-"), data[:PART]).status_code == 403


def test_another_repositorys_parts_are_another_file(parts_hub, repo):
    """Who knows a hash spoils nobody's upload."""
    data = noise(PART + 1, 6)
    parts_hub.api("bob").create_repo("bob/parts-thief")
    mine = actions(parts_hub, repo, data)["upload"]
    theirs = batch(parts_hub, "bob/parts-thief", [named(data)], user="bob").json()["objects"][0]["actions"]["upload"]
    for n in (1, 2):
        assert put(parts_hub, *part_of(mine, data, n)).status_code == 200
        url, body = part_of(theirs, data, n)
        assert put(parts_hub, url, bytes(len(body))).status_code == 200
    assert commit(parts_hub, theirs, data, 2).status_code == 422
    assert verify(parts_hub, "bob/parts-thief", named(data), "bob").status_code == 404
    assert commit(parts_hub, mine, data, 2).status_code == 200 and verify(parts_hub, repo, named(data)).status_code == 200


def is_open(server, ending):
    """Whether the server has a file whose name ends so open."""
    return any(os.readlink(fd).endswith(ending) for fd in pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir() if fd.is_symlink())


def wait_for(what):
    for _ in range(600):
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_a_part_that_is_coming_holds_the_commit_back(parts_hub, repo, small):
    data = noise(PART + 1000, 7)
    a = actions(parts_hub, repo, data)["upload"]
    url, body = part_of(a, data, 2)
    assert put(parts_hub, *part_of(a, data, 1)).status_code == 200
    (name,) = left(parts_hub)
    with small.connect() as s:
        s.sendall(f"PUT {url[len(parts_hub.url):]} HTTP/1.1\r\nHost: {small.url[7:]}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:900])
        wait_for(lambda: is_open(small, name))
        r = commit(parts_hub, a, data, 2)
        assert r.status_code == 409 and r.json()["message"], r.text
    wait_for(lambda: not is_open(small, name))
    assert left(parts_hub) == [name], "what came is still there"
    assert put(parts_hub, url, body).status_code == 200 and commit(parts_hub, a, data, 2).status_code == 200
