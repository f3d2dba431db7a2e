"""Many requests at once: each says what it says alone, bit for bit; and a key with one request does not wait for one with 50."""
import concurrent.futures
import json
import random
import subprocess
import threading
import time

import httpx
from conftest import TINY
from serving import BIN, Server

N = 64
WORDS = "the rain in spain stays mainly on plain a river runs through every town that was built beside it long ago".split()
SYSTEM = {"role": "system", "content": "You answer briefly, and say so when you do not know. " * 6}
SCHEMA = {"type": "object", "properties": {"town": {"type": "string", "maxLength": 10}, "age": {"type": "integer", "minimum": 0, "maximum": 999}},
          "required": ["town", "age"], "additionalProperties": False}


def requests(model):
    """N bodies: prompts of a few to two hundred tokens, every third with the same beginning, every fifth held to a schema."""
    rng = random.Random(5)
    for i in range(N):
        messages = [{"role": "user", "content": " ".join(rng.choices(WORDS, k=rng.choice((2, 10, 40, 120))))}]
        body = {"model": model, "messages": [SYSTEM, *messages] if i % 3 == 0 else messages, "seed": i, "logprobs": True, "top_logprobs": i % 4,
                "temperature": (0, 0.7, 1.3)[i % 3 if i % 2 else 0], "max_tokens": rng.randint(1, 28), "stream": rng.random() < 0.5}
        if i % 5 == 0:
            yield {**body, "max_tokens": 60, "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA, "strict": True}}}
        else:
            yield {**body, "x_receipt": True}


def said(server, body):
    """What an answer says, streamed or not, without what names the request: text, tokens with their numbers, counts, receipt."""
    r = httpx.post(server.url + "/v1/chat/completions", timeout=600,
                   json={**body, "stream_options": {"include_usage": True}} if body["stream"] else body)
    assert r.status_code == 200, r.text
    if body["stream"]:
        assert r.text.endswith("data: [DONE]\n\n"), r.text[-200:]
        events = [json.loads(line[6:]) for line in r.text.splitlines() if line.startswith("data: {")]
        usage = events[-1]["usage"]
        choices = [e["choices"][0] for e in events if e["choices"]]
        text = "".join(c["delta"].get("content") or "" for c in choices)
    else:
        usage, choices = r.json()["usage"], r.json()["choices"]
        text = choices[0]["message"]["content"]
    tokens = [t for c in choices if c.get("logprobs") for t in c["logprobs"]["content"]]
    receipt = [json.loads(c["x_receipt"]["text"]) for c in choices if "x_receipt" in c]
    for one in receipt:  # the salt is drawn, and the prompt's digest covers it
        del one["salt"], one["prompt"]["sha256"]
    return {"text": text, "tokens": tokens, "finish": choices[-1]["finish_reason"], "receipt": receipt,
            "counts": (usage["prompt_tokens"], usage["completion_tokens"])}, usage["prompt_tokens_details"]["cached_tokens"]


def test_every_answer_under_load_is_the_answer_alone(real_server):
    bodies = list(requests("smollm2"))
    delays = [random.Random(6).uniform(0, 1.5) for _ in bodies]

    def later(job):
        time.sleep(job[1])
        return said(real_server, job[0])
    with concurrent.futures.ThreadPoolExecutor(N) as pool:
        together = list(pool.map(later, zip(bodies, delays)))
    cached = 0
    for body, (loaded, _) in zip(bodies, together):
        alone, n_cached = said(real_server, body)
        assert loaded == alone, body
        assert loaded["tokens"] and bool(loaded["receipt"]) == ("response_format" not in body)
        if "response_format" in body and loaded["finish"] == "stop":
            assert list(json.loads(loaded["text"])) == ["town", "age"]
        cached += n_cached
    assert cached > 0 and sum(n for _, n in together) > 0  # prompts were cut where others had been computed
    assert {t["finish"] for t, _ in together} == {"stop", "length"}


def test_one_beside_fifty_ends_before_them(models, tmp_path):
    """No clock: of fifty equal requests that were there before it, hardly any is done when the one of another key is."""
    keys = {name: json.loads(subprocess.run([BIN, "key", "add", name, "--data", str(tmp_path / "data"), "--json"], check=True,
                                            capture_output=True, text=True).stdout)["key"] for name in ("many", "one")}
    s = Server(tmp_path / "data", "--model", models[TINY], "--parallel", "16")
    order, lock = [], threading.Lock()

    def ask(key, seed):
        r = httpx.post(s.url + "/v1/completions", timeout=300, headers={"Authorization": f"Bearer {keys[key]}"},
                       json={"model": TINY, "prompt": "the rain", "max_tokens": 600, "ignore_eos": True, "seed": seed})
        assert r.status_code == 200, r.text
        with lock:
            order.append(key)
    with concurrent.futures.ThreadPoolExecutor(51) as pool:
        jobs = [pool.submit(ask, "many", i) for i in range(50)]
        while s.metric("cloche_requests_running") + s.metric("cloche_requests_waiting") < 50:
            assert not order, "fifty are over before the last has come"
        jobs.append(pool.submit(ask, "one", 99))
        for j in jobs:
            j.result()
    # First come, first served would put 35 before it.
    assert order.index("one") <= 16, order
    assert s.stop() == 0, s.errors
