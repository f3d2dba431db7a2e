#!/usr/bin/env python3
"""`make check-bits`: one digest of logits for every way of computing them.

Axes: compiler and optimisation (each a build of its own in build/bits-*), instruction set (CLOCHE_CPU), threads, prefill
chunk, with and without a reused prefix; on ARM the cross-built program under qemu-aarch64. For one model the whole
product is run, for the others a set in which every pair of values of two axes occurs. Every digest must equal the one
constant of tests/golden/bits.json; so must the text of a seeded, sampled answer.

  tests/bits.py [--write] [--models DIR] [--only NAME] [--no-arm] [--quick]

--write records the constants, from the scalar kernels alone (they are the law); it is used when the profile changes.
"""
import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import tiny_models

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden/bits.json"
FULL_PRODUCT = "q4_0"
THREADS, CHUNKS, REUSES = (1, 2, 3, 8), (1, 7, 64, 512), (0, 70)
N_TOKENS = 100  # crosses a border of the blocks of 64 in which attention reads
IDS = ",".join(str((i * 7919 + 13) % 250) for i in range(N_TOKENS))


def cpu_flags():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()


def native_isas():
    f = cpu_flags()
    if platform.machine() == "aarch64":
        return ["scalar", "neon-nodot"] + (["neon"] if "asimddp" in f else [])
    out = ["scalar"]
    if {"avx2", "fma", "f16c"} <= f:
        out.append("avx2")
    if {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= f:
        out += ["avx512-novnni"] + (["avx512"] if "avx512_vnni" in f else [])
    return out


def build(name, *variables):
    folder = f"build/bits-{name}"
    target = f"{folder}/cloche"
    p = subprocess.run(["make", "-j2", f"B={folder}", target, *variables], cwd=ROOT, capture_output=True, text=True)
    if p.returncode != 0:
        raise SystemExit(f"build of bits-{name}:\n{p.stdout[-2000:]}{p.stderr[-4000:]}")
    return str(ROOT / target)


def builds(compilers, opts):
    out = {}
    for cc, opt in itertools.product(compilers, opts):
        if not shutil.which(cc):
            print(f"  skipped  {cc} is not installed")
            continue
        out[f"{cc}{opt}"] = [build(f"{cc}{opt}", f"CC={cc}", f"OPT={opt}", f"OPT_KERNEL={opt}")]
    return out


def arm_build():
    """The cross-built program under the emulator, or None with the reason."""
    for tool in ("aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if not shutil.which(tool):
            print(f"  skipped  arm: {tool} is not installed (tools/bootstrap.sh cross)")
            return None
    return ["qemu-aarch64", build("aarch64", "CROSS=aarch64")]


def all_pairs(axes):
    """Rows in which every pair of values of every two axes occurs; greedy, always the same rows."""
    names = list(axes)
    todo = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in axes[a] for y in axes[b]}
    product = [tuple(zip(names, row)) for row in itertools.product(*axes.values())]
    while todo:
        row = max(product, key=lambda r: sum(p in todo for p in itertools.combinations(r, 2)))
        todo -= set(itertools.combinations(row, 2))
        yield dict(row)


def every_row(axes):
    return [dict(zip(axes, row)) for row in itertools.product(*axes.values())]


def run(cmd, isa):
    env = dict(os.environ, CLOCHE_CPU=isa, CLOCHE_DATA=str(ROOT / "build/bits-data"))
    p = subprocess.run(cmd, cwd=ROOT, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
    if p.returncode != 0:
        return f"exit status {p.returncode}: {p.stderr.strip()[-300:]}"
    return p.stdout.strip()


def logits_digest(program, model, isa, threads, chunk, reuse):
    cmd = program + ["logits", str(model), "--tokens", IDS, "--digest", "-t", str(threads), "--chunk", str(chunk)]
    return run(cmd + (["--reuse", str(reuse)] if reuse else []), isa)


def seeded_text(program, model, isa, threads):
    cmd = program + ["run", str(model), "Once upon a time", "--seed", "7", "--temp", "1.1", "--max-tokens", "40",
                     "-t", str(threads), "--raw"]
    return hashlib.sha256(run(cmd, isa).encode()).hexdigest()


class Checker:
    def __init__(self):
        self.passed, self.failed = 0, []

    def expect(self, what, found, wanted):
        if found == wanted:
            self.passed += 1
        else:
            self.failed.append(what)
            print(f"  FAILED   {what}: {found}, expected {wanted}")

    def all(self, jobs):
        """jobs: (what, function, arguments, wanted); two at a time."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for what, future, wanted in [(w, pool.submit(f, *a), want) for w, f, a, want in jobs]:
                self.expect(what, future.result(), wanted)


def jobs_of(name, model, golden, programs, arm, isas, quick):
    axes = {"build": list(programs), "isa": isas, "threads": THREADS, "chunk": CHUNKS, "reuse": REUSES}
    full = name.endswith(FULL_PRODUCT) and not quick
    for r in every_row(axes) if full else all_pairs(axes):
        what = f"{name} {r['build']} {r['isa']} threads {r['threads']} chunk {r['chunk']} reuse {r['reuse']}"
        yield (what, logits_digest, (programs[r["build"]], model, r["isa"], r["threads"], r["chunk"], r["reuse"]),
               golden["logits"])
    for build_name, isa in itertools.product(programs, isas):
        yield f"{name} {build_name} {isa} text", seeded_text, (programs[build_name], model, isa, 2), golden["text"]
    if arm:
        arm_axes = {"isa": ["neon", "neon-nodot", "scalar"], "threads": (1, 3), "chunk": (7, 512), "reuse": REUSES}
        for r in all_pairs(arm_axes):
            what = f"{name} arm {r['isa']} threads {r['threads']} chunk {r['chunk']} reuse {r['reuse']}"
            yield (what, logits_digest, (arm, model, r["isa"], r["threads"], r["chunk"], r["reuse"]), golden["logits"])
        yield f"{name} arm neon text", seeded_text, (arm, model, "neon", 1), golden["text"]


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_golden(models, program):
    """From the scalar kernels, one thread, token by token: the plainest way."""
    golden = {}
    for name, path in models.items():
        golden[name] = {"file": sha256_of(path), "logits": logits_digest(program, path, "scalar", 1, 1, 0),
                        "text": seeded_text(program, path, "scalar", 1)}
    GOLDEN.write_text(json.dumps({"profile": "n1", "models": golden}, indent=1) + "\n")
    print(f"wrote {GOLDEN.relative_to(ROOT)}")


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--write", action="store_true")
    ap.add_argument("--quick", action="store_true", help="pairs for every model, two builds")
    ap.add_argument("--no-arm", action="store_true")
    ap.add_argument("--only", default="")
    ap.add_argument("--models", type=pathlib.Path, default=ROOT / "build/bits-models")
    args = ap.parse_args()

    models = {n: p for n, p in tiny_models.write(args.models).items() if args.only in n}
    programs = builds(("gcc",), ("-O1",)) if args.write else builds(("gcc", "clang"), ("-O1", "-O3"))
    if args.write:
        write_golden(models, next(iter(programs.values())))
        return 0
    if args.quick:
        programs = {k: v for k, v in programs.items() if k in ("gcc-O3", "clang-O1")}
    golden = json.loads(GOLDEN.read_text())["models"]
    arm = None if args.no_arm or platform.machine() == "aarch64" else arm_build()
    isas, check = native_isas(), Checker()
    print(f"builds {', '.join(programs)}{', arm (emulated)' if arm else ''}; instruction sets {', '.join(isas)}")
    for name, path in models.items():
        check.expect(f"{name} file", sha256_of(path), golden[name]["file"])
        before = check.passed
        check.all(jobs_of(name, path, golden[name], programs, arm, isas, args.quick))
        print(f"  {name}: {check.passed - before} equal, digest {golden[name]['logits'][:16]}", flush=True)
    print(f"{check.passed} passed, {len(check.failed)} failed")
    return 1 if check.failed or not check.passed else 0


if __name__ == "__main__":
    sys.exit(main())
