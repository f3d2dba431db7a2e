"""The OpenAI interface through the client that everybody has."""
import json
import subprocess

import httpx
import openai
import pytest
from conftest import TINY
from serving import BIN

MESSAGES = [{"role": "user", "content": "say something"}]


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="sk-no-key-required", max_retries=0)


def ask(client, **kw):
    return client.chat.completions.create(**{"model": TINY, "messages": MESSAGES, "max_tokens": 24, "seed": 7, **kw})


def events(server, **kw):
    """Raw chunks of a stream, [DONE] checked and left out."""
    body = {"model": TINY, "messages": MESSAGES, "max_tokens": 24, "seed": 7, "stream": True, **kw}
    lines = httpx.post(server.url + "/v1/chat/completions", json=body, timeout=60).text.split("\n\n")
    assert lines[-1] == "" and lines[-2] == "data: [DONE]"
    return [json.loads(x.removeprefix("data: ")) for x in lines[:-2] if not x.startswith(":")]


def test_models(client, server):
    listed = {m.id: m for m in client.models.list()}
    assert set(listed) >= {TINY, "tiny-f32"} and listed[TINY].owned_by == "local"
    assert client.models.retrieve(TINY + ":latest").id == TINY + ":latest"
    assert listed[TINY].model_extra["meta"]["n_ctx_train"] == 1024
    with pytest.raises(openai.NotFoundError) as e:
        client.models.retrieve("nope/with/slashes")
    assert e.value.code == "model_not_found" and e.value.body["message"] == "model 'nope/with/slashes' not found"


def test_an_answer_has_every_field(client):
    r = ask(client)
    c = r.choices[0]
    assert r.id.startswith("chatcmpl-") and r.object == "chat.completion" and r.model == TINY and r.system_fingerprint.startswith("fp_")
    assert c.index == 0 and c.message.role == "assistant" and isinstance(c.message.content, str)
    assert c.finish_reason in ("stop", "length") and c.logprobs is None and c.message.refusal is None
    assert r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens
    assert r.usage.completion_tokens_details.reasoning_tokens == 0 and r.usage.prompt_tokens_details.cached_tokens >= 0
    assert r.created > 1700000000 and r._request_id


@pytest.mark.parametrize("kw", [{}, {"temperature": 0}, {"temperature": 1.7, "top_p": 0.9}, {"stop": ["e", "th"]}, {"n": 3},
                                {"max_tokens": 1}, {"logprobs": True, "top_logprobs": 3}, {"frequency_penalty": 1.5},
                                {"extra_body": {"top_k": 5, "min_p": 0.1}}])
def test_a_stream_says_what_the_whole_answer_says(client, kw):
    whole = ask(client, **kw)
    texts, ends, logprobs = {}, {}, {}
    for chunk in ask(client, stream=True, **kw):
        for c in chunk.choices:
            texts[c.index] = texts.get(c.index, "") + (c.delta.content or "")
            if c.finish_reason:
                assert c.index not in ends
                ends[c.index] = c.finish_reason
            if c.logprobs:
                logprobs.setdefault(c.index, []).extend(c.logprobs.content)
    for c in whole.choices:
        assert texts[c.index] == c.message.content and ends[c.index] == c.finish_reason
        if c.logprobs:
            assert logprobs[c.index] == c.logprobs.content
            assert b"".join(bytes(t.bytes) for t in c.logprobs.content).decode("utf-8", "replace") == c.message.content


def test_rules_of_a_stream(server):
    plain, usage = events(server), events(server, stream_options={"include_usage": True})
    assert {json.dumps([c[k] for k in ("id", "created", "model", "system_fingerprint", "object")]) for c in plain}.__len__() == 1
    assert plain[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all("role" not in c["choices"][0]["delta"] for c in plain[1:]) and all("usage" not in c for c in plain)
    ends = [c for c in plain if c["choices"][0]["finish_reason"]]
    assert len(ends) == 1 and ends[0] is plain[-1] and ends[0]["choices"][0]["delta"] == {}
    assert all(c["usage"] is None for c in usage[:-1]) and usage[-1]["choices"] == []
    assert usage[-1]["usage"]["total_tokens"] > usage[-1]["usage"]["prompt_tokens"]


def test_an_empty_answer_ends_properly(client, server):
    first = ask(client, max_tokens=1, temperature=0).choices[0].message.content
    chunks = events(server, max_tokens=5, temperature=0, stop=[first])
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == ""
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"][0]["finish_reason"]] == ["stop"]


def test_choices_have_seeds_in_a_row(client):
    three = ask(client, n=3, seed=100)
    for i, c in enumerate(three.choices):
        assert c.index == i and c.message.content == ask(client, seed=100 + i).choices[0].message.content
    assert three.usage.completion_tokens == sum(ask(client, seed=100 + i).usage.completion_tokens for i in range(3))


def test_the_seed_that_was_chosen_is_told(client):
    r = ask(client, seed=openai.NOT_GIVEN)
    assert ask(client, seed=r.model_extra["x_seed"]).choices[0].message.content == r.choices[0].message.content


def test_stop_texts_are_cut_wherever_they_come(client):
    text = ask(client, temperature=0, max_tokens=60).choices[0].message.content
    for stop in (text[10:13], text[5], text[20:40], text[7:9]):
        r = ask(client, temperature=0, max_tokens=60, stop=[stop]).choices[0]
        assert r.message.content == text[:text.index(stop)] and r.finish_reason == "stop"
    assert ask(client, temperature=0, max_tokens=60, stop=["", "never there"]).choices[0].message.content == text


def test_limits(client):
    assert ask(client, max_tokens=3, extra_body={"ignore_eos": True}).usage.completion_tokens == 3
    assert ask(client, max_tokens=9, max_completion_tokens=2, extra_body={"ignore_eos": True}).usage.completion_tokens == 2
    r = ask(client, max_tokens=100000, extra_body={"ignore_eos": True})
    assert r.usage.total_tokens == 1024 and r.choices[0].finish_reason == "length"


def test_logprobs(client):
    r = ask(client, logprobs=True, top_logprobs=20, temperature=0)
    for t in r.choices[0].logprobs.content:
        values = [x.logprob for x in t.top_logprobs]
        assert len(values) == 20 and values == sorted(values, reverse=True) and t.logprob == values[0]
        assert t.token == bytes(t.bytes).decode("utf-8", "replace")
    assert ask(client, logprobs=True).choices[0].logprobs.content[0].top_logprobs == []


def test_content_in_every_form(client):
    def tokens(*messages):
        return ask(client, messages=list(messages), max_tokens=1).usage.prompt_tokens
    plain = tokens({"role": "user", "content": "a\nb"})
    assert tokens({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}) == plain
    assert tokens({"role": "USER", "content": "a\nb"}) == plain
    assert tokens({"role": "developer", "content": "x"}, {"role": "user", "content": "y"}) == \
        tokens({"role": "system", "content": "x"}, {"role": "user", "content": "y"})
    call = {"role": "assistant", "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    assert tokens({"role": "user", "content": "x"}, call, {"role": "tool", "tool_call_id": "c1", "content": "4"}) > 0


def test_an_answer_goes_on_from_its_beginning(client):
    begun = [*MESSAGES, {"role": "assistant", "content": "the th"}]
    r = ask(client, messages=begun, temperature=0, max_tokens=8)
    again = ask(client, messages=[*MESSAGES, {"role": "assistant", "content": "the th" + r.choices[0].message.content}], temperature=0,
                max_tokens=8)
    longer = ask(client, messages=begun, temperature=0, max_tokens=16)
    assert longer.choices[0].message.content.startswith(r.choices[0].message.content)
    assert again.usage.prompt_tokens > r.usage.prompt_tokens


def test_the_same_bits_whatever_else_runs(client, server):
    import concurrent.futures as f
    jobs = [dict(seed=i, max_tokens=5 + 7 * i % 40, messages=[{"role": "user", "content": "word " * (1 + 5 * i % 60)}]) for i in range(24)]
    alone = [ask(client, **j).choices[0].message.content for j in jobs]
    with f.ThreadPoolExecutor(24) as pool:
        assert list(pool.map(lambda j: ask(client, **j).choices[0].message.content, jobs)) == alone
    assert events(server, seed=3)[0]["system_fingerprint"] == ask(client).system_fingerprint


def test_the_helper_of_the_sdk_streams(client):
    with client.chat.completions.stream(model=TINY, messages=MESSAGES, max_tokens=8, seed=1) as s:
        for _ in s:
            pass
        assert s.current_completion_snapshot.choices[0].message.content == ask(client, max_tokens=8, seed=1).choices[0].message.content


def test_unknown_parameters_are_ignored(client):
    ask(client, extra_body={"whatever": 1, "store": True, "metadata": {"a": "b"}, "service_tier": "auto", "user": "me"})


def test_a_real_model_answers_as_the_command_line_does(real_server, real_model, tmp_path):
    c = openai.OpenAI(base_url=real_server.url + "/v1", api_key="x")
    question = "Why is the sky blue?"
    for more in ({"temperature": 0}, {"temperature": 0.8, "seed": 5}):
        text = "".join(x.choices[0].delta.content or "" for x in c.chat.completions.create(
            model="smollm2", messages=[{"role": "user", "content": question}], max_tokens=32, stream=True, **more))
        args = [f"--{k.replace('temperature', 'temp')}={v}" for k, v in more.items()]
        p = subprocess.run([BIN, "run", real_model, "--json", "--data", str(tmp_path), "-n", "32", "--top-k", "0", "--top-p", "1", "--min-p", "0",
                            *args, question], capture_output=True, text=True, check=True)
        assert json.loads(p.stdout)["text"] == text
