#!/usr/bin/env python3
"""`cloche embed` through the program: the same numbers every way, from every kind of file; what is refused.

    CLOCHE_BIN=build/cloche tests/cli/test_embed.py
"""
import functools
import hashlib
import json
import os
import pathlib
import shutil
import struct
import sys
import tempfile

import program

sys.path.insert(0, str(program.ROOT / "tests"))
import tiny_models  # noqa: E402

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-embed-"))
BERT, POOLED, PLAIN = (str(BOX / f"tiny-{name}.gguf") for name in ("bert", "pooled", "f32"))
TEXTS = ["the bell of glass", "a", "a glass bell, the glass of a bell. " * 3, "1 2 3!"]
cloche = functools.partial(program.cloche, BOX / "data")


def embed(model, *args, **more):
    return json.loads(cloche("embed", model, *args, "--json", **more))


def on(isa, *args):
    before = os.environ.get("CLOCHE_CPU")
    os.environ["CLOCHE_CPU"] = isa
    try:
        return embed(*args)
    finally:
        os.environ.pop("CLOCHE_CPU") if before is None else os.environ.update(CLOCHE_CPU=before)


def instruction_sets():
    return json.loads(cloche("doctor", "--json"))["tables"]


def test_threads_passes_neighbours_and_instruction_sets_show_in_no_bit():
    for model in (BERT, POOLED):
        whole = embed(model, *TEXTS)
        assert whole["profile"] == "n1" and len(whole["embeddings"]) == 4 and len(whole["tokens"]) == 4
        for row in whole["embeddings"]:
            assert len(row) == whole["dimensions"] and abs(sum(x * x for x in row) - 1) < 1e-5
        for more in (["-t", 1], ["--chunk", 1], ["-t", 3, "--chunk", 7], ["--no-cache"]):
            assert embed(model, *TEXTS, *more) == whole, more
        for i, text in enumerate(TEXTS):
            assert embed(model, text)["embeddings"] == [whole["embeddings"][i]]
        for isa in instruction_sets() if "tsan" not in program.BIN else []:
            assert on(isa, model, *TEXTS) == whole, isa


def test_lines_arrays_and_digests_are_the_same_numbers():
    whole = embed(BERT, *TEXTS)
    lines = cloche("embed", BERT, text="\n".join(TEXTS) + "\n").splitlines()
    raw = b"".join(struct.pack(f"<{len(row)}f", *row) for row in whole["embeddings"])
    assert b"".join(struct.pack("<64f", *map(float, line.split())) for line in lines) == raw
    assert hashlib.sha256(raw).hexdigest() == whole["sha256"]
    out = BOX / "v.npy"
    told = embed(BERT, *TEXTS, "--out", out)
    assert "embeddings" not in told and told["sha256"] == whole["sha256"]
    assert out.read_bytes()[:6] == b"\x93NUMPY" and b"(4, 64)" in out.read_bytes()[:128] and out.read_bytes()[128:] == raw
    assert cloche("embed", BERT, text="a\r\nb").count("\n") == 2


def test_what_does_not_fit_is_cut_or_refused():
    long = "the bell of glass " * 100
    cloche("embed", BERT, long, code=1)
    assert embed(BERT, long, "--truncate")["tokens"] == [tiny_models.BERT_CTX]
    cloche("embed", BERT, "a", "--dimensions", 32, code=2)
    assert embed(BERT, "a", "--dimensions", 64) == embed(BERT, "a")
    cloche("embed", BERT, text="", code=2)


def test_a_model_does_only_what_it_is_for():
    cloche("embed", PLAIN, "a", code=1)
    for command in (["run", BERT, "a"], ["logits", BERT, "--tokens", "2,5,3"], ["bench", BERT]):
        cloche(*command, code=1)


# --- folders ---------------------------------------------------------------------------------------------------------------
HF = {"token_embd": "embeddings.word_embeddings", "position_embd": "embeddings.position_embeddings",
      "token_types": "embeddings.token_type_embeddings", "token_embd_norm": "embeddings.LayerNorm",
      "attn_q": "attention.self.query", "attn_k": "attention.self.key", "attn_v": "attention.self.value",
      "attn_output": "attention.output.dense", "attn_output_norm": "attention.output.LayerNorm",
      "ffn_up": "intermediate.dense", "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm"}


def hf_name(name, prefix, old):
    parts = name.split(".")
    layer = f"encoder.layer.{parts[1]}." if parts[0] == "blk" else ""
    kind = {"weight": "gamma", "bias": "beta"}[parts[-1]] if old and HF[parts[-2]].endswith("LayerNorm") else parts[-1]
    return f"{prefix}{layer}{HF[parts[-2]]}.{kind}"


def write_folder(folder, prefix="", old=False, pooling=True):
    """The tiny BERT as Hugging Face's files and sentence-transformers' beside them."""
    folder.mkdir()
    head, data = {}, b""
    extra = [(f"{prefix}pooler.dense.weight", (2, 2), bytes(16)), ("cls.predictions.bias", (2,), bytes(8))]
    rows = [(hf_name(n, prefix, old), dims, raw) for n, dims, _, raw in tiny_models.bert_tensors()] + extra
    for name, dims, raw in rows:
        head[name] = {"dtype": "F32", "shape": list(reversed(dims)), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps(
        {"model_type": "bert", "hidden_act": "gelu", "hidden_size": tiny_models.BERT_DIM, "layer_norm_eps": 1e-12,
         "intermediate_size": tiny_models.BERT_FF, "num_hidden_layers": tiny_models.BERT_LAYER, "type_vocab_size": 2,
         "num_attention_heads": tiny_models.BERT_HEAD, "max_position_embeddings": tiny_models.BERT_CTX,
         "vocab_size": len(tiny_models.BERT_TOKENS)}))
    vocab = {}
    for i, t in enumerate(tiny_models.BERT_TOKENS):
        vocab[t if t.startswith("[") else t[1:] if t[0] == "\u2581" else "##" + t] = i
    special = [{"id": i, "content": t, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False} for i, t in enumerate(tiny_models.BERT_TOKENS[:5])]
    (folder / "tokenizer.json").write_text(json.dumps(
        {"version": "1.0", "truncation": {"max_length": 5}, "padding": None, "added_tokens": special,
         "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                        "lowercase": True},
         "pre_tokenizer": {"type": "BertPreTokenizer"},
         "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
         "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
         "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocab}}))
    if not pooling:
        return
    (folder / "modules.json").write_text(json.dumps(
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
         {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(
        {"word_embedding_dimension": tiny_models.BERT_DIM, "pooling_mode_mean_tokens": True}))


def test_every_kind_of_file_gives_the_same_bits():
    want = embed(BERT, *TEXTS[:2])
    for i, (prefix, old) in enumerate((("", False), ("bert.", True))):
        folder = BOX / f"folder{i}"
        write_folder(folder, prefix, old)
        assert embed(folder, *TEXTS[:2]) == want
        cloche("embed", folder, TEXTS[2], code=1)  # 20 tokens are what its files allow
        assert embed(folder, TEXTS[2], "--truncate")["tokens"] == [20]
    bare = BOX / "bare"
    write_folder(bare, pooling=False)
    assert embed(bare, *TEXTS) == embed(BERT, *TEXTS)  # the mean, where no file says


def test_the_pooling_comes_along_and_counts():
    folder = BOX / "first"
    write_folder(folder)
    mean = embed(folder, "a bell")
    cloche("import", folder, "--name", "mean")
    assert embed("mean", "a bell") == mean
    shutil.rmtree(folder)
    write_folder(folder)
    (folder / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    first = embed(folder, "a bell")
    assert first["embeddings"] != mean["embeddings"]
    cloche("import", folder, "--name", "first")
    assert embed("first", "a bell") == first and embed("mean", "a bell") == mean
    digests = {m["name"]: m["digest"] for m in json.loads(cloche("list", "--json"))}
    assert digests["mean"] != digests["first"]
    cloche("rm", "mean")
    assert embed("first", "a bell") == first


if __name__ == "__main__":
    tiny_models.write(BOX)
    status = program.run_tests(globals())
    shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(status)
