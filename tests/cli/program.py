"""What the tests of the program share: running it on a data folder, and counting tests."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))


def start(data, *args, **popen):
    """The program, running on a data folder."""
    env = {**os.environ, "CLOCHE_DATA": str(data)}
    return subprocess.Popen([BIN, *map(str, args)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            **popen)


def can_seal():
    """Not under the thread sanitizer, which has a thread of its own before main. The leak checker, which stops the program
    from outside, is told not to try: the seal does not let it."""
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    if "tsan" in BIN:
        print("  skipped  the thread sanitizer has a thread of its own, so nothing can be sealed")
    return "tsan" not in BIN


def cloche(data, *args, code=0, text=None):
    """Standard output of a command that must end with `code`."""
    p = start(data, *args, stdin=subprocess.PIPE if text is not None else None)
    try:
        out, err = p.communicate(text, timeout=300)
    except subprocess.TimeoutExpired:
        p.kill()
        raise
    assert p.returncode == code, f"cloche {args}: exit {p.returncode}, not {code}\n{out}{err}"
    assert code in (0, 3) or err, f"cloche {args}: exit {code} without a word"
    return out


def run_tests(names):
    """Runs every test_ function among names; the exit status."""
    tests = [(k, f) for k, f in names.items() if k.startswith("test_")]
    bad = 0
    for name, test in tests:
        try:
            test()
        except AssertionError as e:
            bad += 1
            print(f"FAILED {name}: {e}")
    print(f"{len(tests) - bad} passed, {bad} failed")
    return 1 if bad else 0
