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
    return random.Random(seed).randbytes(n)


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
    assert "faults" not in fsck(data) or " 0 faults" in fsck(data)
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
