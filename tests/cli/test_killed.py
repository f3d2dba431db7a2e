#!/usr/bin/env python3
"""kill -9 at any instant of `import` and `rm`: a model is whole or absent, and what was acknowledged stays so.

    CLOCHE_BIN=build/cloche tests/cli/test_killed.py [SEED [SECONDS]]
"""
import json
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

import program

sys.path.insert(0, str(program.ROOT / "tests"))
import tiny_models  # noqa: E402

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-killed-"))
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 8
ROUNDS_MIN, ROUNDS_PER_FOLDER = 12, 8
KEPT, COMING = "kept", "org/coming"
FILES = {KEPT: BOX / "tiny-q4_0.gguf", COMING: BOX / "tiny-q8_0.gguf"}


def logits(data, model):
    return program.cloche(data, "logits", model, "--tokens", "1,2,3,40,5", "--digest", "--no-cache")


def models(data):
    return {m["name"]: m for m in json.loads(program.cloche(data, "list", "--json"))}


def add(data, name):
    return "import", FILES[name], "--name", name


def remove(_data, name):
    return "rm", name


def seconds_of(*command):
    begin = time.monotonic()
    program.cloche(*command)
    return time.monotonic() - begin


def check_whole(data, name, wanted):
    assert json.loads(program.cloche(data, "show", name, "--verify", "--json"))["verified"], name
    assert logits(data, name) == wanted[name], name


def check_tidy(data):
    """After a command that ended well nothing unfinished is left, and every blob belongs to a model."""
    left = list((data / "tmp").iterdir())
    assert not left, left
    held = {f["sha256"] for m in models(data).values() for f in m["files"]}
    blobs = {p.name for p in (data / "blobs").rglob("*") if p.is_file()}
    assert blobs == held, blobs ^ held


def one_round(data, draw, durations, wanted):
    """Kills what adds or removes COMING; says whether that came too late."""
    action = remove if COMING in models(data) else add
    p = program.start(data, *action(data, COMING))
    time.sleep(draw.uniform(0, 1.2 * durations[action]))
    p.kill()
    p.communicate()
    assert p.returncode in (0, -signal.SIGKILL), p.returncode
    there = models(data)
    assert KEPT in there and set(there) <= set(FILES), sorted(there)
    assert not any("fault" in m for m in there.values()), there
    if p.returncode == 0:
        assert (COMING in there) == (action is add), action.__name__
    for name in there:
        check_whole(data, name, wanted)
    if COMING not in there:
        program.cloche(data, "show", COMING, code=4)
    return p.returncode == 0


def new_folder(i):
    data = BOX / f"data-{i}"
    program.cloche(data, *add(data, KEPT))
    return data


def test_a_model_is_whole_or_absent_after_any_kill():
    draw, end = random.Random(SEED), time.monotonic() + SECONDS
    wanted = {n: logits(BOX / "data-none", f) for n, f in FILES.items()}
    data, n, n_late = new_folder(0), 0, 0
    durations = {action: seconds_of(data, *action(data, COMING)) for action in (add, remove)}
    while time.monotonic() < end or n < ROUNDS_MIN:
        n_late += one_round(data, draw, durations, wanted)
        n += 1
        if n % ROUNDS_PER_FOLDER == 0:
            action = remove if COMING in models(data) else add
            program.cloche(data, *action(data, COMING))
            check_tidy(data)
            data = new_folder(n)
    print(f"# seed {SEED}: {n} rounds, {n - n_late} killed")


def test_a_first_import_that_is_killed_stands_in_no_way():
    draw, org = random.Random(SEED), COMING.split("/")[0]
    duration = seconds_of(BOX / "first", *add(None, COMING))
    for i in range(8):
        data = BOX / f"first-{i}"
        p = program.start(data, *add(data, COMING))
        time.sleep(draw.uniform(0, duration))
        p.kill()
        p.communicate()
        if COMING in models(data):
            program.cloche(data, "import", FILES[KEPT], "--name", org, code=5)  # it would hide what it holds
        else:
            program.cloche(data, "import", FILES[KEPT], "--name", org)
            program.cloche(data, *add(data, COMING), code=5)
        assert len(models(data)) == 1, models(data)
        check_tidy(data)


if __name__ == "__main__":
    tiny_models.write(BOX)
    status = program.run_tests(globals())
    shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(status)
