"""Models that clients bring in, copy and remove, through Ollama's own client: who may, what must fit, and what becomes of
those that are open."""
import hashlib
import json
import pathlib
import subprocess
import threading

import httpx
import ollama
import openai
import pytest
import tiny_models
from conftest import TINY
from serving import BIN, Server, read_reply

NOWHERE = "sha256:" + "0" * 64


def add_key(data, name, *args):
    r = subprocess.run([BIN, "key", "add", name, "--data", str(data), *args], capture_output=True, text=True, check=True)
    return r.stdout.strip()


class Place:
    def __init__(self, folder, *args, **env):
        self.data = folder / "data"
        self.admin, self.plain = add_key(self.data, "boss", "--admin"), add_key(self.data, "anna")
        self.server = Server(self.data, *args, **env)
        self.url = self.server.url
        self.client = self.as_(self.admin)
        self.headers = {"Authorization": "Bearer " + self.admin}

    def as_(self, key):
        return ollama.Client(host=self.url, headers={"Authorization": "Bearer " + key})

    def names(self):
        return sorted(m.model for m in self.client.list().models)

    def post(self, path, method="POST", headers=None, **kw):
        return httpx.request(method, self.url + path, headers=self.headers if headers is None else headers, timeout=60, **kw)

    def blobs(self):
        return {p.name for p in (self.data / "blobs").rglob("*") if p.is_file()}

    def events(self):
        return [json.loads(x) for x in (self.data / "audit.log").read_text().splitlines()]


@pytest.fixture
def here(tmp_path):
    p = Place(tmp_path)
    yield p
    assert p.server.stop() == 0, p.server.errors
    assert subprocess.run([BIN, "audit", "--data", str(p.data)]).returncode == 0
    for m in json.loads(subprocess.run([BIN, "list", "--json", "--data", str(p.data)], capture_output=True, text=True).stdout):
        assert "fault" not in m


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def say(p, model, **kw):
    return p.client.generate(model, "the", options={"num_predict": 6, "seed": 1, **kw})


def test_a_model_comes_in_is_copied_and_goes(here, models):
    c, path = here.client, models[TINY]
    blob = c.create_blob(path)
    assert blob == "sha256:" + digest(path)
    assert here.post(f"/api/blobs/{blob}", "HEAD").status_code == 200 and here.post(f"/api/blobs/{NOWHERE}", "HEAD").status_code == 404
    assert not here.names(), "a blob is no model"
    assert c.create("org/one", files={"one.gguf": blob}, stream=False).status == "success"
    assert [x.status for x in c.create("org/one", files={"one.gguf": blob}, stream=True)][-1] == "success", "again is nothing new"
    assert here.names() == ["org/one:latest"] and here.blobs() == {digest(path)} and not list((here.data / "uploads").iterdir())
    text = say(here, "org/one").response
    c.copy("org/one", "two")
    assert here.names() == ["org/one:latest", "two:latest"] and here.blobs() == {digest(path)}
    assert say(here, "two").response == text
    c.create("three:latest", from_="two", stream=False)
    c.delete("org/one")
    with pytest.raises(ollama.ResponseError) as e:
        say(here, "org/one")
    assert e.value.status_code == 404 and e.value.error == "model 'org/one' not found"
    assert here.names() == ["three:latest", "two:latest"] and say(here, "two").response == text
    with pytest.raises(ollama.ResponseError) as e:
        c.delete("org/one")
    assert e.value.status_code == 404
    for name in ("two", "THREE"):
        assert here.post("/api/delete", "DELETE", json={"name": name}).status_code == 200
    assert not here.names() and not here.blobs()
    told = [(e["event"], e["model"], e["key"]) for e in here.events() if e["event"].startswith("model-")]
    assert told == [("model-created", "org/one", "boss"), ("model-created", "org/one", "boss"), ("model-copied", "two", "boss"), ("model-copied", "three", "boss"),
                    ("model-removed", "org/one", "boss"), ("model-removed", "two", "boss"), ("model-removed", "three", "boss")]


def test_bytes_that_are_not_those_that_were_promised_do_not_come_in(here, models):
    bytes_, good = pathlib.Path(models[TINY]).read_bytes(), digest(models[TINY])
    for why, path, body, status in (("other bytes", NOWHERE, bytes_, 400), ("cut", "sha256:" + good, bytes_[:-1], 400), ("none", "sha256:" + good, b"", 400),
                                    ("no digest", "sha256:" + good[:-1], bytes_, 400), ("upper case", "sha256:" + good.upper(), bytes_, 400),
                                    ("another hash", "sha512:" + good, bytes_, 400), ("a path", "sha256:..%2f..%2faudit.log", bytes_, 400)):
        r = here.post("/api/blobs/" + path, content=body)
        assert r.status_code == status and r.json()["error"], (why, r.text)
        assert here.post("/api/blobs/sha256:" + good, "HEAD").status_code == 404, why
    assert not list((here.data / "uploads").iterdir())
    assert here.post("/api/blobs/sha256:" + good, content=bytes_).status_code == 201
    assert (here.data / "uploads" / good).read_bytes() == bytes_
    assert here.post("/api/blobs/sha256-" + good, content=iter([bytes_[:1000], bytes_[1000:]])).status_code == 201, "chunked, and once more"


def test_a_client_that_goes_leaves_nothing(here, models):
    good = digest(models[TINY])
    with here.server.connect() as sock:
        sock.sendall(f"POST /api/blobs/sha256:{good} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {here.admin}\r\nContent-Length: 100000\r\n\r\n".encode() + b"x" * 5000)
    with here.server.connect() as sock:  # 100-continue, and a large body in pieces
        sock.sendall(f"POST /api/blobs/{NOWHERE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {here.admin}\r\nExpect: 100-continue\r\nContent-Length: 40000000\r\n\r\n".encode())
        assert read_reply(sock)[0] == 100
        for _ in range(40):
            sock.sendall(b"y" * 1000000)
        assert read_reply(sock)[0] == 400
    assert not list((here.data / "uploads").iterdir()) and here.post("/api/version", "GET").status_code == 200


def test_what_is_no_model_is_refused(here, models):
    text = b"GGUF but not really"
    junk = "sha256:" + hashlib.sha256(text).hexdigest()
    assert here.post("/api/blobs/" + junk, content=text).status_code == 201
    blob = here.client.create_blob(models[TINY])
    for why, body, status in (("no model", {"files": {"a.gguf": blob}}, 400), ("no files", {"model": "a"}, 400), ("nothing there", {"model": "a", "files": {"a.gguf": NOWHERE}}, 400),
                              ("not a GGUF", {"model": "a", "files": {"a.gguf": junk}}, 400), ("no .gguf", {"model": "a", "files": {"a.safetensors": blob}}, 400),
                              ("a path", {"model": "a", "files": {"../a.gguf": blob}}, 400), ("a bad name", {"model": "a b", "files": {"a.gguf": blob}}, 400),
                              ("a tag", {"model": "a:q4", "files": {"a.gguf": blob}}, 400), ("parts of two", {"model": "a", "files": {"a.gguf": blob, "b.gguf": blob}}, 400),
                              ("a part that is missing", {"model": "a", "files": {"a-00001-of-00002.gguf": blob}}, 400), ("not a digest", {"model": "a", "files": {"a.gguf": 3}}, 400),
                              ("a template", {"model": "a", "files": {"a.gguf": blob}, "template": "{{x}}"}, 400), ("quantize", {"model": "a", "files": {"a.gguf": blob}, "quantize": "q4_0"}, 400),
                              ("from nothing", {"model": "a", "from": "b"}, 404), ("both", {"model": "a", "from": "b", "files": {"a.gguf": blob}}, 400)):
        r = here.post("/api/create", json=body)
        assert r.status_code == status and r.json()["error"] and str(here.data) not in r.text, (why, r.text)
        assert not here.names(), why
    here.client.create("a", files={"a.gguf": blob}, stream=False)
    other = here.client.create_blob(models["tiny-f32"])
    r = here.post("/api/create", json={"model": "a", "files": {"a.gguf": other}})
    assert r.status_code == 400 and "another model is named 'a'" in r.json()["error"]
    for body, status in (({"source": "nope", "destination": "b"}, 404), ({"source": "a"}, 400), ({"source": "a", "destination": "b/c/d"}, 400), ({"source": "a", "destination": ""}, 400)):
        assert here.post("/api/copy", json=body).status_code == status, body
    assert here.post("/api/push", json={"model": "a"}).status_code == 403


def test_only_an_administrative_key_changes_models(here, models, tmp_path):
    blob = here.client.create_blob(models[TINY])
    here.client.create("a", files={"a.gguf": blob}, stream=False)
    calls = (("POST", "/api/create", {"json": {"model": "b", "files": {"b.gguf": blob}}}), ("POST", "/api/copy", {"json": {"source": "a", "destination": "b"}}),
             ("DELETE", "/api/delete", {"json": {"model": "a"}}), ("POST", "/api/blobs/" + NOWHERE, {"content": b"x"}))
    for method, path, kw in calls:
        r = here.post(path, method, headers={"Authorization": "Bearer " + here.plain}, **kw)
        assert r.status_code == 403 and "--admin" in r.json()["error"], (path, r.text)
        assert here.post(path, method, headers={}, **kw).status_code == 401
    assert here.names() == ["a:latest"] and here.as_(here.plain).generate("a", "the", options={"num_predict": 2}).done
    refused = [e for e in here.events() if e["event"] == "refused"]
    assert {e["key"] for e in refused} == {"anna"} and len(refused) == 4
    free = Server(tmp_path / "free")
    for method, path, kw in calls:
        r = httpx.request(method, free.url + path, timeout=30, **kw)
        assert r.status_code == 403 and "cloche import" in r.json()["error"], r.text
    assert free.stop() == 0, free.errors


def test_a_model_that_is_removed_while_it_answers_ends_its_answer(here, models, tmp_path):
    long = tmp_path / "long.gguf"
    long.write_bytes(tiny_models.model_bytes("q8_0", n_ctx=4096))  # its answer takes seconds, however slow the disk is
    c = here.client
    blob = c.create_blob(long)
    c.create("a", files={"a.gguf": blob}, stream=False)
    oai = openai.OpenAI(base_url=here.url + "/v1", api_key=here.admin, max_retries=0)
    ask = dict(model="a", prompt="the", max_tokens=3000, seed=1, extra_body={"ignore_eos": True})
    want = oai.completions.create(**ask).choices[0].text
    begun, got = threading.Event(), []

    def answer():
        for x in oai.completions.create(**ask, stream=True):
            got.append(x.choices[0])
            begun.set()
    t = threading.Thread(target=answer)
    t.start()
    assert begun.wait(30)
    c.delete("a")
    for path, body in (("/api/generate", {"model": "a", "prompt": "x"}), ("/v1/completions", {"model": "a", "prompt": "x"}), ("/api/show", {"model": "a"}),
                       ("/api/generate", {"model": "A:latest", "prompt": ""})):
        assert here.post(path, json=body).status_code == 404, path
    assert not c.ps().models and not here.names()
    assert t.is_alive(), "the answer was too short to be removed meanwhile"
    t.join(60)
    assert got[-1].finish_reason == "length" and "".join(x.text for x in got) == want
    c.create_blob(models["tiny-f32"])
    c.create("a", files={"a.gguf": "sha256:" + digest(models["tiny-f32"])}, stream=False)
    assert say(here, "a").done and [m.model for m in c.ps().models] == ["a:latest"] and len(here.blobs()) == 1
    subprocess.run([BIN, "rm", "a", "--data", str(here.data)], check=True, capture_output=True)
    assert here.post("/api/generate", json={"model": "a", "prompt": "x"}).status_code == 404, "by another process"


def test_a_sealed_server_takes_models_in(models, tmp_path):
    p = Place(tmp_path, "--sealed", ASAN_OPTIONS="detect_leaks=0")
    p.client.create("a", files={"a.gguf": p.client.create_blob(models[TINY])}, stream=False)
    assert say(p, "a").done
    p.client.copy("a", "b")
    p.client.delete("a")
    assert p.names() == ["b:latest"] and say(p, "b").done
    p.client.delete("b")
    assert not p.names() and not p.blobs() and p.server.stop() == 0, p.server.errors


def test_changes_at_once(here, models):
    blob = here.client.create_blob(models[TINY])
    def one(i):
        c = here.as_(here.admin)
        c.create_blob(models["tiny-f32"])
        c.create(f"m{i}", files={"m.gguf": blob}, stream=False)
        c.copy(f"m{i}", f"n{i}")
        c.generate(f"n{i}", "the", options={"num_predict": 2})
        c.delete(f"m{i}")
    threads = [threading.Thread(target=one, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert here.names() == sorted(f"n{i}:latest" for i in range(6))
