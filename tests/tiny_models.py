"""Tiny models as GGUF files: Llamas, one of which makes vectors too, and a BERT; from the Python standard library alone: the same bytes on every machine and version.

Weights are drawn from SHAKE-256 of (seed, tensor name); a byte-level tokenizer and a chat template make them answer (in
gibberish), and pieces of words make the BERT's texts. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

    tests/tiny_models.py FOLDER        writes tiny-<type>.gguf for every type, tiny-pooled.gguf, tiny-bert.gguf
"""
import hashlib
import pathlib
import struct
import sys

TYPES = ("f32", "bf16", "q8_0", "q4_0", "q4_k")
GGML_ID = {"f32": 0, "q4_0": 2, "q8_0": 8, "q4_k": 12, "bf16": 30}
N_DIM, N_FF, N_LAYER, N_HEAD, N_KV_HEAD, HEAD_DIM, N_CTX = 256, 512, 2, 8, 2, 32, 1024
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ALIGNMENT = 32
TEMPLATE = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
# Of a model that calls tools as Hermes does.
TOOL_TEMPLATE = ("{% if tools %}<|im_start|>system\nTools: <tools>{{ tools | tojson }}</tools> Call as <tool_call>\n"
                 "{\"name\": \"f\", \"arguments\": {}}\n</tool_call><|im_end|>\n{% endif %}" + TEMPLATE)


# --- tokenizer -----------------------------------------------------------------------------------------------------------
def byte_characters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def vocabulary():
    """256 bytes, syllables with their merges, three control tokens: 391, no multiple of a panel's 16 rows."""
    space = byte_characters()[32]
    tokens, merges = [byte_characters()[b] for b in range(256)], []
    for a in space + "taoinshr":
        for b in "etaoinshrdlucm":
            tokens.append(a + b)
            merges.append(f"{a} {b}")
    tokens += ["the", "ing"] + [f"<|unused{i}|>" for i in range(4)]
    merges += ["t he", "in g"]
    return tokens + SPECIAL, merges


# --- weights -------------------------------------------------------------------------------------------------------------
def draw_floats(raw, std):
    """Uniform values of this deviation, from two bytes each."""
    return [(u - 32767.5) / 32768 * std * 3 ** 0.5 for (u,) in struct.iter_unpack("<H", raw)]


def f16(x):
    return struct.pack("<e", x)


def draw_matrix(kind, rows, cols, name):
    """Bytes of a matrix: random codes, scales so that values deviate by about 1.2/sqrt(cols)."""
    std = 1.2 / cols ** 0.5
    n = rows * cols
    raw = hashlib.shake_256(f"cloche tiny {kind} {name}".encode()).digest(n * 2)
    if kind == "f32":
        return struct.pack(f"<{n}f", *draw_floats(raw, std))
    if kind == "bf16":
        return b"".join(struct.pack("<f", x)[2:] for x in draw_floats(raw, std))
    out = bytearray()
    if kind == "q4_k":  # f16 d, f16 dmin, 12 bytes of 6-bit scales and minimums, 128 bytes of codes
        for i in range(n // 256):
            b = raw[i * 144:(i + 1) * 144]
            d = std / 4.6 / 32 * (0.75 + b[0] / 512)
            out += f16(d) + f16(7.5 * d) + b[4:144]
    else:
        codes = 16 if kind == "q4_0" else 32
        for i in range(n // 32):
            b = raw[i * 34:i * 34 + 2 + codes]
            out += f16(std / (4.6 if kind == "q4_0" else 74) * (0.75 + b[0] / 512)) + b[2:]
    return bytes(out)


def draw_norm(name, n):
    return struct.pack(f"<{n}f", *(1 + x for x in draw_floats(hashlib.shake_256(name.encode()).digest(2 * n), 0.2)))


def tensors(kind, n_vocab):
    """(name, dimensions innermost first, GGML type, bytes)."""
    def matrix(name, rows, cols):
        return name, (cols, rows), GGML_ID[kind], draw_matrix(kind, rows, cols, name)

    def norm(name):
        return name, (N_DIM,), 0, draw_norm(name, N_DIM)

    yield matrix("token_embd.weight", n_vocab, N_DIM)
    for i in range(N_LAYER):
        b = f"blk.{i}."
        yield norm(b + "attn_norm.weight")
        yield matrix(b + "attn_q.weight", N_HEAD * HEAD_DIM, N_DIM)
        yield matrix(b + "attn_k.weight", N_KV_HEAD * HEAD_DIM, N_DIM)
        yield matrix(b + "attn_v.weight", N_KV_HEAD * HEAD_DIM, N_DIM)
        yield matrix(b + "attn_output.weight", N_DIM, N_HEAD * HEAD_DIM)
        yield norm(b + "ffn_norm.weight")
        yield matrix(b + "ffn_gate.weight", N_FF, N_DIM)
        yield matrix(b + "ffn_up.weight", N_FF, N_DIM)
        yield matrix(b + "ffn_down.weight", N_DIM, N_FF)
    yield norm("output_norm.weight")
    yield matrix("output.weight", n_vocab, N_DIM)


# --- file ----------------------------------------------------------------------------------------------------------------
def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(v):
    """A metadata value with its type: 4 uint32, 6 float32, 7 bool, 8 string, 9 array, 5 int32 (in arrays)."""
    if isinstance(v, bool):
        return struct.pack("<I?", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if v and isinstance(v[0], str):
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(text, v))
    return struct.pack("<IIQ", 9, 5, len(v)) + struct.pack(f"<{len(v)}i", *v)


def metadata(kind, template=TEMPLATE, n_ctx=N_CTX):
    tokens, merges = vocabulary()
    n = len(tokens)
    return {
        "general.architecture": "llama", "general.name": f"tiny {kind}", "general.alignment": ALIGNMENT,
        "llama.block_count": N_LAYER, "llama.context_length": n_ctx, "llama.embedding_length": N_DIM,
        "llama.feed_forward_length": N_FF, "llama.attention.head_count": N_HEAD,
        "llama.attention.head_count_kv": N_KV_HEAD, "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": HEAD_DIM, "llama.rope.freq_base": 10000.0, "llama.vocab_size": n,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (n - 7) + [3] * 7, "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": n - 3, "tokenizer.ggml.eos_token_id": n - 1,
        "tokenizer.ggml.add_bos_token": False, "tokenizer.chat_template": template}


# --- an encoder ----------------------------------------------------------------------------------------------------------
BERT_DIM, BERT_FF, BERT_LAYER, BERT_HEAD, BERT_CTX = 64, 96, 2, 4, 150
BERT_TOKENS = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + ["\u2581" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789.,!?"] +
               list("abcdefghijklmnopqrstuvwxyz") + ["\u2581the", "\u2581a", "\u2581glass", "\u2581bell", "\u2581of", "er", "ing", "##"])


def bert_metadata():
    return {
        "general.architecture": "bert", "general.name": "tiny bert", "general.alignment": ALIGNMENT,
        "bert.block_count": BERT_LAYER, "bert.context_length": BERT_CTX, "bert.embedding_length": BERT_DIM,
        "bert.feed_forward_length": BERT_FF, "bert.attention.head_count": BERT_HEAD,
        "bert.attention.layer_norm_epsilon": 1e-12, "bert.attention.causal": False, "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": BERT_TOKENS, "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.token_type": [3] * 5 + [1] * (len(BERT_TOKENS) - 5), "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.cls_token_id": 2, "tokenizer.ggml.seperator_token_id": 3, "tokenizer.ggml.padding_token_id": 0}


def bert_tensors():
    def matrix(name, rows, cols):
        return name, (cols, rows), 0, draw_matrix("f32", rows, cols, "bert " + name)

    def affine(name, n):
        yield name + ".weight", (n,), 0, draw_norm("bert " + name, n)
        yield bias(name, n)

    def bias(name, n):
        raw = hashlib.shake_256(f"bert {name}.bias".encode()).digest(2 * n)
        return name + ".bias", (n,), 0, struct.pack(f"<{n}f", *draw_floats(raw, 0.1))

    yield matrix("token_embd.weight", len(BERT_TOKENS), BERT_DIM)
    yield matrix("position_embd.weight", BERT_CTX, BERT_DIM)
    yield matrix("token_types.weight", 2, BERT_DIM)
    yield from affine("token_embd_norm", BERT_DIM)
    for i in range(BERT_LAYER):
        b = f"blk.{i}."
        for name, rows, cols in (("attn_q", BERT_DIM, BERT_DIM), ("attn_k", BERT_DIM, BERT_DIM), ("attn_v", BERT_DIM, BERT_DIM),
                                 ("attn_output", BERT_DIM, BERT_DIM), ("ffn_up", BERT_FF, BERT_DIM), ("ffn_down", BERT_DIM, BERT_FF)):
            yield matrix(b + name + ".weight", rows, cols)
            yield bias(b + name, rows)
        yield from affine(b + "attn_output_norm", BERT_DIM)
        yield from affine(b + "layer_output_norm", BERT_DIM)


# --- all -----------------------------------------------------------------------------------------------------------------
def model_bytes(kind, template=TEMPLATE, n_ctx=N_CTX):
    """A Llama whose matrices are of this type; "pooled": f32, and its vectors are those of the last token; "bert"."""
    if kind == "bert":
        return file_bytes(bert_metadata(), list(bert_tensors()))
    weights = "f32" if kind == "pooled" else kind
    pairs = metadata(kind, template, n_ctx)
    if kind == "pooled":
        pairs["llama.pooling_type"] = 3
    return file_bytes(pairs, list(tensors(weights, len(pairs["tokenizer.ggml.tokens"]))))


def file_bytes(pairs, rows):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(rows), len(pairs))
    head += b"".join(text(k) + value(v) for k, v in pairs.items())
    data = bytearray()
    for name, dims, type_id, raw in rows:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, type_id, len(data))
        data += raw + bytes(-len(raw) % ALIGNMENT)
    return head + bytes(-len(head) % ALIGNMENT) + bytes(data)


def write(folder):
    """{name: path}; files that are there with the right bytes are left alone."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    out = {}
    for kind in (*TYPES, "pooled", "bert"):
        path, raw = folder / f"tiny-{kind}.gguf", model_bytes(kind)
        if not path.is_file() or path.read_bytes() != raw:
            path.write_bytes(raw)
        out[path.stem] = path
    return out


if __name__ == "__main__":
    for made in write(sys.argv[1]).values():
        print(made)
