"""Block formats against the `gguf` package, and whole quantised files against llama.cpp's own quantiser.

The models are tiny and random: nothing but shapes and names matters here.
"""
import ctypes

import numpy as np
import pytest

from conftest import need

gguf = need("gguf")
from gguf import GGMLQuantizationType as T  # noqa: E402
from gguf.constants import GGML_QUANT_SIZES  # noqa: E402

# llama.cpp's numbers of general.file_type, for the types that its quantiser knows for dense models.
FTYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7, "q5_0": 8, "q5_1": 9, "q2_k": 10, "q3_k_s": 11,
          "q3_k_m": 12, "q3_k_l": 13, "q4_k_s": 14, "q4_k_m": 15, "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18,
          "iq4_nl": 25, "iq4_xs": 30, "bf16": 32}
BLOCKS = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
          "IQ4_XS", "MXFP4"]
SCALES = {"Q4_1": [0, 2], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q6_K": [208], "MXFP4": [], "BF16": []}

# name: hidden size, layers, heads, key heads, tied embeddings, stored type
MODELS = {
    "tied, rows in super-blocks": (256, 16, 8, 2, True, np.float16),
    "untied, rows in super-blocks": (256, 16, 8, 2, False, np.float32),
    "tied, rows of 288": (288, 9, 9, 3, True, np.float16),
    "untied, rows of 288, no shared heads": (288, 9, 9, 9, False, np.float16),
    "tied, rows of 80": (80, 4, 4, 4, True, np.float16),
}


def write_model(path, n_dim, n_layer, n_head, n_kv_head, tied, dtype, n_ff=256, n_vocab=64):
    rng = np.random.default_rng(n_dim + n_layer)
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("tiny")
    w.add_block_count(n_layer)
    w.add_context_length(128)
    w.add_embedding_length(n_dim)
    w.add_feed_forward_length(n_ff)
    w.add_head_count(n_head)
    w.add_head_count_kv(n_kv_head)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(n_dim // n_head)
    w.add_tokenizer_model("no_vocab")
    w.add_vocab_size(n_vocab)
    kv = n_dim // n_head * n_kv_head

    def add(name, *shape):
        kind = np.float32 if len(shape) == 1 else dtype
        w.add_tensor(name, (rng.standard_normal(shape) * rng.choice([0.02, 0.5])).astype(kind))

    add("token_embd.weight", n_vocab, n_dim)
    add("output_norm.weight", n_dim)
    if not tied:
        add("output.weight", n_vocab, n_dim)
    for i in range(n_layer):
        for name, *shape in [("attn_norm", n_dim), ("attn_q", n_dim, n_dim), ("attn_k", kv, n_dim),
                             ("attn_v", kv, n_dim), ("attn_output", n_dim, n_dim), ("ffn_norm", n_dim),
                             ("ffn_gate", n_ff, n_dim), ("ffn_up", n_ff, n_dim), ("ffn_down", n_dim, n_ff)]:
            add(f"blk.{i}.{name}.weight", *shape)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quant")
    for i, facts in enumerate(MODELS.values()):
        write_model(str(folder / f"{i}.gguf"), *facts)
    return {name: folder / f"{i}.gguf" for i, name in enumerate(MODELS)}


@pytest.fixture(scope="session")
def llama_quantize():
    """llama_quantize(source, target, name, pure): llama.cpp's quantiser, in this process."""
    api = need("llama_cpp").llama_cpp
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *a: None)
    api.llama_log_set(quiet, None)

    def run(source, target, name, pure):
        p = api.llama_model_quantize_default_params()
        p.nthread, p.ftype, p.pure, p.allow_requantize = 1, FTYPES[name], pure, True
        return api.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(p)) == 0

    run.keep = quiet
    return run


def contents(path):
    """{tensor: (type, shape, bytes)} and {key: value} of a file."""
    r = gguf.GGUFReader(path)
    return ({t.name: (t.tensor_type.name, t.shape.tolist(), t.data.tobytes()) for t in r.tensors},
            {k: f.contents() for k, f in r.fields.items() if not k.startswith("GGUF.")})


CASES = [(model, name, False) for model in MODELS for name in FTYPES]
CASES += [(model, name, True) for model in list(MODELS)[1:4] for name in ("q8_0", "q3_k_m", "q4_k_m", "iq4_xs")]


@pytest.mark.parametrize("model, name, pure", CASES, ids=lambda v: {True: "pure", False: "mixed"}.get(v, v))
def test_a_quantised_file_holds_what_llama_cpp_makes(cloche, llama_quantize, models, tmp_path, model, name, pure):
    theirs, ours = tmp_path / "theirs.gguf", tmp_path / "ours.gguf"
    if not llama_quantize(models[model], theirs, name, pure):
        pytest.skip(f"llama.cpp does not write {name} of {model}")
    cloche("quantize", models[model], ours, "--type", name, *(["--pure"] if pure else []))
    want, want_keys = contents(theirs)
    got, got_keys = contents(ours)
    assert {k: v[:2] for k, v in got.items()} == {k: v[:2] for k, v in want.items()}
    assert [k for k in want if want[k] != got[k]] == []
    assert got_keys == want_keys


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "F16", "BF16"])
def test_bytes_equal_the_gguf_package(cloche, models, tmp_path, name):
    source = models["untied, rows in super-blocks"]
    cloche("quantize", source, tmp_path / "out.gguf", "--type", name.lower(), "--pure")
    plain = {t.name: t.data for t in gguf.GGUFReader(source).tensors}
    for t in gguf.GGUFReader(tmp_path / "out.gguf").tensors:
        if t.tensor_type.name == name:
            assert gguf.quants.quantize(plain[t.name], T[name]).tobytes() == t.data.tobytes(), t.name


@pytest.mark.parametrize("name", BLOCKS)
def test_values_of_random_blocks_equal_the_gguf_package(cloche, tmp_path, name):
    length, size = GGML_QUANT_SIZES[T[name]]
    rng = np.random.default_rng(length + size)
    blocks = rng.integers(0, 256, (64 if length > 1 else 16384, size), dtype=np.uint8)
    for off in SCALES.get(name, [0]):
        blocks[(blocks[:, off + 1] & 0x7C) == 0x7C, off + 1] &= 0xBF  # no infinity, no NaN
        blocks[::3, off + 1] &= 0x83                                  # subnormal
    if name == "BF16":
        blocks[:, 1] &= 0xBF
    rows = blocks.reshape(8, -1)
    w = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    w.add_tensor("blocks", rows, raw_dtype=T[name])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    cloche("inspect", tmp_path / "m.gguf", "--tensor", "blocks", "--out", tmp_path / "v.npy")
    want = gguf.quants.dequantize(rows, T[name]).astype(np.float32)
    got = np.load(tmp_path / "v.npy")
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()


def test_threads_do_not_show(cloche, models, tmp_path):
    files = [tmp_path / f"{n}.gguf" for n in (1, 3, 8)]
    for n, file in zip((1, 3, 8), files):
        cloche("quantize", models["untied, rows of 288, no shared heads"], file, "--type", "q4_k_m", "-t", n)
    assert len({f.read_bytes() for f in files}) == 1


def test_json_tells_what_was_made(cloche, models, tmp_path):
    facts = cloche.json("quantize", models["tied, rows of 288"], tmp_path / "o.gguf", "--type", "Q4_K_M", "--json")
    types = {}
    for t in gguf.GGUFReader(tmp_path / "o.gguf").tensors:
        types[t.tensor_type.name] = types.get(t.tensor_type.name, 0) + 1
    assert facts["types"] == types
    assert facts["fallbacks"] > 0 and facts["tensors"] == sum(types.values())


@pytest.mark.parametrize("arguments, code, text", [
    (["--type", "q9"], 2, "unknown type"),
    ([], 2, "--type is needed"),
    (["--type", "q4_0", "-t", "100000"], 2, "at most"),
    (["--type", "q8_0", "SAME"], 2, "both input and output"),
])
def test_what_makes_no_sense_is_refused(cloche, models, tmp_path, arguments, code, text):
    model = models["tied, rows of 80"]
    target = model if "SAME" in arguments else tmp_path / "o.gguf"
    p = cloche("quantize", model, target, *[a for a in arguments if a != "SAME"], check=False)
    assert p.returncode == code and text in p.stderr
    assert not (tmp_path / "o.gguf").exists()


def test_what_is_quantised_already_needs_a_word(cloche, models, tmp_path):
    once, twice = tmp_path / "once.gguf", tmp_path / "twice.gguf"
    cloche("quantize", models["tied, rows of 80"], once, "--type", "f16")
    cloche("quantize", models["tied, rows in super-blocks"], once, "--type", "q8_0")
    p = cloche("quantize", once, twice, "--type", "q4_0", check=False)
    assert p.returncode == 2 and "--allow-requantize" in p.stderr and not twice.exists()
    cloche("quantize", once, twice, "--type", "q4_0", "--allow-requantize")
    assert twice.exists()


def test_a_value_that_is_no_number_is_named(cloche, tmp_path):
    x = np.ones((4, 64), np.float32)
    x[2, 5] = np.nan
    w = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    w.add_tensor("blk.0.ffn_up.weight", x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    p = cloche("quantize", tmp_path / "m.gguf", tmp_path / "o.gguf", "--type", "q8_0", check=False)
    assert p.returncode == 1 and "'blk.0.ffn_up.weight': row 2: element 5" in p.stderr
    assert not (tmp_path / "o.gguf").exists()
