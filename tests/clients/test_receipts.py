"""Receipts over HTTP: in whole answers and streams, of every choice, on disk, replayed; and what is refused."""
import concurrent.futures
import hashlib
import json
import pathlib
import subprocess

import httpx
import pytest

from serving import BIN, Server

TINY = "tiny-q8_0"
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def here(models, tmp_path_factory):
    data = tmp_path_factory.mktemp("receipts")
    s = Server(data, "--model", models[TINY], "--parallel", "2")
    yield s, data
    assert s.stop() == 0, s.errors


def post(s, path, body):
    return httpx.post(s.url + path, content=body if isinstance(body, (str, bytes)) else json.dumps(body), timeout=120)


def ask(s, **kw):
    r = post(s, "/v1/chat/completions", {"model": TINY, "messages": MESSAGES, "max_tokens": 12, "x_receipt": True, **kw})
    assert r.status_code == 200, r.text
    return r.json()


def replay(s, text):
    r = post(s, "/v1/receipts/replay", text)
    assert r.status_code == 200, r.text
    return r.json()


def test_a_receipt_is_on_disk_under_its_digest_and_the_command_line_agrees(here, models):
    s, data = here
    choice = ask(s, seed=3)["choices"][0]
    receipt = choice["x_receipt"]
    digest = hashlib.sha256(receipt["text"].encode()).hexdigest()
    assert receipt["id"] == "r_" + digest and receipt["stored"] and receipt["seed"] == "3"
    path = data / "receipts" / digest[:2] / (digest + ".json")
    assert path.read_text() == receipt["text"] == httpx.get(f"{s.url}/v1/receipts/{receipt['id']}").text
    assert subprocess.run([BIN, "replay", str(path), str(models[TINY])], capture_output=True).returncode == 0
    v = replay(s, receipt["text"])
    assert v["same"] and v["checked"] == v["tokens"] == 12 and v["text"] == choice["message"]["content"]
    assert digest in (data / "audit.log").read_text()
    path.write_text(receipt["text"].replace("12", "13", 1))
    assert httpx.get(f"{s.url}/v1/receipts/{receipt['id']}").status_code == 500


def test_every_choice_has_its_own(here):
    s, _ = here
    choices = ask(s, n=3, seed=10)["choices"]
    assert [c["x_receipt"]["seed"] for c in choices] == ["10", "11", "12"]
    for c in choices:
        assert replay(s, c["x_receipt"]["text"])["text"] == c["message"]["content"]


def test_a_stream_has_it_in_its_last_chunk_and_completions_too(here):
    s, _ = here
    for path, body in (("/v1/chat/completions", {"messages": MESSAGES}), ("/v1/completions", {"prompt": "the"})):
        r = post(s, path, {"model": TINY, "max_tokens": 9, "stream": True, "x_receipt": True, **body})
        chunks = [json.loads(line[6:]) for line in r.text.splitlines() if line.startswith("data: {")]
        having = [c["choices"][0] for c in chunks if c["choices"] and "x_receipt" in c["choices"][0]]
        assert len(having) == 1 and having[0]["finish_reason"], r.text
        text = having[0]["x_receipt"]["text"]
        assert replay(s, text)["same"]
        assert (json.loads(text)["template"] is None) == (path == "/v1/completions")
    whole = post(s, "/v1/completions", {"model": TINY, "prompt": "the", "max_tokens": 5, "x_receipt": True}).json()
    assert replay(s, whole["choices"][0]["x_receipt"]["text"])["text"] == whole["choices"][0]["text"]


def test_nobody_gets_one_unasked_and_asking_changes_no_bit(here):
    s, data = here
    before = len(list((data / "receipts").rglob("*.json")))
    plain = ask(s, seed=5, x_receipt=False)["choices"][0]
    assert "x_receipt" not in plain and len(list((data / "receipts").rglob("*.json"))) == before
    assert ask(s, seed=5)["choices"][0]["message"] == plain["message"]


def test_replays_among_other_work_say_the_same(here):
    s, _ = here
    receipt = ask(s, max_tokens=60)["choices"][0]["x_receipt"]["text"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(ask, s, seed=i) if i % 2 else pool.submit(replay, s, receipt) for i in range(16)]
        assert all(j.result()["same"] for j in jobs[::2]) and all(j.result()["choices"] for j in jobs[1::2])


def test_what_is_no_receipt_is_refused(here):
    s, _ = here
    text = ask(s)["choices"][0]["x_receipt"]["text"]
    for bad in ("", "{}", "[]\n", text[:-1], text + "x", text.replace("rcp1", "rcp2"), "\xff\xfe", text.replace("\"n\"", "\"m\"", 1)):
        r = post(s, "/v1/receipts/replay", bad.encode("latin-1"))
        assert r.status_code == 400 and "receipt" in r.json()["error"]["message"], bad
    for name in ("r_", "r_" + "0" * 64, "r_" + "A" * 64, "../audit.log", "r_..%2faudit.log"):
        assert httpx.get(f"{s.url}/v1/receipts/{name}").status_code == 404, name
    assert httpx.get(s.url + "/v1/receipts/replay").status_code == 404
    assert post(s, "/v1/receipts/r_00", text).status_code == 405
    r = post(s, "/v1/completions", {"model": TINY, "prompt": "the", "x_receipt": True, "echo": True, "max_tokens": 0})
    assert r.status_code == 400 and r.json()["error"]["param"] == "x_receipt"
    r = post(s, "/v1/chat/completions", {"model": TINY, "messages": MESSAGES, "x_receipt": "yes"})
    assert r.status_code == 400


def test_a_place_that_cannot_be_written_fails_the_answer(models, tmp_path):
    s = Server(tmp_path / "data", "--model", models[TINY])
    (tmp_path / "data/receipts").write_text("in the way")
    r = post(s, "/v1/chat/completions", {"model": TINY, "messages": MESSAGES, "max_tokens": 4, "x_receipt": True})
    assert r.status_code == 500 and str(tmp_path) not in r.text, r.text
    r = post(s, "/v1/chat/completions", {"model": TINY, "messages": MESSAGES, "max_tokens": 4, "x_receipt": True, "stream": True})
    assert "\"error\"" in r.text and "[DONE]" not in r.text
    assert s.stop() == 0


def test_a_sealed_server_gives_and_replays_receipts(models, tmp_path):
    # The leak checker works by a thread that may do what a sealed process may not.
    s = Server(tmp_path / "data", "--model", pathlib.Path(models[TINY]), "--sealed", ASAN_OPTIONS="detect_leaks=0")
    assert replay(s, ask(s)["choices"][0]["x_receipt"]["text"])["same"]
    assert s.stop() == 0, s.errors
