#!/usr/bin/env python3
"""A server with keys: who gets in, what quotas refuse, what stands in the books, also sealed and after kill -9.

    CLOCHE_BIN=build/cloche tests/cli/test_serve_keys.py [SEED [SECONDS]]
"""
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import program
from program import cloche

sys.path.insert(0, str(program.ROOT / "tests"))
import tiny_models  # noqa: E402

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-serve-"))
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 8
CHAT = "/v1/chat/completions"


class Server:
    def __init__(self, data, *args, env=None, ready=True):
        self.process = program.start(data, "serve", "--json", "--listen", "127.0.0.1:0", *args)
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.url = json.loads(line)["url"]
        self.port = int(self.url.rsplit(":", 1)[1])
        if ready:
            assert json.loads(self.process.stdout.readline())["event"] == "ready"

    def ask(self, path, body=None, key=None, context=None):
        """status, headers, body."""
        c = (http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context) if context
             else http.client.HTTPConnection("127.0.0.1", self.port, timeout=60))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        c.request("POST" if body is not None else "GET", path, json.dumps(body) if body is not None else None, headers)
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        return r.status, r.headers, text

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, (self.process.returncode, out, err)
        return err


def chat(n=8, model="tiny", **more):
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": n, "temperature": 0, **more}


def folder(name):
    data = BOX / name
    cloche(data, "import", BOX / "tiny-q8_0.gguf", "--name", "tiny")
    return data


def lines(data, event=None):
    text = "".join(p.read_text() for p in [*sorted(data.glob("audit-*.log")), data / "audit.log"])
    rows = [json.loads(x) for x in text.splitlines() if x.startswith('{"seq"') and x.endswith("}")]
    return [x for x in rows if event in (None, x["event"])]


def used(data, name):
    return {k["name"]: k for k in json.loads(cloche(data, "key", "list", "--json", "--all"))}[name]["used"]["today"]


def test_nobody_is_asked_until_a_key_is_made_then_everyone_is():
    data = folder("first")
    s = Server(data)
    assert s.ask("/v1/models")[0] == 200 and s.ask(CHAT, chat())[0] == 200
    key = cloche(data, "key", "add", "anna").strip()
    for path in ("/v1/models", "/api/tags"):
        status, _, text = s.ask(path)
        assert status == 401 and "key" in text, text
        assert s.ask(path, key=key)[0] == 200
        assert s.ask(path, key=key[:-1] + ("a" if key[-1] != "a" else "b"))[0] == 401
    error = json.loads(s.ask(CHAT, chat())[2])["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key"), error
    for path in ("/health", "/livez", "/readyz", "/version", "/", "/metrics"):
        assert s.ask(path)[0] == 200, path
    cloche(data, "key", "revoke", "anna")
    assert s.ask("/v1/models", key=key)[0] == 401
    s.stop()
    assert [x["event"] for x in lines(data)] == ["start", "answer", "key-added", "key-revoked", "stop"]


def test_a_token_of_the_hub_is_a_key_too_with_its_users_limits():
    data = folder("tokens")
    cloche(data, "user", "add", "anna", "--tokens-per-day", 60)
    cloche(data, "user", "add", "ben", "--models", "org/*")
    s = Server(data)
    assert s.ask("/v1/models")[0] == 200
    one, two, scoped = (cloche(data, "token", "create", "--user", "anna", *more).strip() for more in ((), ("--write",), ("--repo", "a/b")))
    ben = cloche(data, "token", "create", "--user", "ben").strip()
    assert s.ask("/v1/models")[0] == 401 and s.ask("/v1/models", key=one)[0] == 200
    assert s.ask("/v1/models", key="hf_" + "x" * 51)[0] == 401
    status, _, text = s.ask("/v1/models", key=scoped)
    assert status == 403 and "models/a/b" in text, text
    assert s.ask(CHAT, chat(), key=ben)[0] == 403
    assert s.ask(CHAT, chat(10), key=one)[0] == 200
    answer = json.loads(s.ask(CHAT, chat(500, ignore_eos=True), key=two)[2])  # the day is the user's, not the token's
    assert answer["usage"]["total_tokens"] == 60 - 25, answer
    assert s.ask(CHAT, chat(), key=one)[0] == 429
    cloche(data, "token", "revoke", two[3:11])
    assert s.ask("/v1/models", key=two)[0] == 401 and s.ask("/v1/models", key=one)[0] == 200
    cloche(data, "user", "remove", "anna")
    assert s.ask("/v1/models", key=one)[0] == 401
    s.stop()
    assert {x["key"] for x in lines(data, "answer")} == {"anna"}
    tokens = {t["id"]: t for t in json.loads(cloche(data, "token", "list", "--json", "--all"))}
    assert tokens[ben[3:11]]["used"] and tokens[one[3:11]]["used"] and not tokens[scoped[3:11]]["used"]


def test_no_keys_opens_what_keys_would_close_and_other_machines_need_one_or_the_other():
    data = folder("open")
    p = program.start(data, "serve", "--listen", "0.0.0.0:0")
    _, err = p.communicate(timeout=60)
    assert p.returncode == 5 and "key add" in err and "--no-keys" in err, err
    cloche(data, "key", "add", "anna")
    s = Server(data, "--no-keys")
    assert s.ask("/v1/models")[0] == 200
    s.stop()


def test_quotas_refuse_as_the_specification_says():
    data = folder("quota")
    day = cloche(data, "key", "add", "day", "--tokens-per-day", 60).strip()
    other = cloche(data, "key", "add", "other", "--models", "org/*").strip()
    s = Server(data)
    status, _, text = s.ask(CHAT, chat(), key=other)
    assert (status, json.loads(text)["error"]["code"]) == (403, "permission_denied"), text
    for path, body in (("/tokenize", {"model": "tiny", "prompt": "x"}), ("/api/chat", {"model": "tiny", "messages": []}),
                       ("/api/generate", {"model": "TINY:latest", "keep_alive": 0})):
        assert s.ask(path, body, key=other)[0] == 403, path
    assert json.loads(s.ask("/v1/models", key=other)[2])["data"] == [] == json.loads(s.ask("/api/tags", key=other)[2])["models"]
    assert len(json.loads(s.ask("/v1/models", key=day)[2])["data"]) == 1
    assert s.ask(CHAT, chat(model="nope"), key=day)[0] == 404
    status, _, text = s.ask(CHAT, chat(10), key=day)
    n = json.loads(text)["usage"]["total_tokens"]
    assert status == 200 and n == 25, text
    status, _, text = s.ask(CHAT, chat(500, ignore_eos=True), key=day)  # ends where the day's tokens do
    answer = json.loads(text)
    assert answer["choices"][0]["finish_reason"] == "length" and answer["usage"]["total_tokens"] == 60 - n, text
    status, headers, text = s.ask(CHAT, chat(), key=day)
    error = json.loads(text)["error"]
    assert (status, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota"), text
    assert headers["x-should-retry"] == "false" and 0 < int(headers["Retry-After"]) <= 86400
    s.stop()
    s = Server(data)  # known after a restart
    assert s.ask(CHAT, chat(), key=day)[0] == 429
    s.stop()
    assert used(data, "day") == {"prompt": 30, "output": 30, "requests": 2}
    assert [(x["key"], x["status"]) for x in lines(data, "refused")] == [("other", 403)] * 4 + [("day", 429)] * 2


def test_concurrent_requests_of_a_key_are_limited():
    data = folder("concurrent")
    key = cloche(data, "key", "add", "one", "--concurrent", 1).strip()
    s = Server(data)
    s.ask(CHAT, chat(1), key=key)
    sock = socket.create_connection(("127.0.0.1", s.port))
    body = json.dumps(chat(1000, stream=True, ignore_eos=True)).encode()
    sock.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
                 % (CHAT.encode(), key.encode(), len(body), body))
    assert sock.recv(100).startswith(b"HTTP/1.1 200")
    status, headers, text = s.ask(CHAT, chat(1), key=key)
    if status == 429:  # unless it has ended already
        assert json.loads(text)["error"]["code"] == "rate_limit_exceeded" and headers["Retry-After"], text
    sock.close()
    for _ in range(100):
        if s.ask(CHAT, chat(1), key=key)[0] == 200:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("a client that went away keeps its place")
    s.stop()
    assert "cancelled" in [x["finish"] for x in lines(data, "answer")] or status == 200


def test_a_line_of_the_audit_log_has_text_only_when_asked_for():
    data = folder("text")
    s = Server(data)
    s.ask(CHAT, chat(4, user="u-7"))
    s.stop()
    s = Server(data, "--audit-text")
    answer = json.loads(s.ask(CHAT, chat(4))[2])["choices"][0]["message"]["content"]
    s.ask("/api/generate", {"model": "tiny", "prompt": "x", "stream": False, "options": {"num_predict": 3}})
    s.stop()
    bare, full, ollama = lines(data, "answer")
    assert "prompt" not in bare and "answer" not in bare and bare["output_tokens"] == 4
    assert bare["model"] == "tiny" and len(bare["model_digest"]) == 71
    assert json.loads(full["prompt"])["messages"][0]["content"] == "hi" and full["answer"].startswith(answer[:2])
    assert ollama["route"] == "/api/generate" and ollama["output_tokens"] == 3


def certificate():
    cert, key = BOX / "cert.pem", BOX / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
                   check=True, capture_output=True)
    return cert, key


def test_a_sealed_server_answers_over_tls_and_says_that_it_is_sealed():
    if not program.can_seal():
        return
    data = folder("sealed")
    key = cloche(data, "key", "add", "anna").strip()
    cert, private = certificate()
    s = Server(data, "--sealed", "--tls-cert", cert, "--tls-key", private)
    context = ssl.create_default_context(cafile=str(cert))
    status, _, text = s.ask(CHAT, chat(8), key=key, context=context)
    assert status == 200 and json.loads(text)["usage"]["completion_tokens"] == 8, text
    state = pathlib.Path(f"/proc/{s.process.pid}/status").read_text()
    assert "Seccomp:\t2" in state and "NoNewPrivs:\t1" in state
    assert "sealed" in s.stop()
    assert len(lines(data, "answer")) == 1


def test_the_service_manager_is_told():
    if not program.can_seal():
        return
    data, path = folder("notify"), BOX / "notify.sock"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(30)
    os.environ.update(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="600000")
    try:
        s = Server(data, "--sealed")
    finally:
        del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    told = {manager.recv(200) for _ in range(4)}
    assert told == {b"READY=1", b"WATCHDOG=1"}, told
    s.stop()
    manager.settimeout(1)
    while b"STOPPING=1" not in told:
        told.add(manager.recv(200))


def test_kill_9_loses_no_answer_that_was_complete():
    data, draw = folder("killed"), random.Random(SEED)
    key = cloche(data, "key", "add", "anna").strip()
    complete, end = 0, time.monotonic() + SECONDS
    rounds = 0
    while time.monotonic() < end or rounds < 4:
        s = Server(data)
        got = []

        def client(stream):
            try:
                while True:
                    status, _, text = s.ask(CHAT, chat(draw.randrange(1, 6), stream=stream), key=key)
                    if status == 200 and (not stream or "[DONE]" in text):
                        got.append(1)
            except (OSError, http.client.HTTPException):
                pass

        clients = [threading.Thread(target=client, args=(i % 2 == 1,)) for i in range(4)]
        for t in clients:
            t.start()
        time.sleep(draw.uniform(0.2, 0.6))
        s.process.kill()
        for t in clients:
            t.join()
        s.process.communicate()
        complete += len(got)
        rounds += 1
        report = json.loads(cloche(data, "audit", "--json"))
        assert report["holds"], report
        n_used, n_lines = used(data, "anna")["requests"], len(lines(data, "answer"))
        assert complete <= n_used <= n_lines <= complete + 4 * rounds, (complete, n_used, n_lines, rounds)
    assert complete > rounds, (complete, rounds)


if __name__ == "__main__":
    try:
        tiny_models.write(BOX)
        status = program.run_tests(dict(globals()))
    finally:
        shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(status)
