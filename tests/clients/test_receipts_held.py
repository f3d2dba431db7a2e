"""Receipts of answers that are held to a form, and of Ollama's routes: they name what they need, and both replays hold the
answer to it again."""
import hashlib
import json
import os
import subprocess
import time

import httpx
import ollama
import openai
import pytest
import tiny_models
from serving import BIN, Server
from test_structured import ASK, HERMES, TIME, WEATHER

PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 99},
                                           "share": {"type": "number", "minimum": 0, "maximum": 1}}, "required": ["name", "age"]}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held")
    plain, tiny_models.TEMPLATE = tiny_models.TEMPLATE, HERMES
    try:
        (folder / "caller.gguf").write_bytes(tiny_models.model_bytes("q8_0"))
    finally:
        tiny_models.TEMPLATE = plain
    s = Server(folder / "data", "--model", folder / "caller.gguf")
    yield s, folder
    assert s.stop() == 0, s.errors


@pytest.fixture(scope="module")
def client(here):
    return openai.OpenAI(base_url=here[0].url + "/v1", api_key="x", max_retries=0)


def ask(client, **kw):
    return client.chat.completions.create(**{"model": "caller", "messages": ASK, "max_tokens": 120, "seed": 4, "extra_body": {"x_receipt": True}, **kw})


def over_http(here, text):
    return httpx.post(here[0].url + "/v1/receipts/replay", content=text, timeout=120)


def by_hand(here, text):
    path = here[1] / "it.rcp"
    path.write_text(text)
    r = subprocess.run([BIN, "replay", "--json", str(path), str(here[1] / "caller.gguf")], capture_output=True, text=True)
    return r.returncode, json.loads(r.stdout) if r.stdout else r.stderr


def check(here, receipt, kind):
    """The receipt names its grammar, replays both ways, and does not without it."""
    text = receipt["text"]
    g = json.loads(text)["grammar"]
    assert g["kind"] == kind and g["version"] == "g1" and g["sha256"] == hashlib.sha256(g["text"].encode()).hexdigest()
    v = over_http(here, text)
    assert v.status_code == 200 and v.json()["same"], v.text
    assert v.json()["checked"] == v.json()["tokens"] == json.loads(text)["output"]["n"]
    code, found = by_hand(here, text)
    assert code == 0 and found["same"], found
    free = json.loads(text)
    del free["grammar"]
    free = json.dumps(free) + "\n"
    v, (code, found) = over_http(here, free).json(), by_hand(here, free)
    assert not v["same"] and v["what"] == "token" and code == 3
    assert found["differs"] == "token" and found["at"] == v["at"] and found["found"] == v["found"]["id"]
    return g["text"]


def with_grammar(receipt, **changes):
    r = json.loads(receipt)
    r["grammar"].update(changes)
    if "text" in changes and "sha256" not in changes:
        r["grammar"]["sha256"] = hashlib.sha256(changes["text"].encode()).hexdigest()
    return json.dumps(r) + "\n"


def test_a_schema_is_named_and_held_again(here, client):
    for strict in (True, False):
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": strict}}
        r = client.chat.completions.with_raw_response.create(model="caller", messages=ASK, max_tokens=120, seed=4, response_format=form, extra_body={"x_receipt": True})
        c = r.parse().choices[0]
        receipt = c.model_extra["x_receipt"]
        assert r.headers["x-receipt-id"] == receipt["id"] and json.loads(c.message.content)
        text = check(here, receipt, "schema")
        assert text == json.dumps(PERSON, separators=(",", ":")), "compact, in the order in which it came"


def test_any_object_and_streams(here, client):
    c = ask(client, response_format={"type": "json_object"}, max_tokens=40).choices[0]
    assert check(here, c.model_extra["x_receipt"], "json") == "{}"
    having = [x.choices[0].model_extra["x_receipt"] for x in ask(client, response_format={"type": "json_object"}, max_tokens=40, stream=True)
              if x.choices and "x_receipt" in (x.choices[0].model_extra or {})]
    assert len(having) == 1
    old, new = json.loads(c.model_extra["x_receipt"]["text"]), json.loads(having[0]["text"])
    assert old["output"] == new["output"] and old["chain"] == new["chain"] and check(here, having[0], "json")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}], ids=["any", "named"])
@pytest.mark.parametrize("parallel", [True, False])
def test_tools_are_named_and_held_again(here, client, choice, parallel):
    r = ask(client, tools=[WEATHER, TIME], tool_choice=choice, parallel_tool_calls=parallel)
    text = json.loads(check(here, r.choices[0].model_extra["x_receipt"], "tools"))
    assert text["tools"] == [WEATHER, TIME] and text["must"] and text["parallel"] == parallel and text["syntax"] == "hermes"
    assert text["only"] == (None if choice == "required" else "get_weather")


def test_tools_that_ask_nothing_of_the_text_are_not_named(here, client):
    r = ask(client, tools=[WEATHER], max_tokens=10)
    text = r.choices[0].model_extra["x_receipt"]["text"]
    assert "grammar" not in json.loads(text) and over_http(here, text).json()["same"]


def test_another_grammar_is_found_out(here, client):
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    text = ask(client, response_format=form).choices[0].model_extra["x_receipt"]["text"]
    other = json.dumps({"type": "array", "items": {"type": "boolean"}}, separators=(",", ":"))
    v = over_http(here, with_grammar(text, text=other)).json()
    assert not v["same"] and v["what"] == "token" and v["at"] == 0, v
    code, found = by_hand(here, with_grammar(text, text=other))
    assert code == 3 and found["differs"] == "token" and found["at"] == 0
    v = over_http(here, with_grammar(text, version="g0")).json()
    assert not v["same"] and v["what"] == "grammar"
    assert by_hand(here, with_grammar(text, version="g0"))[1]["differs"] == "grammar"


def test_a_grammar_that_is_none_is_refused(here, client):
    text = ask(client, response_format={"type": "json_object"}, max_tokens=8).choices[0].model_extra["x_receipt"]["text"]
    for why, changes in {"a text without its digest": {"text": "{} ", "sha256": "0" * 64}, "another kind": {"kind": "yaml"},
                         "another spelling": {"kind": "schema", "text": "{ }"}, "no JSON": {"kind": "schema", "text": "{"},
                         "a field more": {"more": 1}, "no schema": {"kind": "schema", "text": '{"type":"text"}'},
                         "no tools": {"kind": "tools", "text": "[]"}, "tools that lack a field": {"kind": "tools", "text": '{"syntax":"hermes"}'},
                         "tools of a syntax that is none": {"kind": "tools", "text": json.dumps({"syntax": "x", "only": None, "must": True, "parallel": True,
                                                                                                "after": "", "tools": [WEATHER]}, separators=(",", ":"))}}.items():
        r = over_http(here, with_grammar(text, **changes))
        assert r.status_code == 400 and "receipt" in r.json()["error"]["message"], (why, r.text)
        assert by_hand(here, with_grammar(text, **changes))[0] == 1, why


# --- Ollama ----------------------------------------------------------------------------------------------------------------
def final(parts):
    parts = list(parts)
    assert all("x_receipt" not in p for p in parts[:-1])
    return parts[-1]["x_receipt"]


@pytest.mark.parametrize("path, body", [("/api/chat", {"messages": ASK}), ("/api/generate", {"prompt": "weather?"}),
                                        ("/api/generate", {"prompt": "weather?", "raw": True})])
def test_ollama_answers_have_receipts(here, path, body):
    body = {"model": "caller", "x_receipt": True, "options": {"num_predict": 12, "seed": 9}, **body}
    whole = httpx.post(here[0].url + path, json={**body, "stream": False}, timeout=60)
    receipt = whole.json()["x_receipt"]
    assert whole.headers["x-receipt-id"] == receipt["id"]
    with httpx.stream("POST", here[0].url + path, json=body, timeout=60) as r:
        streamed = final(json.loads(x) for x in r.iter_lines())
    for text in (receipt["text"], streamed["text"]):
        assert "grammar" not in json.loads(text) and over_http(here, text).json()["same"] and by_hand(here, text)[0] == 0
        assert (json.loads(text)["template"] is None) == ("raw" in body)
    assert json.loads(receipt["text"])["chain"] == json.loads(streamed["text"])["chain"]
    assert httpx.get(f"{here[0].url}/v1/receipts/{receipt['id']}").text == receipt["text"]


def test_ollamas_own_client_gets_them_by_its_options(here):
    """It has no field for what it does not know, so the id is found in the audit log."""
    c = ollama.Client(host=here[0].url)
    for form, kind in ((PERSON, "schema"), ("json", "json")):
        r = c.chat("caller", ASK, format=form, options={"seed": 3, "num_predict": 100, "x_receipt": True})
        digest = [json.loads(x) for x in (here[1] / "data/audit.log").read_text().splitlines()][-1]["receipt"].removeprefix("sha256:")
        text = httpx.get(f"{here[0].url}/v1/receipts/r_{digest}").text
        check(here, {"text": text}, kind)
        assert over_http(here, text).json()["text"] == r.message.content


def test_the_command_line_makes_them_too(here):
    schema, receipt = here[1] / "person.json", here[1] / "person.rcp"
    schema.write_text(json.dumps(PERSON, indent=1))
    run = [BIN, "run", str(here[1] / "caller.gguf"), "--receipt", str(receipt), "-n", "60", "--temp", "0.8"]
    for more, kind in ((["--schema", str(schema)], "schema"), (["--json-mode"], "json")):
        subprocess.run([*run, *more, "Ada, 36"], check=True, capture_output=True)
        check(here, {"text": receipt.read_text()}, kind)


# --- what is stored --------------------------------------------------------------------------------------------------------
def audit(data):
    r = subprocess.run([BIN, "audit", "--json", "--data", str(data)], capture_output=True, text=True)
    return r.returncode, json.loads(r.stdout)


def test_the_audit_log_and_the_stored_receipts_hold_each_other(models, tmp_path):
    s = Server(tmp_path, "--model", models["tiny-q8_0"])
    c = openai.OpenAI(base_url=s.url + "/v1", api_key="x", max_retries=0)
    ids = [c.completions.create(model="tiny-q8_0", prompt="the", max_tokens=4, seed=i, extra_body={"x_receipt": True}).choices[0].model_extra["x_receipt"]["id"]
           for i in range(3)]
    c.completions.create(model="tiny-q8_0", prompt="the", max_tokens=4)
    assert s.stop() == 0, s.errors
    files = [tmp_path / "receipts" / i[2:4] / f"{i[2:]}.json" for i in ids]
    code, found = audit(tmp_path)
    assert code == 0 and found["receipts"] == {"named": 3, "here": 3}
    files[0].unlink()
    code, found = audit(tmp_path)
    assert code == 0 and found["receipts"] == {"named": 3, "here": 2}
    text = files[1].read_text()
    files[1].write_text(text.replace('"seed": "1"', '"seed": "2"'))
    code, found = audit(tmp_path)
    assert code == 3 and not found["holds"] and "receipt" in found["fault"], found
    files[1].write_text(text)
    assert audit(tmp_path)[0] == 0


@pytest.mark.parametrize("limit", ["max", "days"])
def test_old_receipts_are_swept_when_limits_are_given(models, tmp_path, limit):
    folder = tmp_path / "receipts"
    for i in range(20):
        name = hashlib.sha256(b"%d" % i).hexdigest()
        path = folder / name[:2] / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(i))
        age = 86400 * (i + 1) - 3600
        os.utime(path, (time.time() - age, time.time() - age))
    other = folder / name[:2] / "notes.txt"
    other.write_text("not ours")
    s = Server(tmp_path, "--model", models["tiny-q8_0"], "--receipts-" + limit, "7")
    for _ in range(100):
        left = sorted(int(p.read_text()) for p in folder.rglob("*.json"))
        if len(left) == 7:
            break
        time.sleep(0.1)
    assert left == list(range(7)), left
    assert other.exists() and s.stop() == 0, s.errors
