"""Tools and schemas: what the grammar promises, as clients see it."""
import json

import httpx
import jsonschema
import ollama
import openai
import pytest
import tiny_models
from serving import Server

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "the weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "enum": ["Kyoto", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"], "additionalProperties": False}}}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}}
ASK = [{"role": "user", "content": "weather?"}]


@pytest.fixture(scope="module")
def tools_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    (folder / "caller.gguf").write_bytes(tiny_models.model_bytes("q8_0", tiny_models.TOOL_TEMPLATE))
    s = Server(folder / "data", "--model", folder / "caller.gguf")
    yield s
    assert s.stop() == 0, s.errors


@pytest.fixture(scope="module")
def client(tools_server):
    return openai.OpenAI(base_url=tools_server.url + "/v1", api_key="x", max_retries=0)


def ask(client, **kw):
    return client.chat.completions.create(**{"model": "caller", "messages": ASK, "max_tokens": 200, "seed": 1, **kw})


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_call_that_must_come_comes(client, choice):
    for seed in range(8):
        r = ask(client, tools=[WEATHER, TIME], tool_choice=choice, parallel_tool_calls=False, seed=seed)
        c = r.choices[0]
        assert c.finish_reason == "tool_calls" and c.message.content is None and len(c.message.tool_calls) == 1
        call = c.message.tool_calls[0]
        assert call.id and call.type == "function" and call.function.name in ("get_weather", "get_time")
        tool = {"get_weather": WEATHER, "get_time": TIME}[call.function.name]
        jsonschema.validate(json.loads(call.function.arguments), tool["function"]["parameters"])
        assert choice == "required" or call.function.name == "get_weather"


def test_a_stream_of_calls_says_the_same(client):
    for seed in range(6):
        kw = dict(tools=[WEATHER, TIME], tool_choice="required", seed=seed, n=2)
        whole = ask(client, **kw)
        calls, ends = {}, {}
        for chunk in ask(client, stream=True, **kw):
            for c in chunk.choices:
                if c.finish_reason:
                    ends[c.index] = c.finish_reason
                for d in c.delta.tool_calls or []:
                    kept = calls.setdefault(c.index, [])
                    if d.index == len(kept):
                        assert d.id and d.type == "function" and d.function.name and d.function.arguments == ""
                        kept.append([d.function.name, ""])
                    else:
                        assert d.index == len(kept) - 1 and d.id is None and d.function.name is None
                        kept[d.index][1] += d.function.arguments
        for c in whole.choices:
            assert ends[c.index] == c.finish_reason
            assert calls[c.index] == [[t.function.name, t.function.arguments] for t in c.message.tool_calls]


def test_the_helper_of_the_sdk_reads_calls(client):
    with client.chat.completions.stream(model="caller", messages=ASK, tools=[WEATHER], tool_choice="required", max_tokens=200,
                                        parallel_tool_calls=False, seed=3) as s:
        done = [e for e in s if e.type == "tool_calls.function.arguments.done"]
    assert done[0].name == "get_weather" and json.loads(done[0].arguments)["city"] in ("Kyoto", "Oslo")


def test_none_and_auto(client):
    assert not ask(client, tools=[WEATHER], tool_choice="none", max_tokens=8).choices[0].message.tool_calls
    r = ask(client, tools=[WEATHER], max_tokens=8)
    assert r.choices[0].message.content is not None
    assert r.usage.prompt_tokens > ask(client, tools=[WEATHER], tool_choice="none", max_tokens=8).usage.prompt_tokens
    old = ask(client, max_tokens=200, extra_body={"functions": [WEATHER["function"]], "function_call": {"name": "get_weather"}})
    assert old.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_an_answer_to_a_call_goes_back(client):
    call = ask(client, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False).choices[0].message.tool_calls[0]
    for content in (None, ""):
        messages = [*ASK, {"role": "assistant", "content": content, "tool_calls": [call.model_dump()]},
                    {"role": "tool", "tool_call_id": call.id, "content": "4 degrees"}]
        assert ask(client, messages=messages, tools=[WEATHER], max_tokens=4).usage.prompt_tokens > 0


def test_wrong_tools(tools_server):
    for body in ({"tools": [{"type": "function"}]}, {"tools": [{"type": "function", "function": {"name": "bad name"}}]},
                 {"tools": [WEATHER], "tool_choice": "maybe"}, {"tool_choice": "required"}, {"tools": [WEATHER] * 129},
                 {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "other"}}}):
        r = httpx.post(tools_server.url + "/v1/chat/completions", json={"model": "caller", "messages": ASK, **body})
        assert r.status_code == 400 and r.json()["error"]["param"].startswith("tool"), (body, r.text)


def test_ollama_calls_come_whole(tools_server):
    c = ollama.Client(host=tools_server.url)
    body = {"model": "caller", "messages": ASK, "tools": [WEATHER], "options": {"seed": 1, "num_predict": 20}}
    whole = c.chat("caller", ASK, tools=[WEATHER], options={"seed": 1, "num_predict": 20})
    text = "".join(p.message.content or "" for p in c.chat("caller", ASK, tools=[WEATHER], options={"seed": 1, "num_predict": 20}, stream=True))
    assert text == (whole.message.content or "")
    assert httpx.post(tools_server.url + "/api/show", json={"model": "caller"}).json()["capabilities"] == ["completion", "tools"]
    history = [*ASK, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}]},
               {"role": "tool", "tool_name": "get_weather", "content": "cold"}]
    assert httpx.post(tools_server.url + "/api/chat", json={**body, "messages": history, "stream": False}).status_code == 200


# --- schemas ---------------------------------------------------------------------------------------------------------------
SCHEMAS = [
    {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
     "required": ["name", "age"], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["red", "green", 3, None]}, "minItems": 1, "maxItems": 4},
    {"anyOf": [{"type": "boolean"}, {"const": "maybe"}]},
    {"type": "object", "properties": {"day": {"type": "string", "format": "date"}, "id": {"type": "string", "pattern": "^[A-F0-9]{4}$"}},
     "required": ["day", "id"], "additionalProperties": False},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_answers_fit_their_schema(client, schema):
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}
    for seed in range(10):
        c = ask(client, response_format=form, seed=seed, max_tokens=300).choices[0]
        assert c.finish_reason == "stop", c
        jsonschema.validate(json.loads(c.message.content), schema, format_checker=jsonschema.FormatChecker())
        text = "".join(x.choices[0].delta.content or "" for x in ask(client, response_format=form, seed=seed, max_tokens=300, stream=True))
        assert text == c.message.content
    assert ask(client, response_format=form, max_tokens=1).choices[0].finish_reason == "length"


def test_other_spellings(client, tools_server):
    schema = SCHEMAS[0]
    for form in ({"type": "json_object", "schema": schema}, {"type": "json_schema", "schema": schema}):
        jsonschema.validate(json.loads(ask(client, extra_body={"response_format": form}, max_tokens=300).choices[0].message.content), schema)
    r = httpx.post(tools_server.url + "/api/chat", json={"model": "caller", "messages": ASK, "format": schema, "stream": False})
    jsonschema.validate(json.loads(r.json()["message"]["content"]), schema)
    assert ask(client, response_format={"type": "text"}, max_tokens=2).choices[0].message.content is not None
    r = httpx.post(tools_server.url + "/api/generate", json={"model": "caller", "prompt": "x", "format": "json", "options": {"num_predict": 40}, "stream": False})
    assert r.json()["response"].startswith("{")


def test_what_is_not_built_is_refused_by_path(client, tools_server):
    schema = {"type": "object", "properties": {"x": {"type": "string", "contentEncoding": "base64"}}, "required": ["x"], "additionalProperties": False}
    with pytest.raises(openai.BadRequestError) as e:
        ask(client, response_format={"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}})
    assert e.value.param.startswith("response_format.json_schema.schema.properties.x") and e.value.code == "unsupported_value"
    r = httpx.post(tools_server.url + "/v1/chat/completions", json={
        "model": "caller", "messages": ASK, "max_tokens": 50,
        "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}})
    assert r.status_code == 200 and "properties.x" in r.headers["x-schema-ignored"]
    for bad in ({"type": "json_schema"}, {"type": "json_schema", "json_schema": {"schema": {}}}, {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}},
                {"type": "json_schema", "json_schema": {"name": "it", "schema": {"type": "nothing"}}}):
        with pytest.raises(openai.BadRequestError):
            ask(client, extra_body={"response_format": bad})
