"""Running models against llama.cpp: perplexity by the same method, and greedy answers while both are sure.

CLOCHE_TEST_GGUF names a GGUF file of a real model; without it these tests are skipped.
"""
import math
import os

import pytest
from conftest import need


@pytest.fixture(scope="module")
def gguf():
    path = os.environ.get("CLOCHE_TEST_GGUF")
    if not path or not os.path.exists(path):
        pytest.skip("CLOCHE_TEST_GGUF is not set")
    return path


@pytest.fixture(scope="module")
def llama(gguf):
    llama_cpp = need("llama_cpp")
    return llama_cpp.Llama(gguf, n_ctx=128, n_batch=128, n_threads=2, logits_all=True, verbose=False)


def log_softmax_at(row, i):
    top = max(row)
    return row[i] - top - math.log(sum(math.exp(x - top) for x in row))


def test_perplexity_is_near_llama_cpp(cloche, gguf, llama, shared, tmp_path):
    text = tmp_path / "text.txt"
    text.write_bytes((shared / "corpus/tinyshakespeare.txt").read_bytes()[:1700])
    ours = cloche.json("perplexity", gguf, "--file", text, "--ctx", 128, "--windows", 2, "--json")
    tokens = llama.tokenize(text.read_bytes(), add_bos=True, special=False)
    nll, n = 0.0, 0
    for w in range(2):
        window = tokens[w * 128:(w + 1) * 128]
        llama.reset()
        llama.eval(window)
        for j in range(64, 127):
            nll -= log_softmax_at([float(x) for x in llama.scores[j]], window[j + 1])
            n += 1
    assert ours["scored"] == n
    # Both quantise activations to 8 bits, by different block rules; the mean moves by about a hundredth.
    assert abs(ours["nll"] - nll / n) < 0.03, (ours["nll"], nll / n)


def test_greedy_text_begins_like_llama_cpp(cloche, gguf, llama):
    prompt = "Once upon a time"
    ours = cloche.json("run", gguf, "--raw", "--temp", 0, "-n", 8, "--json", prompt)
    ids = llama.tokenize(prompt.encode(), add_bos=True, special=False)
    assert ours["prompt_tokens"] == ids
    llama.reset()
    for i in range(8):
        llama.eval(ids if i == 0 else [ours["tokens"][i - 1]])
        row = llama.scores[llama.n_tokens - 1]
        best = max(range(len(row)), key=lambda k: row[k])
        # Where they part, both tokens are near ties for llama.cpp too.
        assert ours["tokens"][i] == best or row[best] - row[ours["tokens"][i]] < 0.3, i
