"""HTTP itself, on raw sockets where a client library would hide it."""
import json
import os
import resource
import socket
import subprocess
import time

import httpx
import pytest
from conftest import TINY
from serving import Server, read_reply

BODY = json.dumps({"model": TINY, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "seed": 1}).encode()
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
LONG = {"model": TINY, "prompt": "the", "max_tokens": 1000, "ignore_eos": True, "seed": 1}


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


def test_continue_is_answered_before_the_body(server):
    with server.connect() as s:
        s.sendall(HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(BODY))
        assert read_reply(s)[0] == 100
        s.sendall(BODY)
        assert read_reply(s)[0] == 200


def test_a_body_in_chunks(server):
    with server.connect() as s:
        s.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(BODY), 7):
            piece = BODY[i:i + 7]
            s.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        s.sendall(b"0\r\n\r\n")
        status, _, body = read_reply(s)
    assert status == 200 and json.loads(body)["usage"]["completion_tokens"] >= 1


def test_a_content_type_is_not_needed(server):
    assert httpx.post(server.url + "/v1/chat/completions", content=BODY, headers={"Content-Type": "text/plain"}).status_code == 200


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_a_large_body_is_refused(server, expect):
    size = 17 << 20
    with server.connect() as s:
        s.sendall(HEAD + b"Content-Length: %d\r\n%s\r\n" % (size, expect))
        if not expect:
            s.sendall(b" " * size)
        status, _, body = read_reply(s)
    assert status == 413 and json.loads(body)["error"]["type"] == "invalid_request_error"


def test_large_chunks_are_refused(server):
    with server.connect() as s:
        s.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(17):
            s.sendall(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")
        s.sendall(b"0\r\n\r\n")
        assert read_reply(s)[0] == 413


def test_requests_one_behind_the_other(server):
    with server.connect() as s:
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY +
                  b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        f = s.makefile("rb")

        def reply():
            assert f.readline().startswith(b"HTTP/1.1 200")
            size = 0
            for line in iter(f.readline, b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            return f.read(size)
        assert reply() == b"ok"
        assert json.loads(reply())["object"] == "chat.completion"
        assert json.loads(reply())["numerics"] == "n1"


def test_headers_of_every_reply(server):
    r = httpx.get(server.url + "/livez", headers={"X-Request-Id": "mine-1.2_3"})
    assert r.headers["x-request-id"] == "mine-1.2_3" and r.headers["server"].startswith("cloche/")
    r = httpx.get(server.url + "/nowhere", headers={"X-Request-Id": "no good!"})
    assert r.headers["x-request-id"].startswith("req_") and r.headers["content-type"] == "application/json"


def test_head_and_slashes_and_double_paths(server):
    for path in ("/", "/livez", "/readyz", "/health", "/api/version", "/api/tags"):
        r = httpx.head(server.url + path)
        assert r.status_code == 200 and r.content == b"", path
    assert httpx.get(server.url + "/v1/models/").json() == httpx.get(server.url + "/models").json()
    assert httpx.post(server.url + "/chat/completions/", content=BODY).status_code == 200


def test_a_path_with_a_nul_or_bad_escape_is_unknown(server):
    for path in (b"/livez%00", b"/%", b"/%zz", b"/livez%00/../health"):
        with server.connect() as s:
            s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_reply(s)[0] == 404, path


def test_origins(server):
    for origin, status in (("http://localhost:3000", 200), ("https://127.0.0.1", 200), ("http://[::1]:8080", 200),
                           ("https://evil.example", 403), ("null", 403), ("http://localhost.evil.example", 403)):
        r = httpx.post(server.url + "/v1/chat/completions", content=BODY, headers={"Origin": origin})
        assert r.status_code == status, origin
        assert (r.headers.get("access-control-allow-origin") == origin) == (status == 200)
    r = httpx.options(server.url + "/v1/chat/completions",
                      headers={"Origin": "http://localhost:3000", "Access-Control-Request-Headers": "authorization,x-stainless-os"})
    assert r.status_code == 204 and "x-stainless-os" in r.headers["access-control-allow-headers"]


HALVES = (HEAD[:20], HEAD + b"Content-Length: 100\r\n\r\n", HEAD + b"Content-Length: 100\r\n\r\n{\"model\"")


def test_who_leaves_in_the_middle_of_a_request_leaves_nothing(server):
    """The end comes with the bytes before it, as one event."""
    def files():
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))
    before = files()
    for half in HALVES * 20:
        with server.connect() as s:
            s.sendall(half)
    until(lambda: files() <= before, 30)


def test_half_a_request_does_not_keep_the_server_from_stopping(models, tmp_path):
    s = Server(tmp_path, "--model", models[TINY])
    held = [s.connect() for _ in HALVES]
    for c, half in zip(held, HALVES):
        c.sendall(half)
    time.sleep(0.5)
    assert s.stop(timeout=40) == 0, s.errors
    for c in held:
        c.close()


def test_foreign_names_are_refused(server):
    for host, status in (("localhost", 200), ("127.0.0.1:1", 200), ("[::1]:1", 200), ("10.0.0.7", 200),
                         ("rebound.example", 403), ("rebound.example:11434", 403)):
        assert httpx.get(server.url + "/livez", headers={"Host": host}).status_code == status, host


def test_a_client_that_goes_away_stops_the_work(server):
    before = server.metric("cloche_request_success_total", model=TINY, finished_reason="cancelled")
    for stream in (False, True):
        body = json.dumps({**LONG, "n": 8, "stream": stream}).encode()
        s = server.connect()
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: server.metric("cloche_requests_running", model=TINY) > 0)
        s.close()
        until(lambda: server.metric("cloche_requests_running", model=TINY) == 0, 5)
    until(lambda: server.metric("cloche_request_success_total", model=TINY, finished_reason="cancelled") == before + 16)
    until(lambda: server.metric("cloche_http_requests_total", route="/v1/completions", code="499") >= 2)


def test_a_slow_reader_does_not_hold_up_others(server):
    body = json.dumps({**LONG, "stream": True, "logprobs": 20}).encode()
    slow = []
    for _ in range(8):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(30)
        s.connect(server.address)
        s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        slow.append(s)
    time.sleep(0.5)
    for _ in range(10):
        begin = time.monotonic()
        assert httpx.get(server.url + "/livez").status_code == 200
        assert time.monotonic() - begin < 2
    status, _, text = read_reply(slow[0])  # and the slow one gets everything
    assert status == 200 and text.endswith(b"data: [DONE]\n\n")
    for s in slow:
        s.close()


def test_half_requests_harm_nobody(server):
    halves = [b"", b"G", b"GET", b"GET / HTTP/1.1\r\nHost", HEAD + b"Content-Length: 100\r\n\r\n{\"model\"", b"\x16\x03\x01\x02\x00",
              b"\0" * 64, b"GET / HTTP/9.9\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", HEAD + b"Content-Length: -1\r\n\r\n",
              HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", b"GET /" + b"a" * 70000]
    open_ones = []
    for half in halves * 8:
        s = server.connect()
        s.sendall(half)
        open_ones.append(s)
    assert httpx.post(server.url + "/v1/chat/completions", content=BODY).status_code == 200
    for s in open_ones:
        s.close()
    assert httpx.get(server.url + "/readyz").status_code == 200


def test_ten_thousand_idle_connections(models, tmp_path):
    want = 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < want + 500:
        pytest.skip(f"this process may open {hard} files, {want + 500} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    s = Server(tmp_path, "--model", models[TINY])
    idle = []
    try:
        before = s.rss_bytes()
        for _ in range(want):
            idle.append(s.connect())
        begin = time.monotonic()
        assert httpx.post(s.url + "/v1/chat/completions", content=BODY, timeout=30).status_code == 200
        assert time.monotonic() - begin < 10
        assert s.rss_bytes() - before < 400 << 20
        until(lambda: httpx.get(s.url + "/livez", timeout=30).status_code == 200)
    finally:
        for c in idle:
            c.close()
        assert s.stop() == 0
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_unix_socket(models, tmp_path):
    path = tmp_path / "s.sock"
    for _ in range(2):  # the second finds the socket of one that was killed
        s = Server(tmp_path / "data", "--model", models[TINY], listen=f"unix:{path}")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://cloche") as c:
            assert c.get("/health").status_code == 200
            assert c.post("/v1/chat/completions", content=BODY).status_code == 200
        s.process.kill()
        s.process.wait()
    assert path.exists()
    s = Server(tmp_path / "data", "--model", models[TINY], listen=f"unix:{path}")
    assert s.stop() == 0 and not path.exists()


def test_tls(models, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    s = Server(tmp_path / "data", "--model", models[TINY], "--tls-cert", cert, "--tls-key", key)
    assert s.url.startswith("https://")
    with httpx.Client(base_url=s.url, verify=str(cert)) as c:
        assert c.post("/v1/chat/completions", content=BODY).status_code == 200
        with c.stream("POST", "/v1/chat/completions", json={**json.loads(BODY), "stream": True}) as r:
            assert list(r.iter_lines())[-2] == "data: [DONE]"
    with pytest.raises(httpx.HTTPError):
        httpx.get(s.url.replace("https", "http") + "/livez")
    assert s.stop() == 0


def test_stopping_lets_answers_end(models, tmp_path):
    s = Server(tmp_path, "--model", models[TINY], "--drain", "5m")
    body = json.dumps({**LONG, "n": 4}).encode()
    c = s.connect()
    c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    until(lambda: s.metric("cloche_requests_running", model=TINY) > 0)
    s.process.terminate()
    s.wait_for("stopping")
    r = httpx.get(s.url + "/readyz")
    assert r.status_code == 503 and r.json()["reasons"] == ["the server is stopping"]
    assert httpx.get(s.url + "/health").status_code == 200
    r = httpx.post(s.url + "/v1/chat/completions", content=BODY)
    assert r.status_code == 503 and int(r.headers["retry-after"]) > 0
    status, _, text = read_reply(c)
    assert status == 200 and len(json.loads(text)["choices"]) == 4
    c.close()
    assert s.process.wait(300) == 0


def test_a_full_queue_is_told(models, tmp_path):
    s = Server(tmp_path, "--model", models[TINY], "--parallel", 1, "--queue", 16)
    busy = [s.connect() for _ in range(2)]
    body = json.dumps({**LONG, "n": 8}).encode()  # 16 answers, one after the other
    for c in busy:
        c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    until(lambda: s.metric("cloche_requests_waiting", model=TINY) >= 11)
    r = httpx.post(s.url + "/v1/chat/completions", json={**json.loads(BODY), "n": 8})
    assert r.status_code == 503 and r.json()["error"]["code"] == "server_busy" and int(r.headers["retry-after"]) > 0
    assert r.json()["error"]["message"] == "server busy, please try again.  maximum pending requests exceeded"
    assert s.metric("cloche_requests_rejected_total", reason="queue_full") == 1
    for c in busy:
        assert read_reply(c)[0] == 200  # they are not harmed
        c.close()
    assert s.stop() == 0


def test_bad_addresses_end_at_once(tmp_path):
    from serving import BIN
    for listen, code in (("nonsense", 2), ("127.0.0.1:99999", 2), ("unix:" + "a" * 200, 2), ("127.0.0.1:1x", 2)):
        p = subprocess.run([BIN, "serve", "--listen", listen, "--data", str(tmp_path)], capture_output=True, text=True, timeout=30)
        assert p.returncode == code and p.stderr, listen
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        p = subprocess.run([BIN, "serve", "--listen", "127.0.0.1:%d" % taken.getsockname()[1], "--data", str(tmp_path)],
                           capture_output=True, text=True, timeout=30, env={**os.environ})
        assert p.returncode == 1 and "in use" in p.stderr.lower()
