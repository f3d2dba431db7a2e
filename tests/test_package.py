#!/usr/bin/env python3
"""The Debian packages: they hold what they should, lintian finds no error, and the program in them runs from where it was
unpacked, also where the kernel allows no memory that is both written and executed, as the unit has it.

    tests/test_package.py
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
import program  # noqa: E402

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-package-"))
TREE, OUT = BOX / "tree", ROOT / "build/deb"
UNIT = ROOT / "packaging/cloche.service"
PATTERN = BOX / "tokenizer.json"  # one whose pattern only PCRE2 can match


def run(*args, **more):
    p = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=600, cwd=ROOT, **more)
    assert p.returncode == 0, f"{args}: exit {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout


def packages():
    return sorted(OUT.glob("*.deb"))


def test_packages_are_made_and_hold_what_they_should():
    run("make", "deb")
    assert [p.name.split("_")[0] for p in packages()] == ["cloche", "libcloche-dev", "libcloche0"], packages()
    for p in packages():
        run("dpkg-deb", "-x", p, TREE)
    for path in ("usr/bin/cloche", "lib/systemd/system/cloche.service", "usr/share/man/man1/cloche-key.1.gz",
                 "usr/share/bash-completion/completions/cloche", "usr/include/cloche/cloche.h",
                 "usr/share/doc/cloche/copyright"):
        assert (TREE / path).is_file(), path
    assert list(TREE.glob("usr/lib/*/libcloche.so.0")) and list(TREE.glob("usr/lib/*/libcloche.a"))
    depends = run("dpkg-deb", "-f", packages()[0], "Depends")
    assert "libsqlite3" in depends and "libseccomp" in depends and "libc6" in depends, depends


def test_lintian_finds_no_error():
    if not shutil.which("lintian"):
        print("  skipped  lintian is not installed")
        return
    p = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", *map(str, packages())], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr


def test_the_program_runs_from_where_it_was_unpacked():
    env = {**os.environ, "CLOCHE_DATA": str(BOX / "data")}
    bin_ = TREE / "usr/bin/cloche"
    assert run(bin_, "--version", env=env).startswith("cloche ")
    assert json.loads(run(bin_, "key", "add", "anna", "--json", env=env))["key"].startswith("ck_")
    assert json.loads(run(bin_, "audit", "--json", env=env))["holds"]
    assert run(bin_, "tokenize", PATTERN, "Hello, world", env=env) == "0 1 2 2 3 4 3 5 2 6\n"


def test_patterns_work_without_memory_that_is_written_and_executed():
    """PR_SET_MDWE (Linux 6.3) forbids what MemoryDenyWriteExecute does."""
    script = ("import ctypes, os, sys\n"
              "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(77)\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    args = [program.BIN, "tokenize", PATTERN, "Hello, world"]
    p = subprocess.run([sys.executable, "-c", script, *map(str, args)], capture_output=True, text=True)
    if p.returncode == 77:
        print("  skipped  this kernel has no PR_SET_MDWE")
    else:
        assert (p.returncode, p.stdout) == (0, "0 1 2 2 3 4 3 5 2 6\n"), p


def test_the_unit_is_as_tight_as_the_documentation_says():
    if not shutil.which("systemd-analyze"):
        print("  skipped  systemd-analyze is not installed")
        return
    out = run("systemd-analyze", "security", "--offline=true", UNIT)
    score = float(out.strip().splitlines()[-1].split(":")[1].split()[0])
    said = (ROOT / "docs/running-a-server.md").read_text(encoding="utf-8").split("rates its exposure ")[1].split()[0]
    assert score <= float(said), (score, said)


if __name__ == "__main__":
    shutil.copy(ROOT / "tests/fuzz/corpus/tokenizer_json/regex", PATTERN)
    try:
        rc = program.run_tests(dict(globals()))
    finally:
        shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(rc)
