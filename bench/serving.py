#!/usr/bin/env python3
"""`cloche serve` under load: beside llama-server, between keys, and with schemas.

  bench/serving.py MODEL.gguf... [--llama-server PATH] [--json FILE]     throughput, time to the first token
  bench/serving.py MODEL.gguf --fairness                                 one request of a key beside 50 of another
  bench/serving.py MODEL.gguf --schemas                                  20 schemas: tokens a second with and without

Throughput: CLIENTS streams at once, each of a prompt of PROMPT tokens (words of this project's documents, no two alike) and
OUTPUT tokens of answer, whatever the model would end; a client asks its next question when it has the answer to the one
before (--each). Both servers get the same prompts as token ids, the same sampling, and no cache of prompts. A round starts
a server afresh, warms it up with answers that do not count, and measures; rounds take turns. Medians of rounds.
"""
import argparse
import asyncio
import itertools
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

import load

sys.path.insert(0, str(load.ROOT / "tests"))
from schemas import SCHEMAS  # noqa: E402

SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.95}
N_RIVALS = 50  # requests of the other key


class Prompts:
    """Token ids of shuffled words, no beginning twice."""

    def __init__(self, server, n_tokens, key=None):
        text = " ".join(p.read_text(encoding="utf-8") for p in sorted((load.ROOT / "docs").glob("*.md")))
        self.words = sorted(set(re.findall(r"[a-z]{2,}", text)))
        self.server, self.n_tokens, self.key, self.rng = server, n_tokens, key, random.Random(1)

    def take(self, n):
        return [self.one() for _ in range(n)]

    def one(self):
        text = " " + " ".join(self.rng.choices(self.words, k=self.n_tokens))
        reply = asyncio.run(load.post(self.server.address, "/tokenize", {"model": self.server.model, "content": text}, self.key))
        return reply.json()["tokens"][:self.n_tokens]


def completion(server, prompt, n_out, seed, **more):
    return {"model": server.model, "prompt": prompt, "max_tokens": n_out, "seed": seed, "stream": True, "ignore_eos": True,
            "stream_options": {"include_usage": True}, **SAMPLING, **more}


async def client(server, prompts, n_out, seed, key=None):
    """One prompt after the other; the answers."""
    answers = []
    for i, prompt in enumerate(prompts):
        reply = await load.post(server.address, "/v1/completions", completion(server, prompt, n_out, seed + i), key)
        answers.append(load.Answer(reply))
    return answers


async def crowd(server, prompts, n_clients, n_out):
    shares = [prompts[i::n_clients] for i in range(n_clients)]
    begin = time.perf_counter()
    answers = await asyncio.gather(*(client(server, share, n_out, 1000 * i) for i, share in enumerate(shares)))
    return time.perf_counter() - begin, list(itertools.chain(*answers))


# --- throughput -----------------------------------------------------------------------------------------------------

def measure(server, warm_up, prompts, args):
    asyncio.run(crowd(server, warm_up, len(warm_up), 16))
    seconds, answers = asyncio.run(crowd(server, prompts, args.clients, args.output))
    for a in answers:
        if (a.usage["prompt_tokens"], a.usage["completion_tokens"]) != (args.prompt, args.output):
            raise SystemExit(f"{server.name}: {a.usage}, {args.prompt} and {args.output} tokens were asked for")
    first = [a.first_s for a in answers]
    gaps = list(itertools.chain(*(a.gaps_s for a in answers)))
    return {"total_tok_s": len(answers) * (args.prompt + args.output) / seconds, "output_tok_s": len(answers) * args.output / seconds,
            "first_p50_ms": load.part_of(first, 0.5) * 1e3, "first_p95_ms": load.part_of(first, 0.95) * 1e3,
            "between_p50_ms": load.part_of(gaps, 0.5) * 1e3, "between_p95_ms": load.part_of(gaps, 0.95) * 1e3,
            "whole_p95_ms": load.part_of([a.last_s for a in answers], 0.95) * 1e3}


def throughput(model, folder, args):
    def ours():
        return load.Ours(model, folder / "data", args.threads, args.ours_args.split())

    def theirs():
        return load.Theirs(args.llama_server, model, args.threads, args.clients, (args.prompt + args.output + 64) // 64 * 64, args.llama_args.split())

    server = ours()
    make = Prompts(server, args.prompt)
    rounds = [(make.take(args.warm_up), make.take(args.clients * args.each)) for _ in range(args.rounds)]
    server.stop()
    rows = {}
    for warm_up, prompts in rounds:
        for start in (ours, theirs) if args.llama_server else (ours,):
            server = start()
            row = measure(server, warm_up, prompts, args)
            server.stop()
            rows.setdefault(server.name, []).append(row)
            print(f"  {server.name:12} " + "  ".join(f"{k} {v:.1f}" for k, v in row.items()), file=sys.stderr, flush=True)
    return rows


def print_throughput(model, rows):
    mine, other = load.medians(rows["cloche"]), load.medians(rows["llama-server"]) if "llama-server" in rows else None
    print(f"\n{pathlib.Path(model).stem}\n\n| | cloche | llama-server | ratio |\n| --- | --- | --- | --- |")
    for k, v in mine.items():
        print(f"| {k} | {v:.1f} | " + (f"{other[k]:.1f} | {v / other[k]:.2f} |" if other else "| |"), flush=True)


# --- fairness -------------------------------------------------------------------------------------------------------

def add_key(data, name):
    out = subprocess.run([load.CLOCHE, "key", "add", name, "--data", str(data), "--json"], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)["key"]


async def one_beside_many(server, prompts, n_out, one, many):
    """The seconds and the answer of the one, and how many of the others were done before it; the rest are cancelled."""
    rivals = [asyncio.create_task(client(server, [p], n_out, i, many)) for i, p in enumerate(prompts[1:])]
    await asyncio.sleep(0.5)
    begin = time.perf_counter()
    answer = (await client(server, prompts[:1], n_out, 77, one))[0]
    seconds, n_done = time.perf_counter() - begin, sum(r.done() for r in rivals)
    for r in rivals:
        r.cancel()
    await asyncio.gather(*rivals, return_exceptions=True)
    await asyncio.sleep(0.5)
    return seconds, answer, n_done


def fairness(model, folder, args):
    """The one that is measured alone has a key of its own: what it used then is not held against the one beside many."""
    data = folder / "data"
    one, many, alone_key = (add_key(data, name) for name in ("one", "many", "alone"))
    server = load.Ours(model, data, args.threads, args.ours_args.split())
    make = Prompts(server, args.prompt, one)
    rows = []
    asyncio.run(client(server, make.take(2), args.output, 1, many))
    for _ in range(args.rounds):
        begin = time.perf_counter()
        alone = asyncio.run(client(server, make.take(1), args.output, 77, alone_key))[0]
        alone_s = time.perf_counter() - begin
        beside_s, beside, n_done = asyncio.run(one_beside_many(server, make.take(1 + N_RIVALS), args.output, one, many))
        rows.append({"alone_s": alone_s, "beside_s": beside_s, "times": beside_s / alone_s, "first_alone_ms": alone.first_s * 1e3,
                     "first_beside_ms": beside.first_s * 1e3, "rivals_done": n_done})
        print("  " + "  ".join(f"{k} {v:.2f}" for k, v in rows[-1].items()), file=sys.stderr, flush=True)
    server.stop()
    return rows


# --- schemas --------------------------------------------------------------------------------------------------------

def schema_bodies(server, n_seeds):
    return [{"model": server.model, "messages": [{"role": "user", "content": f"Give an example of: {name}."}], "max_tokens": 300, "seed": seed, "stream": True,
             "stream_options": {"include_usage": True}, **SAMPLING,
             "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}}
            for seed in range(n_seeds) for name, schema in SCHEMAS.items()]


async def ask_all(server, bodies, n_clients):
    """Tokens of each answer, and the seconds of all."""
    queue, n_tok = list(enumerate(bodies)), [0] * len(bodies)

    async def work():
        while queue:
            i, body = queue.pop(0)
            n_tok[i] = load.Answer(await load.post(server.address, "/v1/chat/completions", body)).usage["completion_tokens"]
    begin = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(n_clients)))
    return n_tok, time.perf_counter() - begin


def schemas(model, folder, args):
    """The same prompts with the schema, and without, to the length that the schema gave; both had their prompts before."""
    server = load.Ours(model, folder / "data", args.threads, args.ours_args.split())
    held = schema_bodies(server, args.each)
    n_tok, _ = asyncio.run(ask_all(server, held, 16))
    free = [{**{k: v for k, v in b.items() if k != "response_format"}, "max_tokens": n, "ignore_eos": True} for b, n in zip(held, n_tok)]
    rows = []
    for i in range(args.rounds):
        took = {}
        for kind, bodies in (("held", held), ("free", free))[::1 - i % 2 * 2]:
            n, took[kind] = asyncio.run(ask_all(server, bodies, args.clients))
            if n != n_tok:
                raise SystemExit("lengths are not the same")
        rows.append({"tokens": sum(n_tok), "schema_tok_s": sum(n_tok) / took["held"], "free_tok_s": sum(n_tok) / took["free"],
                     "slower": took["held"] / took["free"] - 1})
        print("  " + "  ".join(f"{k} {v:.3f}" for k, v in rows[-1].items()), file=sys.stderr, flush=True)
    server.stop()
    return rows


# --- the whole ------------------------------------------------------------------------------------------------------

def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("models", nargs="+")
    ap.add_argument("--llama-server", metavar="PATH", help="without it: ours alone")
    ap.add_argument("--llama-args", default="", help="more options of llama-server")
    ap.add_argument("--ours-args", default="", help="more options of cloche serve")
    ap.add_argument("--fairness", action="store_true")
    ap.add_argument("--schemas", action="store_true")
    ap.add_argument("--clients", type=int, default=16)
    ap.add_argument("--each", type=int, default=1, help="requests of a client, one after the other; with --schemas: seeds of each")
    ap.add_argument("--prompt", type=int, default=128)
    ap.add_argument("--output", type=int, default=128)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--warm-up", type=int, default=4, help="answers before a round")
    ap.add_argument("-t", "--threads", type=int, default=2)
    ap.add_argument("--json", metavar="FILE", help="every single figure")
    args = ap.parse_args()
    every = {}
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            rows = (fairness if args.fairness else schemas if args.schemas else throughput)(model, folder, args)
        every[pathlib.Path(model).stem] = rows
        if args.fairness or args.schemas:
            what = f"one beside {N_RIVALS}" if args.fairness else f"{len(SCHEMAS)} schemas, {args.clients} clients"
            print(f"{pathlib.Path(model).stem}, {what}: " + ", ".join(f"{k} {v:.3f}" for k, v in load.medians(rows).items()))
        else:
            print_throughput(model, rows)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(every, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
