#!/usr/bin/env python3
"""Runs test programs and adds up what they say: the last line is `N passed, N failed` (`, N skipped` when any).

A program is a cmocka test or a fuzz replay (both print the Test Anything Protocol), a shell script (TAP, or its exit
status as one test), or a Python file (one with a main is run, any other is pytest's; both close with `N passed`). A program
that dies counts its tests so far and one failure more. Names of failed and skipped tests are printed, so that a skip is
never silent.

  tools/run_tests.py [--emulator qemu-aarch64] [--build build/release] [-j N] PROGRAM...

N programs (default: one a processor, at most 4) run at a time; what they say is printed in the order they were named in.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_S = 900


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []


def parse_tap(text, name, tally):
    """Counts TAP lines; returns how many tests were seen and how many the plan promised."""
    seen, plan = 0, None
    for line in text.splitlines():
        m = re.match(r"1\.\.(\d+)", line)
        if m:
            plan = (plan or 0) + int(m.group(1))
            continue
        m = re.match(r"(not ok|ok)\b\s*(\d+)?\s*-?\s*(.*)", line)
        if not m:
            continue
        seen += 1
        what = f"{name}: {m.group(3).strip()}"
        skip = re.search(r"#\s*skip\b:?\s*(.*)", m.group(3), re.I)
        if skip:
            tally.skipped.append(f"{name}: {skip.group(1).strip() or m.group(3).strip()}")
        elif m.group(1) == "ok":
            tally.passed += 1
        else:
            tally.failed.append(what)
    return seen, plan


def parse_pytest(text, name, tally):
    """Counts the closing line of pytest or of a main of ours; returns whether there was one."""
    tail = re.findall(r"(\d+) (passed|failed|skipped|errors?|xfailed)", text.strip().splitlines()[-1] if text.strip() else "")
    for n, what in tail:
        if what == "passed":
            tally.passed += int(n)
        elif what == "skipped":
            tally.skipped += [f"{name}: skipped"] * int(n)
        elif what != "xfailed":
            tally.failed += [f"{name}: {what}"] * int(n)
    return bool(tail)


def have_pytest():
    return subprocess.run([sys.executable, "-c", "import pytest"], capture_output=True).returncode == 0


def command_of(path, emulator):
    """The command that runs a test, and how its output reads."""
    if path.suffix == ".py" and "__main__" in path.read_text(encoding="utf-8"):
        return [sys.executable, str(path)], "python"
    if path.suffix == ".py":
        return [sys.executable, "-m", "pytest", "-q", "-rfs", str(path)], "pytest"
    if path.suffix == ".sh":
        return ["bash", str(path)], "script"
    cmd = emulator + [str(path)]
    if path.name.startswith("replay_"):
        corpus = ROOT / "tests/fuzz/corpus" / path.name.removeprefix("replay_")
        if corpus.is_dir():
            cmd.append(str(corpus))
    return cmd, "tap"


def run_program(path, emulator):
    """(output, errors, exit status or minus a signal, seconds); None for what this Python cannot run."""
    cmd, kind = command_of(path, emulator)
    if kind == "pytest" and not have_pytest():
        return None
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    start = time.monotonic()
    try:
        p = subprocess.run(cmd, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S)
        out, err, rc = p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace"), p.returncode
    except subprocess.TimeoutExpired as e:
        out, err, rc = (e.stdout or b"").decode("utf-8", "replace"), f"no end after {TIMEOUT_S} s", -1
    except OSError as e:
        out, err, rc = "", str(e), -1
    return out, err, rc, time.monotonic() - start


def report(path, ended, tally):
    """Counts what a program said and prints its line, with its output where something failed."""
    name = path.stem if path.suffix in (".py", ".sh") else path.name
    if ended is None:
        tally.skipped.append(f"{name}: pytest is not installed")
        print(f"  SKIP  {name} (pytest is not installed)")
        return
    out, err, rc, seconds = ended
    kind = command_of(path, [])[1]
    before = (tally.passed, len(tally.failed), len(tally.skipped))
    if kind in ("python", "pytest"):
        known = parse_pytest(out, name, tally)
        if not known and rc != 0:
            tally.failed.append(f"{name}: exit status {rc}")
    else:
        seen, plan = parse_tap(out, name, tally)
        if kind == "script" and seen == 0:
            if rc == 0:
                tally.passed += 1
            elif rc == 77:
                tally.skipped.append(f"{name}: {(out.strip().splitlines() or ['exit 77'])[-1]}")
                rc = 0
        new_failures = len(tally.failed) - before[1]
        if rc < 0:
            tally.failed.append(f"{name}: killed by signal {-rc}" if rc != -1 else f"{name}: {err.strip()}")
        elif rc != 0 and new_failures == 0:
            tally.failed.append(f"{name}: exit status {rc}")
        elif plan is not None and seen < plan:
            tally.failed.append(f"{name}: {plan} tests planned, {seen} seen")
        elif kind == "tap" and seen == 0:
            tally.failed.append(f"{name}: no test ran")

    failed = len(tally.failed) - before[1]
    skipped = len(tally.skipped) - before[2]
    word = "FAIL" if failed else "ok"
    print(f"  {word:5} {name}: {tally.passed - before[0]} passed, {failed} failed"
          + (f", {skipped} skipped" if skipped else "") + f" ({seconds:.1f} s)", flush=True)
    if failed:
        for text in (out, err):
            lines = [x for x in text.splitlines() if not x.startswith("ok ")]
            print("\n".join("        " + x for x in lines[-60:]))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--emulator", default="")
    ap.add_argument("--build", default="build/release", help="only shown")
    ap.add_argument("-j", "--jobs", type=int, default=min(4, len(os.sched_getaffinity(0))))
    ap.add_argument("programs", nargs="*", type=pathlib.Path)
    args = ap.parse_args()
    tally = Tally()
    print(f"tests of {args.build}")
    paths = [path if path.is_absolute() else ROOT / path for path in args.programs]
    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        for path, ended in zip(paths, pool.map(lambda path: run_program(path, args.emulator.split()), paths)):
            report(path, ended, tally)
    for what in tally.skipped:
        print(f"  skipped  {what}")
    for what in tally.failed:
        print(f"  FAILED   {what}")
    if not args.programs:
        tally.failed.append("no tests")
    print(f"{tally.passed} passed, {len(tally.failed)} failed" + (f", {len(tally.skipped)} skipped" if tally.skipped else ""))
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
