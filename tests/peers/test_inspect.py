"""`inspect` against PyPI gguf and safetensors: the same keys, shapes and, bit for bit, the same dequantised numbers."""
import os
import sys

import numpy as np
import pytest

from conftest import ROOT, need

sys.path.insert(0, str(ROOT / "tools"))
import make_models

KINDS = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
         "IQ4_XS", "MXFP4"]


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    """One matrix [3, 512] of every type, and a key of every kind."""
    gguf = need("gguf")
    path = str(tmp_path_factory.mktemp("inspect") / "all.gguf")
    rng = np.random.default_rng(3)
    w = gguf.GGUFWriter(path, "none")
    w.add_uint8("k.u8", 200)
    w.add_int8("k.i8", -100)
    w.add_uint16("k.u16", 60000)
    w.add_int16("k.i16", -30000)
    w.add_uint32("k.u32", 4000000000)
    w.add_int32("k.i32", -2000000000)
    w.add_float32("k.f32", 0.5)
    w.add_bool("k.bool", True)
    w.add_string("k.str", "caf\u00e9 \u2603")
    w.add_uint64("k.u64", 1 << 40)
    w.add_int64("k.i64", -(1 << 40))
    w.add_float64("k.f64", 0.1)
    w.add_array("k.list", [1, 2, 3])
    w.add_array("k.names", ["a", "", "\u00e9"])
    want = {}
    for kind in KINDS:
        q = gguf.GGMLQuantizationType[kind]
        if kind in ("F32", "F16", "BF16"):
            data = gguf.quants.quantize(rng.standard_normal((3, 512)).astype(np.float32), q)
        else:
            block, _ = gguf.GGML_QUANT_SIZES[q]
            data = make_models.random_blocks(rng, kind, 3 * 512 // block, std=1.0).reshape(3, -1)
        w.add_tensor("t." + kind, data, raw_dtype=q)
        want[kind] = gguf.quants.dequantize(data, q).reshape(3, 512).astype(np.float32)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path, want


def test_keys_read_as_written(cloche, gguf_file):
    got = cloche.json("inspect", gguf_file[0], "--json")
    values = {k["key"]: k.get("value", k.get("first")) for k in got["keys"]}
    assert {k: v for k, v in values.items() if k.startswith("k.")} == {
        "k.u8": 200, "k.i8": -100, "k.u16": 60000, "k.i16": -30000, "k.u32": 4000000000, "k.i32": -2000000000,
        "k.f32": 0.5, "k.bool": True, "k.str": "caf\u00e9 \u2603", "k.u64": 1 << 40, "k.i64": -(1 << 40), "k.f64": 0.1,
        "k.list": [1, 2, 3], "k.names": ["a", "", "\u00e9"]}
    assert {t["name"]: (t["type"], t["shape"]) for t in got["tensors"]} == {"t." + k: (k, [3, 512]) for k in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_a_block_type_are_those_of_gguf(cloche, gguf_file, tmp_path, kind):
    path, want = gguf_file
    cloche("inspect", path, "--tensor", "t." + kind, "--out", tmp_path / "t.npy")
    got = np.load(tmp_path / "t.npy")
    assert got.dtype == np.float32 and got.shape == (3, 512)
    assert np.array_equal(got.view(np.uint32), want[kind].view(np.uint32))


def test_safetensors_numbers_are_those_of_the_reference(cloche, shared, tmp_path):
    safetensors = need("safetensors.numpy")
    path = shared / "models/llama-2m"
    want = safetensors.load_file(path / "model.safetensors")
    listed = {t["name"]: t["shape"] for t in cloche.json("inspect", path, "--json")["tensors"]}
    assert listed == {k: list(v.shape) for k, v in want.items()}
    for name in list(want)[:4]:
        cloche("inspect", path, "--tensor", name, "--out", tmp_path / "t.npy")
        assert np.array_equal(np.load(tmp_path / "t.npy"), want[name])


def test_a_damaged_file_is_refused_and_says_where(cloche, gguf_file, tmp_path):
    data = open(gguf_file[0], "rb").read()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[:len(data) // 2])
    p = cloche("inspect", cut, check=False)
    assert p.returncode == 1 and "declared" in p.stderr and "cut.gguf" in p.stderr
