"""llama.cpp measured in this process through its low-level API: a child of compare.py, one JSON object on stdout.

Given its best: two pinned OpenMP threads that spin, memory-mapped weights, run-time repacking on, a batch and micro-batch
that take the whole prompt, logits of the last token only, and flash attention both off and on (the better one counts).
Python's start is not counted, and the memory of the interpreter is taken off.
"""
import argparse
import ctypes
import json
import os
import random
import re
import statistics
import time


def rss_bytes(key):
    with open("/proc/self/status", encoding="ascii") as f:
        return int(re.search(rf"^{key}:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024


class Llama:
    """A model, and a context for each setting of flash attention."""

    def __init__(self, path, n_threads, n_ctx):
        import llama_cpp as lc
        self.lc = lc
        self.quiet = lc.llama_log_callback(lambda level, text, data: None)
        lc.llama_log_set(self.quiet, ctypes.c_void_p(0))
        self.rss_before = rss_bytes("VmRSS")
        self.start = time.perf_counter()
        lc.llama_backend_init()
        params = lc.llama_model_default_params()
        params.use_extra_bufts = True  # weights re-laid for this processor
        params.n_gpu_layers = 0
        self.model = lc.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self.n_threads, self.n_ctx = n_threads, n_ctx
        self.n_vocab = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(self.model))
        self.ctx = None

    def context(self, flash):
        if self.ctx:
            self.lc.llama_free(self.ctx)
        p = self.lc.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch = self.n_ctx, 512, 512
        p.n_threads = p.n_threads_batch = self.n_threads
        p.flash_attn_type = 1 if flash else 0
        self.ctx = self.lc.llama_init_from_model(self.model, p)
        if not self.ctx:
            raise SystemExit("llama.cpp makes no context")

    def decode(self, ids):
        array = (self.lc.llama_token * len(ids))(*ids)
        if self.lc.llama_decode(self.ctx, self.lc.llama_batch_get_one(array, len(ids))) != 0:
            raise SystemExit("llama_decode failed")
        self.lc.llama_synchronize(self.ctx)
        return self.lc.llama_get_logits_ith(self.ctx, -1)

    def clear(self):
        self.lc.llama_memory_clear(self.lc.llama_get_memory(self.ctx), True)


def speed(m, n_prompt, n_gen, n_repeats=3):
    """Median seconds of a prompt of n_prompt tokens, and of n_gen single tokens after one; after a warm-up of both."""
    rng = random.Random(1)
    prompt = [rng.randrange(m.n_vocab) for _ in range(n_prompt)]
    tokens = [rng.randrange(m.n_vocab) for _ in range(n_gen)]
    m.decode(prompt)
    m.decode(tokens[:1])
    prefill, decode = [], []
    for _ in range(n_repeats):
        m.clear()
        t0 = time.perf_counter()
        for i in range(0, n_prompt, 512):
            m.decode(prompt[i:i + 512])
        t1 = time.perf_counter()
        m.clear()
        m.decode(prompt[:1])
        t2 = time.perf_counter()
        for t in tokens:
            m.decode([t])
        prefill.append(t1 - t0)
        decode.append(time.perf_counter() - t2)
    return statistics.median(prefill), statistics.median(decode)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model")
    ap.add_argument("-t", type=int, default=2)
    ap.add_argument("-p", type=int, default=512)
    ap.add_argument("-n", type=int, default=128)
    ap.add_argument("--first", action="store_true", help="only: start to the first token of a prompt of -p tokens")
    args = ap.parse_args()
    m = Llama(args.model, args.t, max(256, (args.p + args.n + 255) // 256 * 256))
    out = {"threads": args.t}
    if args.first:
        m.context(True)
        m.decode([i % m.n_vocab for i in range(1, args.p + 1)])
        out["first_token_s"] = time.perf_counter() - m.start
    else:
        for flash in (False, True):
            m.context(flash)
            pp, tg = speed(m, args.p, args.n)
            out["fa" if flash else "no_fa"] = {"prefill_tok_s": args.p / pp, "decode_tok_s": args.n / tg if tg else 0}
        for key in ("prefill_tok_s", "decode_tok_s"):
            out[key] = max(out["fa"][key], out["no_fa"][key])
    out["rss_bytes"] = rss_bytes("VmHWM") - m.rss_before
    out["system"] = m.lc.llama_print_system_info().decode()
    print(json.dumps(out), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
