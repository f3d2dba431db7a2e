"""Every row of the error table, on both interfaces."""
import json

import httpx
import openai
import pytest
from conftest import TINY

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
OK = {"model": TINY, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}


def openai_error(server, status, code, param=None, path=CHAT, body=None, **kw):
    r = httpx.request(kw.pop("method", "POST"), server.url + path, **({"json": body} if body is not None else {}), timeout=60, **kw)
    assert r.status_code == status, r.text
    e = r.json()["error"]
    assert set(e) == {"message", "type", "param", "code"} and e["message"], e
    assert e["code"] == code and e["param"] == param, e
    return r


def ollama_error(server, status, text, path, body=None, **kw):
    r = httpx.request(kw.pop("method", "POST"), server.url + path, **({"json": body} if body is not None else {}), timeout=60, **kw)
    assert r.status_code == status, r.text
    assert set(r.json()) == {"error"} and (text in r.json()["error"]), r.text
    return r


@pytest.mark.parametrize("content", [b"{", b"[]", b"7", b"null", b"\xff\xfe", b'{"model":"a","model":"b"}', b'{"model":"\xff"}',
                                     b"{}" + b"x", b'{"a":' * 3000 + b"1" + b"}" * 3000])
def test_what_is_no_json_object(server, content):
    openai_error(server, 400, "invalid_value", content=content)
    ollama_error(server, 400, "", "/api/chat", content=content)


def test_an_empty_body(server):
    assert "missing request body" in openai_error(server, 400, "invalid_value").text
    ollama_error(server, 400, "missing request body", "/api/generate")
    openai_error(server, 400, "invalid_value", "model", body={})
    ollama_error(server, 400, "model is required", "/api/chat", {})


@pytest.mark.parametrize("field, value", [
    ("temperature", 2.1), ("temperature", -0.1), ("temperature", "1"), ("temperature", True), ("top_p", 1.5), ("n", 0), ("n", 9),
    ("n", 1.5), ("max_tokens", 0), ("max_tokens", "5"), ("max_tokens", 1e18), ("max_completion_tokens", -1), ("stream", 1),
    ("presence_penalty", 3), ("frequency_penalty", -2.5), ("seed", "x"), ("seed", 1.5), ("stop", 7), ("stop", [1]),
    ("stop", ["x"] * 17), ("logit_bias", [1]), ("logit_bias", {"x": 1}), ("logit_bias", {"1": 101}), ("logit_bias", {"1": "a"}),
    ("top_logprobs", 21), ("top_logprobs", 3), ("stream_options", 5), ("messages", []), ("messages", "hi"), ("tools", {}),
    ("response_format", 3), ("response_format", {"type": "x"}), ("reasoning_effort", "lots"), ("chat_template_kwargs", [])])
def test_wrong_values(server, field, value):
    r = openai_error(server, 400, "invalid_value", field if field != "response_format" or value == 3 else "response_format", body={**OK, field: value})
    assert field in r.json()["error"]["message"] and r.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("where, messages", [
    ("messages[0].role", [{"role": "wizard", "content": "x"}]), ("messages[0].role", [{"content": "x"}]), ("messages[0]", ["x"]),
    ("messages[0].content", [{"role": "user"}]), ("messages[0].content", [{"role": "user", "content": None}]),
    ("messages[0].content", [{"role": "user", "content": 5}]), ("messages[0].content", [{"role": "assistant", "content": None}]),
    ("messages[1].tool_call_id", [{"role": "user", "content": "x"}, {"role": "tool", "content": "4"}]),
    ("messages[0].content", [{"role": "user", "content": [{"type": "text"}]}]),
    ("messages[0].tool_calls", [{"role": "assistant", "tool_calls": [{"function": {}}]}])])
def test_wrong_messages(server, where, messages):
    openai_error(server, 400, "invalid_value", where, body={**OK, "messages": messages})


def test_null_is_absent(server):
    names = ("temperature", "top_p", "n", "max_tokens", "stop", "seed", "logit_bias", "tools", "response_format", "stream_options", "logprobs")
    assert httpx.post(server.url + CHAT, json={**OK, **dict.fromkeys(names)}).status_code == 200
    assert httpx.post(server.url + CHAT, json={**OK, "max_tokens": 2.0, "top_k": 5.0}).status_code == 200


@pytest.mark.parametrize("param, more", [
    ("messages[0].content", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]}),
    ("modalities", {"modalities": ["text", "audio"]}), ("audio", {"audio": {"voice": "x"}}), ("web_search_options", {"web_search_options": {}})])
def test_what_is_not_supported(server, param, more):
    openai_error(server, 400, "unsupported_value", param, body={**OK, **more})


def test_too_long_prompts_name_both_numbers(server):
    long = {**OK, "messages": [{"role": "user", "content": "x " * 3000}]}
    for body in (long, {**long, "stream": True}):
        r = openai_error(server, 400, "context_length_exceeded", "messages", body=body)
        assert "maximum context length is 1024 tokens" in r.text and "has 6" in r.text
    openai_error(server, 400, "context_length_exceeded", "messages", COMPLETIONS, {"model": TINY, "prompt": [5] * 1024})
    ollama_error(server, 400, "maximum context length", "/api/chat", {**long, "options": {}, "truncate": False})
    assert server.metric("cloche_requests_rejected_total", reason="context") >= 4


def test_unknown_models(server):
    for path, body in ((CHAT, {**OK, "model": "nope"}), (COMPLETIONS, {"model": "nope", "prompt": "x"})):
        r = openai_error(server, 404, "model_not_found", "model", path, body)
        assert r.json()["error"]["message"] == "model 'nope' not found"
    openai_error(server, 404, "model_not_found", "model", "/v1/models/nope", method="GET")
    for path in ("/api/chat", "/api/generate", "/api/show"):
        r = ollama_error(server, 404, "", path, {"model": "nope", "prompt": "x", "messages": [{"role": "user", "content": "x"}]})
        assert r.json() == {"error": "model 'nope' not found"}
    for name in ("../x", "/etc/passwd", "a/b/c", "", "x" * 5000, "tiny-q8_0\u0000"):
        assert httpx.post(server.url + CHAT, json={**OK, "model": name}).status_code in (400, 404)


def test_unknown_paths_and_methods(server):
    openai_error(server, 404, "unknown_url", path="/v1/nothing", method="GET")
    ollama_error(server, 404, "404 page not found", "/api/me", method="GET")
    for method, path, allow in (("GET", CHAT, "POST"), ("DELETE", "/v1/models", "GET, HEAD"), ("PUT", CHAT, "POST")):
        assert openai_error(server, 405, None, path=path, method=method).headers["allow"] == allow
    assert ollama_error(server, 405, "", "/api/chat", method="GET").headers["allow"] == "POST"


def test_wrong_kinds_of_body(server):
    openai_error(server, 415, None, files={"file": b"x"})
    openai_error(server, 415, None, content=b"x", headers={"Content-Encoding": "gzip"})
    ollama_error(server, 415, "Content-Type", "/api/chat", files={"file": b"x"})
    assert httpx.post(server.url + CHAT, content=json.dumps(OK), headers={"Content-Encoding": "identity"}).status_code == 200


def test_origins_and_names_are_policy(server):
    r = openai_error(server, 403, "policy_refused", body=OK, headers={"Origin": "https://evil.example"})
    assert r.json()["error"]["type"] == "permission_error"
    ollama_error(server, 403, "not called", "/api/tags", method="GET", headers={"Host": "rebound.example"})
    assert server.metric("cloche_requests_rejected_total", reason="policy") >= 2


def test_offline_is_said_at_once(server):
    for path in ("/api/pull", "/api/push"):
        r = ollama_error(server, 403, "offline mode: 'llama9' is not in the store", path, {"model": "llama9"})
        assert r.elapsed.total_seconds() < 2


def test_the_sdk_knows_its_classes(server):
    c = openai.OpenAI(base_url=server.url + "/v1", api_key="x", max_retries=0)
    for error, kw in ((openai.BadRequestError, {"temperature": 9}), (openai.NotFoundError, {"model": "nope"})):
        with pytest.raises(error) as e:
            c.chat.completions.create(**{**OK, **kw})
        assert e.value.body["message"] and e.value.request_id


def test_a_model_that_cannot_be_opened(models, tmp_path):
    from serving import Server
    bad = tmp_path / "bad.gguf"
    raw = bytearray(models[TINY].read_bytes())
    at = raw.index(b"tokenizer.ggml.model") + len("tokenizer.ggml.model") + 12
    raw[at:at + 4] = b"abcd"
    bad.write_bytes(raw)
    s = Server(tmp_path / "data", "--model", bad, ready=False)
    r = openai_error(s, 400, "unsupported_value", "model", body={**OK, "model": "bad"})
    assert str(tmp_path) not in r.text
    assert httpx.get(s.url + "/readyz").json() == {"status": "unavailable", "reasons": ["model bad cannot be opened"]}
    assert httpx.get(s.url + "/health").json() == {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    assert s.stop() == 0 and any("cannot be opened" in x for x in s.errors)
