#!/usr/bin/env python3
"""Reports functions over 100 lines and files over 1,500. Files that fail the first are named, the second fails."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX, FILE_LINES_MAX = 100, 1500


def long_functions(lines):
    """A function opens with `{` in column 1 after a line that does not, and closes with `}` in column 1."""
    start, name = None, ""
    for n, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = n
            for before in reversed(lines[max(0, n - 8):n - 1]):
                m = re.search(r"(\w+)\s*\(", before)
                if m and not before.startswith(" "):
                    name = m.group(1)
                    break
        elif line.startswith("}") and start is not None:
            if n - start > FUNCTION_LINES_MAX:
                yield start, name, n - start
            start = None


def main():
    bad = 0
    for folder in ("src", "include", "tests", "examples"):
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            lines = path.read_text(encoding="utf-8").splitlines()
            where = path.relative_to(ROOT)
            if len(lines) > FILE_LINES_MAX:
                print(f"{where}: {len(lines)} lines (at most {FILE_LINES_MAX})")
                bad += 1
            for n, name, size in long_functions(lines):
                print(f"{where}:{n}: {name} has {size} lines; is there a seam at {FUNCTION_LINES_MAX}?")
            for n, line in enumerate(lines, 1):
                if "\t" in line or line.rstrip() != line:
                    print(f"{where}:{n}: a tab or a trailing space")
                    bad += 1
    print("lint: ok" if not bad else f"lint: {bad} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
