#!/usr/bin/env python3
"""Models with random weights: tiny ones with expected logits, full-shape ones for speed.

    tools/make_models.py tiny OUT [--only NAME ...]     needs torch, transformers, safetensors, gguf, numpy
    tools/make_models.py speed OUT --shape SmolLM2-135M --type Q4_K_M     needs gguf, numpy
    tools/make_models.py speed --list

`tiny` writes OUT/<name>/ (Hugging Face form, float32) or OUT/<name>.gguf, and OUT/expected.json, a list of
    {"model": path, "tokens": [ids], "logits": "x.npy", "tolerance": largest difference over the range of the logits}
with logits [n_tokens, n_vocab] float32 from transformers, eager attention, float32. For files that are not F32 the oracle
has the dequantised weights and rounds what profile n1 rounds: keys and values to float16, and for quantised matrices the
activations to 8 bits in blocks of 32. What is left is the order of sums, which now and then moves a rounding: hence the
wider tolerance.

Weights are drawn so that attention, norms and biases matter: a swapped norm or an unrotated head shows at once.
"""
import argparse
import itertools
import json
import os
import sys

import numpy as np

SEED = 20260101
N_TOKENS = 150  # beyond two blocks of 64 positions, and beyond every window below
F32_TOLERANCE = 2e-5
F16_TOLERANCE = 2e-4    # a key or value may fall on the other side of a float16 tie
QUANT_TOLERANCE = 4e-2  # an activation may fall on the other side of an 8-bit tie: 1/127 of a block's largest

# --- quantised blocks with random codes -----------------------------------------------------------------------------


def _f16(x, n):
    return np.full(n, x, dtype=np.float16).view(np.uint8).reshape(n, 2)


def _pack_6bit(sc, mn):
    """Scales and mins of Q4_K and Q5_K: eight of each, six bits, in twelve bytes."""
    q = np.zeros((sc.shape[0], 12), dtype=np.uint8)
    for b in range(4):
        q[:, b] = sc[:, b] | (sc[:, b + 4] >> 4) << 6
        q[:, b + 4] = mn[:, b] | (mn[:, b + 4] >> 4) << 6
        q[:, b + 8] = (sc[:, b + 4] & 15) | (mn[:, b + 4] & 15) << 4
    return q


def random_blocks(rng, kind, n, std=0.02):
    """n blocks of a type as bytes [n, block_bytes]: uniform codes about zero, values of about this deviation."""
    raw = lambda k: rng.integers(0, 256, (n, k), dtype=np.uint8)
    jitter = rng.uniform(0.7, 1.3, n)
    scale = lambda x: (x * jitter).astype(np.float16).view(np.uint8).reshape(n, 2)
    if kind == "Q4_0":
        return np.hstack([scale(std / 4.6), raw(16)])
    if kind == "Q4_1":
        return np.hstack([scale(std / 4.6), scale(-7.5 * std / 4.6), raw(16)])
    if kind == "Q5_0":
        return np.hstack([scale(std / 9.2), raw(20)])
    if kind == "Q5_1":
        return np.hstack([scale(std / 9.2), scale(-15.5 * std / 9.2), raw(20)])
    if kind == "Q8_0":
        q = rng.integers(-127, 128, (n, 32), dtype=np.int8).view(np.uint8)
        return np.hstack([scale(std / 73), q])
    if kind == "IQ4_NL":
        return np.hstack([scale(std / 75), raw(16)])
    if kind in ("Q4_K", "Q5_K"):
        mid, spread = (7.5, 4.6) if kind == "Q4_K" else (15.5, 9.2)
        sc = rng.integers(32, 64, (n, 8), dtype=np.uint8)
        d = std / spread / 48
        head = [scale(d), scale(mid * d), _pack_6bit(sc, sc)]
        return np.hstack(head + [raw(128)] if kind == "Q4_K" else head + [raw(32), raw(128)])
    if kind == "Q6_K":
        sc = rng.integers(32, 96, (n, 16), dtype=np.int8).view(np.uint8)
        return np.hstack([raw(128), raw(64), sc, scale(std / 18.5 / 64)])
    if kind == "Q2_K":
        sc = rng.integers(4, 16, (n, 16), dtype=np.uint8)
        d = std / 1.12 / 10
        return np.hstack([sc | sc << 4, raw(64), scale(d), scale(1.5 * d)])
    if kind == "Q3_K":
        return np.hstack([raw(32), raw(64), raw(12), scale(std / 2.3 / 18)])
    if kind == "IQ4_XS":
        return np.hstack([scale(std / 75 / 18), raw(2), raw(4), raw(128)])
    if kind == "MXFP4":
        e = rng.integers(119, 121, (n, 1), dtype=np.uint8)
        return np.hstack([e, raw(16)])
    raise ValueError(kind)


# --- GGUF from a Hugging Face state dict ----------------------------------------------------------------------------

GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "pre_feedforward_layernorm": "ffn_norm",
}
PERMUTED = {"llama", "olmo", "smollm3"}
POST_NORM = {"olmo2", "olmo3", "gemma3_text"}


def gguf_name(name, family):
    top = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
           "lm_head.weight": "output.weight"}
    if name in top:
        return top[name]
    _, _, layer, rest = name.split(".", 3)
    body, kind = rest.rsplit(".", 1)
    if body == "post_attention_layernorm":
        body = "post_attention_norm" if family in POST_NORM else "ffn_norm"
    return f"blk.{layer}.{GGUF_NAMES.get(body, body)}.{kind}"


def permute(w, n_head):
    """Rows of a head from half-split to interleaved order."""
    return np.ascontiguousarray(w.reshape(n_head, 2, w.shape[0] // n_head // 2, -1).swapaxes(1, 2).reshape(w.shape))


def write_gguf(path, model, dtype, rng):
    """Writes a GGUF copy of a transformers model, and puts the values that it really holds back into the model."""
    import gguf
    import torch
    from gguf import quants

    c, family = model.config, model.config.model_type
    arch = {"olmo3": "olmo2", "gemma3_text": "gemma3"}.get(family, family)
    w = gguf.GGUFWriter(path, arch)
    w.add_block_count(c.num_hidden_layers)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    if family == "olmo":
        w.add_layer_norm_eps(1e-5)
        if c.clip_qkv:
            w.add_clamp_kqv(c.clip_qkv)
    else:
        w.add_layer_norm_rms_eps(c.rms_norm_eps)
    rope = c.rope_parameters.get("full_attention", c.rope_parameters)
    w.add_rope_freq_base(float(rope["rope_theta"]))
    if family in ("olmo3", "gemma3_text"):
        w.add_sliding_window(c.sliding_window)
        w.add_array(f"{arch}.attention.sliding_window_pattern", [t == "sliding_attention" for t in c.layer_types])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(rope["factor"])
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    elif rope["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] == "llama3":
        inv = model.model.rotary_emb.inv_freq.numpy()
        plain = 1.0 / rope["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
        w.add_tensor("rope_freqs.weight", (plain / inv).astype(np.float32))

    qtype = gguf.GGMLQuantizationType[dtype]
    state, kept = model.state_dict(), {}
    for name, t in state.items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        x = t.detach().numpy().copy()
        plus = family == "gemma3_text" and name.endswith("norm.weight")
        n_head = {"q_proj": c.num_attention_heads, "k_proj": c.num_key_value_heads}.get(name.split(".")[-2], 0)
        swap = family in PERMUTED and n_head
        if swap:
            x = permute(x.reshape(x.shape[0], -1), n_head).reshape(x.shape)
        if x.ndim == 1 or dtype == "F32":
            w.add_tensor(gguf_name(name, family), (x + 1 if plus else x).astype(np.float32))
            continue
        shape = x.shape
        if dtype in ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
            q = quants.quantize(x, qtype)
        else:
            block, size = gguf.GGML_QUANT_SIZES[qtype]
            q = random_blocks(rng, dtype, x.size // block, std=float(x.std())).reshape(shape[0], -1)
        x = quants.dequantize(q, qtype).reshape(shape).astype(np.float32)
        w.add_tensor(gguf_name(name, family), q, raw_dtype=qtype)
        if swap:  # back to half-split order: interleaved pairs apart again
            x = np.ascontiguousarray(x.reshape(n_head, -1, 2, shape[1]).swapaxes(1, 2).reshape(shape))
        kept[name] = torch.from_numpy(x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    model.load_state_dict(kept, strict=False)
    if c.tie_word_embeddings:
        model.tie_weights()


# --- tiny models ----------------------------------------------------------------------------------------------------

BASE = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=384, max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0,
            tie_word_embeddings=False)
WIDE = dict(BASE, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4)
LLAMA3 = dict(rope_type="llama3", rope_theta=5e5, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", rope_theta=5e5, factor=8.0, original_max_position_embeddings=64, beta_fast=32.0,
            beta_slow=1.0)
PLAIN = dict(rope_type="default", rope_theta=1e4)


def tiny_models():
    """name -> (transformers class prefix, config, options). Options: old (config.json as transformers 4 wrote it),
    shards (bytes per shard), inside (a text model inside a multimodal one), gguf (types to write copies in)."""
    floats = ["F32", "F16", "BF16"]
    small = floats + ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "MXFP4"]
    k = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"]
    yield "llama", ("Llama", dict(BASE, rope_parameters=PLAIN), dict(gguf=small))
    yield "llama-wide", ("Llama", dict(WIDE, rope_parameters=PLAIN), dict(gguf=k))
    yield "llama-mha-tied", ("Llama", dict(BASE, num_key_value_heads=4, tie_word_embeddings=True, vocab_size=391,
                                           rope_parameters=PLAIN), dict(gguf=["Q8_0"]))
    yield "llama-mqa-sharded", ("Llama", dict(BASE, num_key_value_heads=1, head_dim=32, rope_parameters=PLAIN),
                                dict(shards="150KB"))
    yield "llama-bias", ("Llama", dict(BASE, attention_bias=True, mlp_bias=True, rope_parameters=PLAIN),
                         dict(gguf=["F32"]))
    yield "llama3", ("Llama", dict(BASE, head_dim=32, rope_parameters=LLAMA3), dict(gguf=["F32"]))
    yield "llama3-old", ("Llama", dict(BASE, head_dim=32, rope_parameters=LLAMA3), dict(old=True))
    yield "llama-linear", ("Llama", dict(BASE, rope_parameters=dict(PLAIN, rope_type="linear", factor=4.0)),
                           dict(gguf=["F32"]))
    yield "qwen2", ("Qwen2", dict(BASE, rope_parameters=dict(PLAIN, rope_theta=1e6)), dict(gguf=floats + ["Q8_0"]))
    yield "qwen2-window", ("Qwen2", dict(BASE, use_sliding_window=True, sliding_window=40, max_window_layers=2,
                                         rope_parameters=PLAIN), dict(old=True))
    yield "qwen2-yarn", ("Qwen2", dict(BASE, head_dim=32, rope_parameters=YARN), dict(old=True, gguf=["F32"]))
    yield "qwen3", ("Qwen3", dict(BASE, head_dim=32, rope_parameters=PLAIN), dict(gguf=["F32"]))
    yield "olmo", ("Olmo", dict(BASE, clip_qkv=0.4, num_key_value_heads=4, rope_parameters=PLAIN), dict(gguf=["F32"]))
    yield "olmo2", ("Olmo2", dict(BASE, rope_parameters=dict(PLAIN, rope_theta=5e5)), dict(gguf=floats + ["Q4_0"]))
    olmo3 = dict(BASE, head_dim=32, sliding_window=40,
                 rope_parameters=dict(full_attention=YARN, sliding_attention=dict(PLAIN, rope_theta=5e5)))
    yield "olmo3", ("Olmo3", olmo3, dict(gguf=["F32"]))
    yield "olmo3-old", ("Olmo3", olmo3, dict(old=True))
    gemma = dict(BASE, num_hidden_layers=6, head_dim=32, sliding_window=40, query_pre_attn_scalar=24,
                 tie_word_embeddings=True, rope_parameters=dict(
                     full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
                     sliding_attention=dict(rope_type="default", rope_theta=1e4)))
    yield "gemma3", ("Gemma3", gemma, dict())
    yield "gemma3-inside", ("Gemma3", gemma, dict(inside=True))
    yield "gemma3-old", ("Gemma3", gemma, dict(old=True))
    yield "gemma3-scale", ("Gemma3", dict(gemma, query_pre_attn_scalar=32), dict(gguf=["F32"]))
    yield "smollm3", ("SmolLM3", dict(BASE, tie_word_embeddings=True, rope_parameters=dict(PLAIN, rope_theta=2e6)),
                      dict(gguf=["F32"]))


def old_config(path):
    """config.json as transformers 4 wrote it: rope_theta and rope_scaling, one set for all layers."""
    with open(path) as f:
        c = json.load(f)
    rope = c.pop("rope_parameters")
    full = rope.get("full_attention", rope)
    if c["model_type"] == "gemma3_text":
        c["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    c["rope_theta"] = full["rope_theta"]
    scaling = {k: v for k, v in full.items() if k != "rope_theta"}
    c["rope_scaling"] = None if scaling["rope_type"] == "default" else scaling
    for key in ("layer_types", "dtype"):
        c.pop(key, None)
    if c["model_type"] == "olmo3":  # the older files list the layers
        c["layer_types"] = ["sliding_attention"] * 3 + ["full_attention"]
    with open(path, "w") as f:
        json.dump(c, f, indent=1)


def put_inside(folder):
    """Makes a text model the language part of a multimodal one, with a vision part that is to be ignored."""
    from safetensors.numpy import load_file, save_file
    path = os.path.join(folder, "model.safetensors")
    tensors = {"language_model." + k: v for k, v in load_file(path).items()}
    tensors["vision_tower.vision_model.post_layernorm.weight"] = np.ones(8, np.float32)
    save_file(tensors, path, metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json")) as f:
        text = json.load(f)
    outer = dict(model_type="gemma3", architectures=["Gemma3ForConditionalGeneration"], eos_token_id=[2, 3], text_config=text)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(outer, f, indent=1)


def draw_weights(model, gemma):
    import torch
    g = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, p in model.named_parameters():
            r = torch.randn(p.shape, generator=g)
            if "norm" in name:
                p.copy_(0.2 * r + (0 if gemma else 1))
            elif p.ndim == 1:
                p.copy_(0.3 * r)
            elif "embed" in name or "lm_head" in name:
                p.copy_(0.5 * r)
            else:
                p.copy_(1.5 * r / p.shape[1] ** 0.5)


def round_acts(x):
    """Profile n1's 8-bit activations: per block of 32, d = amax / 127, q = rne(x * (127 / amax))."""
    import torch
    b = x.reshape(*x.shape[:-1], -1, 32)
    amax = b.abs().amax(-1, keepdim=True)
    q = torch.round(b * torch.where(amax > 0, 127 / amax, torch.zeros_like(amax)))
    return (q * (amax / 127)).reshape(x.shape)


def logits_of(model, tokens, acts8=False, kv16=False):
    """Logits [n_tokens, n_vocab], with 8-bit activations and float16 keys and values if asked."""
    import torch
    code = sys.modules[type(model).__module__]
    eager = code.eager_attention_forward

    def rounded(module, query, key, value, *args, **kwargs):
        return eager(module, query, key.half().float(), value.half().float(), *args, **kwargs)

    hooks = [m.register_forward_pre_hook(lambda m, x: (round_acts(x[0]),)) for m in model.modules()
             if acts8 and isinstance(m, torch.nn.Linear)]
    try:
        code.eager_attention_forward = rounded if kv16 else eager
        with torch.no_grad():
            return model(torch.tensor([tokens]), use_cache=False).logits[0].float().numpy()
    finally:
        code.eager_attention_forward = eager
        for h in hooks:
            h.remove()


def check_olmo3(model):
    """Scaling belongs to the full-attention layers alone (specs of the model and its training code). Some versions of
    transformers applied it to all layers; this oracle must not be one of them."""
    r = model.model.rotary_emb
    plain = 1.0 / 5e5 ** (np.arange(0, 32, 2) / 32)
    if not np.allclose(r.sliding_attention_inv_freq.numpy(), plain, rtol=1e-5) or r.sliding_attention_attention_scaling != 1:
        sys.exit("this transformers scales the rope of OLMo 3's sliding layers: use 5.23 or another good version")


def make_tiny(out, only):
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    os.makedirs(out, exist_ok=True)
    rng = np.random.default_rng(SEED)
    rows = []
    for name, (prefix, config, options) in tiny_models():
        if only and name not in only:
            continue
        cfg_cls = getattr(transformers, "Gemma3TextConfig" if prefix == "Gemma3" else prefix + "Config")
        cfg = cfg_cls(**config, attn_implementation="eager")
        model = getattr(transformers, prefix + "ForCausalLM")(cfg).float().eval()
        draw_weights(model, prefix == "Gemma3")
        if cfg.tie_word_embeddings:
            model.tie_weights()
        if prefix == "Olmo3":
            check_olmo3(model)
        tokens = np.random.default_rng(SEED + 1).integers(3, config["vocab_size"], N_TOKENS).tolist()

        def record(path, tag, dtype):
            acts8 = dtype not in ("F32", "F16", "BF16")
            np.save(os.path.join(out, tag + ".npy"), logits_of(model, tokens, acts8, dtype != "F32"))
            tolerance = QUANT_TOLERANCE if acts8 else F32_TOLERANCE if dtype == "F32" else F16_TOLERANCE
            rows.append(dict(model=path, tokens=tokens, logits=tag + ".npy", tolerance=tolerance))

        model.save_pretrained(os.path.join(out, name), max_shard_size=options.get("shards", "1GB"))
        if options.get("old"):
            old_config(os.path.join(out, name, "config.json"))
        if options.get("inside"):
            put_inside(os.path.join(out, name))
        record(name, name, "F32")
        saved = {k: v.clone() for k, v in model.state_dict().items()}
        for dtype in options.get("gguf", []):
            model.load_state_dict(saved)
            tag = f"{name}-{dtype}"
            write_gguf(os.path.join(out, tag + ".gguf"), model, dtype, rng)
            record(tag + ".gguf", tag, dtype)
        print(name)
    with open(os.path.join(out, "expected.json"), "w") as f:
        json.dump(rows, f)


# --- full shapes for speed ------------------------------------------------------------------------------------------

# arch, n_dim, n_ff, n_layer, n_head, n_kv, head_dim, n_vocab, n_ctx, theta, tied, pre-tokenizer
SHAPES = {
    "SmolLM2-135M": ("llama", 576, 1536, 30, 9, 3, 64, 49152, 8192, 1e5, True, "smollm"),
    "SmolLM2-1.7B": ("llama", 2048, 8192, 24, 32, 32, 64, 49152, 8192, 1.3e5, True, "smollm"),
    "Qwen2.5-0.5B": ("qwen2", 896, 4864, 24, 14, 2, 64, 151936, 32768, 1e6, True, "qwen2"),
    "Qwen2.5-1.5B": ("qwen2", 1536, 8960, 28, 12, 2, 128, 151936, 32768, 1e6, True, "qwen2"),
    "Qwen2.5-7B": ("qwen2", 3584, 18944, 28, 28, 4, 128, 152064, 32768, 1e6, False, "qwen2"),
    "OLMo-2-1B": ("olmo2", 2048, 8192, 16, 16, 16, 128, 100352, 4096, 5e5, False, "dbrx"),
}
FTYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K_M": 15, "Q5_K_M": 17,
          "Q6_K": 18, "BF16": 32}


def fallback(kind, n_cols):
    """What llama-quantize takes for rows that 256 does not divide."""
    if n_cols % 256 == 0 or not kind.endswith("_K"):
        return kind
    return {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}[kind]


def type_of(name, mix, n_cols, i_layer, n_layer, tied):
    """Type of a matrix in a mixture, as llama-quantize chooses."""
    if mix in ("F32", "F16", "BF16", "Q8_0"):
        return mix
    base = mix.removesuffix("_M")
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        return fallback("Q6_K", n_cols)
    more = i_layer < n_layer // 8 or i_layer >= 7 * n_layer // 8 or (i_layer - n_layer // 8) % 3 == 2
    if mix.endswith("_K_M") and ("attn_v" in name or "ffn_down" in name) and more:
        return fallback("Q6_K", n_cols)
    return fallback(base, n_cols)


def synthetic_vocab(n):
    """Byte-level tokens, then syllables of lower-case letters with their merges, then three control tokens."""
    bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars = {b: chr(b) for b in bs}
    for i, b in enumerate(b for b in range(256) if b not in chars):
        chars[b] = chr(256 + i)
    tokens = [chars[b] for b in range(256)]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    merges, letters = [], "\u0120etaoinshrdlucmfwypvbgkqjxz"
    for length in (2, 3, 4):
        for t in itertools.product(letters, repeat=length):
            if len(tokens) == n - len(special):
                break
            tokens.append("".join(t))
            merges.append("".join(t[:-1]) + " " + t[-1])
    return tokens + special, [1] * len(tokens) + [3] * len(special), merges


def speed_tensors(shape):
    """(name, rows, cols or 0, layer) in file order."""
    arch, n_dim, n_ff, n_layer, n_head, n_kv, hd, n_vocab, _, _, tied, _ = shape
    yield "token_embd.weight", n_vocab, n_dim, 0
    for i in range(n_layer):
        b = f"blk.{i}."
        norms = ["post_attention_norm", "post_ffw_norm"] if arch == "olmo2" else ["attn_norm", "ffn_norm"]
        for norm in norms:
            yield b + norm + ".weight", n_dim, 0, i
        if arch == "olmo2":
            yield b + "attn_q_norm.weight", n_head * hd, 0, i
            yield b + "attn_k_norm.weight", n_kv * hd, 0, i
        for name, rows in (("q", n_head * hd), ("k", n_kv * hd), ("v", n_kv * hd)):
            yield b + f"attn_{name}.weight", rows, n_dim, i
            if arch == "qwen2":
                yield b + f"attn_{name}.bias", rows, 0, i
        yield b + "attn_output.weight", n_dim, n_head * hd, i
        yield b + "ffn_gate.weight", n_ff, n_dim, i
        yield b + "ffn_up.weight", n_ff, n_dim, i
        yield b + "ffn_down.weight", n_dim, n_ff, i
    yield "output_norm.weight", n_dim, 0, 0
    if not tied:
        yield "output.weight", n_vocab, n_dim, 0


def speed_data(rng, kind, name, rows, cols):
    """Bytes of one tensor, in pieces of at most some tens of megabytes."""
    import gguf
    if cols == 0:
        yield (np.zeros(rows, np.float32) if name.endswith(".bias") else np.ones(rows, np.float32)).tobytes()
        return
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    left = rows * cols // block
    while left:
        n = min(left, (16 << 20) // size)
        if kind in ("F32", "F16", "BF16"):
            x = rng.standard_normal(n, dtype=np.float32) * np.float32(0.02)
            yield {"F32": lambda: x.tobytes(), "F16": lambda: x.astype(np.float16).tobytes(),
                   "BF16": lambda: (x.view(np.uint32) >> 16).astype(np.uint16).tobytes()}[kind]()
        else:
            yield np.ascontiguousarray(random_blocks(rng, kind, n)).tobytes()
        left -= n


def make_speed(out, shape_name, mix):
    import gguf
    shape = SHAPES[shape_name]
    arch, n_dim, n_ff, n_layer, n_head, n_kv, hd, n_vocab, n_ctx, theta, tied, pre = shape
    path = os.path.join(out, f"{shape_name}-{mix}.gguf")
    os.makedirs(out, exist_ok=True)
    w = gguf.GGUFWriter(path, arch)
    w.add_name(f"{shape_name} shape, random weights")
    w.add_file_type(FTYPES[mix])
    if mix not in ("F32", "F16", "BF16"):
        w.add_quantization_version(2)
    w.add_block_count(n_layer)
    w.add_context_length(n_ctx)
    w.add_embedding_length(n_dim)
    w.add_feed_forward_length(n_ff)
    w.add_head_count(n_head)
    w.add_head_count_kv(n_kv)
    w.add_rope_dimension_count(hd)
    w.add_rope_freq_base(theta)
    w.add_layer_norm_rms_eps(1e-5 if arch == "llama" else 1e-6)
    tokens, types, merges = synthetic_vocab(n_vocab)
    w.add_vocab_size(n_vocab)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.add_token_merges(merges)
    w.add_bos_token_id(n_vocab - 3)
    w.add_eos_token_id(n_vocab - 1)
    w.add_add_bos_token(False)
    plan = []
    for name, rows, cols, i in speed_tensors(shape):
        kind = type_of(name, mix, cols, i, n_layer, tied) if cols else "F32"
        q = gguf.GGMLQuantizationType[kind]
        block, size = gguf.GGML_QUANT_SIZES[q]
        n_bytes = rows * max(cols, 1) // block * size
        dims = (rows, cols // block * size) if cols and kind not in ("F32", "F16") else (rows, cols) if cols else (rows,)
        as_np = {"F32": np.float32, "F16": np.float16}.get(kind, np.uint8)
        w.add_tensor_info(name, dims, np.dtype(as_np), n_bytes, raw_dtype=q)
        plan.append((kind, name, rows, cols, n_bytes))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    f = w.fout[0]
    f.write(b"\0" * (-f.tell() % 32))
    rng = np.random.default_rng(SEED)
    for kind, name, rows, cols, n_bytes in plan:
        begin = f.tell()
        for piece in speed_data(rng, kind, name, rows, cols):
            f.write(piece)
        assert f.tell() - begin == n_bytes, name
        f.write(b"\0" * (-f.tell() % 32))
    w.close()
    print(path, os.path.getsize(path))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="command", required=True)
    t = sub.add_parser("tiny")
    t.add_argument("out")
    t.add_argument("--only", nargs="*")
    s = sub.add_parser("speed")
    s.add_argument("out", nargs="?")
    s.add_argument("--shape", choices=sorted(SHAPES))
    s.add_argument("--type", choices=sorted(FTYPES))
    s.add_argument("--list", action="store_true")
    a = p.parse_args()
    if a.command == "tiny":
        make_tiny(a.out, a.only)
    elif a.list or not (a.out and a.shape and a.type):
        print("shapes:", *sorted(SHAPES), "\ntypes:", *sorted(FTYPES))
    else:
        make_speed(a.out, a.shape, a.type)


if __name__ == "__main__":
    main()
