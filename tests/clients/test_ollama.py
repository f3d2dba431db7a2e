"""The Ollama interface, through its own client and as other clients read it."""
import datetime
import json
import re
import time

import httpx
import ollama
import pytest
from conftest import TINY
from serving import Server

MESSAGES = [{"role": "user", "content": "say something"}]


@pytest.fixture(scope="module")
def client(server):
    return ollama.Client(host=server.url)


def lines(server, path, **body):
    with httpx.stream("POST", server.url + path, json=body, timeout=60) as r:
        assert r.headers["content-type"].startswith("application/x-ndjson")
        return [json.loads(x) for x in r.iter_lines()]


def parse_time(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", text), text
    return datetime.datetime.fromisoformat(text)


def test_version_is_digits_and_dots(server):
    v = httpx.get(server.url + "/api/version").json()["version"]
    assert tuple(int(x) for x in re.sub(r"^v|-.*", "", v).split(".")) >= (0, 6, 4)
    assert httpx.get(server.url + "/").text == "Ollama is running"


def test_tags(client, server):
    got = {m.model: m for m in client.list().models}
    m = got[TINY + ":latest"]
    assert m.details.family == "llama" and m.details.quantization_level == "Q8_0" and m.size > 0
    raw = httpx.get(server.url + "/api/tags").json()["models"]
    assert all(x["name"] == x["model"] and len(x["digest"]) == 64 for x in raw)
    times = [parse_time(x["modified_at"]) for x in raw]
    assert times == sorted(times, reverse=True)


def test_show(client, server):
    for body in ({"model": TINY}, {"name": TINY + ":latest"}):
        r = httpx.post(server.url + "/api/show", json=body).json()
        arch = r["model_info"]["general.architecture"]
        assert r["model_info"][arch + ".context_length"] == 1024 and r["model_info"]["general.basename"]
        assert r["capabilities"] == ["completion"]
        parsed = [re.match(r'^(\S+)\s+((?:".*")|\S+)$', x) for x in r["parameters"].split("\n")]
        assert all(parsed) and parsed[0].groups() == ("num_ctx", "1024")
        stops = [json.loads(m.group(2)) for m in parsed if m.group(1) == "stop"]
        assert "<|im_end|>" in stops
        parse_time(r["modified_at"])
    assert client.show(TINY).details.family == "llama"


def test_chat(client, server):
    options = {"seed": 3, "num_predict": 12, "temperature": 0.5}
    whole = client.chat(TINY, MESSAGES, options=options)
    parts = list(client.chat(TINY, MESSAGES, options=options, stream=True))
    assert "".join(p.message.content for p in parts) == whole.message.content
    assert [p.done for p in parts] == [False] * (len(parts) - 1) + [True] and parts[-1].done_reason in ("stop", "length")
    assert parts[-1].eval_count == whole.eval_count <= 12 and whole.prompt_eval_count > 0 and whole.total_duration > 0
    raw = lines(server, "/api/chat", model=TINY, messages=MESSAGES, options=options)
    assert raw[-1]["message"] == {"role": "assistant", "content": ""}
    for x in raw:
        parse_time(x["created_at"])


def test_generate(client, server):
    options = {"seed": 3, "num_predict": 12}
    whole = client.generate(TINY, "say something", options=options)
    parts = list(client.generate(TINY, "say something", options=options, stream=True))
    assert "".join(p.response for p in parts) == whole.response
    chat = client.chat(TINY, MESSAGES, options=options)
    assert chat.message.content == whole.response
    raw = client.generate(TINY, "the rain", raw=True, options={"temperature": 0, "num_predict": 6})
    same = httpx.post(server.url + "/v1/completions", json={"model": TINY, "prompt": "the rain", "temperature": 0, "max_tokens": 6}).json()
    assert raw.response == same["choices"][0]["text"]


def test_both_interfaces_give_the_same_bits(client, server):
    mine = client.chat(TINY, MESSAGES, options={"seed": 11, "temperature": 1, "top_k": 0, "top_p": 1, "num_predict": 20})
    theirs = httpx.post(server.url + "/v1/chat/completions", json={"model": TINY, "messages": MESSAGES, "seed": 11, "max_tokens": 20}).json()
    assert mine.message.content == theirs["choices"][0]["message"]["content"]


def test_logprobs(server):
    r = httpx.post(server.url + "/api/chat", json={"model": TINY, "messages": MESSAGES, "stream": False, "logprobs": True, "top_logprobs": 2,
                                                   "options": {"num_predict": 5, "seed": 1}}).json()
    assert "".join(t["token"] for t in r["logprobs"]) == r["message"]["content"] and len(r["logprobs"][0]["top_logprobs"]) == 2


def test_thinking_and_tools_need_a_model_that_can(client):
    for kw, text in (({"think": True}, f'"{TINY}" does not support thinking'),
                     ({"tools": [{"type": "function", "function": {"name": "f"}}]}, f'"{TINY}" does not support tools')):
        with pytest.raises(ollama.ResponseError) as e:
            client.chat(TINY, MESSAGES, **kw)
        assert e.value.status_code == 400 and e.value.error == text
    client.chat(TINY, MESSAGES, think=False, options={"num_predict": 1})


def test_wrong_values(client):
    for kw in ({"options": {"temperature": "hot"}}, {"options": {"top_k": 1.5}}, {"keep_alive": "soon"}, {"options": {"stop": 5}}):
        with pytest.raises(ollama.ResponseError) as e:
            client.chat(TINY, MESSAGES, **kw)
        assert e.value.status_code == 400
    client.chat(TINY, MESSAGES, options={"num_predict": 1, "mirostat": 2, "tfs_z": 1, "numa": True, "num_gpu": 99, "unknown": []})


def test_old_messages_are_left_out_and_told(server):
    talk = [{"role": "system", "content": "be brief"}]
    for i in range(40):
        talk += [{"role": "user", "content": f"question {i} " + "word " * 20}, {"role": "assistant", "content": "yes"}]
    talk.append({"role": "user", "content": "the last one"})
    r = httpx.post(server.url + "/api/chat", json={"model": TINY, "messages": talk, "stream": False, "options": {"num_predict": 2}})
    k = int(r.headers["x-truncated-messages"])
    assert r.json()["x_truncated"] == k > 0
    kept = [talk[0], *talk[1 + k:]]
    fits = httpx.post(server.url + "/tokenize", json={"model": TINY, "messages": kept}).json()["count"]
    more = httpx.post(server.url + "/tokenize", json={"model": TINY, "messages": [talk[0], *talk[k:]]}).json()["count"]
    assert fits == r.json()["prompt_eval_count"] <= 1023 < more


def test_load_unload_and_keep_alive(models, tmp_path):
    s = Server(tmp_path / "data", "--keep-alive", "1h")
    try:
        from serving import BIN
        import subprocess
        subprocess.run([BIN, "import", str(models[TINY]), "--name", "tiny", "--data", str(tmp_path / "data")], check=True, capture_output=True)
        c = ollama.Client(host=s.url)
        names = lambda: [m.model for m in c.ps().models]  # noqa: E731
        assert names() == [] and [m.model for m in c.list().models] == ["tiny:latest"]
        r = c.generate("tiny", "")
        assert r.done and r.done_reason == "load" and names() == ["tiny:latest"]
        ps = httpx.get(s.url + "/api/ps").json()["models"][0]
        left = parse_time(ps["expires_at"]) - datetime.datetime.now(datetime.timezone.utc)
        assert 3500 < left.total_seconds() <= 3600 and ps["size_vram"] == 0 and ps["context_length"] == 1024
        for keep, seconds in ((10, 10), ("2m", 120), ("90", 90), ("1h30m", 5400)):
            c.generate("tiny", "x", keep_alive=keep, options={"num_predict": 1})
            ps = httpx.get(s.url + "/api/ps").json()["models"][0]
            left = parse_time(ps["expires_at"]) - datetime.datetime.now(datetime.timezone.utc)
            assert seconds - 9 < left.total_seconds() <= seconds, keep
        assert httpx.post(s.url + "/api/generate", json={"model": "tiny", "prompt": "", "keep_alive": 0}).json()["done_reason"] == "unload"
        for _ in range(100):
            if not names():
                break
            time.sleep(0.05)
        assert names() == [] and s.metric("cloche_model_unloads_total", model="tiny") == 1
        assert c.chat("tiny", MESSAGES, keep_alive=0, options={"num_predict": 2}).message.content is not None
        for _ in range(100):
            if not names():
                break
            time.sleep(0.05)
        assert names() == [] and s.metric("cloche_model_loads_total", model="tiny") == 2
        assert s.metric("cloche_generation_tokens_total", model="tiny") == 2 + 4  # counters outlive their model
    finally:
        assert s.stop() == 0, s.errors


def test_names(models, tmp_path):
    import subprocess
    from serving import BIN
    data = tmp_path / "data"
    subprocess.run([BIN, "import", str(models[TINY]), "--name", "Org/Tiny", "--data", str(data)], check=True, capture_output=True)
    s = Server(data)
    try:
        digest = httpx.get(s.url + "/api/tags").json()["models"][0]["digest"]
        for name in ("Org/Tiny", "org/tiny", "Org/Tiny:latest", digest[:12], "sha256:" + digest):
            r = httpx.post(s.url + "/v1/completions", json={"model": name, "prompt": "a", "max_tokens": 1})
            assert r.status_code == 200 and r.json()["model"] == name
        for name in ("Org/Tiny:q4", "Tiny", digest[:11], "Org%2FTiny"):
            assert httpx.post(s.url + "/v1/completions", json={"model": name, "prompt": "a"}).status_code == 404
        assert httpx.get(s.url + "/v1/models/Org%2FTiny").json()["id"] == "Org/Tiny"
        assert httpx.get(s.url + "/v1/models/Org/Tiny").json()["owned_by"] == "Org"
        assert s.metric("cloche_models_loaded") == 1
    finally:
        assert s.stop() == 0


def test_an_empty_store(tmp_path):
    s = Server(tmp_path / "none")
    assert httpx.get(s.url + "/v1/models").json() == {"object": "list", "data": []}
    assert httpx.get(s.url + "/api/tags").json() == {"models": []} == httpx.get(s.url + "/api/ps").json()
    assert httpx.get(s.url + "/readyz").status_code == 200
    assert s.stop() == 0
