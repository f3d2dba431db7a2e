"""Import: what lies on disk becomes a repository, and the real clients read it."""
import os
import subprocess

import pytest
from test_pull import MB, cloche, command, fsck, git, history, noise, pull, serving, sha256, tree


def bring(data, source, repo, *args, code=0):
    return cloche(data, "import", source, "--repo", repo, *args, "--json", code=code)


def api_of(server):
    from huggingface_hub import HfApi
    return HfApi(endpoint=server.url, token=False)


def make_folder(folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "w.safetensors").write_bytes(noise(MB, 1))
    (folder / "sub").mkdir()
    (folder / "sub" / "text.txt").write_text("a\n" * 1000)
    (folder / "empty.bin").write_bytes(b"")
    (folder / "link.txt").symlink_to("sub/text.txt")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_text("not this")
    return folder


def test_a_folder(tmp_path):
    data, folder = tmp_path / "b", make_folder(tmp_path / "in")
    r = bring(data, folder, "lab/folder", "--message", "all of it")
    assert (r["kind"], r["new"], r["commits"], r["files"]) == ("folder", True, 1, 1)
    with serving(data) as s:
        api = api_of(s)
        got = tree(api.snapshot_download("lab/folder", local_dir=tmp_path / "out"))
        assert {k: v for k, v in got.items() if k != ".gitattributes"} == tree(folder)
        assert [c.title for c in api.list_repo_commits("lab/folder")] == ["all of it"]
        assert api.get_paths_info("lab/folder", ["w.safetensors"])[0].lfs.sha256 == sha256(noise(MB, 1))
        history(s.url, tmp_path, "lab/folder")
        assert bring(data, folder, "lab/folder")["commits"] == 0
        (folder / "sub" / "text.txt").unlink()
        (folder / "link.txt").unlink()
        (folder / "new.txt").write_text("new")
        r = bring(data, folder, "lab/folder")
        assert r["commits"] == 1 and not r["new"]
        assert set(api.list_repo_files("lab/folder")) == {".gitattributes", "config.json", "w.safetensors", "empty.bin", "new.txt"}
        one = tmp_path / "m.gguf"
        one.write_bytes(b"GGUF" + noise(MB, 2))
        assert bring(data, one, "lab/folder")["kind"] == "file"
        assert "m.gguf" in api.list_repo_files("lab/folder") and "new.txt" in api.list_repo_files("lab/folder")
        assert bring(data, one, "lab/gguf", "--private")["files"] == 1
    assert {r["id"]: r["private"] for r in cloche(data, "repo", "list", "--json")} == {"lab/folder": False, "lab/gguf": True}
    fsck(data)


def test_what_leads_out_is_refused(tmp_path):
    data, folder = tmp_path / "b", make_folder(tmp_path / "in")
    (tmp_path / "secret").write_text("secret")
    (folder / "x").symlink_to(tmp_path / "secret")
    assert "leads out" in bring(data, folder, "lab/out", code=5)
    (folder / "x").unlink()
    (folder / "bad\\name").write_text("x")
    bring(data, folder, "lab/out", code=2)
    assert cloche(data, "repo", "list", "--json") == []
    bring(data, tmp_path / "nothing", "lab/out", code=4)
    assert "go with --repo" in cloche(data, "import", folder, "--private", code=2)


def test_a_clone(tmp_path):
    data, work = tmp_path / "b", tmp_path / "work"
    work.mkdir()
    lfs = {"GIT_LFS_SKIP_SMUDGE": "0"}

    def here(*args):
        return git("-C", work, *args, cwd=tmp_path)
    git("lfs", "install", cwd=tmp_path)
    git("init", "-q", "-b", "trunk", work, cwd=tmp_path)
    here("lfs", "track", "*.bin")
    for i in range(3):
        (work / "a.bin").write_bytes(noise(MB, i))
        (work / "text.txt").write_text(f"{i}\n" * 500)
        here("add", "-A")
        here("commit", "-qm", f"commit {i}")
        here("tag", "-a", f"v{i}", "-m", "a tag")
    here("checkout", "-qb", "dev")
    here("commit", "-q", "--allow-empty", "-m", "dev")
    here("gc", "-q")
    assert lfs and len(list((work / ".git/lfs/objects").rglob("?" * 64))) == 3
    r = bring(data, work, "lab/clone")
    assert (r["kind"], r["refs"], r["files"], r["absent"]) == ("clone", 6, 3, 0)  # main too, where HEAD is
    fsck(data)
    with serving(data) as s:
        refs, _ = history(s.url, tmp_path, "lab/clone")
        mine = here("for-each-ref", "--format=%(refname) %(objectname)")
        assert refs.splitlines() == sorted(mine.splitlines() + [f"refs/heads/main {here('rev-parse', 'dev').strip()}"])
        got = api_of(s).hf_hub_download("lab/clone", "a.bin", revision="v1", cache_dir=tmp_path / "cache")
        assert open(got, "rb").read() == noise(MB, 1)
    assert bring(data, work, "lab/clone")["refs"] == 0
    here("commit", "-q", "--allow-empty", "-m", "more")
    assert bring(data, work, "lab/clone")["refs"] == 1
    here("commit", "-q", "--allow-empty", "--amend", "-m", "other")
    assert "another way" in bring(data, work, "lab/clone", code=5)
    bring(data, work, "lab/clone", "--force")
    git("clone", "-q", "--bare", work, "bare.git", cwd=tmp_path)
    r = bring(data, tmp_path / "bare.git", "lab/bare")  # without large files: those of the other repository are not copied
    assert (r["kind"], r["absent"]) == ("clone", 0)
    other = tmp_path / "c"
    assert bring(other, tmp_path / "bare.git", "lab/bare")["absent"] == 3
    fsck(other)
    git("clone", "-q", "--depth", "1", f"file://{work}", "shallow", cwd=tmp_path)
    assert "unshallow" in bring(data, tmp_path / "shallow", "lab/shallow", code=1)
    fsck(data)


def test_a_clone_with_a_submodule(tmp_path):
    """Its history stays as it is, here and where it is pulled to; clients see no file there."""
    clone, data = tmp_path / "in", tmp_path / "b"
    git("init", "-q", "-b", "main", clone, cwd=tmp_path)
    (clone / "a.txt").write_text("a\n")
    git("-C", clone, "add", "a.txt", cwd=tmp_path)
    git("-C", clone, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module", cwd=tmp_path)
    git("-C", clone, "commit", "-qm", "x", cwd=tmp_path)
    bring(data, clone, "lab/module")
    with serving(data) as s:
        pull(tmp_path / "c", s.url, "lab/module")
    for folder in (data, tmp_path / "c"):
        fsck(folder)
        with serving(folder) as s:
            api = api_of(s)
            assert api.list_repo_files("lab/module") == ["a.txt"]
            assert set(tree(api.snapshot_download("lab/module", local_dir=tmp_path / f"out-{folder.name}"))) == {"a.txt"}
            history(s.url, tmp_path, "lab/module")


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_cache(hub, tmp_path, kind):
    api, data, cache = hub.api("alice"), tmp_path / "b", tmp_path / "hub"
    repo, words = f"lab/cached-{kind}", ["--type", kind]
    api.create_repo(repo, repo_type=kind)
    commits = []
    for i in range(2):
        api.upload_file(path_or_fileobj=noise(MB, 10 + i), path_in_repo="w.bin", repo_id=repo, repo_type=kind)
        commits.append(api.upload_file(path_or_fileobj=f"{i}\n".encode(), path_in_repo="sub/a.txt", repo_id=repo, repo_type=kind).oid)
        api.snapshot_download(repo, repo_type=kind, cache_dir=cache, revision=None if i else commits[0])
    api.create_tag(repo, tag="v1", revision=commits[0], repo_type=kind)
    api.snapshot_download(repo, repo_type=kind, cache_dir=cache, revision="v1")
    source = cache / f"{kind}s--lab--cached-{kind}"
    assert len(os.listdir(source / "snapshots")) == 2
    r = bring(data, source, repo, *words)
    assert (r["kind"], r["commits"], r["files"]) == ("cache", 2, 2)
    with serving(data) as s:
        here = api_of(s)
        for rev, want in ((None, commits[1]), ("v1", commits[0]), (commits[0], commits[0]), (commits[1], commits[1])):
            got = here.snapshot_download(repo, repo_type=kind, revision=rev, local_dir=tmp_path / f"out-{rev}")
            assert tree(got) == tree(api.snapshot_download(repo, repo_type=kind, revision=want, local_dir=tmp_path / f"want-{rev}"))
    fsck(data)
    assert "there already" in bring(data, source, repo, *words, code=5)
    digest = sha256(noise(MB, 10))
    blob = next(p for p in (source / "blobs").iterdir() if p.name == digest)
    os.chmod(blob, 0o644)
    blob.write_bytes(b"x" + noise(MB, 10)[1:])
    bring(tmp_path / "c", source, repo, *words, code=3)
    assert cloche(tmp_path / "c", "repo", "list", "--json") == []


def test_the_library_is_as_it_was(tmp_path):
    assert command(tmp_path / "b", "import", tmp_path / "none.gguf").returncode == 4
    assert "NS/NAME" in subprocess.run([os.environ["CLOCHE_BIN"], "import", "--help"], capture_output=True, text=True).stdout
    assert pull
