#!/usr/bin/env python3
"""Runs every command in README.md and docs/: each line of each ```sh block, in order, in a folder of its own.

A tiny random model stands in for the real one: it is imported as `smollm2` and lies there as `model.gguf`, so the
commands need no network and take seconds. Lines that begin with `make` are only checked to name a target (the CI runs
them itself). A block under `<!-- not run: REASON -->` is named and skipped. Also checks that links lead somewhere and
that the manual pages and completions say what --help says. The last line is `N passed, N failed`.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import tiny_models  # noqa: E402


def commands_of(text):
    """(line number, command) of every ```sh block; a command that is skipped comes with its reason as third."""
    out, inside, reason, held = [], False, None, ""
    for n, line in enumerate(text.splitlines(), 1):
        if not inside:
            m = re.match(r"<!-- not run: (.*) -->", line)
            if m:
                reason = m.group(1)
            elif re.match(r"```sh\s*$", line):
                inside = True
            elif line.strip():
                reason = None
        elif line.startswith("```"):
            inside, reason = False, None
        elif line.strip() and not line.lstrip().startswith("#"):
            held += line.rstrip("\\")
            if not line.endswith("\\"):
                out.append((n, held.strip(), reason))
                held = ""
    return out


def broken_links(path, text):
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            yield target


class Run:
    def __init__(self, folder, program, model):
        self.folder = folder
        for name in os.listdir(ROOT):
            if name not in (".git", "build"):
                (folder / name).symlink_to(ROOT / name)
        (folder / "build").mkdir()
        (folder / "build/cloche").symlink_to(program)
        (folder / "model.gguf").write_bytes(model.read_bytes())
        self.env = dict(os.environ, CLOCHE_DATA=str(folder / "data"), PATH=f"{folder}/build:{os.environ['PATH']}")
        self.command("build/cloche import model.gguf --name smollm2")

    def command(self, line):
        if line.startswith(("make", "sudo make")):
            line = "make -n -C " + str(ROOT) + " " + line.split("make", 1)[1]
        return subprocess.run(["bash", "-c", line], cwd=self.folder, env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=300)


def main():
    program = ROOT / os.environ.get("CLOCHE_BIN", "build/cloche")
    model = tiny_models.write(ROOT / "build/bits-models")["tiny-q8_0"]
    passed, failed, skipped = 0, 0, 0
    pages = [ROOT / "README.md", ROOT / "DESIGN.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "bench/README.md"]
    for page in pages:
        text, where = page.read_text(encoding="utf-8"), page.relative_to(ROOT)
        for target in broken_links(page, text):
            failed += 1
            print(f"  FAILED   {where}: the link '{target}' leads nowhere")
        commands = commands_of(text)
        if not commands:
            continue
        with tempfile.TemporaryDirectory() as folder:
            run = Run(pathlib.Path(folder), program, model)
            for n, line, reason in commands:
                if reason:
                    skipped += 1
                    print(f"  skipped  {where}:{n}: {line}: {reason}")
                    continue
                p = run.command(line)
                passed += p.returncode == 0
                failed += p.returncode != 0
                if p.returncode != 0:
                    print(f"  FAILED   {where}:{n}: {line}: exit status {p.returncode}\n{p.stdout[-800:]}{p.stderr[-800:]}")
    fresh = subprocess.run([sys.executable, str(ROOT / "tools/gen_cli_docs.py"), "--check"], cwd=ROOT).returncode == 0
    passed, failed = passed + fresh, failed + (not fresh)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
