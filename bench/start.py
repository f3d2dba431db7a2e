#!/usr/bin/env python3
"""From starting the program to its first token: fresh processes in turn with llama.cpp, files in the page cache.

  bench/start.py MODEL.gguf... [--python build/peers/bin/python] [--ours-only]

Ours is the whole process, from fork to the first byte on standard output, of `run MODEL Hello --raw -n 1`; the weights are
packed before, by a start that does not count. llama.cpp has no program here that only loads and answers, so it is measured
inside a fresh Python after its library is imported: load, context and the same prompt (bench/llamacpp.py --first). What
Python and the loading of the library take is not counted, which favours llama.cpp.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOCHE = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))
PROMPT = "Hello"


def ours(model, n_threads):
    start = time.perf_counter()
    p = subprocess.Popen([CLOCHE, "run", model, PROMPT, "--raw", "--ignore-eos", "-n", "1",
                          *(["-t", str(n_threads)] if n_threads else [])],
                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=ROOT)
    p.stdout.read(1)
    seconds = time.perf_counter() - start
    p.stdout.read()
    if p.wait() != 0:
        raise SystemExit(f"{CLOCHE} failed with {p.returncode}")
    return seconds


def theirs(python, model, n_threads, n_prompt):
    cmd = [python, str(ROOT / "bench/llamacpp.py"), model, "--first", "-p", str(n_prompt), *(["-t", str(n_threads)] if n_threads else [])]
    p = subprocess.run(cmd, capture_output=True, text=True, check=True)
    return json.loads(p.stdout.strip().splitlines()[-1])["first_token_s"]


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("models", nargs="+")
    ap.add_argument("--rounds", type=int, default=20)
    ap.add_argument("-t", type=int, default=0)
    ap.add_argument("--ours-only", action="store_true")
    ap.add_argument("--python", default=next((str(p) for p in [ROOT / "build/peers/bin/python"] if p.exists()), sys.executable))
    args = ap.parse_args()
    print("| model | first token ms | least | llama.cpp ms | least | ratio |\n| --- | --- | --- | --- | --- | --- |")
    for model in args.models:
        ours(model, args.t)
        n_prompt = len(json.loads(subprocess.run([CLOCHE, "run", model, PROMPT, "--raw", "-n", "1", "--json"], check=True,
                                                 capture_output=True, text=True).stdout)["prompt_tokens"])
        a, b = [], []
        for _ in range(args.rounds):
            a.append(ours(model, args.t) * 1e3)
            if not args.ours_only:
                b.append(theirs(args.python, model, args.t, n_prompt) * 1e3)
        mine, least = statistics.median(a), min(a)
        other = f"{statistics.median(b):.1f} | {min(b):.1f} | {mine / statistics.median(b):.2f}" if b else "| | "
        print(f"| {pathlib.Path(model).stem} | {mine:.1f} | {least:.1f} | {other} |", flush=True)


if __name__ == "__main__":
    main()
