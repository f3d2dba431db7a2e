"""Running what the hub holds: models that the real huggingface_hub pushed, by the names of their repositories."""
import json
import os
import pathlib
import threading

import pytest
from conftest import repo_name
from running import PROMPT, answer, cloche, command, digest, push, push_ggufs, save_llama, snapshots, tiny_models


@pytest.fixture(scope="module")
def llamas(tmp_path_factory):
    """Folders of small models, which differ."""
    at = tmp_path_factory.mktemp("llamas")
    return [save_llama(at / str(seed), seed) for seed in (1, 2)]


@pytest.fixture(params=["xet", "lfs"])
def storage(request, monkeypatch):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", request.param == "lfs")
    return request.param


# --- safetensors -----------------------------------------------------------------------------------------------------

def test_a_model_that_transformers_saved(hub, llamas, storage, request, tmp_path):
    name, folder = repo_name(request), llamas[storage == "lfs"]
    push(hub, folder, name)
    assert answer(hub.data, name) == answer(hub.data, folder)
    assert digest(hub.data, name, tmp_path) == digest(hub.data, folder, tmp_path)
    assert answer(hub.data, name.upper()) == answer(hub.data, folder)


def test_no_byte_lies_twice(hub, llamas, storage, request):
    name, folder = repo_name(request), llamas[storage == "lfs"]
    push(hub, folder, name)
    answer(hub.data, name)
    [at] = snapshots(hub, name)
    weights = at / "model.safetensors"
    inode = weights.stat()
    names = [p for root in ("lfs", "blobs", "snapshots") for p in (hub.data / root).rglob("*") if p.is_file() and p.stat().st_ino == inode.st_ino]
    assert len(names) == inode.st_nlink >= 3 and {p.relative_to(hub.data).parts[0] for p in names} == {"lfs", "blobs", "snapshots"}
    assert weights.read_bytes() == (folder / "model.safetensors").read_bytes()
    answer(hub.data, name)
    assert weights.stat().st_ino == inode.st_ino


def test_shards(hub, request, tmp_path):
    name = repo_name(request)
    push(hub, save_llama(tmp_path / "m", 3, max_shard_size="60KB"), name)
    assert len(list((tmp_path / "m").glob("model-*.safetensors"))) > 1
    assert answer(hub.data, name) == answer(hub.data, tmp_path / "m")


def test_what_is_missing_in_a_snapshot_is_made_again(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[0], name)
    said = answer(hub.data, name)
    [at] = snapshots(hub, name)
    (at / "config.json").write_text("{")  # cut off
    (at / "model.safetensors").unlink()
    (at / "tokenizer.json").unlink()
    assert answer(hub.data, name) == said


def test_revisions(hub, llamas, request):
    name, api = repo_name(request), hub.api("alice")
    first = push(hub, llamas[0], name)
    api.create_tag(name, tag="v1.0")
    api.create_branch(name, branch="dev/next")
    second = push(hub, llamas[1], name)
    one, two = (answer(hub.data, m) for m in llamas)
    assert one != two
    for rev in ("", "@main", f"@{second}", f"@{second[:8]}", "@refs/heads/main"):
        assert answer(hub.data, name + rev) == two, rev
    for rev in ("@v1.0", "@dev/next", f"@{first}", f"@{first[:7]}"):
        assert answer(hub.data, name + rev) == one, rev
    told = cloche(hub.data, "run", name + "@v9", PROMPT, code=4)
    assert f"'{name}' has no revision 'v9'" in told and f"cloche pull {name}" in told


def test_a_new_card_is_no_new_model(hub, llamas, request):
    name, api = repo_name(request), hub.api("alice")
    push(hub, llamas[0], name)
    answer(hub.data, name)
    prepared = set((hub.data / "prepared").iterdir())
    api.upload_file(repo_id=name, path_in_repo="README.md", path_or_fileobj=b"# A card\n")
    answer(hub.data, name)
    assert len(snapshots(hub, name)) == 1 and set((hub.data / "prepared").iterdir()) == prepared
    push(hub, llamas[1], name)
    answer(hub.data, name)
    assert len(snapshots(hub, name)) == 2


def test_what_is_not_there(hub, llamas, request):
    name = repo_name(request)
    assert f"cloche pull {name}" in cloche(hub.data, "run", name, PROMPT, code=4)
    assert "cloche list" in cloche(hub.data, "run", "nothing", PROMPT, code=4)
    hub.api("alice").create_repo(name)
    assert "holds no model that can be run" in cloche(hub.data, "run", name, PROMPT, code=1)
    push(hub, llamas[0], name)
    answer(hub.data, name)
    hub.api("alice").move_repo(name, name + "-moved")
    assert answer(hub.data, name) == answer(hub.data, name + "-moved")
    hub.api("alice").delete_repo(name + "-moved")
    cloche(hub.data, "run", name, PROMPT, code=4)
    cloche(hub.data, "run", name + "-moved", PROMPT, code=4)


def test_who_owns_the_data_folder_needs_no_token(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[0], name, private=True)
    push(hub, llamas[0], name + "-gated")
    hub.api("alice").update_repo_settings(name + "-gated", gated="manual")
    assert answer(hub.data, name) == answer(hub.data, name + "-gated") == answer(hub.data, llamas[0])


def test_every_command_takes_it(hub, llamas, request, tmp_path):
    name = repo_name(request)
    commit = push(hub, llamas[0], name)
    for args in (["tokenize", name, "a bell"], ["inspect", name, "--tensor", "model.norm.weight", "--json"], ["logits", name, "--tokens", "1,2,3", "--top", "2"],
                 ["render", "--model", name, "-"], ["perplexity", name, tmp_path / "text"], ["embed", name, "a bell"]):
        (tmp_path / "text").write_text("The bell rings over the glass. " * 4)
        there, here = (command(hub.data, *(a if a != name else m for a in args)) for m in (name, llamas[0]))
        assert (there.returncode, there.stdout) == (here.returncode, here.stdout), (args, there.stderr)
    shown = json.loads(cloche(hub.data, "show", name + "@main", "--json"))
    assert shown["repository"] == {"id": name, "commit": commit} and shown["family"] == "llama"
    assert commit in cloche(hub.data, "show", name)
    assert "fsck" in cloche(hub.data, "show", name, "--verify", code=2)


def test_a_receipt_is_replayed(hub, llamas, request, tmp_path):
    name = repo_name(request)
    push(hub, llamas[0], name)
    answer(hub.data, name, "--receipt", tmp_path / "r")
    push(hub, llamas[1], name)
    cloche(hub.data, "replay", tmp_path / "r", name, code=3)
    cloche(hub.data, "replay", tmp_path / "r", llamas[0])
    for what in ("safetensors", "gguf"):
        name, data = f"{name}-{what}", tmp_path / what
        if what == "gguf":
            push_ggufs(hub, name, {"tiny-a-name-that-is-long-Q8_0.gguf": "q8_0"})
        else:
            push(hub, llamas[1], name)
        cloche(data, "pull", name, "--from", hub.url)
        answer(data, name, "--receipt", tmp_path / what / "r")
        assert "the same" in cloche(data, "replay", tmp_path / what / "r")  # found by its digest


# --- GGUF ------------------------------------------------------------------------------------------------------------

def test_one_gguf(hub, storage, request, tmp_path):
    name = repo_name(request)
    push_ggufs(hub, name, {"tiny.gguf": "q8_0"})
    file = tmp_path / "tiny.gguf"
    file.write_bytes(tiny_models.model_bytes("q8_0"))
    for spelled in (name, name + ":latest", name + ":tiny.gguf", name + ":tiny", name + "@main"):
        assert answer(hub.data, spelled) == answer(hub.data, file), spelled


def test_several_ggufs(hub, request, tmp_path):
    name = repo_name(request)
    files = {"tiny-Q8_0.gguf": "q8_0", "tiny.Q4_0.gguf": "q4_0", "F32/tiny.gguf": "f32", "mmproj-tiny.gguf": "f32"}
    push_ggufs(hub, name, files)
    told = cloche(hub.data, "run", name, PROMPT, code=2)
    assert all(f in told for f in files if f != "mmproj-tiny.gguf") and "mmproj" not in told
    told = cloche(hub.data, "run", name + ":Q5_K_M", PROMPT, code=4)
    assert "tiny-Q8_0.gguf" in told
    said = {}
    for kind in ("q8_0", "q4_0", "f32"):
        (tmp_path / kind).write_bytes(tiny_models.model_bytes(kind))
        said[kind] = answer(hub.data, tmp_path / kind)
    for tag, kind in (("Q8_0", "q8_0"), ("q4_0", "q4_0"), ("F32", "f32"), ("F32/tiny.gguf", "f32"), ("tiny-Q8_0.gguf", "q8_0")):
        assert answer(hub.data, f"{name}:{tag}") == answer(hub.data, f"{name}@main:{tag}") == answer(hub.data, f"{name}:{tag}@main") == said[kind]
    push_ggufs(hub, name, {"tiny-Q4_K_M.gguf": "q4_k"})
    (tmp_path / "q4_k").write_bytes(tiny_models.model_bytes("q4_k"))
    assert answer(hub.data, name) == answer(hub.data, tmp_path / "q4_k")


def test_a_gguf_in_parts(hub, request, tmp_path):
    name = repo_name(request)
    rows, n = list(tiny_models.tensors("q8_0", 391)), 3
    for i in range(n):
        part = {"split.no": i, "split.count": n, "split.tensors.count": len(rows)}
        raw = tiny_models.file_bytes({**(tiny_models.metadata("q8_0") if i == 0 else {"general.alignment": 32}), **part}, rows[i * 7:(i + 1) * 7])
        (tmp_path / f"tiny-Q8_0-{i + 1:05}-of-{n:05}.gguf").write_bytes(raw)
    push(hub, tmp_path, name)
    said = answer(hub.data, tmp_path / "tiny-Q8_0-00001-of-00003.gguf")
    assert len(rows) == 21 and answer(hub.data, name) == answer(hub.data, name + ":Q8_0") == said
    hub.api("alice").delete_file("tiny-Q8_0-00003-of-00003.gguf", name)
    assert "2 of the 3 parts" in cloche(hub.data, "run", name, PROMPT, code=4)


def test_safetensors_go_before_gguf(hub, llamas, request, tmp_path):
    name = repo_name(request)
    push(hub, llamas[0], name)
    push_ggufs(hub, name, {"gguf/tiny-Q8_0.gguf": "q8_0"})
    assert answer(hub.data, name) == answer(hub.data, llamas[0])
    (tmp_path / "q8_0").write_bytes(tiny_models.model_bytes("q8_0"))
    assert answer(hub.data, name + ":Q8_0") == answer(hub.data, tmp_path / "q8_0")


# --- beside a server, and later ---------------------------------------------------------------------------------------

def test_while_the_server_writes(hub, llamas, request):
    name, api = repo_name(request), hub.api("alice")
    push(hub, llamas[0], name)
    stop, wrote = threading.Event(), []

    def write():
        while not stop.is_set():
            api.upload_file(repo_id=name, path_in_repo=f"notes/{len(wrote)}.txt", path_or_fileobj=b"a note\n")
            wrote.append(1)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        said = {answer(hub.data, name) for _ in range(5)}
    finally:
        stop.set()
        writer.join()
    assert said == {answer(hub.data, llamas[0])} and len(wrote) > 5


def test_what_was_pulled_runs(hub, llamas, request, tmp_path):
    name = repo_name(request)
    push(hub, llamas[0], name)
    cloche(tmp_path / "far", "pull", name, "--from", hub.url)
    assert answer(tmp_path / "far", name) == answer(hub.data, llamas[0])


def test_gc_takes_what_is_not_used(hub, llamas, request, tmp_path):
    name, data = repo_name(request), tmp_path / "own"
    push(hub, llamas[0], name)
    cloche(data, "pull", name, "--from", hub.url)
    answer(data, name)
    at = next((data / "snapshots").glob("*/*"))
    cloche(data, "gc")
    assert (at / "model.safetensors").exists()
    os.utime(at / ".used", (1, 1))
    assert "snapshot" in cloche(data, "gc", "--dry-run") and (at / "model.safetensors").exists()
    prepared = set((data / "prepared").iterdir())
    assert prepared and str(at) in cloche(data, "gc") and not at.exists() and not list((data / "prepared").iterdir())
    assert answer(data, name) == answer(hub.data, llamas[0])
    cloche(data, "repo", "delete", name)
    cloche(data, "gc")
    assert not list((data / "snapshots").glob("*/*"))
    assert "all is whole" in cloche(data, "fsck")


def test_gc_takes_the_whole_form_of_what_came_by_xet(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[1], name)
    said = answer(hub.data, name)
    [at] = snapshots(hub, name)
    weights, inode = at / "model.safetensors", (at / "model.safetensors").stat().st_ino
    for used in (hub.data / "snapshots").glob("*/*/.used"):
        os.utime(used, (1, 1))
    os.utime(weights, (1, 1))
    cloche(hub.data, "gc")
    left = [p for root in ("lfs", "blobs") for p in (hub.data / root).rglob("*") if p.is_file() and p.stat().st_ino == inode]
    assert not left and not weights.exists()
    got = hub.api("alice").hf_hub_download(name, "model.safetensors", force_download=True)
    assert pathlib.Path(got).read_bytes() == (llamas[1] / "model.safetensors").read_bytes()
    assert answer(hub.data, name) == said
