"""`cloche fsck` names each kind of damage and that alone; `cloche gc` takes what nothing needs, tells it without taking it when asked,
and may run while clients upload."""
import hashlib
import json
import random
import shutil
import sqlite3
import subprocess
import threading

import pytest
from conftest import start
from serving import BIN
from test_killed import are_there, is_whole

MB = 1_000_000


def noise(n, seed):
    return random.Random(f"fsck {seed}").randbytes(n)


def said(data, *args):
    done = subprocess.run([BIN, *args, "--json", "--data", str(data)], capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout)


def files_under(data):
    return {str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest() for w in ("lfs", "xorbs", "blobs") for p in (data / w).rglob("*") if p.is_file()}


def rows(data):
    db = sqlite3.connect(data / "cloche.db")
    names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    out = {n: db.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for n in names}
    db.close()
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data folder with a repository that real clients filled, whose server has ended, and what is in it."""
    hub = start(tmp_path_factory)
    api = hub.api("alice")
    api.create_repo("alice/m")
    api.upload_file(path_or_fileobj=noise(2 * MB, "xet"), path_in_repo="x.safetensors", repo_id="alice/m")
    from huggingface_hub import constants
    with pytest.MonkeyPatch.context() as m:
        m.setattr(constants, "HF_HUB_DISABLE_XET", True)
        api.upload_file(path_or_fileobj=noise(MB, "lfs"), path_in_repo="w.bin", repo_id="alice/m")
    text = api.upload_file(path_or_fileobj=b"some text\n" * 100, path_in_repo="a.txt", repo_id="alice/m").oid
    blob = api.get_paths_info("alice/m", ["a.txt"])[0].blob_id
    assert hub.server.stop() == 0
    assert said(hub.data, "fsck")[1]["list"] == []
    return hub.data, {"commit": text, "blob": blob, "lfs": hashlib.sha256(noise(MB, "lfs")).hexdigest()}


@pytest.fixture
def copy(whole, tmp_path):
    data, names = whole
    shutil.copytree(data, tmp_path / "data")
    lfs = tmp_path / "data" / "lfs" / names["lfs"][:2] / names["lfs"][2:4] / names["lfs"]
    xorb, = [p for p in (tmp_path / "data" / "xorbs").rglob("*") if p.is_file()]
    return tmp_path / "data", names | {"xorb": xorb.name}, {"lfs": lfs, "xorb": xorb}


def change_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def sql(data, text, *args):
    db = sqlite3.connect(data / "cloche.db")
    with db:
        assert db.execute(text, args).rowcount >= 1
    db.close()


DAMAGE = {  # what is done, and the kinds and names that fsck must say; nothing else
    "a byte of a large file": (lambda d, n, f: change_byte(f["lfs"]), {("file", "lfs")}),
    "a large file is gone": (lambda d, n, f: f["lfs"].unlink(), {("file", "lfs")}),
    "a large file is cut": (lambda d, n, f: f["lfs"].chmod(0o644) or f["lfs"].write_bytes(noise(MB, "lfs")[:-1]), {("file", "lfs")}),
    "a byte of a xorb": (lambda d, n, f: change_byte(f["xorb"]), {("xorb", "xorb")}),
    "a xorb is gone": (lambda d, n, f: f["xorb"].unlink(), {("xorb", "xorb")}),
    "a xorb's row is gone": (lambda d, n, f: sql(d, "DELETE FROM xorbs"), {("xet file", "")}),
    "the terms are gone": (lambda d, n, f: sql(d, "DELETE FROM xet_files"), {("link", "")}),
    "a git object is gone": (lambda d, n, f: sql(d, "DELETE FROM git_objects WHERE oid = ?", bytes.fromhex(n["blob"])), {("object", "blob"), ("ref", "main")}),
    "a git object is another": (lambda d, n, f: sql(d, "UPDATE git_objects SET (size, data) = (SELECT size, data FROM git_objects WHERE oid = ?) WHERE oid = ?",
                                                    bytes.fromhex(n["commit"]), bytes.fromhex(n["blob"])), {("object", "blob")}),
    "a ref leads nowhere": (lambda d, n, f: sql(d, "INSERT INTO refs SELECT repo, 'refs/heads/lost', zeroblob(20) FROM refs LIMIT 1"), {("ref", "lost")}),
    "a commit is gone": (lambda d, n, f: sql(d, "DELETE FROM repo_objects WHERE oid = ?", bytes.fromhex(n["commit"])), {("ref", "main")}),
    "a large file is nobody's": (lambda d, n, f: sql(d, "DELETE FROM repo_files WHERE sha256 = ?", bytes.fromhex(n["lfs"])), {("pointer", "lfs")}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named(copy, kind):
    data, names, paths = copy
    damage, want = DAMAGE[kind]
    damage(data, names, paths)
    code, out = said(data, "fsck")
    assert code == 7 and out["faults"] == len(out["list"])
    found = {(kind, word) for kind, word in want for x in out["list"] if x["kind"] == kind and names.get(word, word) in x["name"]}
    assert found == want and {x["kind"] for x in out["list"]} == {kind for kind, _ in want}, out["list"]


def test_what_nothing_needs_goes_and_a_dry_run_only_tells(copy):
    data, names, paths = copy
    stray = data / "lfs" / "ab" / "cd" / ("abcd" + "0" * 60)
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"of an upload that was cut off")
    sql(data, "INSERT INTO git_objects SELECT zeroblob(20), type, size, data FROM git_objects LIMIT 1")
    sql(data, "DELETE FROM repo_files WHERE sha256 = ?", bytes.fromhex(names["lfs"]))
    sql(data, "UPDATE files SET created = 0")
    sql(data, "UPDATE xorbs SET created = 0")
    before = files_under(data), rows(data)
    code, out = said(data, "gc", "--dry-run")
    assert code == 0 and out["dry_run"] and (out["files"], out["xorbs"], out["objects"]) == (2, 0, 1)
    assert {x["name"] for x in out["list"]} == {str(stray), names["lfs"]}
    assert (files_under(data), rows(data)) == before
    code, out = said(data, "gc")
    assert code == 0 and not out["dry_run"] and (out["files"], out["xorbs"], out["objects"]) == (2, 0, 1)
    gone = {p for p in before[0] if p not in files_under(data)}
    assert gone == {str(p.relative_to(data)) for p in (stray, paths["lfs"], data / "blobs/sha256" / names["lfs"][:2] / names["lfs"][2:4] / names["lfs"])}
    assert {k: n - rows(data)[k] for k, n in before[1].items() if n != rows(data)[k]} == {"files": 1, "git_objects": 1}
    assert [x["kind"] for x in said(data, "fsck")[1]["list"]] == ["pointer"]  # whose file we took


def test_gc_while_clients_upload_loses_nothing(own_hub):
    """Whole files, chunks, commits; gc again and again: what came and is not yet a repository's stays."""
    hub, done = own_hub, []
    repos = [f"alice/gc-{i}" for i in range(3)]
    for repo in repos:
        hub.api("alice").create_repo(repo)

    def upload(i):
        api = hub.api("alice")
        for n in range(6):
            for path, data in ((f"{n}.bin", noise(300_000 + n, (i, n))), (f"{n}.txt", f"{i} {n}\n".encode())):
                done.append((repos[i], api.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=repos[i]).oid, path, data))
            with hub.http("alice") as c:  # and one that is whole
                data = noise(200_000, ("whole", i, n))
                oid = hashlib.sha256(data).hexdigest()
                r = c.post(f"/{repos[i]}.git/info/lfs/objects/batch", json={"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(data)}]})
                up = r.json()["objects"][0]["actions"]["upload"]
                assert c.put(up["href"], content=data, headers=up.get("header", {})).status_code == 200
                lines = [{"key": "header", "value": {"summary": "x"}}, {"key": "lfsFile", "value": {"path": f"w{n}.bin", "algo": "sha256", "oid": oid, "size": len(data)}}]
                r = c.post(f"/api/models/{repos[i]}/commit/main", content="\n".join(map(json.dumps, lines)), headers={"Content-Type": "application/x-ndjson"})
                assert r.status_code == 200, r.text
                done.append((repos[i], r.json()["commitOid"], f"w{n}.bin", data))

    faults, sweeps = [], 0

    def guarded(i):
        try:
            upload(i)
        except Exception as e:
            faults.append(e)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(len(repos))]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        code, out = said(hub.data, "gc")
        assert code == 0 and out["objects"] == out["xorbs"] == 0, out
        sweeps += 1
    assert not faults and sweeps >= 3 and len(done) == 3 * 6 * 3
    is_whole(hub.data)
    with hub.http("alice") as c:
        are_there(c, done)
