"""What strangers may send: paths that climb, names that lie, packs and deltas that swell, hashes that are not those of the bytes,
files of others, bombs of YAML and JSON, floods. Each is refused with a status of its own and a reason, and leaves nothing:
rows and files are counted before and after, and fsck finds nothing to say."""
import base64
import collections
import hashlib
import http.client
import json
import os
import sqlite3
import struct
import subprocess
import urllib.parse
import zlib

import pytest
import xet

NULL = "0" * 40


class World:
    """alice has a private file that bob would like to have; bob has a repository and all the time in the world."""

    def __init__(self, hub):
        self.hub = hub
        self.secret = os.urandom(5000)
        self.oid = hashlib.sha256(self.secret).hexdigest()
        alice, bob = hub.api("alice"), hub.api("bob")
        alice.create_repo("alice/secret", private=True)
        alice.upload_file(path_or_fileobj=self.secret, path_in_repo="w.bin", repo_id="alice/secret")
        bob.create_repo("bob/mine")
        bob.upload_file(path_or_fileobj=b"mine\n", path_in_repo="a.txt", repo_id="bob/mine")
        self.head = bob.model_info("bob/mine").sha

    def census(self):
        """How many rows each table has, and what files the data folder (those of the server's own running aside)."""
        db = sqlite3.connect(f"file:{self.hub.data}/cloche.db?mode=ro", uri=True, timeout=30)
        names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        rows = {n: db.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for n in names}
        refs = sorted(db.execute("SELECT repo, name, hex(target) FROM refs"))
        db.close()
        files = collections.Counter()
        for folder, _, inside in os.walk(self.hub.data):
            top = os.path.relpath(folder, self.hub.data).split(os.sep)[0]
            files[top] += sum(not f.startswith("cloche.db") and ".log" not in f for f in inside)
        return rows, refs, +files

    def send(self, method, target, body=b"", user="bob", token=None, headers=None):
        """A request as it is, without a client that makes it decent: (status, headers, body)."""
        where = urllib.parse.urlsplit(self.hub.url)
        c = http.client.HTTPConnection(where.hostname, where.port, timeout=120)
        c.putrequest(method, target, skip_accept_encoding=True)
        c.putheader("Authorization", "Bearer " + (token or self.hub.tokens[user]))
        for k, v in (headers or {}).items():
            c.putheader(k, v)
        c.putheader("Content-Length", str(len(body)))
        c.endheaders()
        try:
            c.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        r = c.getresponse()
        got = r.read()
        c.close()
        return r.status, r.headers, got

    def refused(self, answer, *statuses):
        status, headers, body = answer
        assert status in (statuses or range(400, 500)), (status, body[:300])
        said = headers["X-Error-Message"]
        assert said and "internal" not in said.lower(), (status, said, body[:300])
        assert str(self.hub.data) not in said and str(self.hub.data).encode() not in body
        return said


@pytest.fixture(scope="module")
def world(own_hub):
    return World(own_hub)


@pytest.fixture(autouse=True)
def nothing_stays(world):
    before = world.census()
    yield
    assert world.census() == before


@pytest.fixture(scope="module", autouse=True)
def all_is_whole(world):
    yield
    told = json.loads(world.hub.cli("fsck", "--json"))
    assert told["faults"] == 0 and told["list"] == [], told


# --- paths ------------------------------------------------------------------------------------------------------------

PATHS = ["../x", "a/../../x", "a/..", "..", ".", "", "/etc/passwd", "a//b", "a/", "./a", "a/./b", ".git/config", "a/.GIT/hooks/x", "a/.git", "..\\x", "a\\b",
         "C:\\x", "a\x00b", "a\nb", "a\x1bb", ".g\u200cit/config", "git~1/config", ".git /x", "x" * 300, "/".join(["d"] * 3000), "a/\x7f"]


def lines(*operations, summary="x"):
    return b"\n".join(json.dumps({"key": k, "value": v}).encode() for k, v in (("header", {"summary": summary}), *operations))


def commit(world, body, **kw):
    return world.send("POST", "/api/models/bob/mine/commit/main", body, headers={"Content-Type": "application/x-ndjson"}, **kw)


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_a_path_in_a_commit(world, path):
    content = {"content": base64.b64encode(b"x").decode(), "encoding": "base64"}
    world.refused(commit(world, lines(("file", {"path": path, **content}))), 400, 413, 422)
    world.refused(commit(world, lines(("lfsFile", {"path": path, "algo": "sha256", "oid": world.oid, "size": 5000}))), 400, 413, 422)
    world.refused(commit(world, lines(("deletedFile", {"path": path}))), 400, 404, 413, 422)
    world.refused(commit(world, lines(("copyFile", {"path": path, "srcPath": "a.txt", "srcRevision": "main"}))), 400, 413, 422)
    world.refused(commit(world, lines(("file", {"path": "ok.txt", **content}), ("file", {"path": path, **content}))), 400, 413, 422)
    world.refused(world.send("POST", "/api/repos/create", json.dumps({"name": "other", "files": [{"path": path, **content}]}).encode()), 422)


CLIMBS = ["/bob/mine/resolve/main/../../../../cloche.db", "/bob/mine/resolve/main/..%2f..%2f..%2fcloche.db", "/bob/mine/resolve/main/%2e%2e/%2e%2e/cloche.db",
          "/bob/mine/raw/main/%2e%2e%2fcloche.db", "/bob/mine/resolve/..%2f..%2fhub.key/a.txt", "/bob/mine/resolve/main/a.txt%00.png", "/bob/mine/resolve/main/a.txt%2f",
          "/bob/mine/resolve/main/%c0%ae%c0%ae/cloche.db", "/bob/mine/resolve/main//etc/passwd", "/bob/mine/resolve/main/%5c..%5ccloche.db",
          "/api/models/bob/mine/tree/main/..%2f..", "/api/models/bob/mine/tree/%2e%2e%2f%2e%2e", "/api/models/..%2f..%2fetc/passwd", "/api/models/bob/..",
          "/api/models/bob/mine%00", "/api/models/bob%2fmine/x", "/bob/../alice/secret/resolve/main/w.bin", "/%2e%2e/%2e%2e/hub.key", "/../hub.key",
          "/alice/secret/resolve/main/w.bin", "/bob/mine/../../alice/secret/resolve/main/w.bin", "/datasets/../alice/secret/resolve/main/w.bin",
          "/_lfs/get/..%2f..%2fhub.key", "/xet/fetch/..%2f..%2fhub.key", "/bob/mine.git/info/refs?service=../../x", "/bob/mine.git/../../hub.key",
          "/bob/mine/resolve/refs%2fheads%2f..%2f..%2fx/a.txt"]


@pytest.mark.parametrize("target", CLIMBS)
def test_a_path_in_an_address(world, target):
    status, headers, body = world.send("GET", target)
    world.refused((status, headers, body))
    assert world.secret not in body and b"SQLite format" not in body and (world.hub.data / "hub.key").read_bytes() not in body


def run_git(*args, cwd, given=None):
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@b",
           "GIT_COMMITTER_NAME": "b", "GIT_COMMITTER_EMAIL": "b@b"}
    return subprocess.run(["git", *args], cwd=cwd, env=env, input=given, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def clone(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("git") / "clone"
    assert run_git("clone", "-q", world.hub.git_url("bob/mine", "bob"), str(folder), cwd=folder.parent).returncode == 0
    return folder


def tree_of(clone, *entries):
    """A tree as it is given, good or not."""
    blob = run_git("hash-object", "-w", "--stdin", cwd=clone, given=b"x\n").stdout.decode().strip()
    raw = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid or blob) for mode, name, oid in entries)
    return run_git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", cwd=clone, given=raw).stdout.decode().strip()


TREES = {"up": [(b"100644", b"..", None)], "here": [(b"100644", b".", None)], "git": [(b"100644", b".git", None)], "GIT": [(b"100644", b".GIT", None)],
         "short": [(b"100644", b"git~1", None)], "hidden": [(b"100644", ".g\u200cit".encode(), None)], "slash": [(b"100644", b"a/b", None)],
         "climb": [(b"100644", b"../x", None)], "backslash": [(b"100644", b"..\\x", None)], "empty": [(b"100644", b"", None)], "twice": [(b"100644", b"a", None)] * 2,
         "order": [(b"100644", b"b", None), (b"100644", b"a", None)], "mode": [(b"100777", b"a", None)], "no object": [(b"100644", b"a", "1" * 40)],
         "a blob as folder": [(b"40000", b"a", None)], "control": [(b"100644", b"a\x1b[2J", None)]}


@pytest.mark.parametrize("kind", TREES)
def test_a_path_in_a_tree(world, clone, kind):
    tree = tree_of(clone, *TREES[kind])
    made = run_git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", cwd=clone,
                   given=f"tree {tree}\nparent {world.head}\nauthor b <b@b> 1700000000 +0000\ncommitter b <b@b> 1700000000 +0000\n\nx\n".encode()).stdout.decode().strip()
    done = run_git("push", "origin", f"{made}:refs/heads/main", cwd=clone)
    if kind == "no object" and b"remote" not in done.stderr:
        return  # the client itself has nothing to send
    assert done.returncode != 0 and b"remote" in done.stderr, done.stderr


# --- names ------------------------------------------------------------------------------------------------------------

NAMES = ["..", ".", "", "../x", "a/../b", "a/b/c", "/", "a b", "a\x00b", "a\n", "-a", "a-", ".a", "a.", "a--b", "a..b", "x.git", "ä", "a%2fb", "a" * 97, "a\\b", "a?b", "a#b", "<b>", "a;rm",
         "a\u202eb", "é"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_of_a_repository(world, name):
    world.refused(world.send("POST", "/api/repos/create", json.dumps({"name": name}).encode()), 400, 403)
    world.refused(world.send("POST", "/api/repos/create", json.dumps({"name": "x", "organization": name or ".."}).encode()), 400, 403)
    world.refused(world.send("POST", "/api/repos/move", json.dumps({"fromRepo": "bob/mine", "toRepo": "bob/" + name}).encode()), 400, 403)


@pytest.mark.parametrize("name", ["..", "a/b", "a b", "-a", "a--b", "api", "datasets", "a" * 97, "<b>", "\u202e"], ids=ascii)
def test_a_name_of_an_account(world, name):
    for command in (["user", "add", name, "--password-stdin"], ["org", "create", name]):
        done = subprocess.run([os.path.abspath(os.environ["CLOCHE_BIN"]), *command, "--data", str(world.hub.data)], input=b"correct horse\n", capture_output=True, timeout=60)
        assert done.returncode not in (0, -6, -11), done


# --- packs ------------------------------------------------------------------------------------------------------------

def pack_object(kind, size, data, extra=b""):
    head, first = bytearray(), (kind << 4) | (size & 15)
    size >>= 4
    while size:
        head.append(first | 128)
        first, size = size & 127, size >> 7
    head.append(first)
    return bytes(head) + extra + data


def pack(*objects, n=None, end=None):
    body = b"PACK" + struct.pack(">II", 2, len(objects) if n is None else n) + b"".join(objects)
    return body + (hashlib.sha1(body).digest() if end is None else end)


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def copy_all(base, times):
    """A delta that gives its base so many times."""
    step = bytes([0x80 | 0x70]) + struct.pack("<I", base)[:3]
    return varint(base) + varint(base * times) + step * times


def zeros(n):
    c = zlib.compressobj(9)
    return b"".join(c.compress(bytes(min(1 << 20, n - i))) for i in range(0, n, 1 << 20)) + c.flush()


def oid(kind, data):
    return hashlib.sha1(f"{kind} {len(data)}".encode() + b"\0" + data).digest()


MEG = 1 << 20
BASE = pack_object(3, MEG, zeros(MEG))


def chain():
    """Each object is four times the one before."""
    out, size, name = [BASE], MEG, oid("blob", bytes(MEG))
    for i in range(12):
        delta = varint(size) + varint(size * 4) + (bytes([0x80 | 0x70]) + struct.pack("<I", MEG)[:3]) * 4 if size == MEG else copy_all(min(size, MEG), 4)
        out.append(pack_object(7, len(delta), zlib.compress(delta), name))
        size *= 4
        name = oid("blob", bytes(size)) if i < 2 else os.urandom(20)
    return pack(*out)


def self_delta(back):
    delta = copy_all(4, 1)
    return pack(pack_object(3, 4, zlib.compress(b"abcd")), pack_object(6, len(delta), zlib.compress(delta), bytes([back])))


BAD_DELTA = varint(4) + varint(100) + bytes([0x80 | 0x11, 3, 97])
PACKS = {
    "none": b"", "not a pack": b"x" * 100, "cut": pack(BASE)[:-30], "wrong end": pack(BASE, end=bytes(20)), "no objects but a count": pack(n=1), "four thousand million": pack(BASE, n=0xffffffff),
    "more than said": pack(BASE, n=0), "version 9": b"PACK" + struct.pack(">II", 9, 1), "a size that is not": pack(pack_object(3, 5, zlib.compress(b"abcdef"))),
    "a terabyte": pack(pack_object(3, 1 << 40, zlib.compress(b"a"))), "a size of all bits": pack(pack_object(3, (1 << 63) + 5, zlib.compress(b"a"))),
    "a blob of half a gigabyte": pack(pack_object(3, 512 * MEG, zeros(512 * MEG))), "swelling": pack(pack_object(3, 100, zeros(256 * MEG))),
    "kind 0": pack(pack_object(0, 1, zlib.compress(b"a"))), "kind 5": pack(pack_object(5, 1, zlib.compress(b"a"))), "not deflated": pack(pack_object(3, 10, b"0123456789")),
    "a delta of nothing": pack(pack_object(7, 4, zlib.compress(b"\x01\x01\x01a"), b"\x22" * 20)), "of itself": self_delta(0), "of what was before the pack": self_delta(100),
    "a delta that copies what is not there": pack(pack_object(3, 4, zlib.compress(b"abcd")), pack_object(7, len(BAD_DELTA), zlib.compress(BAD_DELTA), oid("blob", b"abcd"))),
    "a delta of sixteen megabytes": pack(BASE, pack_object(7, len(copy_all(MEG, 16)), zlib.compress(copy_all(MEG, 16)), oid("blob", bytes(MEG)))),
    "a delta of sixty gigabytes": pack(BASE, pack_object(7, len(copy_all(MEG, 60000)), zlib.compress(copy_all(MEG, 60000)), oid("blob", bytes(MEG)))), "a chain": chain(),
    "another's commit": pack(pack_object(1, 200, zlib.compress((f"tree {'1' * 40}\nauthor b <b@b> 1 +0000\ncommitter b <b@b> 1 +0000\n\nx" + "x" * 200)[:200].encode()))),
}


@pytest.mark.parametrize("kind", PACKS)
def test_a_pack(world, kind):
    command = f"{NULL} {'3' * 40} refs/heads/new\0report-status".encode()
    rss = world.hub.server.rss_bytes()
    status, headers, body = world.send("POST", "/bob/mine.git/git-receive-pack", b"%04x" % (len(command) + 4) + command + b"0000" + PACKS[kind],
                                       headers={"Content-Type": "application/x-git-receive-pack-request"})
    if status == 200:  # git's own way to refuse
        assert b"unpack ok" not in body and b"ng refs/heads/new" in body, body[:300]
    else:
        world.refused((status, headers, body))
    assert world.hub.server.rss_bytes() - rss < 200 * MEG, "it does not hold what swells"


@pytest.mark.parametrize("ref", ["refs/heads/../x", "refs/heads/a..b", "HEAD", "refs/heads/x.lock", "refs/heads/a b", "refs/convert/parquet", "main", "refs/heads/" + "x" * 300, "refs/pr/77",
                                 "refs/heads/-x", "refs/heads/--upload-pack=x", "refs/tags/-d", "refs/heads/HEAD", "refs/heads/refs/heads/x", "refs/heads/" + "1" * 40, "refs/tags/" + "aB" * 20,
                                 "refs/heads/", "refs/heads/@{x}", "refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?", "refs/heads/[a", "refs/heads/a\\b", "refs/heads/.a", "refs/heads/a/.b",
                                 "refs/heads/a//b", "refs/heads/a.", "refs/heads/a/", "refs/heads/\x7f", "refs/heads/\udcff", "refs/heads/main/x", "refs/notes/commits", "refs/stash", "refs/pr/0", "refs/pr/-1",
                                 "refs/pr/1/x", "refs/pr/", "refs"], ids=ascii)
def test_a_ref_of_a_push(world, ref):
    command = f"{NULL} {world.head} {ref}\0report-status".encode(errors="surrogateescape")
    status, headers, body = world.send("POST", "/bob/mine.git/git-receive-pack", b"%04x" % (len(command) + 4) + command + b"0000" + pack(),
                                       headers={"Content-Type": "application/x-git-receive-pack-request"})
    if status == 200:
        assert b"ng " in body, body[:300]
    else:
        world.refused((status, headers, body))


def test_a_push_with_a_submodule(world, clone):
    """Which the hub's clients could not download: at the root, in a folder, and as what a tag leads to."""
    inner = tree_of(clone, (b"160000", b"module", world.head))
    for tree in (inner, tree_of(clone, (b"40000", b"folder", inner)), tree_of(clone, (b"160000", b"elsewhere", "1" * 40))):
        made = run_git("commit-tree", tree, "-p", world.head, "-m", "x", cwd=clone).stdout.decode().strip()
        for ref in ("refs/heads/main", "refs/heads/new", "refs/tags/new"):
            done = run_git("push", "origin", f"{made}:{ref}", cwd=clone)
            assert done.returncode != 0 and b"submodule '" in done.stderr, done.stderr


def test_a_push_that_is_too_long(world):
    """A pack of more than 512 MiB is not read to its end."""
    command = f"{NULL} {'3' * 40} refs/heads/new\0report-status".encode()
    rss = world.hub.server.rss_bytes()
    said = world.refused(world.send("POST", "/bob/mine.git/git-receive-pack", b"%04x" % (len(command) + 4) + command + b"0000" + b"PACK" + bytes(513 * MEG),
                                    headers={"Content-Type": "application/x-git-receive-pack-request"}), 413)
    assert "git-lfs" in said and world.hub.server.rss_bytes() - rss < 100 * MEG


# --- large files ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [5000, 4999, 0, -1, 1 << 62, -(1 << 63), "5000", None], ids=str)
def test_anothers_file_by_its_hash(world, size):
    world.refused(commit(world, lines(("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": world.oid, "size": size}))), 400)


@pytest.mark.parametrize("digest", ["", "0" * 64, "0" * 63, "../../hub.key", "g" * 64, "0" * 65, None, 7, ["x"]], ids=str)
def test_a_file_that_is_not_here(world, digest):
    world.refused(commit(world, lines(("lfsFile", {"path": "w.bin", "algo": "sha256", "oid": digest, "size": 5}))), 400)


def test_a_pointer_to_anothers_file_by_git(world, clone):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{world.oid}\nsize 5000\n".encode()
    blob = run_git("hash-object", "-w", "--stdin", cwd=clone, given=pointer).stdout.decode().strip()
    made = run_git("commit-tree", tree_of(clone, (b"100644", b"w.bin", blob)), "-p", world.head, "-m", "x", cwd=clone).stdout.decode().strip()
    done = run_git("push", "origin", f"{made}:refs/heads/main", cwd=clone)
    assert done.returncode != 0 and world.oid.encode() in done.stderr, done.stderr


@pytest.mark.parametrize("objects", [[{"oid": "../../hub.key", "size": 1}], [{"oid": "0" * 64, "size": -1}], [{"oid": "0" * 64}], [7], {"oid": 1}, None,
                                     [{"oid": "0" * 64, "size": 1}] * 5000], ids=lambda o: ascii(o)[:40])
def test_a_batch(world, objects):
    status, headers, body = world.send("POST", "/bob/mine.git/info/lfs/objects/batch", json.dumps({"operation": "upload", "objects": objects}).encode(),
                                       headers={"Content-Type": "application/vnd.git-lfs+json"})
    if status == 200:
        assert all(o["error"]["code"] == 422 and "actions" not in o for o in json.loads(body)["objects"]), body
    else:
        world.refused((status, headers, body))


def test_anothers_file_by_a_batch(world):
    """Its hash gives no address to read it by; one to write it by wants the bytes."""
    asked = {"operation": "download", "objects": [{"oid": world.oid, "size": 5000}]}
    status, _, body = world.send("POST", "/bob/mine.git/info/lfs/objects/batch", json.dumps(asked).encode(), headers={"Content-Type": "application/vnd.git-lfs+json"})
    assert status == 200 and json.loads(body)["objects"][0]["error"]["code"] == 404
    status, _, body = world.send("POST", "/bob/mine.git/info/lfs/objects/batch", json.dumps({**asked, "operation": "upload"}).encode(),
                                 headers={"Content-Type": "application/vnd.git-lfs+json"})
    href = urllib.parse.urlsplit(json.loads(body)["objects"][0]["actions"]["upload"]["href"])
    for lie in (b"", b"x" * 5000, world.secret[:-1], world.secret + b"x"):
        world.refused(world.send("PUT", href.path + ("?" + href.query if href.query else ""), lie))


# --- Xet --------------------------------------------------------------------------------------------------------------

def chunk(data, stored=None, raw=None, scheme=0, version=0):
    return bytes([version]) + (len(data) if stored is None else stored).to_bytes(3, "little") + bytes([scheme]) + (len(data) if raw is None else raw).to_bytes(3, "little") + data


XORBS = {"empty": b"", "a header alone": b"\0" * 8, "cut": chunk(b"x" * 100)[:-1], "another's hash": chunk(b"x" * 100), "no length": chunk(b""), "stored longer than there is": chunk(b"x", stored=0xffffff),
         "raw too long": chunk(b"x", raw=0xffffff), "lengths that differ": chunk(b"x" * 10, raw=11), "scheme 9": chunk(b"x", scheme=9), "version 7": chunk(b"x", version=7),
         "no frame": chunk(b"x" * 50, raw=131072, scheme=1), "bytes after": chunk(b"x") + b"\xff" * 9, "ten thousand chunks": chunk(b"x") * 10000,
         "a frame that swells": chunk(bytes.fromhex("04224d18604082") + b"\xff" * 200, raw=131072, scheme=1)}


@pytest.mark.parametrize("kind", XORBS)
def test_a_xorb(world, kind):
    token = xet.token(world.hub, "bob", "bob/mine")
    for name in ("1" * 64, "..%2f..%2fhub.key", "x", "1" * 63):
        world.refused(world.send("POST", f"/xet/v1/xorbs/default/{name}", XORBS[kind], token=token), 400, 404, 413)


HEAD = b"HFRepoMetaData" + bytes.fromhex("00556967456A7B815783A5BDD95CCDD14AA9") + struct.pack("<QQ", 2, 0)
END = b"\xff" * 32 + bytes(16)


def file_record(n, flags=0, name=b"\1" * 32):
    return name + struct.pack("<II", flags, n) + bytes(8)


def term(size, start, end, xorb=b"\2" * 32):
    return xorb + struct.pack("<IIII", 0, size, start, end)


def footer(version=1, files=48, xorbs=96, itself=144):
    return struct.pack("<QQQ", version, files, xorbs) + bytes(168) + struct.pack("<Q", itself)


SHARDS = {"empty": b"", "no shard": b"x" * 200, "a header alone": HEAD, "version 3": HEAD[:32] + struct.pack("<QQ", 3, 0) + END + END, "no end": HEAD + file_record(1) + term(1, 0, 1),
          "four thousand million terms": HEAD + file_record(0xffffffff, 0xc0000000) + END + END, "no terms": HEAD + file_record(0) + END + END,
          "a xorb that is not here": HEAD + file_record(1) + term(5, 0, 1) + END + END, "a term that goes back": HEAD + file_record(1) + term(5, 9, 1) + END + END,
          "terms that overlap": HEAD + file_record(2) + term(5, 0, 2) + term(5, 1, 3) + END + END, "a size of all bits": HEAD + file_record(1) + term(0xffffffff, 0, 0xffffffff) + END + END,
          "a footer of noise": HEAD + END + END + b"\7" * 200, "a footer that is cut": HEAD + END + END + footer()[:-1], "bytes after the footer": HEAD + END + END + footer() + b"x",
          "a footer of version 2": HEAD + END + END + footer(version=2), "files elsewhere": HEAD + END + END + footer(files=96), "xorbs elsewhere": HEAD + END + END + footer(xorbs=1 << 40),
          "a footer elsewhere": HEAD + END + END + footer(itself=0), "a footer's size that is none": HEAD[:40] + struct.pack("<Q", 1 << 60) + END + END,
          "a flag of files": HEAD + file_record(1, flags=1) + term(5, 0, 1) + END + END}


@pytest.mark.parametrize("kind", SHARDS)
def test_a_shard(world, kind):
    world.refused(world.send("POST", "/xet/v1/shards", SHARDS[kind], token=xet.token(world.hub, "bob", "bob/mine")), 400, 413)


# --- YAML, JSON, sizes, floods ----------------------------------------------------------------------------------------

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12))
YAMLS = {"laughs": LAUGHS, "deep": "a: " + "[" * 100000, "deep by lines": "\n".join(" " * i + "a:" for i in range(3000)), "itself": "a: &a [*a]\n", "a tag": "a: !!python/object/apply:os.system [ls]\nb: [\n",
         "a list": "- a\n- b\n", "open": "a: \"x\n", "twice": "a: 1\na: 2\n", "wide": "a: [" + "x," * 2000000 + "]\n", "control": "a: \x01\n"}


@pytest.mark.parametrize("kind", YAMLS)
def test_a_card(world, kind):
    text = f"---\n{YAMLS[kind]}\n---\n# x\n"
    status, headers, body = world.send("POST", "/api/validate-yaml", json.dumps({"content": text, "repoType": "model"}).encode())
    assert status in (400, 413) and (json.loads(body).get("errors") or json.loads(body).get("error")), (status, body[:300])


DEEP = b'{"a":' * 100000
BODIES = {"not JSON": b"{", "deep": DEEP, "deep lists": b"[" * 1000000, "no object": b"[1]", "twice": b'{"name":"a","name":"b"}', "not UTF-8": b'{"name":"\xff"}', "a half of a pair": b'{"name":"\\ud800"}',
          "huge": b'{"name":"' + b"x" * (17 << 20) + b'"}', "a number of a million digits": b'{"name":' + b"1" * 1000000 + b"}", "NaN": b'{"name":NaN}', "bytes after": b'{"name":"a"} x'}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body(world, kind):
    for method, target in (("POST", "/api/repos/create"), ("POST", "/api/repos/move"), ("DELETE", "/api/repos/delete"), ("PUT", "/api/models/bob/mine/settings"),
                           ("POST", "/api/models/bob/mine/preupload/main"), ("POST", "/api/models/bob/mine/tag/main"), ("POST", "/api/models/bob/mine/discussions")):
        world.refused(world.send(method, target, BODIES[kind], headers={"Content-Type": "application/json"}), 400, 404, 413)


COMMITS = {"nothing": b"", "no header": lines(("file", {"path": "x", "content": "", "encoding": "utf-8"})).split(b"\n", 1)[1], "two headers": lines(("header", {"summary": "y"})), "deep": DEEP,
           "a line of 17 MiB": lines(("file", {"path": "x", "content": "x" * (17 << 20), "encoding": "utf-8"})), "a file of 11 MiB": lines(("file", {"path": "x", "content": "x" * (11 << 20), "encoding": "utf-8"})),
           "no base64": lines(("file", {"path": "x", "content": "!!!", "encoding": "base64"})), "an unknown key": lines(("chmod", {"path": "x"})), "an unknown coding": lines(("file", {"path": "x", "content": "", "encoding": "utf-7"})),
           "no summary": lines(summary=""), "a summary of a megabyte": lines(summary="x" * MEG), "a stale parent": lines(("header", {"summary": "x", "parentCommit": "1" * 40})).split(b"\n")[1],
           "a parent that is none": lines(("header", {"summary": "x", "parentCommit": "../../x"})).split(b"\n")[1], "what is not there": lines(("deletedFile", {"path": "nothing"})),
           "a file under a file": lines(("file", {"path": "a.txt/x", "content": "", "encoding": "utf-8"})), "thirty thousand": lines(*[("deletedFile", {"path": f"f{i}"}) for i in range(30000)])}


@pytest.mark.parametrize("kind", COMMITS)
def test_a_commit(world, kind):
    world.refused(commit(world, COMMITS[kind]), 400, 404, 412, 413, 422)


@pytest.mark.parametrize("rev", ["1" * 40, "nothing", "refs%2ftags%2fx", "..", "refs%2fheads%2f..%2fx", "x" * 3000, "refs%2fpr%2f99"])
def test_a_branch_that_is_not_there(world, rev):
    body = lines(("file", {"path": "x", "content": "", "encoding": "utf-8"}))
    world.refused(world.send("POST", f"/api/models/bob/mine/commit/{rev}", body), 400, 404, 414)


@pytest.mark.parametrize("target", ["/bob/mine/nothing/at/all", "/api/nothing", "/api/models/bob/mine/nothing", "/bob/nothing", "/api/models/bob/nothing", "/xet/v1/nothing", "/datasets/bob/mine/resolve/main/a.txt",
                                    "/bob/mine/resolve/main/nothing", "/bob/mine/resolve/nothing/a.txt", "/bob/mine.git/nothing", "/bob/mine.git/info/lfs/nothing", "/_lfs/nothing"])
def test_what_is_not_there_says_so(world, target):
    """Each refusal has a message for the client, whether a handler makes it or none was found."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        world.refused(world.send(method, target, b"{}", headers={"Content-Type": "application/json"}), 400, 401, 403, 404, 405)


FLOODS = {"ten thousand headers": {f"X-{i}": "x" for i in range(10000)}, "a header of a megabyte": {"X-Long": "x" * MEG}, "a token of 100 kB": {"X-Token": "x" * 100000}}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood(world, kind):
    try:
        status, _, _ = world.send("GET", "/api/models/bob/mine", headers=FLOODS[kind])
        assert status in (400, 413, 431)
    except (ConnectionResetError, BrokenPipeError, http.client.BadStatusLine):
        pass  # it hung up while the flood came
    assert world.send("GET", "/api/models/bob/mine")[0] == 200


@pytest.mark.parametrize("token", ["hf_", "hf_" + "x" * 51, "x" * 400, "../../x", "' OR 1=1 --", "hf_%00"])
def test_a_token_that_is_none(world, token):
    world.refused(world.send("POST", "/api/repos/create", b'{"name":"a"}', token=token), 401)
