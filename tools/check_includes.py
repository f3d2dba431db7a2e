#!/usr/bin/env python3
"""Fails when an #include points up. A room may use what stands below it, never what stands above or beside it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Lower numbers stand lower. `api` is the C library's door (include/cloche), above infer and beside nothing.
HEIGHT = {"base": 0, "tensor": 1, "model": 2, "infer": 3, "cloche": 4, "store": 0.5, "net": 0.5, "table": 0.5, "hub": 0.6, "serve": 5, "cli": 6}
# Stands beside the rooms that run models: they do not see it, nor it them.
BESIDE = {"store": {"tensor", "model", "infer", "cloche", "net", "table"}, "net": {"tensor", "model", "infer", "cloche", "store", "table"},
          "hub": {"tensor", "model", "infer", "cloche"}, "table": {"tensor", "model", "infer", "cloche", "store", "net", "hub"}}


def room_of(path):
    return path.relative_to(ROOT / "src").parts[0]


def faults_of(path):
    room = room_of(path)
    if room not in HEIGHT:
        yield 0, f"the room '{room}' is not in tools/check_includes.py"
        return
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        m = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if not m:
            continue
        quote, target = m.groups()
        if target.startswith("cloche/"):
            continue  # the public header: types only, anyone who implements it may read it
        if quote == "<":
            if (ROOT / "src" / target).is_file():
                yield n, f"<{target}> is ours: it stands in quotes"
            continue
        first = target.split("/")[0]
        if (ROOT / "src" / target).is_file():
            if first in HEIGHT and HEIGHT[first] > HEIGHT[room]:
                yield n, f'{room} includes "{target}", which stands above it'
            if room in BESIDE.get(first, ()):
                yield n, f'{room} includes "{target}", which stands beside it'
            if path.suffix in (".c", ".h") and target.endswith(".c"):
                yield n, f'"{target}" is a source file'
        elif not (path.parent / target).is_file():
            yield n, f'"{target}" is no file under src/'
        if ".." in target:
            yield n, f'"{target}" leaves its folder'


def main():
    n_files, bad = 0, 0
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        n_files += 1
        for line, what in faults_of(path):
            print(f"{path.relative_to(ROOT)}:{line}: {what}", file=sys.stderr)
            bad += 1
    if bad:
        return 1
    print(f"includes of {n_files} files point down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
