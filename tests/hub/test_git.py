"""The real git against the hub: clone, fetch, push, refusals, what both sides see of each other's commits."""
import os
import subprocess

import pytest
from conftest import repo_name

ENV = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "alice",
       "GIT_AUTHOR_EMAIL": "alice@hub.test", "GIT_COMMITTER_NAME": "alice", "GIT_COMMITTER_EMAIL": "alice@hub.test"}


def git(*args, cwd=None, ok=True):
    p = subprocess.run(["git", *map(str, args)], cwd=cwd, env=ENV, capture_output=True, text=True, timeout=120)
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
    git("commit", "-q", "--amend", "-m", "on dev, again", cwd=clone)
    assert "rejected" in git("push", "origin", "dev", cwd=clone, ok=False)
    git("push", "-q", "--force", "origin", "dev", cwd=clone)
    git("push", "-q", "origin", "--delete", "dev", cwd=clone)
    assert "main" in git("push", "origin", "--delete", "main", cwd=clone, ok=False)
    assert [b.name for b in hub.api().list_repo_refs(name).branches] == ["main"]


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
