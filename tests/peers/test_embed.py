"""Vectors of texts beside PyTorch's in float32: what sentence-transformers computes (hidden states of transformers' model, pooled
over a text's own tokens, divided by their length), text by text.

The real all-MiniLM-L6-v2 where `tools/bootstrap.sh peers` has brought it (CLOCHE_MINILM names another place), and random
models: BERT in safetensors of three types and in GGUF with the names of llama.cpp's converter, decoders with a pooling."""
import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from conftest import ROOT, need

TEXTS = ["A bell of clear glass set over a young plant.", "a glass dome", "The quick brown fox jumps over the lazy dog.",
         "Résumé, naïve façade: 東京 123!", "x", "  spaces \t and\nlines  ", "supercalifragilisticexpialidocious " * 3,
         "Whatever grows under it can be seen from every side. " * 12, "[SEP] is special, unaffable is not", "ÅÉÎØÜ ß ﬁ Ⅷ ½ 🙂"]


@pytest.fixture(scope="session")
def minilm():
    named = os.environ.get("CLOCHE_MINILM", ROOT / "build/fetch/all-MiniLM-L6-v2")
    if not (pathlib.Path(named) / "model.safetensors").is_file():
        pytest.skip("all-MiniLM-L6-v2 is not there (tools/bootstrap.sh peers)")
    return pathlib.Path(named)


def pooled(hidden, how):
    v = {"mean": lambda: hidden.mean(0), "cls": lambda: hidden[0], "lasttoken": lambda: hidden[-1]}[how]()
    return (v / v.norm().clamp(min=1e-12)).numpy()


def torch_vectors(model, ids, how):
    torch = need("torch")
    with torch.no_grad():
        return np.stack([pooled(model(torch.tensor([row])).last_hidden_state[0], how) for row in ids])


def load(folder):
    transformers, torch = need("transformers"), need("torch")
    return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def embed(cloche, model, *texts, **more):
    return np.array(cloche.json("embed", model, *texts, "--json", **more)["embeddings"], dtype=np.float32)


def compare(found, want, record, cosine=0.99999, largest=2e-6):
    least, most = float((found * want).sum(1).min()), float(np.abs(found - want).max())
    record("cosine", least)
    record("largest difference", most)
    print(f"cosine {least:.7f}, largest difference {most:.2e}")
    assert found.shape == want.shape and least >= cosine and most <= largest


# --- the real one ----------------------------------------------------------------------------------------------------------
def test_minilm_is_that_of_sentence_transformers(cloche, minilm, record_property):
    tok = need("transformers").AutoTokenizer.from_pretrained(minilm)
    ids = [tok(t, truncation=True, max_length=256)["input_ids"] for t in TEXTS]
    told = cloche.json("embed", minilm, *TEXTS, "--truncate", "--json")
    assert told["tokens"] == [len(row) for row in ids]
    want = torch_vectors(load(minilm), ids, "mean")
    compare(np.array(told["embeddings"], dtype=np.float32), want, record_property)
    long = "glass " * 600
    ids = [tok(long, truncation=True, max_length=256)["input_ids"]]
    compare(embed(cloche, minilm, long, "--truncate"), torch_vectors(load(minilm), ids, "mean"), record_property)


def gguf_of(folder, path, kind):
    """The folder's BERT as llama.cpp's converter writes it: names, keys, F32 vectors and tables."""
    gguf = need("gguf")
    config = json.loads((folder / "config.json").read_text())
    vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    names = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
             "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm",
             "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
             "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
             "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
    w = gguf.GGUFWriter(path, "bert")
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_block_count(config["num_hidden_layers"])
    w.add_head_count(config["num_attention_heads"])
    w.add_layer_norm_eps(config["layer_norm_eps"])
    w.add_causal_attention(False)
    w.add_pooling_type(gguf.PoolingType.MEAN)
    tokens = [t for t, _ in sorted(vocab.items(), key=lambda pair: pair[1])]
    special = [t in ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]") for t in tokens]
    w.add_tokenizer_model("bert")
    w.add_token_list([t if s else t[2:] if t.startswith("##") else "\u2581" + t for t, s in zip(tokens, special)])
    w.add_token_types([3 if s else 1 for s in special])
    w.add_token_type_count(config["type_vocab_size"])
    for name, key in (("[UNK]", "unknown"), ("[SEP]", "seperator"), ("[PAD]", "padding"), ("[CLS]", "cls"), ("[MASK]", "mask")):
        w.add_uint32(f"tokenizer.ggml.{key}_token_id", vocab[name])
    for name, t in load(folder).state_dict().items():
        if name.startswith("pooler") or name.endswith("position_ids"):
            continue
        parts, end = name.rsplit(".", 1)
        blk = ""
        if parts.startswith("encoder.layer."):
            _, _, i, parts = parts.split(".", 3)
            blk = f"blk.{i}."
        x = t.float().numpy()
        plain = x.ndim == 1 or names[parts] in ("position_embd", "token_types")
        to = gguf.GGMLQuantizationType.F32 if plain else gguf.GGMLQuantizationType[kind]
        w.add_tensor(f"{blk}{names[parts]}.{end}", gguf.quants.quantize(x, to), raw_dtype=to)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


@pytest.mark.parametrize("kind, cosine, largest", [("F32", 0.99999, 2e-6), ("F16", 0.99999, 1e-3), ("Q8_0", 0.998, 1e-2)])
def test_minilm_in_gguf(cloche, minilm, tmp_path, kind, cosine, largest, record_property):
    gguf_of(minilm, tmp_path / "m.gguf", kind)
    tok = need("transformers").AutoTokenizer.from_pretrained(minilm)
    want = torch_vectors(load(minilm), [tok(t)["input_ids"] for t in TEXTS], "mean")
    found = embed(cloche, tmp_path / "m.gguf", *TEXTS)
    compare(found, want, record_property, cosine, largest)
    if kind == "F32":
        assert np.array_equal(found, embed(cloche, minilm, *TEXTS))


def test_minilm_in_llama_cpp(cloche, minilm, tmp_path):
    """llama.cpp's gelu is tanh's, so its vectors stand a little apart from sentence-transformers'."""
    llama_cpp = pytest.importorskip("llama_cpp")
    gguf_of(minilm, tmp_path / "m.gguf", "F16")
    theirs = llama_cpp.Llama(str(tmp_path / "m.gguf"), embedding=True, n_ctx=512, verbose=False)
    texts = [t for t in TEXTS if t.isascii() and "[" not in t]
    want = np.array([theirs.create_embedding(t)["data"][0]["embedding"] for t in texts], dtype=np.float32)
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    found = embed(cloche, tmp_path / "m.gguf", *texts)
    print(f"cosine with llama.cpp: {(found * want).sum(1).min():.6f}")
    assert (found * want).sum(1).min() > 0.999


# --- random ones -----------------------------------------------------------------------------------------------------------
IDS = [[2, 5, 9, 3], [7], list(range(3, 120)), [2] + [11, 12, 13] * 21 + [3], [4, 90, 60, 33, 5, 6, 7, 8]]


def write_random(folder, config, how, dtype):
    """A model of random weights, a tokenizer that takes words for ids, and sentence-transformers' files."""
    transformers, torch = need("transformers"), need("torch")
    torch.manual_seed(5)
    model = transformers.AutoModel.from_config(config, attn_implementation="eager").to(torch.float32).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2) if p.ndim > 1 else torch.nn.init.uniform_(p, 0.5, 1.5)
    model = model.to(dtype)
    model.save_pretrained(folder)
    model = model.to(torch.float32)
    vocab = {f"w{i}": i for i in range(config.vocab_size)}
    (folder / "tokenizer.json").write_text(json.dumps(
        {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"},
         "post_processor": None, "decoder": None,
         "model": {"type": "WordPiece", "unk_token": "w0", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocab}}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(
        {"word_embedding_dimension": config.hidden_size, f"pooling_mode_{ {'mean': 'mean_tokens', 'cls': 'cls_token'}.get(how, how)}": True}))
    (folder / "modules.json").write_text(json.dumps(
        [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
         {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
    return model


def words(ids):
    return [" ".join(f"w{i}" for i in row) for row in ids]


@pytest.mark.parametrize("dtype, how", [("float32", "mean"), ("float32", "cls"), ("bfloat16", "mean"), ("float16", "lasttoken")])
def test_random_bert(cloche, tmp_path, dtype, how, record_property):
    transformers, torch = need("transformers"), need("torch")
    config = transformers.BertConfig(vocab_size=200, hidden_size=96, num_hidden_layers=3, num_attention_heads=3,
                                     intermediate_size=160, max_position_embeddings=130)
    model = write_random(tmp_path / "m", config, how, getattr(torch, dtype))
    want = torch_vectors(model, IDS, how)
    exact = dtype == "float32"  # else keys and values are kept in 16 bits
    compare(embed(cloche, tmp_path / "m", *words(IDS)), want, record_property, 0.99999, 5e-6 if exact else 2e-3)


@pytest.mark.parametrize("family, how", [("Qwen2", "mean"), ("Qwen3", "lasttoken"), ("Llama", "mean"), ("Gemma3Text", "mean")])
def test_random_decoders(cloche, tmp_path, family, how, record_property):
    transformers, torch = need("transformers"), need("torch")
    config = getattr(transformers, family + "Config")(
        vocab_size=200, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=96, max_position_embeddings=256, tie_word_embeddings=True)
    model = write_random(tmp_path / "m", config, how, torch.float32)
    compare(embed(cloche, tmp_path / "m", *words(IDS)), torch_vectors(model, IDS, how), record_property, 0.99999, 2e-5)


def test_a_decoder_without_pooling_makes_no_vectors(cloche, tmp_path):
    transformers, torch = need("transformers"), need("torch")
    config = transformers.Qwen2Config(vocab_size=200, hidden_size=64, num_hidden_layers=1, num_attention_heads=4,
                                      num_key_value_heads=2, intermediate_size=96, tie_word_embeddings=True)
    write_random(tmp_path / "m", config, "mean", torch.float32)
    (tmp_path / "m/modules.json").unlink()
    shutil.rmtree(tmp_path / "m/1_Pooling")
    refused = cloche("embed", tmp_path / "m", "w1", check=False)
    assert refused.returncode == 1 and "pooling" in refused.stderr
