#!/usr/bin/env python3
"""Keys, the audit log and the proof of the air gap, through the program.

    CLOCHE_BIN=build/cloche tests/cli/test_keys.py
"""
import json
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

import program
from program import cloche

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-keys-"))


def keys(data, *more):
    return {k["name"]: k for k in json.loads(cloche(data, "key", "list", "--json", *more))}


def test_a_key_is_printed_once_and_listed_without_its_secret():
    data = BOX / "once"
    assert cloche(data, "key", "list", "--json") == "[]\n" and not data.exists()
    key = cloche(data, "key", "add", "anna").strip()
    assert re.fullmatch(r"ck_[0-9A-Za-z]{51}", key), key
    for text in (cloche(data, "key", "list"), cloche(data, "key", "list", "--json", "--all")):
        assert "anna" in text and key[3:11] in text and key[11:20] not in text, text
    for path in data.iterdir():
        assert key[11:30].encode() not in path.read_bytes(), path
        assert path.stat().st_mode & 0o007 == 0, path


def test_limits_are_stored_as_given():
    data = BOX / "limits"
    made = json.loads(cloche(data, "key", "add", "lab", "--tokens-per-day", 5, "--concurrent=2", "--models", "a,org/*",
                             "--expires", "2d", "--json"))
    k = keys(data)["lab"]
    assert made["key"][3:11] == made["id"] == k["id"] and made["expires"] == k["expires"]
    assert (k["tokens_per_day"], k["concurrent"], k["models"], k["state"]) == (5, 2, ["a", "org/*"], "valid")
    assert 47 * 3600 < k["expires"] - time.time() < 49 * 3600
    cloche(data, "key", "add", "plain")
    k = keys(data)["plain"]
    assert k["tokens_per_day"] is k["concurrent"] is k["models"] is k["expires"] is None


def test_revoking_ends_a_key_and_frees_its_name():
    data = BOX / "revoke"
    cloche(data, "key", "revoke", "anna", code=4)
    first = cloche(data, "key", "add", "anna")
    cloche(data, "key", "add", "anna", code=5)
    cloche(data, "key", "revoke", "anna")
    cloche(data, "key", "revoke", "anna", code=4)
    assert keys(data) == {} and keys(data, "--all")["anna"]["state"] == "revoked"
    assert cloche(data, "key", "add", "anna") != first
    assert len(json.loads(cloche(data, "key", "list", "-a", "--json"))) == 2


def test_faults_of_usage_end_with_2():
    data = BOX / "usage"
    for args in ((), ("add",), ("nonsense", "x"), ("revoke",), ("list", "x"), ("add", "a b"), ("add", ""),
                 ("add", "a", "--tokens-per-day", "-1"), ("add", "a", "--tokens-per-day", "x"),
                 ("add", "a", "--models", ""), ("add", "a", "--models", "a b"), ("add", "a", "--expires", "soon"),
                 ("add", "a", "--expires", "2020-01-01"), ("list", "--concurrent", "2"), ("add", "a", "b")):
        cloche(data, "key", *args, code=2)
    assert not data.exists() or keys(data) == {}
    cloche(data, "audit", "--expect", "abc", code=2)
    for command in ("key", "audit"):
        assert "examples:" in cloche(data, command, "--help")


def test_the_audit_log_holds_until_it_is_touched():
    data = BOX / "audit"
    assert json.loads(cloche(data, "audit", "--json"))["last"] == 0
    cloche(data, "key", "add", "anna")
    head = json.loads(cloche(data, "audit", "--json"))["head"]
    cloche(data, "key", "add", "ben")
    cloche(data, "key", "revoke", "anna")
    report = json.loads(cloche(data, "audit", "--json", "--expect", head))
    assert report["holds"] and (report["first"], report["last"]) == (1, 3)
    cloche(data, "audit", "--expect", "0" * 64, code=3)
    lines = [json.loads(x) for x in (data / "audit.log").read_text().splitlines()]
    assert [(x["event"], x["key"]) for x in lines] == [("key-added", "anna"), ("key-added", "ben"), ("key-revoked", "anna")]
    good = (data / "audit.log").read_text()
    (data / "audit.log").write_text(good.replace("ben", "bob"))
    assert not json.loads(cloche(data, "audit", "--json", code=3))["holds"]
    cloche(data, "key", "add", "carl", code=7)
    assert "carl" not in keys(data)
    cloche(data, "key", "revoke", "ben", code=7)  # ends all the same
    assert "ben" not in keys(data)
    (data / "audit.log").write_text("\n".join(good.splitlines()[:2]) + "\n")  # the last line gone
    cloche(data, "audit", code=3)
    (data / "audit.log").write_text(good)
    cloche(data, "audit")


def test_kill_9_leaves_every_key_that_was_printed_and_a_log_that_holds():
    data, draw, printed = BOX / "killed", random.Random(3), {}
    begin = time.monotonic()
    cloche(data, "key", "add", "first")
    usual = time.monotonic() - begin
    for i in range(40):
        p = program.start(data, "key", "add", f"k{i}")
        time.sleep(draw.uniform(0, 1.5 * usual))
        p.kill()
        out, _ = p.communicate()
        assert p.returncode in (0, -signal.SIGKILL), p.returncode
        if out.endswith("\n"):
            printed[f"k{i}"] = out.strip()
    there = keys(data)
    assert printed and set(printed) <= set(there), set(printed) - set(there)
    assert all(there[name]["id"] == key[3:11] for name, key in printed.items())
    report = json.loads(cloche(data, "audit", "--json"))
    assert report["last"] - report["torn"] >= len(there), report
    cloche(data, "key", "add", "last")


def test_without_the_seal_the_air_gap_is_not_proven_and_with_it_it_is():
    data = BOX / "airgap"
    cloche(data, "key", "add", "anna")
    loose = json.loads(cloche(data, "doctor", "--airgap", "--json", code=3))
    assert not loose["proven"] and any(a["got_out"] for a in loose["attempts"])
    if not program.can_seal():
        return
    sealed = program.start(data, "doctor", "--airgap", "--sealed", "--json")
    out, err = sealed.communicate(timeout=60)
    report = json.loads(out)
    ways = [a["what"] for a in report["attempts"] if a["got_out"]]
    if report["landlock_abi"] == 0:
        assert all(w.startswith("write a file") for w in ways), ways
    else:
        assert report["proven"] and not ways and sealed.returncode == 0, (ways, err)
    assert len(report["attempts"]) == len(loose["attempts"]) > 20
    assert isinstance(report["sockets"], list)
    cloche(data, "doctor", "--sealed", code=2)
    assert not list(data.parent.glob("cloche-airgap-*")) and not list(pathlib.Path("/tmp").glob("cloche-airgap-*"))


if __name__ == "__main__":
    try:
        status = program.run_tests(dict(globals()))
    finally:
        shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(status)
