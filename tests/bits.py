#!/usr/bin/env python3
"""`make check-bits`: one digest of logits for every way of computing them.

Axes: compiler and optimisation (each a build of its own in build/bits-*), instruction set (CLOCHE_CPU; on ARM the
cross-built program under qemu-aarch64), threads, prefill chunk, with and without a reused prefix. The whole product is run,
by tests/bits.c, which goes through the last three axes in one process. The program itself (`cloche logits`, through
prepared weights) goes through a set of rows in which every pair of values of two axes occurs, and gives the text of a
seeded, sampled answer. Every digest must equal the one constant of tests/golden/bits.json.

  tests/bits.py [--write] [--models DIR] [--only NAME] [--no-arm]

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
import time

import tiny_models

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden/bits.json"
THREADS, CHUNKS, REUSE = (1, 2, 3, 8), (1, 7, 64, 512), 70
N_TOKENS = 100  # crosses a border of the blocks of 64 in which attention reads
IDS = ",".join(str((i * 7919 + 13) % 250) for i in range(N_TOKENS))  # as tests/bits.c has them
ARM = "aarch64"
TABLES = {"avx512-novnni": "avx512", "avx512": "avx512vnni", "neon-nodot": "neon", "neon": "neondot"}  # where not its name


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


class Build:
    """Our program and tests/bits.c, built in build/bits-<name>."""

    def __init__(self, name, *variables, emulator=()):
        folder = f"build/bits-{name}"
        targets = {"cloche": f"{folder}/cloche", "bits": f"{folder}/tests/bits"}
        p = subprocess.run(["make", "-j2", f"B={folder}", *targets.values(), *variables], cwd=ROOT, capture_output=True,
                           text=True)
        if p.returncode != 0:
            raise SystemExit(f"build of bits-{name}:\n{p.stdout[-2000:]}{p.stderr[-4000:]}")
        self.name = name
        self.cloche, self.bits = ([*emulator, str(ROOT / t)] for t in targets.values())


def builds(compilers, opts):
    for cc, opt in itertools.product(compilers, opts):
        if shutil.which(cc):
            yield Build(f"{cc}{opt}", f"CC={cc}", f"OPT={opt}", f"OPT_KERNEL={opt}")
        else:
            print(f"  skipped  {cc} is not installed")


def arm_build():
    """The cross-built program under the emulator, or None with the reason."""
    for tool in ("aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if not shutil.which(tool):
            print(f"  skipped  arm: {tool} is not installed (tools/bootstrap.sh cross)")
            return None
    return Build(ARM, "CROSS=aarch64", emulator=["qemu-aarch64"])


def all_pairs(axes):
    """Rows in which every pair of values of every two axes occurs; greedy, always the same rows."""
    names = list(axes)
    todo = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in axes[a] for y in axes[b]}
    product = [tuple(zip(names, row)) for row in itertools.product(*axes.values())]
    while todo:
        row = max(product, key=lambda r: sum(p in todo for p in itertools.combinations(r, 2)))
        todo -= set(itertools.combinations(row, 2))
        yield dict(row)


def run(cmd, isa):
    env = dict(os.environ, CLOCHE_CPU=isa, CLOCHE_DATA=str(ROOT / "build/bits-data"))
    p = subprocess.run(cmd, cwd=ROOT, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
    if p.returncode != 0:
        return f"exit status {p.returncode}: {p.stderr.strip()[-300:]}"
    return p.stdout.strip()


def product_digests(build, model, isa):
    """{(threads, chunk, reuse): digest}, or what went wrong."""
    lists = (",".join(map(str, axis)) for axis in (THREADS, CHUNKS))
    out = run([*build.bits, str(model), str(N_TOKENS), str(REUSE), *lists], isa)
    table, *lines = out.splitlines()
    if table != TABLES.get(isa, isa):
        return out
    return {tuple(map(int, row)): digest for *row, digest in (line.split() for line in lines)}


def logits_digest(build, model, isa, threads, chunk, reuse):
    cmd = [*build.cloche, "logits", str(model), "--tokens", IDS, "--digest", "-t", str(threads), "--chunk", str(chunk)]
    return run(cmd + (["--reuse", str(reuse)] if reuse else []), isa)


def seeded_text(build, model, isa, threads):
    cmd = [*build.cloche, "run", str(model), "Once upon a time", "--seed", "7", "--temp", "1.1", "--max-tokens", "40",
           "-t", str(threads), "--raw"]
    return hashlib.sha256(run(cmd, isa).encode()).hexdigest()


class Checker:
    def __init__(self):
        self.passed, self.failed = 0, []

    def expect(self, what, found, wanted):
        if isinstance(wanted, dict) and isinstance(found, dict) and found.keys() == wanted.keys():
            for row, digest in wanted.items():
                self.expect("{} threads {} chunk {} reuse {}".format(what, *row), found[row], digest)
        elif found == wanted:
            self.passed += 1
        else:
            self.failed.append(what)
            print(f"  FAILED   {what}: {found}, expected {wanted}")

    def all(self, jobs):
        """jobs: (what, function, arguments, wanted); two at a time."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for what, future, wanted in [(w, pool.submit(f, *a), want) for w, f, a, want in jobs]:
                self.expect(what, future.result(), wanted)


def jobs_of(name, model, golden, columns):
    """columns: (build, instruction set) pairs that are to be compared."""
    product = dict.fromkeys(itertools.product(THREADS, CHUNKS, (0, REUSE)), golden["logits"])
    for build, isa in columns:
        if isa != "scalar" or build.name != ARM:  # plain C, emulated: for its cost only the rows below
            yield f"{name} {build.name} {isa}", product_digests, (build, model, isa), product
        yield f"{name} {build.name} {isa} text", seeded_text, (build, model, isa, 2), golden["text"]
    for r in all_pairs({"column": columns, "threads": THREADS, "chunk": CHUNKS, "reuse": (0, REUSE)}):
        (build, isa), *row = r.values()
        yield f"{name} {build.name} {isa} cloche logits {row}", logits_digest, (build, model, isa, *row), golden["logits"]


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
    ap.add_argument("--no-arm", action="store_true")
    ap.add_argument("--only", default="")
    ap.add_argument("--models", type=pathlib.Path, default=ROOT / "build/bits-models")
    args = ap.parse_args()

    kinds = [f"tiny-{t}" for t in tiny_models.TYPES]
    models = {n: p for n, p in tiny_models.write(args.models).items() if n in kinds and args.only in n}
    if args.write:
        write_golden(models, next(builds(("gcc",), ("-O1",))))
        return 0
    columns = list(itertools.product(builds(("gcc", "clang"), ("-O1", "-O3")), native_isas()))
    arm = None if args.no_arm or platform.machine() == "aarch64" else arm_build()
    if arm:
        columns += [(arm, isa) for isa in ("scalar", "neon-nodot", "neon")]
    print("; ".join(f"{build.name}: {', '.join(isa for b, isa in columns if b is build)}"
                    for build in dict.fromkeys(b for b, _ in columns)), flush=True)
    golden, check = json.loads(GOLDEN.read_text())["models"], Checker()
    for name, path in models.items():
        begin, before = time.monotonic(), check.passed
        check.expect(f"{name} file", sha256_of(path), golden[name]["file"])
        check.all(jobs_of(name, path, golden[name], columns))
        print(f"  {name}: {check.passed - before} equal, digest {golden[name]['logits'][:16]}"
              f" ({time.monotonic() - begin:.0f} s)", flush=True)
    print(f"{check.passed} passed, {len(check.failed)} failed")
    return 1 if check.failed or not check.passed else 0


if __name__ == "__main__":
    sys.exit(main())
