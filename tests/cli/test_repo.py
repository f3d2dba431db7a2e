#!/usr/bin/env python3
"""Repositories through the program.

    CLOCHE_BIN=build/cloche tests/cli/test_repo.py
"""
import json
import pathlib
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time

import program
from program import cloche

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-repo-"))


def accounts(data):
    """A data folder with two accounts."""
    cloche(data, "key", "add", "first")  # makes the database
    db = sqlite3.connect(data / "cloche.db")
    db.execute("INSERT INTO accounts (oid, name, kind, email, created) VALUES ('65f0c0ffee0000000000a11c', 'alice', 'user', 'a@x.test', 0),"
               " ('65f0c0ffee0000000000000b', 'Lab', 'org', NULL, 0)")
    db.commit()
    db.close()
    return data


def repos(data, *more):
    return {(r["type"], r["id"]): r for r in json.loads(cloche(data, "repo", "list", "--json", *more))}


def test_a_repository_is_made_listed_moved_and_deleted():
    data = accounts(BOX / "life")
    made = json.loads(cloche(data, "repo", "create", "ALICE/Tiny", "--private", "--json"))
    assert (made["id"], made["type"], made["private"], made["gated"]) == ("alice/Tiny", "model", True, "no"), made
    assert len(made["_id"]) == 24 and abs(made["created"] - time.time()) < 100
    cloche(data, "repo", "create", "lab/Tiny", "--type", "datasets")
    assert set(repos(data)) == {("model", "alice/Tiny"), ("dataset", "Lab/Tiny")}
    assert set(repos(data, "--type", "dataset")) == set(repos(data, "--owner", "LAB")) == {("dataset", "Lab/Tiny")}
    assert "Lab/Tiny" in cloche(data, "repo", "list") and "private" in cloche(data, "repo", "list")
    cloche(data, "repo", "create", "alice/tiny", code=5)
    assert json.loads(cloche(data, "repo", "move", "alice/tiny", "lab/small", "--json"))["id"] == "Lab/small"
    cloche(data, "repo", "delete", "alice/tiny", code=4)  # an old id destroys nothing
    cloche(data, "repo", "create", "lab/other")
    cloche(data, "repo", "move", "lab/other", "lab/small", code=5)
    cloche(data, "repo", "delete", "lab/small")
    cloche(data, "repo", "delete", "lab/small", code=4)
    assert set(repos(data)) == {("model", "Lab/other"), ("dataset", "Lab/Tiny")}
    cloche(data, "repo", "delete", "lab/other")
    cloche(data, "repo", "delete", "lab/tiny", "--type", "dataset")
    db = sqlite3.connect(data / "cloche.db")
    for table in ("repos", "refs", "repo_objects", "git_objects", "repo_moves"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    db.close()


def test_faults_end_with_their_status():
    data = accounts(BOX / "faults")
    for args in ((), ("add", "a/b"), ("create",), ("create", "b"), ("create", "alice/a--b"), ("create", "alice/b.git"),
                 ("create", "alice/b", "--type", "thing"), ("list", "x"), ("list", "--private"), ("move", "alice/b"),
                 ("delete",), ("create", "alice/b", "--owner", "lab")):
        cloche(data, "repo", *args, code=2)
    cloche(data, "repo", "create", "nobody/b", code=4)
    cloche(data, "repo", "list", "--owner", "nobody", code=4)
    cloche(data, "repo", "move", "alice/none", "alice/b", code=4)
    assert repos(data) == {}
    none = BOX / "none"
    assert cloche(none, "repo", "list", "--json") == "[]\n" and not none.exists()
    cloche(none, "repo", "delete", "alice/b", code=4)
    assert not none.exists()


def test_kill_9_leaves_every_repository_that_was_told_whole():
    data, draw, told = accounts(BOX / "killed"), random.Random(5), set()
    begin = time.monotonic()
    cloche(data, "repo", "create", "alice/first")
    usual = time.monotonic() - begin
    for i in range(30):
        p = program.start(data, "repo", "create", f"alice/r{i}")
        time.sleep(draw.uniform(0, 1.5 * usual))
        p.kill()
        out, _ = p.communicate()
        assert p.returncode in (0, -signal.SIGKILL), p.returncode
        if out.endswith("\n"):
            told.add(("model", f"alice/r{i}"))
    there = set(repos(data))
    assert told and told <= there, told - there
    db = sqlite3.connect(data / "cloche.db")
    heads = db.execute("SELECT count(*) FROM repos JOIN refs ON refs.repo = repos.id JOIN repo_objects m ON m.repo = repos.id AND"
                       " m.oid = refs.target JOIN git_objects o ON o.oid = m.oid WHERE refs.name = 'refs/heads/main'").fetchone()[0]
    assert heads == len(there), (heads, len(there))
    db.close()


if __name__ == "__main__":
    try:
        status = program.run_tests(dict(globals()))
    finally:
        shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(status)
