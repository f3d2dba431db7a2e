"""The real git and git-lfs against the hub: clone, fetch, push, refusals, what both sides see of each other's commits."""
import hashlib
import os
import random
import subprocess

import pytest
from conftest import repo_name

ENV = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "alice",
       "GIT_AUTHOR_EMAIL": "alice@hub.test", "GIT_COMMITTER_NAME": "alice", "GIT_COMMITTER_EMAIL": "alice@hub.test"}


def git(*args, cwd=None, ok=True, **env):
    p = subprocess.run(["git", *map(str, args)], cwd=cwd, env=ENV | env, capture_output=True, text=True, timeout=600)
    assert (p.returncode == 0) == ok, (args, p.stdout, p.stderr)
    return p.stdout + p.stderr


@pytest.fixture
def repo(hub, request, tmp_path):
    """A repository of alice's, and a clone of it that may push."""
    name = repo_name(request)
    hub.api("alice").create_repo(name)
    git("clone", "-q", hub.git_url(name, "alice"), tmp_path / "clone")
    return name, tmp_path / "clone"


def commit(folder, message, **files):
    for path, text in files.items():
        (folder / path.replace("__", ".")).write_text(text)
    git("add", "-A", cwd=folder)
    git("commit", "-qm", message, cwd=folder)
    return git("rev-parse", "HEAD", cwd=folder).strip()


@pytest.mark.parametrize("version", [0, 1, 2])
def test_clone_and_push(hub, repo, tmp_path, version):
    name, clone = repo
    first = commit(clone, "first", a__txt="one\n", b__md="two\n")
    git("-c", f"protocol.version={version}", "push", "-q", "origin", "HEAD:main", cwd=clone)
    api = hub.api()
    assert api.model_info(name).sha == first
    assert [c.title for c in api.list_repo_commits(name)] == ["first", "initial commit"]
    other = tmp_path / "other"
    git("-c", f"protocol.version={version}", "clone", "-q", hub.git_url(name), other)
    assert (other / "a.txt").read_text() == "one\n" and git("rev-parse", "HEAD", cwd=other).strip() == first
    git("fsck", "--strict", cwd=other)
    made = hub.api("alice").upload_file(path_or_fileobj=b"by the API\n", path_in_repo="c.txt", repo_id=name)
    git("-c", f"protocol.version={version}", "pull", "-q", cwd=other)
    assert (other / "c.txt").read_text() == "by the API\n" and git("rev-parse", "HEAD", cwd=other).strip() == made.oid
    git("fsck", "--strict", cwd=other)


def test_shallow_and_partial_clones(hub, repo, tmp_path):
    name, clone = repo
    for i in range(5):
        commit(clone, f"number {i}", a__txt=f"{i}\n" * 1000)
    git("push", "-q", "origin", "HEAD:main", cwd=clone)
    git("clone", "-q", "--depth", 2, hub.git_url(name), tmp_path / "shallow")
    assert git("rev-list", "--count", "HEAD", cwd=tmp_path / "shallow").strip() == "2"
    git("fetch", "-q", "--unshallow", cwd=tmp_path / "shallow")
    assert git("rev-list", "--count", "HEAD", cwd=tmp_path / "shallow").strip() == "6"
    git("clone", "-q", "--filter=blob:none", hub.git_url(name), tmp_path / "partial")
    missing = git("rev-list", "--objects", "--missing=print", "HEAD", cwd=tmp_path / "partial")
    assert sum(line.startswith("?") for line in missing.splitlines()) == 4, "old blobs come when they are asked for"
    assert git("show", "HEAD~3:a.txt", cwd=tmp_path / "partial") == "1\n" * 1000


def test_branches_tags_and_force(hub, repo):
    name, clone = repo
    git("checkout", "-q", "-b", "dev", cwd=clone)
    old = commit(clone, "on dev", a__txt="dev\n")
    git("tag", "-a", "v1", "-m", "the first", cwd=clone)
    git("push", "-q", "origin", "dev", "v1", cwd=clone)
    refs = hub.api().list_repo_refs(name)
    assert {b.name: b.target_commit for b in refs.branches}["dev"] == old and [(t.name, t.target_commit) for t in refs.tags] == [("v1", old)]
    git("push", "-q", "origin", "--delete", "dev", cwd=clone)
    assert "main" in git("push", "origin", "--delete", "main", cwd=clone, ok=False)
    assert [b.name for b in hub.api().list_repo_refs(name).branches] == ["main"]


def test_another_way_is_refused_unless_it_is_forced(hub, repo, tmp_path):
    name, clone = repo
    first = hub.api().model_info(name).sha
    commit(clone, "one", a__txt="one\n")
    git("push", "-q", "origin", "HEAD:main", cwd=clone)
    git("clone", "-q", hub.git_url(name, "alice"), tmp_path / "other")
    theirs = commit(tmp_path / "other", "two", a__txt="two\n")
    git("push", "-q", "origin", "HEAD:main", cwd=tmp_path / "other")
    git("commit", "-q", "--amend", "-m", "one, again", cwd=clone)
    mine = git("rev-parse", "HEAD", cwd=clone).strip()
    assert "rejected" in git("push", "origin", "HEAD:main", cwd=clone, ok=False)
    assert "stale info" in git("push", "--force-with-lease", "origin", "HEAD:main", cwd=clone, ok=False)
    assert "You have no right to write" in git("push", "--force", hub.git_url(name, "bob"), "HEAD:main", cwd=clone, ok=False)
    assert hub.api().model_info(name).sha == theirs
    git("push", "-q", "--force", "origin", "HEAD:main", cwd=clone)
    assert hub.api().model_info(name).sha == mine
    assert [c.commit_id for c in hub.api().list_repo_commits(name)] == [mine, first]
    git("fetch", "-q", cwd=tmp_path / "other")
    assert git("rev-parse", "origin/main", cwd=tmp_path / "other").strip() == mine
    git("fsck", "--full", "--strict", cwd=tmp_path / "other")


def test_who_forces_has_seen_what_goes(hub, repo):
    """The hub compares: what was read before another's push is refused, whatever the client says."""
    name, clone = repo
    old = hub.api().model_info(name).sha
    mine = commit(clone, "mine", a__txt="mine\n")
    theirs = hub.api("alice").upload_file(path_or_fileobj=b"theirs\n", path_in_repo="b.txt", repo_id=name).oid
    pack = subprocess.run(["git", "pack-objects", "--revs", "--stdout", "-q"], cwd=clone, env=ENV, input=f"{mine}\n^{old}\n".encode(),
                          capture_output=True, check=True).stdout
    line = f"{old} {mine} refs/heads/main\0report-status".encode()
    with hub.http("alice") as c:
        r = c.post(f"/{name}.git/git-receive-pack", content=b"%04x" % (len(line) + 4) + line + b"0000" + pack,
                   headers={"Content-Type": "application/x-git-receive-pack-request"})
    assert r.status_code == 200 and b"ng refs/heads/main fetch first" in r.content, r.content
    assert hub.api().model_info(name).sha == theirs


def test_who_may(hub, repo, tmp_path):
    name, clone = repo
    commit(clone, "mine", a__txt="x\n")
    assert "could not read Username" in git("push", hub.git_url(name), "HEAD:main", cwd=clone, ok=False), "nobody is asked who it is"
    assert "You have no right to write" in git("push", hub.git_url(name, "bob"), "HEAD:main", cwd=clone, ok=False), "only to pull requests"
    reading = hub.git_url(name, "alice").replace(hub.tokens["alice"], hub.read_tokens["alice"])
    assert "403" in git("push", reading, "HEAD:main", cwd=clone, ok=False), "a token that reads"
    hub.api("alice").update_repo_settings(name, visibility="private")
    for user in (None, "bob"):
        git("clone", "-q", hub.git_url(name, user), tmp_path / f"as-{user}", ok=False)
    git("clone", "-q", hub.git_url(name, "alice"), tmp_path / "as-alice")
    git("clone", "-q", hub.git_url("alice/nothing", "alice"), tmp_path / "nothing", ok=False)


def test_what_a_push_may_not_bring(hub, repo, tmp_path):
    name, clone = repo
    head = hub.api().model_info(name).sha
    (clone / "big.txt").write_text("x" * (11 << 20))
    git("add", "-A", cwd=clone)
    git("commit", "-qm", "big", cwd=clone)
    said = git("push", "origin", "HEAD:main", cwd=clone, ok=False)
    assert "git-lfs" in said, said
    git("reset", "-q", "--hard", head, cwd=clone)
    commit(clone, "a pointer to nothing", w__bin="version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n")
    said = git("push", "origin", "HEAD:main", cwd=clone, ok=False)
    assert "0" * 64 in said, said
    assert hub.api().model_info(name).sha == head, "nothing of it was taken"


def test_many_files_and_a_long_history(hub, repo, tmp_path):
    name, clone = repo
    for i in range(30):
        for j in range(20):
            folder = clone / f"d{j}"
            folder.mkdir(exist_ok=True)
            (folder / f"f{i}.txt").write_text(f"{i} {j}\n" * 50)
        commit(clone, f"round {i}", a__txt=str(i))
    git("push", "-q", "origin", "HEAD:main", cwd=clone)
    git("clone", "-q", hub.git_url(name), tmp_path / "again")
    git("fsck", "--strict", cwd=tmp_path / "again")
    assert git("rev-parse", "HEAD^{tree}", cwd=clone) == git("rev-parse", "HEAD^{tree}", cwd=tmp_path / "again")
    assert len(hub.api().list_repo_files(name)) == 30 * 20 + 2


# --- a push that is large ---------------------------------------------------------------------------------------------

def test_a_pack_of_sixty_megabytes(hub, repo, tmp_path):
    """Files that may be without git-lfs, many of them; a pack may have 512 MiB (test_hostile.py)."""
    name, clone = repo
    for i in range(12):
        (clone / f"{i}.dat").write_bytes(random.Random(i).randbytes(5_000_000))
    made = commit(clone, "sixty megabytes")
    git("-c", "pack.window=0", "push", "-q", "origin", "HEAD:main", cwd=clone)  # git would look for what random bytes share
    assert hub.api().model_info(name).sha == made
    git("clone", "-q", hub.git_url(name), tmp_path / "again")
    assert git("rev-parse", "HEAD", cwd=tmp_path / "again").strip() == made
    git("fsck", "--full", "--strict", cwd=tmp_path / "again")


# --- git-lfs ----------------------------------------------------------------------------------------------------------

@pytest.fixture
def lfs(tmp_path):
    """git with its filter; the configuration is a file of the test's own."""
    config = {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "HOME": str(tmp_path)}
    git("lfs", "install", **config)
    return lambda *args, **kw: git(*args, **config, **kw)


def is_sound(lfs, clone):
    """A clone in which nothing is missing, nothing was changed by the filter, and each pointer's file has the filter."""
    assert lfs("fsck", "--full", "--strict", cwd=clone).count("error") == 0
    first = lfs("rev-list", "--max-parents=0", "HEAD", cwd=clone).split()[0]
    lfs("lfs", "fetch", "--all", cwd=clone)
    for which in ([], [f"{first}..HEAD"]):
        assert lfs("lfs", "fsck", *which, cwd=clone).strip() == "Git LFS fsck OK"
    assert lfs("status", "--porcelain", cwd=clone) == ""
    for path in lfs("lfs", "ls-files", "-n", cwd=clone).splitlines():
        assert lfs("check-attr", "-z", "filter", path, cwd=clone).split("\0")[2] == "lfs", path


def write_large(path, blocks, seed):
    """So many MiB: a block of noise in seven, the others are its like."""
    noise = [random.Random(f"{seed} {i}").randbytes(1 << 20) for i in range(7)]
    digest = hashlib.sha256()
    with open(path, "wb") as f:
        for i in range(blocks):
            block = i.to_bytes(8, "little") + noise[i % 7][8:]
            digest.update(block)
            f.write(block)
    return digest.hexdigest()


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def test_a_large_file_by_git_lfs(hub, repo, tmp_path, lfs):
    name, one = repo
    want = write_large(one / "w.bin", 300, name)
    made = commit_with(lfs, one, "three hundred MiB")
    lfs("push", "-q", "origin", "HEAD:main", cwd=one)
    info, = hub.api().get_paths_info(name, ["w.bin"])
    assert hub.api().model_info(name).sha == made and info.size == 300 << 20 and info.lfs.sha256 == want
    two = tmp_path / "two"
    lfs("clone", "-q", hub.git_url(name, "alice"), two)
    assert digest_of(two / "w.bin") == want
    is_sound(lfs, two)
    with open(two / "w.bin", "r+b") as f:
        f.seek(100 << 20)
        f.write(b"changed")
    (two / "n.safetensors").write_bytes(b"new\n")
    commit_with(lfs, two, "changed")
    lfs("push", "-q", "origin", "HEAD:main", cwd=two)
    lfs("pull", "-q", cwd=one)
    assert digest_of(one / "w.bin") == digest_of(two / "w.bin") != want and (one / "n.safetensors").read_bytes() == b"new\n"
    is_sound(lfs, one)


def commit_with(lfs, folder, message):
    lfs("add", "-A", cwd=folder)
    lfs("commit", "-qm", message, cwd=folder)
    return lfs("rev-parse", "HEAD", cwd=folder).strip()


def test_what_python_uploaded_is_sound_for_git_lfs(hub, repo, tmp_path, lfs):
    """Large and small, by names that .gitattributes has and by those that it has not, in folders, moved, copied, deleted."""
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
    name, noise = repo[0], random.Random(3).randbytes
    api, files = hub.api("alice"), tmp_path / "files"
    (files / "sub" / "a b").mkdir(parents=True)
    for path, data in {"model.safetensors": noise(3_000_000), "small.bin": b"few\n", "empty.bin": b"", "text.txt": b"text\n", "big.txt": b"0123456789abcde\n" * 700_000,
                       "no ending": noise(11_000_000), "sub/a b/odd [1]*.xyz": noise(11_000_000), "sub/\u00fcml.dat": noise(11_000_000), "sub/x.parquet": noise(100)}.items():
        (files / path).write_bytes(data)
    api.upload_folder(folder_path=files, repo_id=name)
    api.create_commit(name, commit_message="more", operations=[
        CommitOperationAdd("once/more.gguf", b"GGUF" + noise(100_000)), CommitOperationCopy("model.safetensors", "copied.other"),
        CommitOperationCopy("text.txt", "copied.txt"), CommitOperationDelete("small.bin")])
    lfs("clone", "-q", hub.git_url(name), tmp_path / "two")
    for p in files.rglob("*"):
        if p.is_file() and p.name != "small.bin":
            assert (tmp_path / "two" / p.relative_to(files)).read_bytes() == p.read_bytes(), p
    assert (tmp_path / "two" / "copied.other").read_bytes() == (files / "model.safetensors").read_bytes()
    assert len(lfs("lfs", "ls-files", "-n", cwd=tmp_path / "two").splitlines()) >= 7
    is_sound(lfs, tmp_path / "two")
