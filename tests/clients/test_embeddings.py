"""Embeddings through the clients that people use: a tiny BERT, and a tiny Llama whose vectors are those of its last token."""
import base64
import json
import os
import shutil
import subprocess
import threading

import httpx
import numpy as np
import ollama
import openai
import pytest
from conftest import TINY
from serving import BIN, ROOT, Server

BERT, POOLED = "tiny-bert", "tiny-pooled"
TEXTS = ["the bell of glass", "a bell", "the glass of a bell, the bell of glass.", "1 2 3!"]


@pytest.fixture(scope="module")
def encoders(models, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    s = Server(data, "--model", models[BERT], "--model", models[POOLED], "--model", models[TINY])
    s.data = data
    yield s
    assert s.stop() == 0, s.errors


@pytest.fixture(scope="module")
def client(encoders):
    return openai.OpenAI(base_url=encoders.url + "/v1", api_key="x", max_retries=0)


@pytest.fixture(scope="module", params=[BERT, POOLED])
def offline(request, models, tmp_path_factory):
    """A model, and its vectors as the program prints them."""
    def embed(*texts):
        env = {**os.environ, "CLOCHE_DATA": str(tmp_path_factory.mktemp("offline"))}
        p = subprocess.run([BIN, "embed", models[request.param], *texts, "--json"], capture_output=True, text=True, env=env,
                           check=True)
        return np.array(json.loads(p.stdout)["embeddings"], dtype=np.float32)
    return request.param, embed


def vectors(answer):
    assert [d.index for d in answer.data] == list(range(len(answer.data)))
    return np.array([d.embedding for d in answer.data], dtype=np.float32)


def ask(server, **body):
    r = httpx.post(server.url + "/v1/embeddings", json=body, timeout=120)
    assert r.status_code == 200, r.text
    return r.json()


def test_every_client_and_route_gets_the_bits_of_the_program(encoders, client, offline):
    model, embed = offline
    want = embed(*TEXTS)
    assert np.allclose((want * want).sum(1), 1, atol=1e-5)
    answer = client.embeddings.create(model=model, input=TEXTS)  # asks for base64
    assert answer.model == model and answer.object == "list" and answer.usage.prompt_tokens == answer.usage.total_tokens > 8
    assert np.array_equal(vectors(answer), want)
    plain = client.embeddings.create(model=model, input=TEXTS, encoding_format="float")
    assert np.array_equal(vectors(plain), want)
    raw = ask(encoders, model=model, input=TEXTS[0], encoding_format="base64")
    assert np.array_equal(np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), "<f4"), want[0])
    assert httpx.post(encoders.url + "/embeddings", json={"model": model, "input": TEXTS[0]}).json()["data"][0]["index"] == 0
    theirs = ollama.Client(host=encoders.url)
    many = theirs.embed(model=model, input=TEXTS)
    assert np.array_equal(np.array(many.embeddings, dtype=np.float32), want)
    assert many.model == model and many.prompt_eval_count == answer.usage.prompt_tokens and many.total_duration > 0
    assert np.array_equal(np.array(theirs.embeddings(model=model, prompt=TEXTS[1]).embedding, dtype=np.float32), want[1])


def test_tokens_are_taken_for_texts(encoders, client, offline):
    model, _ = offline
    ids = [httpx.post(encoders.url + "/tokenize", json={"model": model, "prompt": t}).json()["tokens"] for t in TEXTS]
    want = vectors(client.embeddings.create(model=model, input=TEXTS))
    assert np.array_equal(vectors(client.embeddings.create(model=model, input=ids)), want)
    assert np.array_equal(vectors(client.embeddings.create(model=model, input=ids[2])), want[2:3])


def test_langchain(encoders, offline):
    langchain = pytest.importorskip("langchain_openai")
    model, embed = offline
    e = langchain.OpenAIEmbeddings(base_url=encoders.url + "/v1", api_key="x", model=model, check_embedding_ctx_length=False,
                                   max_retries=0)
    assert np.array_equal(np.array(e.embed_documents(TEXTS), dtype=np.float32), embed(*TEXTS))
    assert np.array_equal(np.array(e.embed_query(TEXTS[3]), dtype=np.float32), embed(TEXTS[3])[0])


NODE = """
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.URL + '/v1', apiKey: 'x', maxRetries: 0 });
const texts = JSON.parse(process.env.TEXTS);
const a = await client.embeddings.create({ model: process.env.MODEL, input: texts });
const b = await client.embeddings.create({ model: process.env.MODEL, input: texts, encoding_format: 'float' });
for (let i = 0; i < texts.length; i++) {
  const x = new Float32Array(a.data[i].embedding), y = new Float32Array(b.data[i].embedding);
  if (x.length < 16 || x.length !== y.length || x.some((v, k) => v !== y[k])) throw new Error('base64 and float differ');
}
console.log('ok');
"""


def test_openai_for_node(encoders):
    packages = ROOT / "build/npm"
    if not shutil.which("node") or not (packages / "node_modules/openai").is_dir():
        pytest.skip("node with the package openai is not there (tools/bootstrap.sh clients)")
    script = packages / "embed.mjs"
    script.write_text(NODE)
    p = subprocess.run(["node", str(script)], capture_output=True, text=True, timeout=120,
                       env={**os.environ, "URL": encoders.url, "MODEL": BERT, "TEXTS": json.dumps(TEXTS)})
    assert p.returncode == 0 and p.stdout == "ok\n", p.stderr


def test_many_texts_come_in_order_beside_answers(encoders, client, offline):
    model, embed = offline
    texts = [f"{'bell ' * (i % 7)}glass {i % 50}" for i in range(2048)]
    want = embed(*texts[:350])  # what follows repeats these
    got = {}

    def answer(i):
        got[i] = client.chat.completions.create(model=TINY, messages=[{"role": "user", "content": f"{i}"}], max_tokens=40,
                                                seed=i).choices[0].message.content
    threads = [threading.Thread(target=answer, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    found = vectors(client.embeddings.create(model=model, input=texts))
    for t in threads:
        t.join()
    assert found.shape[0] == 2048 and len(got) == 4
    assert all(np.array_equal(found[i], want[i % 350]) for i in range(2048))
    for i in range(4):
        seen = got[i]
        answer(i)
        assert got[i] == seen


@pytest.mark.parametrize("param, code, more", [
    ("input", "invalid_value", {"input": None}), ("input", "invalid_value", {"input": ""}), ("input", "invalid_value", {"input": []}),
    ("input", "invalid_value", {"input": 5}), ("input", "invalid_value", {"input": ["a", ""]}),
    ("input", "invalid_value", {"input": ["a", 5]}), ("input", "invalid_value", {"input": [[]]}),
    ("input", "invalid_value", {"input": [5, "a"]}), ("input", "invalid_value", {"input": [-1]}),
    ("input", "invalid_value", {"input": [1 << 40]}), ("input", "invalid_value", {"input": {"text": "a"}}),
    ("input", "invalid_value", {"input": ["a"] * 2049}), ("input", "context_length_exceeded", {"input": "bell " * 500}),
    ("input", "context_length_exceeded", {"input": [[5] * 151]}),
    ("encoding_format", "invalid_value", {"encoding_format": "int8"}), ("encoding_format", "invalid_value", {"encoding_format": 1}),
    ("dimensions", "unsupported_value", {"dimensions": 32}), ("dimensions", "unsupported_value", {"dimensions": 1000}),
    ("dimensions", "invalid_value", {"dimensions": 0}), ("dimensions", "invalid_value", {"dimensions": "64"}),
    ("model", "model_not_found", {"model": "nope"}), ("model", "unsupported_value", {"model": TINY}),
    ("model", "invalid_value", {"model": ""})])
def test_what_is_refused(encoders, param, code, more):
    r = httpx.post(encoders.url + "/v1/embeddings", json={"model": BERT, "input": "a bell", **more}, timeout=60)
    assert r.status_code == (404 if code == "model_not_found" else 400), r.text
    e = r.json()["error"]
    assert set(e) == {"message", "type", "param", "code"} and e["param"] == param and e["code"] == code and e["message"], e


def test_ollama_cuts_or_refuses(encoders):
    theirs = ollama.Client(host=encoders.url)
    long = "bell " * 500
    assert theirs.embed(model=BERT, input=long).prompt_eval_count == 150
    for kw in ({"input": long, "truncate": False}, {"input": "a", "dimensions": 32}):
        with pytest.raises(ollama.ResponseError) as e:
            theirs.embed(model=BERT, **kw)
        assert e.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="does not support embeddings"):
        theirs.embed(model=TINY, input="a")
    assert theirs.embed(model=BERT, input=[]).embeddings == [] and theirs.embed(model=BERT, input="").embeddings == []
    assert httpx.post(encoders.url + "/api/embeddings", json={"model": BERT, "prompt": ""}).json() == {"embedding": []}
    for body in ({"input": [1]}, {"input": 5}, {"input": {}}, {"truncate": 1, "input": "a"}):
        assert httpx.post(encoders.url + "/api/embed", json={"model": BERT, **body}).status_code == 400, body
    assert httpx.post(encoders.url + "/api/embeddings", json={"model": BERT, "prompt": ["a"]}).status_code == 400


def test_what_models_can_is_told(encoders):
    shown = {m["name"]: m["capabilities"] for m in httpx.get(encoders.url + "/api/tags").json()["models"]}
    assert shown[BERT + ":latest"] == ["embedding"] and "embedding" not in shown[TINY + ":latest"]
    assert {"completion", "embedding"} <= set(shown[POOLED + ":latest"])
    listed = {m["id"]: m["capabilities"] for m in httpx.get(encoders.url + "/v1/models").json()["data"]}
    assert listed[BERT] == ["embedding"] and "completion" in listed[TINY]
    show = httpx.post(encoders.url + "/api/show", json={"model": BERT}).json()
    assert show["capabilities"] == ["embedding"] and show["model_info"]["bert.embedding_length"] == 64


def test_an_encoder_answers_nothing(encoders):
    for path, more in (("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
                       ("/v1/completions", {"prompt": "a"}), ("/api/generate", {"prompt": "a"}),
                       ("/api/chat", {"messages": [{"role": "user", "content": "a"}]})):
        r = httpx.post(encoders.url + path, json={"model": BERT, **more}, timeout=60)
        assert r.status_code == 400, f"{path}: {r.text}"


def test_they_are_counted(encoders):
    before = encoders.metric("cloche_prompt_tokens_total", model=BERT)
    n = ask(encoders, model=BERT, input=TEXTS)["usage"]["prompt_tokens"]
    assert encoders.metric("cloche_prompt_tokens_total", model=BERT) == before + n
    line = json.loads((encoders.data / "audit.log").read_text().splitlines()[-1])
    assert line["route"] == "/v1/embeddings" and line["model"] == BERT and line["finish"] == "stop"
    assert (line["prompt_tokens"], line["output_tokens"]) == (n, 0)


def test_who_hangs_up_stops_the_work(encoders):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(encoders.url + "/v1/embeddings", json={"model": POOLED, "input": ["bell " * 150] * 1024}, timeout=0.3)
    ask(encoders, model=POOLED, input="a")  # is not kept waiting for what nobody wants
    assert encoders.metric("cloche_requests_running", model=POOLED) == 0
