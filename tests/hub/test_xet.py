"""Large files by Xet: the real client (huggingface_hub with hf_xet), the endpoints by hand, and lies."""
import hashlib
import os
import pathlib
import random
import struct
import subprocess
import sys
import time

import pytest
from xet import Between, cas, hash_bytes, hash_text, sign, token

HF = pathlib.Path(sys.executable).with_name("hf")
MB = 1_000_000


def noise(n, seed):
    return random.Random(seed).randbytes(n)


def stored(hub):
    """Bytes of all xorbs."""
    return sum(f.stat().st_size for f in (hub.data / "xorbs").rglob("*") if f.is_file())


def plain(monkeypatch):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def by_xet(monkeypatch):
    """Counts the files that the client fetched by Xet."""
    from huggingface_hub import file_download
    calls = []
    real = file_download.xet_get
    monkeypatch.setattr(file_download, "xet_get", lambda **kw: calls.append(kw["xet_file_data"].file_hash) or real(**kw))
    return calls


@pytest.fixture(scope="module")
def model(hub, tmp_path_factory):
    """A private repository of alice's with one large file."""
    api = hub.api("alice")
    api.create_repo("alice/xet-model", private=True)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    path.write_bytes(noise(10 * MB, 1))
    api.upload_file(path_or_fileobj=str(path), path_in_repo="model.safetensors", repo_id="alice/xet-model")
    return path


def xet_hash(hub, repo, path, user="alice"):
    return hub.api(user).get_paths_info(repo, [path])[0].xet_hash


# --- the real client -------------------------------------------------------------------------------------------------

def test_an_uploaded_file_comes_back_by_xet(hub, model, by_xet, tmp_path):
    got = hub.api("alice").hf_hub_download("alice/xet-model", "model.safetensors", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == model.read_bytes()
    assert by_xet == [xet_hash(hub, "alice/xet-model", "model.safetensors")]


def test_it_comes_back_by_plain_http(hub, model, by_xet, monkeypatch, tmp_path):
    plain(monkeypatch)
    got = hub.api("alice").hf_hub_download("alice/xet-model", "model.safetensors", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == model.read_bytes() and by_xet == []
    with hub.http("alice") as c:
        r = c.get("/alice/xet-model/resolve/main/model.safetensors", headers={"Range": "bytes=4999990-5000009"})
    assert (r.status_code, r.content) == (206, model.read_bytes()[4999990:5000010])
    assert r.headers["content-range"] == f"bytes 4999990-5000009/{10 * MB}"


def test_bytes_in_memory(hub, tmp_path):
    api = hub.api("alice")
    api.create_repo("alice/xet-bytes")
    api.upload_file(path_or_fileobj=noise(3 * MB, 2), path_in_repo="a.bin", repo_id="alice/xet-bytes")
    got = hub.api("bob").hf_hub_download("alice/xet-bytes", "a.bin", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == noise(3 * MB, 2)


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(pathlib.Path(folder).rglob("*"))
            if p.is_file() and ".cache" not in p.parts and p.name != ".gitattributes"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp("folder")
    (d / "sub").mkdir()
    (d / "notes.md").write_text("# Hello\n")
    (d / "config.json").write_text("{}")
    (d / "tiny.bin").write_bytes(b"\0\1")
    (d / "zeros.bin").write_bytes(bytes(2 * MB))
    for i in range(3):
        (d / "sub" / f"part-{i}.safetensors").write_bytes(noise((i + 1) * MB, 10 + i))
    return d


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_a_folder(hub, folder, by_xet, monkeypatch, tmp_path, kind):
    api = hub.api("alice")
    more = {"space_sdk": "static"} if kind == "space" else {}
    api.create_repo("alice/xet-folder", repo_type=kind, **more)
    api.upload_folder(folder_path=folder, repo_id="alice/xet-folder", repo_type=kind)
    got = api.snapshot_download("alice/xet-folder", repo_type=kind, local_dir=tmp_path / "xet")
    assert files_of(got) == files_of(folder) and len(by_xet) == 5
    plain(monkeypatch)
    got = api.snapshot_download("alice/xet-folder", repo_type=kind, local_dir=tmp_path / "plain")
    assert files_of(got) == files_of(folder) and len(by_xet) == 5


def run_hf(hub, home, *args, **env):
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.tokens["alice"], "HF_HOME": str(home), **env}
    done = subprocess.run([HF, *map(str, args)], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line(hub, folder, tmp_path):
    run_hf(hub, tmp_path / "home", "upload", "alice/xet-cli", folder)
    run_hf(hub, tmp_path / "home", "download", "alice/xet-cli", "--local-dir", tmp_path / "got")
    assert files_of(tmp_path / "got") == files_of(folder)


def changed(data, seed):
    """A copy of which a twentieth is other bytes, and some before it were taken out."""
    n, new = len(data), noise(len(data) // 20, seed)
    at = n // 3
    return data[:at - 777] + new + data[at + len(new):]


@pytest.mark.parametrize("machine", ["the same", "another"])
def test_a_changed_copy_costs_little(hub, tmp_path, machine):
    data, repo = noise(40 * MB, machine), f"alice/xet-copy-{machine.split()[0]}"
    (tmp_path / "a.bin").write_bytes(data)
    (tmp_path / "b.bin").write_bytes(changed(data, 5))
    begin = stored(hub)
    run_hf(hub, tmp_path / "home", "upload", repo, tmp_path / "a.bin")
    before = stored(hub)
    assert before - begin >= len(data)
    run_hf(hub, tmp_path / ("home" if machine == "the same" else "other"), "upload", repo, tmp_path / "b.bin")
    assert stored(hub) - before <= 0.08 * len(data)
    got = hub.api("alice").hf_hub_download(repo, "b.bin", cache_dir=tmp_path / "got")
    assert pathlib.Path(got).read_bytes() == changed(data, 5)


def test_the_same_file_again_costs_nothing(hub, model, tmp_path):
    api = hub.api("bob")
    api.create_repo("bob/xet-again")
    before = stored(hub)
    run = {"path_or_fileobj": model, "path_in_repo": "m.safetensors", "repo_id": "bob/xet-again"}
    api.upload_file(**run)
    assert stored(hub) == before
    got = api.hf_hub_download("bob/xet-again", "m.safetensors", cache_dir=tmp_path)
    assert pathlib.Path(got).read_bytes() == model.read_bytes()


# --- by hand ---------------------------------------------------------------------------------------------------------

def test_names_of_the_file(hub, model):
    digest, text = hashlib.sha256(model.read_bytes()).hexdigest(), xet_hash(hub, "alice/xet-model", "model.safetensors")
    with hub.http("alice") as c:
        r = c.head("/alice/xet-model/resolve/main/model.safetensors")
        route = f"{hub.url}/api/models/alice/xet-model/xet-read-token/{r.headers['x-repo-commit']}"
        assert r.headers["x-xet-hash"] == text and r.headers["x-xet-refresh-route"] == route
        assert f'<{route}>; rel="xet-auth"' in r.headers["link"] and r.headers["x-linked-etag"] == f'"{digest}"'
        assert c.get(route).json()["casUrl"] == hub.url + "/xet"
        rows = c.get("/api/models/alice/xet-model/tree/main").json()
    assert [(x["path"], x.get("xetHash")) for x in rows] == [(".gitattributes", None), ("model.safetensors", text)]


def test_how_a_file_is_fetched_instead_of_its_bytes(hub, model):
    """What clients in JavaScript ask first."""
    with hub.http("alice") as c:
        headers = {"Accept": "application/vnd.xet-fileinfo+json, */*", "Range": "bytes=0-0"}
        r = c.get("/alice/xet-model/resolve/main/model.safetensors", headers=headers)
        assert (r.status_code, r.headers["content-type"]) == (200, "application/vnd.xet-fileinfo+json")
        assert r.headers["x-linked-size"] == str(10 * MB) and "vary" in r.headers and "content-range" not in r.headers
        text = xet_hash(hub, "alice/xet-model", "model.safetensors")
        assert f'<{hub.url}/xet/v1/reconstructions/{text}>; rel="xet-reconstruction-info"' in r.headers["link"]
        assert c.get("/alice/xet-model/resolve/main/.gitattributes", headers=headers).status_code == 206


def test_a_token_says_the_same_in_headers_and_body(hub, model):
    with hub.http("alice") as c:
        r = c.get("/api/models/alice/xet-model/xet-write-token/main")
    body = r.json()
    assert r.headers["x-xet-access-token"] == body["accessToken"] and r.headers["x-xet-cas-url"] == body["casUrl"]
    assert int(r.headers["x-xet-token-expiration"]) == body["exp"] >= time.time() + 900


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("span", [None, (0, 0), (123_456, 7_654_321), (9_999_999, 12_000_000)])
def test_a_file_put_together_by_hand(hub, model, version, span):
    """The bytes are noise, so that chunks are stored as they are: eight bytes of header before each."""
    text, data = xet_hash(hub, "alice/xet-model", "model.safetensors"), model.read_bytes()
    want = data[span[0]:span[1] + 1] if span else data
    headers = {"Range": f"bytes={span[0]}-{span[1]}"} if span else {}
    with cas(hub, token(hub, "alice", "alice/xet-model", "read")) as c:
        r = c.get(f"/xet/v{version}/reconstructions/{text}", headers=headers)
    assert r.status_code == 200
    plan, got = r.json(), b""
    with hub.http() as c:
        for term in plan["terms"]:
            first, end = term["range"]["start"], term["range"]["end"]
            if version == 1:
                e = next(e for e in plan["fetch_info"][term["hash"]] if e["range"]["start"] <= first and end <= e["range"]["end"])
                url, at, lie = e["url"], e["range"]["start"], e["url_range"]
            else:
                e, x = next((e, x) for e in plan["xorbs"][term["hash"]] for x in e["ranges"]
                            if x["chunks"]["start"] <= first and end <= x["chunks"]["end"])
                url, at, lie = e["url"], x["chunks"]["start"], x["bytes"]
            r = c.get(url, headers={"Range": f"bytes={lie['start']}-{lie['end']}"})
            assert r.status_code == 206 and len(r.content) == lie["end"] - lie["start"] + 1
            chunks, off = [], 0
            while off < len(r.content):
                n, scheme = int.from_bytes(r.content[off + 1:off + 4], "little"), r.content[off + 4]
                assert scheme == 0
                chunks.append(r.content[off + 8:off + 8 + n])
                off += 8 + n
            piece = b"".join(chunks[first - at:end - at])
            assert len(piece) == term["unpacked_length"]
            got += piece
    skip = plan["offset_into_first_range"]
    assert got[skip:skip + len(want)] == want


def fetch_url(hub, c):
    r = c.get(f"/xet/v1/reconstructions/{xet_hash(hub, 'alice/xet-model', 'model.safetensors')}", headers={"Range": "bytes=0-99"})
    (xorb, (entry,)), = r.json()["fetch_info"].items()
    return xorb, entry["url"], entry["url_range"]


def test_an_address_of_a_stretch_is_for_that_alone(hub, model):
    with cas(hub, token(hub, "alice", "alice/xet-model", "read")) as c:
        xorb, url, lie = fetch_url(hub, c)
    with hub.http() as c:
        assert c.get(url).status_code == 206
        assert len(c.get(url).content) == lie["end"] - lie["start"] + 1
        assert c.get(url, headers={"Range": f"bytes=0-{lie['end'] + 1}"}).status_code == 416
        assert c.get(url, headers={"Range": f"bytes={lie['end'] + 1}-{lie['end'] + 1}"}).status_code == 416
        assert c.get(url.replace(f"-{lie['end']}.", f"-{lie['end'] + 1}.")).status_code == 403
        assert c.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403
        past = sign(hub.data, "xorb", f"{xorb}-0-{lie['end']}", int(time.time()) - 1)
        assert c.get(f"/xet/fetch/{past}").status_code == 403
        assert c.get(f"/xet/fetch/{sign(hub.data, 'xorb', f'{xorb}-0-99')}").status_code == 206
        assert c.get(f"/xet/fetch/{sign(hub.data, 'other', f'{xorb}-0-99')}").status_code == 403


def test_the_key_is_for_its_owner_alone(hub):
    assert (hub.data / "hub.key").stat().st_mode & 0o777 == 0o600


def test_whether_something_is_here(hub, model):
    text = xet_hash(hub, "alice/xet-model", "model.safetensors")
    with cas(hub, token(hub, "alice", "alice/xet-model")) as c:
        xorb = c.get(f"/xet/v1/reconstructions/{text}").json()["terms"][0]["hash"]
        assert c.head(f"/xet/v1/files/{text}").status_code == 200
        assert c.head(f"/xet/v1/files/{'0' * 63}1").status_code == 404
        assert c.head(f"/xet/v1/xorbs/default/{xorb}").status_code == 200
        assert c.head(f"/xet/v1/xorbs/default/{'0' * 63}1").status_code == 404
        assert c.get(f"/xet/v1/chunks/default-merkledb/{'0' * 63}1").status_code == 404
        assert c.get("/xet/v1/chunks/default/nonsense").status_code == 400
        assert c.get(f"/xet/v1/reconstructions/{text}", headers={"Range": f"bytes={10 * MB}-"}).status_code == 416
        assert c.post("/xet/v2/shards", content=b"").status_code == 404
    with hub.http() as c:
        assert c.post("/v1/telemetry", json={}).status_code == 204


# --- rights ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("repo,user,reading,kind,params,status", [
    ("alice/xet-model", None, False, "write", {}, 401),
    ("alice/xet-model", "bob", False, "write", {}, 404),
    ("alice/xet-model", "bob", False, "read", {}, 404),
    ("alice/xet-model", "alice", True, "write", {}, 403),
    ("alice/xet-model", "alice", True, "read", {}, 200),
    ("alice/xet-rights", None, False, "read", {}, 200),
    ("alice/xet-rights", None, False, "write", {}, 401),
    ("alice/xet-rights", None, False, "write", {"create_pr": "1"}, 401),
    ("alice/xet-rights", "bob", False, "write", {}, 403),
    ("alice/xet-rights", "bob", False, "write", {"create_pr": "1"}, 200),
    ("alice/xet-rights", "bob", True, "write", {"create_pr": "1"}, 403),
    ("alice/xet-none", "alice", False, "write", {}, 404),
])
def test_who_gets_a_token(hub, model, repo, user, reading, kind, params, status):
    hub.api("alice").create_repo("alice/xet-rights", exist_ok=True)
    given = (hub.read_tokens if reading else hub.tokens)[user] if user else None
    with hub.http(token=given) as c:
        assert c.get(f"/api/models/{repo}/xet-{kind}-token/main", params=params).status_code == status


def test_another_repositorys_token_opens_nothing(hub, model):
    text = xet_hash(hub, "alice/xet-model", "model.safetensors")
    hub.api("bob").create_repo("bob/xet-mine")
    with cas(hub, token(hub, "bob", "bob/xet-mine")) as c:
        assert c.get(f"/xet/v1/reconstructions/{text}").status_code == 404
        assert c.get(f"/xet/v2/reconstructions/{text}").status_code == 404
        assert c.head(f"/xet/v1/files/{text}").status_code == 404


def test_tokens_that_are_none(hub, model):
    text, repo = xet_hash(hub, "alice/xet-model", "model.safetensors"), token(hub, "alice", "alice/xet-model", "read").split(".")[0]
    path = f"/xet/v1/reconstructions/{text}"
    for given, status in ((None, 401), ("nonsense", 401), (hub.tokens["alice"], 401),
                          (sign(hub.data, "xet", repo), 200),
                          (sign(hub.data, "xet", repo, int(time.time()) - 1), 401),
                          (sign(hub.data, "lfs-put", repo), 401),
                          (sign(hub.data, "xet", repo)[:-1] + "x", 401),
                          (sign(hub.data, "xet", repo).replace("r-", "w-"), 401),
                          (sign(hub.data, "xet", repo[:-1] + ("0" if repo[-1] != "0" else "1")), 404)):
        with hub.http(token=given) as c:
            assert c.get(path).status_code == status, given


def test_a_token_for_reading_writes_nothing(hub, model):
    with cas(hub, token(hub, "alice", "alice/xet-model", "read")) as c:
        assert c.post(f"/xet/v1/xorbs/default/{'0' * 64}", content=b"x").status_code == 403
        assert c.post("/xet/v1/shards", content=b"x").status_code == 403


def test_a_token_ends_with_its_repository(hub):
    api = hub.api("alice")
    api.create_repo("alice/xet-gone")
    text = token(hub, "alice", "alice/xet-gone")
    api.delete_repo("alice/xet-gone")
    api.create_repo("alice/xet-gone")
    with cas(hub, text) as c:
        assert c.post("/xet/v1/shards", content=b"").status_code == 404


# --- lies ------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def upload(hub, tmp_path_factory):
    """What the real client sent for one file: (bytes, path of the xorb, xorb, shard)."""
    from huggingface_hub import HfApi
    data = noise(2 * MB, 77)
    path = tmp_path_factory.mktemp("seen") / "a.bin"
    path.write_bytes(data)
    with Between(hub.url) as b:
        api = HfApi(endpoint=b.url, token=hub.tokens["alice"])
        api.create_repo("alice/xet-seen", private=True)
        api.upload_file(path_or_fileobj=path, path_in_repo="a.bin", repo_id="alice/xet-seen")
        (xorb_path, xorb), = [(p, body) for _, p, body, status in b.seen if p.startswith("/xet/v1/xorbs/") and status == 200]
        shard = b.bodies("/xet/v1/shards")[-1]
    return data, xorb_path, xorb, shard


@pytest.fixture
def liar(hub):
    hub.api("bob").create_repo("bob/xet-lies", exist_ok=True)
    with cas(hub, token(hub, "bob", "bob/xet-lies")) as c:
        yield c


def linked(hub, data):
    """Whether bob's repository may name the file."""
    with hub.http("bob") as c:
        body = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
        return c.post("/bob/xet-lies.git/info/lfs/verify", json=body).status_code == 200


def test_xorbs_that_are_not_what_they_say(hub, upload, liar):
    _, path, xorb, _ = upload
    flipped = bytearray(xorb)
    flipped[1000] ^= 1
    before = stored(hub)
    for why, where, body in (("another name", path[:-64] + "1" * 64, xorb), ("a changed byte", path, bytes(flipped)),
                             ("cut off", path, xorb[:-1]), ("nothing", path, b""), ("no xorb", path, b"\xff" * 100)):
        assert liar.post(where, content=body).status_code == 400, why
    assert liar.post(path[:-64] + "../../x", content=xorb).status_code in (400, 404)
    assert liar.post(path, content=bytes(67 << 20)).status_code == 413
    assert stored(hub) == before
    assert liar.post(path, content=xorb).json() == {"was_inserted": False}


def turned(digest):
    return b"".join(digest[i:i + 8][::-1] for i in range(0, 32, 8))


def test_shards_that_are_not_what_they_say(hub, upload, liar):
    data, path, _, shard = upload
    record, xorb = turned(hashlib.sha256(data).digest()), hash_bytes(path[-64:])
    file_hash = shard[48:80]
    flags, terms = struct.unpack_from("<II", shard, 80)
    ranges = 96 + 48 * terms
    assert flags & 0xC0000000 == 0xC0000000 and record in shard and shard[96:128] == xorb
    lies = {
        "another SHA-256": shard.replace(record, turned(hashlib.sha256(b"x").digest())),
        "a xorb that is not here": shard.replace(xorb, b"\7" * 32),
        "a range hash that was guessed": shard[:ranges] + b"\7" * 32 + shard[ranges + 32:],
        "another file": shard.replace(file_hash, b"\7" * 32),
        "another size": shard[:132] + struct.pack("<I", len(data) + 1) + shard[136:],
        "chunks beyond the xorb": shard[:140] + struct.pack("<I", 8000) + shard[144:],
        "no range hashes": shard[:80] + struct.pack("<I", flags & ~0x80000000) + shard[84:],
        "cut off": shard[:200],
        "nothing": b"",
        "no shard": b"\xff" * 500,
    }
    for why, body in lies.items():
        assert body != shard, why
        assert liar.post("/xet/v1/shards", content=body).status_code == 400, why
        assert not linked(hub, data), why
    assert liar.post("/xet/v1/shards", content=bytes(67 << 20)).status_code == 413


def test_who_has_the_chunks_may_name_the_file(hub, upload, liar):
    """The hashes of ranges prove it, as with the real client's second upload elsewhere."""
    data, _, _, shard = upload
    assert liar.post("/xet/v1/shards", content=shard).json() == {"result": 0}
    assert linked(hub, data)


def test_an_answer_about_a_chunk_tells_no_hashes(hub, upload):
    """Its first chunk's hash is known to who has the file; the answer hides all hashes behind a key of its own."""
    _, path, xorb, shard = upload
    at = shard.index(hash_bytes(path[-64:]) + b"\0", 96 + 48 * struct.unpack_from("<I", shard, 84)[0])
    first = shard[at + 48:at + 80]
    with cas(hub, token(hub, "alice", "alice/xet-seen")) as c:
        one = c.get(f"/xet/v1/chunks/default-merkledb/{hash_text(first)}")
        two = c.get(f"/xet/v1/chunks/default/{hash_text(first)}")
    assert one.status_code == two.status_code == 200 and len(one.content) == len(two.content)
    assert one.content != two.content and first not in one.content and hash_bytes(path[-64:]) in one.content


def test_a_commit_cannot_name_anothers_file(hub, model):
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    hub.api("wendy").create_repo("wendy/xet-thief")
    lines = ('{"key":"header","value":{"summary":"x"}}\n'
             f'{{"key":"lfsFile","value":{{"path":"a.bin","algo":"sha256","oid":"{digest}","size":{10 * MB}}}}}\n')
    with hub.http("wendy") as c:
        r = c.post("/api/models/wendy/xet-thief/commit/main", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert r.status_code == 400 and digest in r.json()["error"]
