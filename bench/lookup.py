#!/usr/bin/env python3
"""Prompt lookup: tokens a second with and without it, on text that repeats and on talk that does not.

  bench/lookup.py MODEL.gguf                a real model: with random weights nothing repeats
  CLOCHE_BIN=build/cloche bench/lookup.py MODEL.gguf --rounds 9

Copying: the prompt gives a text whole, then its beginning again, and the model goes on copying. Talk: chat prompts.
Each is answered greedily with and without lookup side by side, ROUNDS times, each a fresh process and each first in turn; the
ratio is the median of those of the rounds, and the tokens must be the same ones. Time is that of decoding alone.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOCHE = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))

TEXT = """\
The harbour office opens at seven in the morning and closes at nine in the evening. Boats longer than twelve metres must
register at least two days before they arrive. The fee is paid per night and includes water, electricity and the use of
the washing house behind the market. Fishing from the pier is allowed between April and October, but not while the ferry
is moored. Visitors who wish to leave their boat for the winter should write to the harbour master before the first of
September, stating the length, the width and the weight of the boat, the name of the owner, and the date on which it will
be collected. Boats that have not been collected by the end of May are moved to the lower yard at the cost of the owner.
"""

TALK = [
    "What is the capital of France?",
    "Write a short poem about the sea.",
    "Give me three tips for sleeping better.",
    "Why do leaves change colour in autumn?",
    "Tell me a story about a dragon who was afraid of fire.",
]


def tasks(n_tokens):
    flat = TEXT.replace("\n", " ")
    cut = flat.index("must register")
    twice = f"Original:\n{flat}\n\nCopy:\n{flat}\n\nOriginal:\n{flat}\n\nCopy:\n{flat[:cut]}"
    yield "copying a text", twice, ["--raw", "-n", str(n_tokens)]
    for prompt in TALK:
        yield prompt, prompt, ["-n", str(n_tokens)]


def answer(model, prompt, more, lookup, pin):
    p = subprocess.run(pin + [CLOCHE, "run", model, "-", "--temp", "0", "--json", "--ctx", "2048",
                              "--lookup" if lookup else "--no-lookup", *more],
                       input=prompt, capture_output=True, text=True, check=True)
    return json.loads(p.stdout)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("-n", type=int, default=200, help="tokens of each answer")
    ap.add_argument("-t", type=int, default=0)
    ap.add_argument("--cpus", default="", help="taskset list; empty: unpinned")
    args = ap.parse_args()
    pin = ["taskset", "-c", args.cpus] if args.cpus else []
    print("| task | tokens | without tok/s | with tok/s | ratio | guesses held |\n| --- | --- | --- | --- | --- | --- |")
    for name, prompt, more in tasks(args.n):
        more = more + (["-t", str(args.t)] if args.t else [])
        speed, tokens, last = {False: [], True: []}, None, {}
        for i in range(args.rounds):
            for lookup in (False, True) if i % 2 else (True, False):
                last[lookup] = j = answer(args.model, prompt, more, lookup, pin)
                speed[lookup].append(j["timings"]["decode_tok_s"])
                if tokens is not None and tokens != j["tokens"]:
                    raise SystemExit(f"{name}: lookup changed a token")
                tokens = j["tokens"]
        a, b = statistics.median(speed[False]), statistics.median(speed[True])
        ratio = statistics.median(y / x for x, y in zip(speed[False], speed[True]))
        held = last[True]["lookup"]
        print(f"| {name} | {len(tokens)} | {a:.1f} | {b:.1f} | {ratio:.2f} | {held['accepted']} of {held['drafted']} |",
              flush=True)


if __name__ == "__main__":
    main()
