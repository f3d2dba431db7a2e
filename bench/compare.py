#!/usr/bin/env python3
"""Speed, start and memory of this program beside llama.cpp, interleaved so that the machine's moods meet both.

For each model: ours, theirs, ours, theirs ... ROUNDS times, each a fresh process on the same two pinned processors;
the table shows medians and the ratio of medians. llama.cpp gets its best settings (bench/llamacpp.py).

  bench/compare.py                          the standard set, made by tools/make_models.py when absent
  bench/compare.py MODEL.gguf...            these files
  bench/compare.py --ours-only              without llama.cpp
  bench/compare.py --python build/peers/bin/python     the Python that has llama_cpp
"""
import argparse
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOCHE = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))
N_FIRST = 16  # prompt tokens of the start-to-first-token measurement


def cpu_name():
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    m = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    flags = set((re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.M) or [None, ""])[1].split())
    sets = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "asimddp", "i8mm") if f in flags]
    return (m.group(1) if m else platform.machine()) + " (" + ", ".join(sets) + ")"


def run_json(cmd, env=None):
    p = subprocess.run(cmd, capture_output=True, text=True, env=env, cwd=ROOT)
    if p.returncode != 0:
        raise SystemExit(f"{' '.join(cmd)}\n{p.stderr.strip()[-2000:]}")
    return json.loads(p.stdout.strip().splitlines()[-1])


def run_timed(cmd):
    """Seconds from fork to exit, and the peak resident bytes."""
    start = time.perf_counter()
    p = subprocess.Popen(cmd, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    err = p.stderr.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(cmd)}\n{err.decode('utf-8', 'replace')[-2000:]}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


class Bench:
    def __init__(self, args):
        self.args = args
        self.pin = ["taskset", "-c", args.cpus] if args.cpus else []
        self.env = dict(os.environ, OMP_PROC_BIND="true", OMP_WAIT_POLICY="active")

    def ours(self, model):
        a = self.args
        j = run_json(self.pin + [CLOCHE, "bench", model, "-p", str(a.p), "-n", str(a.n), "-t", str(a.t), "-r", "3",
                                    "--no-limits", "--json"])
        return {key: j[key + "_median"] for key in ("prefill_tok_s", "decode_tok_s")}

    def ours_first(self, model):
        s, rss = run_timed(self.pin + [CLOCHE, "run", model, " the" * N_FIRST, "--raw", "-n", "1", "-t", str(self.args.t)])
        return {"first_token_s": s, "rss_bytes": rss}

    def theirs(self, model, *more):
        a = self.args
        return run_json(self.pin + [a.python, str(ROOT / "bench/llamacpp.py"), model, "-t", str(a.t), "-n", str(a.n),
                                    *(more or ("-p", str(a.p)))], self.env)

    def measure(self, model):
        """{who: {key: median}} of one model."""
        runs = {"ours": {}, "theirs": {}}

        def note(who, result):
            for key in ("prefill_tok_s", "decode_tok_s", "first_token_s", "rss_bytes"):
                if key in result:
                    runs[who].setdefault(key, []).append(result[key])

        self.ours_first(model)  # packs the weights once; a second start is what people meet
        for i in range(self.args.rounds):
            note("ours", self.ours(model))
            if not self.args.ours_only:
                note("theirs", {k: v for k, v in self.theirs(model).items() if k.endswith("tok_s")})
            note("ours", self.ours_first(model))
            if not self.args.ours_only:
                note("theirs", self.theirs(model, "--first", "-p", str(N_FIRST)))
            print(f"  round {i + 1}/{self.args.rounds} of {pathlib.Path(model).name}", file=sys.stderr, flush=True)
        return {who: {k: statistics.median(v) for k, v in d.items()} for who, d in runs.items()}, runs


COLUMNS = (("prefill_tok_s", "prefill tok/s", 1.0, "{:.0f}", True), ("decode_tok_s", "decode tok/s", 1.0, "{:.1f}", True),
           ("first_token_s", "first token s", 1.0, "{:.3f}", False), ("rss_bytes", "peak MiB", 1 / 2**20, "{:.0f}", False))


def print_table(rows, ours_only):
    head = "| model |"
    for _, title, _, _, _ in COLUMNS:
        head += f" {title} |" if ours_only else f" {title} | llama.cpp | ratio |"
    print(head)
    print("|" + " --- |" * (head.count("|") - 1))
    for name, m in rows:
        line = f"| {name} |"
        for key, _, unit, fmt, _ in COLUMNS:
            a, b = m["ours"][key], m["theirs"].get(key)
            line += f" {fmt.format(a * unit)} |"
            if not ours_only:
                line += f" {fmt.format(b * unit)} | {a / b:.2f} |"
        print(line)


STANDARD = (("SmolLM2-135M", "Q4_0"), ("Qwen2.5-0.5B", "Q4_0"), ("Qwen2.5-0.5B", "Q4_K_M"), ("Qwen2.5-0.5B", "Q8_0"),
            ("OLMo-2-1B", "Q4_0"), ("OLMo-2-1B", "BF16"))


def standard_models(python):
    """Full shapes with random weights in build/models; what is absent is made there."""
    folder, out = ROOT / "build/models", []
    for shape, mix in STANDARD:
        path = folder / f"{shape}-{mix}.gguf"
        if not path.is_file():
            subprocess.run([python, str(ROOT / "tools/make_models.py"), "speed", str(folder), "--shape", shape, "--type", mix],
                           check=True)
        out.append(str(path))
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("models", nargs="*")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("-p", type=int, default=512)
    ap.add_argument("-n", type=int, default=128)
    ap.add_argument("-t", type=int, default=2)
    ap.add_argument("--cpus", default="0,1", help="taskset list; empty: unpinned")
    ap.add_argument("--ours-only", action="store_true")
    ap.add_argument("--json", metavar="FILE", help="every single figure")
    ap.add_argument("--python", default=next((str(p) for p in [ROOT / "build/peers/bin/python"] if p.exists()), sys.executable))
    args = ap.parse_args()

    print(f"Processor: {cpu_name()}; {os.cpu_count()} processors seen; threads {args.t}, "
          + (f"pinned with taskset -c {args.cpus}" if args.cpus else "unpinned"))
    print(f"Prompt {args.p}; {args.n} single tokens; medians of {args.rounds} interleaved rounds of 3 runs each; "
          f"first token: a fresh process with a warm page cache, prompt of {N_FIRST}. Ratio is ours / llama.cpp.\n")
    bench, rows, every = Bench(args), [], {}
    for model in args.models or standard_models(args.python):
        medians, runs = bench.measure(model)
        rows.append((pathlib.Path(model).stem, medians))
        every[pathlib.Path(model).stem] = runs
    print_table(rows, args.ours_only)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(every, indent=1))


if __name__ == "__main__":
    main()
