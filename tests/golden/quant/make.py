#!/usr/bin/env python3
"""Writes quant.bin: what the reference implementations make of each block type.

  values  gguf.quants.dequantize (PyPI `gguf`) of random blocks: random f16 scales of both signs, some subnormal
  bytes   ggml_quantize_chunk without an importance matrix (libggml-base of PyPI `llama-cpp-python`) of mixed floats;
          where `gguf` can quantise too, the script stops unless both agree (but for the sign of a zero scale)

Usage: make.py            (numpy, gguf, llama-cpp-python)

quant.bin, little-endian: "CLOQ", u32 n_types, u32 n, f32 x[n] (the floats to quantise); then for each type
  char name[8]; u32 n_block_bytes; u8 blocks[]; u32 n_values; f32 values[]; u32 n_bytes; u8 bytes[] (x quantised)
"""
import ctypes
import os
import struct

import gguf
import llama_cpp
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES

NAMES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
         "IQ4_NL", "IQ4_XS", "MXFP4"]
SCALES = {"Q4_1": [0, 2], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q6_K": [208], "MXFP4": [], "F32": [], "BF16": []}

rng = np.random.default_rng(20260101)
ggml = ctypes.CDLL(os.path.join(os.path.dirname(llama_cpp.__file__), "lib", "libggml-base.so"))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t


def random_blocks(name):
    length, size = GGML_QUANT_SIZES[T[name]]
    blocks = rng.integers(0, 256, (3 if length == 256 else 12, size), dtype=np.uint8)
    for off in SCALES.get(name, [0]):
        blocks[(blocks[:, off + 1] & 0x7C) == 0x7C, off + 1] &= 0xBF  # no infinity, no NaN
        blocks[::3, off + 1] &= 0x83                                  # subnormal
    if name in ("F32", "BF16"):
        blocks[:, -1] &= 0xBF
    return blocks


def floats():
    parts = [rng.standard_normal(1024) * 0.02, rng.standard_t(2, 512), np.exp(rng.uniform(-12, 6, 256)),
             rng.standard_normal(256) * (rng.random(256) < 0.1), rng.integers(-4, 5, 256), np.zeros(256),
             np.full(256, 0.37), rng.standard_normal(256) * 1e-7]
    return (np.concatenate(parts) + 0.0).astype(np.float32)


def quantised(name, x):
    length, size = GGML_QUANT_SIZES[T[name]]
    if name == "F32":
        return x.view(np.uint8)
    out = np.zeros(x.size // length * size, np.uint8)
    ggml.ggml_quantize_chunk(T[name].value, x.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p),
                             ctypes.c_int64(0), ctypes.c_int64(1), ctypes.c_int64(x.size), None)
    try:
        other = np.ascontiguousarray(gguf.quants.quantize(x.reshape(-1, 256), T[name])).view(np.uint8).ravel()
    except NotImplementedError:
        return out
    a, b = out.reshape(-1, size), other.reshape(-1, size)
    rows = np.flatnonzero((a != b).any(axis=1))
    for r in rows:
        differing = np.flatnonzero(a[r] != b[r])
        assert set(differing) <= {1, 3} and all((a[r][i] ^ b[r][i]) == 0x80 for i in differing), (name, r)
    return out


def main():
    x = floats()
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "quant.bin"), "wb") as f:
        f.write(b"CLOQ" + struct.pack("<II", len(NAMES), x.size) + x.tobytes())
        for name in NAMES:
            blocks = random_blocks(name)
            values = gguf.quants.dequantize(blocks, T[name]).astype(np.float32).ravel()
            data = quantised(name, x)
            f.write(name.encode().ljust(8, b"\0"))
            f.write(struct.pack("<I", blocks.size) + blocks.tobytes())
            f.write(struct.pack("<I", values.size) + values.tobytes())
            f.write(struct.pack("<I", data.size) + data.tobytes())


main()
