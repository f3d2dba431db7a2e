#!/usr/bin/env python3
"""Peak memory of a first start (weights are packed) and of a second, beside the file and the KV cache.

  bench/memory.py MODEL.gguf...
  bench/memory.py MODEL.gguf --limit-gb 6     also in a cgroup that may hold no more

The peak is VmHWM: it counts mapped pages of files, which the kernel may drop at any time; "own" is what it may not drop
(anonymous memory, sampled while the program runs). A prompt of -p tokens and -n more are computed. The bound is
file + KV cache + 150 MB. Exit code 1 when a row is over it.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOCHE = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))
MARGIN_BYTES = 150 * 10**6
MB = 10**6


def status_bytes(pid, key):
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    m = re.search(rf"^{key}:\s+(\d+) kB", text, re.M)
    return int(m.group(1)) * 1024 if m else 0


def run(model, data, args, cgroup=None):
    """(result of run --json, peak resident bytes, peak of anonymous bytes, seconds)."""
    cmd = [CLOCHE, "run", model, "-", "--raw", "--temp", "0", "--ignore-eos", "-n", str(args.n), "--json", "--data", data,
           *(["-t", str(args.t)] if args.t else [])]
    enter = (lambda: (cgroup / "cgroup.procs").write_text(str(os.getpid()))) if cgroup else None
    start = time.perf_counter()
    p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=enter)
    own = [0]  # largest RssAnon seen

    def sample():
        while p.poll() is None:
            own[0] = max(own[0], status_bytes(p.pid, "RssAnon"))
            time.sleep(0.005)

    errors = []
    threads = [threading.Thread(target=sample), threading.Thread(target=lambda: errors.append(p.stderr.read()))]
    for t in threads:
        t.start()
    p.stdin.write(" the" * args.p)
    p.stdin.close()
    out = p.stdout.read()
    for t in threads[1:]:
        t.join()
    _, code, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(code)
    threads[0].join()
    if code != 0:
        raise SystemExit(f"{' '.join(cmd)}: {p.returncode}\n{errors[0].strip()[-1000:]}")
    return json.loads(out), usage.ru_maxrss * 1024, own[0], time.perf_counter() - start


def kv_bytes(model, n_tokens):
    """Keys and values in float16 for whole blocks of 64 positions, from the file's own numbers."""
    j = json.loads(subprocess.run([CLOCHE, "inspect", model, "--json"], capture_output=True, text=True, check=True).stdout)
    meta = {k["key"].split(".", 1)[1]: k.get("value") for k in j["keys"] if "." in k["key"]}
    head_dim = meta.get("attention.key_length", meta["embedding_length"] // meta["attention.head_count"])
    n_kv_head = meta.get("attention.head_count_kv", meta["attention.head_count"])
    return (n_tokens + 63) // 64 * 64 * meta["block_count"] * n_kv_head * head_dim * 2 * 2


def make_cgroup(limit_bytes):
    """A cgroup that holds at most this much, page cache included, or None where we may not make one."""
    name, error = f"cloche-memory-{os.getpid()}", "no cgroup file system"
    for root, key in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = pathlib.Path(root) / name
        try:
            group.mkdir()
        except OSError as e:
            error = e.strerror
            continue
        try:
            if not (group / key).exists():
                raise OSError(0, f"no {key}")
            (group / key).write_text(str(limit_bytes))
            return group
        except OSError as e:
            error = e.strerror
            group.rmdir()
    print(f"no cgroup with a limit here ({error}): the limit is not tried", file=sys.stderr)
    return None


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("models", nargs="+")
    ap.add_argument("-p", type=int, default=512, help="words of the prompt")
    ap.add_argument("-n", type=int, default=16)
    ap.add_argument("-t", type=int, default=0)
    ap.add_argument("--limit-gb", type=float, help="also run in a cgroup of this size")
    args = ap.parse_args()
    print("| model | start | file MB | KV MB | peak MB | over file + KV | own MB | s |\n" + "| --- " * 8 + "|")
    bad = False
    for model in args.models:
        name, size = pathlib.Path(model).stem, os.path.getsize(model)
        group = make_cgroup(int(args.limit_gb * 10**9)) if args.limit_gb else None
        data = tempfile.mkdtemp(prefix="cloche-memory-", dir=os.environ.get("TMPDIR"))
        try:
            for start in ("first", "second"):
                j, peak, own, seconds = run(model, data, args, group)
                kv = kv_bytes(model, j["usage"]["total_tokens"])
                over = peak - size - kv
                bad |= over > MARGIN_BYTES
                where = f"{start}, in {args.limit_gb:g} GB" if group else start
                print(f"| {name} | {where} | {size / MB:.0f} | {kv / MB:.0f} | {peak / MB:.0f} | {over / MB:+.0f} | "
                      f"{own / MB:.0f} | {seconds:.1f} |", flush=True)
        finally:
            shutil.rmtree(data)
            if group:
                group.rmdir()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
