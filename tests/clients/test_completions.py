"""POST /v1/completions and the tokenizer's endpoints, as evaluators use them."""
import math

import httpx
import openai
import pytest
from conftest import TINY


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="x", max_retries=0)


def complete(client, prompt, **kw):
    return client.completions.create(**{"model": TINY, "prompt": prompt, "max_tokens": 8, "temperature": 0, **kw})


def tokenize(server, **body):
    return httpx.post(server.url + "/tokenize", json={"model": TINY, **body}).json()


def test_four_forms_of_a_prompt(client, server):
    text = "the rain in"
    ids = tokenize(server, prompt=text)["tokens"]
    want = complete(client, text).choices[0].text
    assert complete(client, ids).choices[0].text == want
    assert [c.text for c in complete(client, [text, text]).choices] == [want, want]
    assert [c.text for c in complete(client, [ids, ids, ids]).choices] == [want] * 3
    r = complete(client, [text, "a"], n=2)
    assert [c.index for c in r.choices] == [0, 1, 2, 3] and r.usage.prompt_tokens == len(ids) + len(tokenize(server, prompt="a")["tokens"])


def test_max_tokens_is_16_and_an_answer_has_every_field(client):
    r = complete(client, "the", max_tokens=openai.NOT_GIVEN, extra_body={"ignore_eos": True})
    assert r.usage.completion_tokens == 16 and r.id.startswith("cmpl-") and r.object == "text_completion"
    assert r.choices[0].logprobs is None and r.choices[0].finish_reason == "length"


def test_a_stream_says_the_same(client):
    for kw in ({}, {"echo": True}, {"logprobs": 2}, {"echo": True, "logprobs": 3}, {"n": 2, "temperature": 1, "seed": 4}, {"stop": "e"}):
        whole = complete(client, ["the rain", "a"], **kw)
        texts, ends, probs = {}, {}, {}
        for chunk in complete(client, ["the rain", "a"], stream=True, **kw):
            for c in chunk.choices:
                texts[c.index] = texts.get(c.index, "") + c.text
                if c.finish_reason:
                    ends[c.index] = c.finish_reason
                if c.logprobs:
                    kept = probs.setdefault(c.index, {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []})
                    for k, v in kept.items():
                        v.extend(getattr(c.logprobs, k))
        for c in whole.choices:
            assert texts[c.index] == c.text and ends[c.index] == c.finish_reason, kw
            if c.logprobs:
                assert probs[c.index] == c.logprobs.model_dump(), kw


def test_echo_with_logprobs_is_what_lm_eval_reads(client, server):
    ids = tokenize(server, prompt="the rain in spain stays")["tokens"]
    one = complete(client, [ids], max_tokens=1, logprobs=1, echo=True, seed=1234).choices[0]
    none = complete(client, [ids], max_tokens=0, logprobs=1, echo=True).choices[0]
    p = one.logprobs
    assert len(p.tokens) == len(p.token_logprobs) == len(p.top_logprobs) == len(p.text_offset) == len(ids) + 1
    assert p.token_logprobs[0] is None and p.top_logprobs[0] is None
    assert none.logprobs.token_logprobs == p.token_logprobs[:-1] and none.text == "the rain in spain stays"
    assert one.text == "".join(p.tokens) and [one.text[i:i + len(t)] for i, t in zip(p.text_offset, p.tokens)] == p.tokens
    assert all(x < 0 for x in p.token_logprobs[1:])
    for value, top in zip(p.token_logprobs[1:], p.top_logprobs[1:]):
        assert 1 <= len(top) <= 2 and value in top.values() and max(top.values()) >= value
    # The same numbers one token at a time, and in a batch.
    for i in (1, 3, len(ids) - 1):
        step = complete(client, [ids[:i]], max_tokens=1, logprobs=20, extra_body={"logit_bias": {str(ids[i]): 100}}).choices[0].logprobs
        assert step.tokens == [p.tokens[i]] and step.token_logprobs[0] == p.token_logprobs[i]
    batch = complete(client, [ids, ids[:3], ids] * 5, max_tokens=1, logprobs=1, echo=True)
    assert all(c.logprobs == p for c in batch.choices if c.index % 3 != 1)


def test_a_row_of_probabilities_adds_up(client):
    bias = complete(client, "the", max_tokens=1, logprobs=20).choices[0].logprobs
    top = list(bias.top_logprobs[0].values())
    assert top == sorted(top, reverse=True) and 0 < sum(map(math.exp, top)) <= 1 + 1e-9


def test_wrong_prompts(server):
    for prompt in (None, 5, [], [[]], [1.5], ["a", 5], [1, "a"], [-1], [391], [[391]], {"a": 1}, [None], ""):
        r = httpx.post(server.url + "/v1/completions", json={"model": TINY, "prompt": prompt})
        assert r.status_code == 400 and r.json()["error"]["param"] == "prompt", (prompt, r.text)
    for more in ({"max_tokens": 0}, {"best_of": 2}, {"suffix": "x"}, {"logprobs": 21}, {"logprobs": True}, {"n": 8, "prompt": ["a"] * 200}):
        r = httpx.post(server.url + "/v1/completions", json={"model": TINY, "prompt": "x", **more})
        assert r.status_code == 400, (more, r.text)


def test_tokenizer_endpoints(server):
    info = httpx.get(server.url + "/tokenizer_info").json()
    assert info["eos_token"] == "<|im_end|>" and info["bos_token"] == "<|endoftext|>" and info["vocab_size"] == 391
    assert info["model_max_length"] == 1024 and "im_start" in info["chat_template"] and len(info["tokenizer_digest"]) == 64
    text = "Hello, wörld! \U0001f600 <|im_end|>"
    t = tokenize(server, prompt=text)
    assert t["count"] == len(t["tokens"]) and t["max_model_len"] == 1024
    back = httpx.post(server.url + "/detokenize", json={"model": TINY, "tokens": t["tokens"]}).json()
    assert back["prompt"] == back["content"] == text
    assert tokenize(server, content="hi")["tokens"] == tokenize(server, prompt="hi", add_special_tokens=False)["tokens"]
    chat = tokenize(server, messages=[{"role": "user", "content": "hi"}])
    assert len(chat["tokens"]) > len(tokenize(server, messages=[{"role": "user", "content": "hi"}], add_generation_prompt=False)["tokens"])
    for body in ({}, {"prompt": 5}, {"messages": []}):
        assert httpx.post(server.url + "/tokenize", json={"model": TINY, **body}).status_code == 400
    for tokens in (None, "x", ["a"], [-1], [1.5]):
        assert httpx.post(server.url + "/detokenize", json={"model": TINY, "tokens": tokens}).status_code == 400
