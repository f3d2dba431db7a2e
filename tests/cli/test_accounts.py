#!/usr/bin/env python3
"""Users, organisations and tokens, through the program.

    CLOCHE_BIN=build/cloche tests/cli/test_accounts.py
"""
import json
import pathlib
import re
import shutil
import sqlite3
import sys
import tempfile
import time

import program
from program import cloche

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-accounts-"))


def rows(data, *command):
    return json.loads(cloche(data, *command, "--json"))


def lines(data):
    return [json.loads(x) for x in (data / "audit.log").read_text().splitlines()]


def test_users_are_added_listed_and_removed():
    data = BOX / "users"
    assert rows(data, "user", "list") == [] and not data.exists()
    made = json.loads(cloche(data, "user", "add", "anna", "--password-stdin", "--fullname", "Anna A", "--email", "a@x.test",
                             "--tokens-per-day", 5, "--concurrent=2", "--models", "a,org/*", "--json", text="correct horse\n"))
    assert made["name"] == "anna" and re.fullmatch("[0-9a-f]{24}", made["id"]) and not made["admin"]
    cloche(data, "user", "add", "Boss", "--password-stdin", "--admin", text="correct horse")
    cloche(data, "user", "add", "robot")
    a, b, r = rows(data, "user", "list")
    assert (a["name"], a["fullname"], a["email"], a["admin"]) == ("anna", "Anna A", "a@x.test", False)
    assert (a["tokens_per_day"], a["concurrent"], a["models"]) == (5, 2, ["a", "org/*"]) and a["id"] == made["id"]
    assert b["name"] == "Boss" and b["admin"] and b["email"] is None and r["tokens_per_day"] is None
    assert "anna" in cloche(data, "user", "list")
    cloche(data, "user", "add", "ANNA", code=5)
    cloche(data, "user", "remove", "boss")
    cloche(data, "user", "remove", "boss", code=4)
    assert [u["name"] for u in rows(data, "user", "list")] == ["anna", "robot"]
    events = [(x["event"], x["key"], x.get("note")) for x in lines(data)]
    assert events == [("user-added", "anna", None), ("user-added", "Boss", "admin"), ("user-added", "robot", None),
                      ("user-removed", "boss", None)], events


def stored_hash(data, name):
    with sqlite3.connect(data / "cloche.db") as db:
        return db.execute("SELECT password FROM accounts WHERE name = ?", (name,)).fetchone()[0]


def test_a_password_is_the_first_line_and_only_its_hash_is_kept():
    data = BOX / "passwords"
    cloche(data, "user", "add", "anna", "--password-stdin", text="correct horse\r\nnot this line\n")
    first = stored_hash(data, "anna")
    assert first.startswith("$y$")
    for path in data.iterdir():
        assert b"correct horse" not in path.read_bytes(), path
    cloche(data, "user", "password", "anna", "--password-stdin", text="battery staple\n")
    assert stored_hash(data, "anna") != first
    cloche(data, "user", "password", "nobody", "--password-stdin", code=4, text="battery staple\n")
    cloche(data, "user", "password", "anna", code=2)
    for text in ("", "\n", "short\n", "x" * 600):
        assert cloche(data, "user", "add", "ben", "--password-stdin", code=1 if len(text) > 500 else 2, text=text) == ""
    assert len(rows(data, "user", "list")) == 1


def test_organisations_have_members_with_roles():
    data = BOX / "orgs"
    assert rows(data, "org", "list") == []
    for name in ("anna", "ben"):
        cloche(data, "user", "add", name)
    assert json.loads(cloche(data, "org", "create", "lab", "--fullname", "The Lab", "--json"))["name"] == "lab"
    cloche(data, "org", "create", "anna", code=5)
    cloche(data, "org", "add-member", "lab", "anna", "--role", "admin")
    assert json.loads(cloche(data, "org", "add-member", "lab", "ben", "--json")) == {"org": "lab", "user": "ben", "role": "read"}
    cloche(data, "org", "add-member", "lab", "ben", "--role", "write")
    assert rows(data, "org", "members", "lab") == [{"user": "anna", "fullname": "anna", "role": "admin"},
                                                   {"user": "ben", "fullname": "ben", "role": "write"}]
    assert rows(data, "org", "list")[0]["members"] == 2 and "The Lab" in cloche(data, "org", "list")
    assert "write" in cloche(data, "org", "members", "lab")
    cloche(data, "org", "add-member", "anna", "ben", code=4)
    cloche(data, "org", "add-member", "lab", "lab", code=4)
    cloche(data, "org", "add-member", "lab", "carl", code=4)
    cloche(data, "org", "remove-member", "lab", "ben")
    cloche(data, "org", "remove-member", "lab", "ben", code=4)
    cloche(data, "user", "remove", "lab", code=4)  # an organisation is no user
    cloche(data, "org", "remove", "anna", code=4)
    cloche(data, "org", "remove", "lab")
    cloche(data, "org", "members", "lab", code=4)
    assert rows(data, "org", "list") == []
    assert [x["event"] for x in lines(data)[2:]] == ["org-created", "member-added", "member-added", "member-added",
                                                     "member-removed", "org-removed"]


def test_a_token_is_printed_once_and_listed_without_its_secret():
    data = BOX / "tokens"
    cloche(data, "token", "create", "--user", "anna", code=4)
    cloche(data, "user", "add", "anna")
    token = cloche(data, "token", "create", "--user", "Anna", "--name", "laptop").strip()
    assert re.fullmatch(r"hf_[0-9A-Za-z]{51}", token), token
    for text in (cloche(data, "token", "list"), cloche(data, "token", "list", "--json", "--all")):
        assert "laptop" in text and token[3:11] in text and token[11:20] not in text, text
    for path in data.iterdir():
        assert token[11:30].encode() not in path.read_bytes(), path
    made = json.loads(cloche(data, "token", "create", "--user", "anna", "--write", "--repo", "lab/m", "--expires", "2d", "--json"))
    assert made["token"][3:11] == made["id"] == made["name"] and made["scope"] == "models/lab/m" and made["role"] == "fineGrained"
    one, two = sorted(rows(data, "token", "list", "--user", "anna"), key=lambda t: t["may_write"])
    assert (one["role"], one["may_write"], one["scope"], one["expires"], one["state"]) == ("read", False, None, None, "valid")
    assert (two["role"], two["may_write"], two["scope"]) == ("fineGrained", True, "models/lab/m")
    assert 47 * 3600 < two["expires"] - time.time() < 49 * 3600
    assert rows(data, "key", "list") == []  # tokens and keys are told apart
    cloche(data, "token", "create", "--user", "anna", "--name", "laptop", code=5)
    cloche(data, "token", "list", "--user", "ben", code=4)


def test_revoking_a_token_and_removing_its_user_end_it():
    data = BOX / "revoke"
    cloche(data, "token", "revoke", "Zk3vQ9aB", code=4)
    cloche(data, "user", "add", "anna")
    one, two = (json.loads(cloche(data, "token", "create", "--user", "anna", "--json"))["id"] for _ in range(2))
    cloche(data, "token", "revoke", one)
    cloche(data, "token", "revoke", one, code=4)
    assert [t["id"] for t in rows(data, "token", "list")] == [two]
    cloche(data, "user", "remove", "anna")
    assert rows(data, "token", "list") == [] and {t["state"] for t in rows(data, "token", "list", "-a")} == {"revoked"}
    key = cloche(data, "key", "add", "lab").strip()
    cloche(data, "token", "revoke", key[3:11], code=4)  # a key is no token
    cloche(data, "key", "revoke", "lab")
    assert [(x["event"], x["key"], x.get("note", "")[:8]) for x in lines(data)][-4:-2] == [("token-revoked", "anna", one),
                                                                                  ("user-removed", "anna", "")]


def test_a_damaged_audit_log_makes_nothing_and_ends_all_the_same():
    data = BOX / "damaged"
    cloche(data, "user", "add", "anna")
    token = json.loads(cloche(data, "token", "create", "--user", "anna", "--json"))["id"]
    log = data / "audit.log"
    log.write_text(log.read_text().replace("user-added", "user-bent"))
    cloche(data, "user", "add", "ben", code=7)
    cloche(data, "org", "create", "lab", code=7)
    cloche(data, "token", "create", "--user", "anna", code=7)
    cloche(data, "user", "password", "anna", "--password-stdin", code=7, text="battery staple\n")
    assert len(rows(data, "user", "list")) == 1 and rows(data, "org", "list") == [] and stored_hash(data, "anna") is None
    cloche(data, "token", "revoke", token, code=7)
    assert rows(data, "token", "list") == []
    cloche(data, "user", "remove", "anna", code=7)
    assert rows(data, "user", "list") == []


def test_faults_of_usage_end_with_2():
    data = BOX / "usage"
    cloche(data, "user", "add", "anna")
    for args in (("user",), ("user", "add"), ("user", "nonsense", "x"), ("user", "add", "a b"), ("user", "add", "api"),
                 ("user", "add", "a", "--concurrent", "-1"), ("user", "add", "a", "--models", ""), ("user", "list", "x"),
                 ("user", "list", "--admin"), ("user", "remove", "anna", "--password-stdin"), ("user", "add", "a", "b"),
                 ("user", "add", "a", "--fullname", "two\nlines"),
                 ("org",), ("org", "create"), ("org", "create", "a--b"), ("org", "list", "x"), ("org", "add-member", "lab"),
                 ("org", "add-member", "lab", "anna", "--role", "owner"), ("org", "create", "x", "--role", "read"),
                 ("org", "list", "--fullname", "x"),
                 ("token",), ("token", "create"), ("token", "create", "anna"), ("token", "create", "--user", "anna", "--read", "--write"),
                 ("token", "create", "--user", "anna", "--repo", "lab"), ("token", "create", "--user", "anna", "--expires", "soon"),
                 ("token", "create", "--user", "anna", "--name", ""), ("token", "list", "--write"), ("token", "revoke"),
                 ("token", "revoke", "x", "--user", "anna"), ("token", "create", "--user", "anna", "--all")):
        cloche(data, *args, code=2)
    assert len(rows(data, "user", "list")) == 1 and rows(data, "org", "list") == [] and rows(data, "token", "list") == []
    for command in ("user", "org", "token"):
        assert "examples:" in cloche(data, command, "--help")


if __name__ == "__main__":
    try:
        status = program.run_tests(dict(globals()))
    finally:
        shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(status)
