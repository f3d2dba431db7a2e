"""`cloche ps` and `cloche stop` ask a running server, at an address or a socket file, with a key where one is needed."""
import json
import os
import socket
import subprocess
import threading

import pytest
from conftest import TINY
from serving import BIN, Server


def cloche(*args, **env):
    return subprocess.run([BIN, *map(str, args)], capture_output=True, text=True, timeout=60, env={**os.environ, **env})


def ps(*args, **env):
    r = cloche("ps", "--json", *args, **env)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


@pytest.mark.parametrize("how", ["address", "url", "socket", "environment"])
def test_open_models_are_shown_and_closed(models, tmp_path, how):
    listen = f"unix:{tmp_path}/s" if how == "socket" else "127.0.0.1:0"
    s = Server(tmp_path / "data", "--model", models[TINY], "--model", models["tiny-f32"], listen=listen)
    where = {"address": s.url.removeprefix("http://")}.get(how, s.url)
    args, env = ([], {"CLOCHE_SERVER": where}) if how == "environment" else (["--server", where], {})
    found = ps(*args, **env)
    assert sorted(m["name"] for m in found) == ["tiny-f32:latest", TINY + ":latest"] and all(len(m["digest"]) == 64 and m["context_length"] == 1024 for m in found)
    text = cloche("ps", *args, **env).stdout.splitlines()
    assert len(text) == 2 and all(m["name"] in "".join(text) and m["digest"][:12] in "".join(text) for m in found) and "always" in text[0]
    r = cloche("stop", TINY, *args, **env)
    assert r.returncode == 0 and r.stdout == f"stopped {TINY}\n"
    for _ in range(100):
        if len(ps(*args, **env)) == 1:
            break
    assert [m["name"] for m in ps(*args, **env)] == ["tiny-f32:latest"]
    assert json.loads(cloche("stop", "tiny-f32:latest", "--json", *args, **env).stdout) == {"stopped": "tiny-f32:latest"}
    r = cloche("stop", "nothing", *args, **env)
    assert r.returncode == 4 and "model 'nothing' not found" in r.stderr
    assert s.stop() == 0, s.errors
    r = cloche("ps", *args, **env)
    assert r.returncode == 6 and "no server answers" in r.stderr and "cloche serve" in r.stderr


def test_a_key_is_sent_where_one_is_needed(models, tmp_path):
    key = cloche("key", "add", "anna", "--data", tmp_path).stdout.strip()
    s = Server(tmp_path, "--model", models[TINY])
    (tmp_path / "key").write_text(key + "\n")
    assert cloche("ps", "--server", s.url).returncode == 5 and cloche("ps", "--server", s.url, CLOCHE_KEY="ck_wrong").returncode == 5
    assert len(ps("--server", s.url, CLOCHE_KEY=key)) == len(ps("--server", s.url, "--key-file", tmp_path / "key")) == 1
    assert cloche("stop", TINY, "--server", s.url, "--key-file", tmp_path / "key").returncode == 0
    assert s.stop() == 0, s.errors


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\n", b"hello\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n{}", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n\r\n{",
                                   b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"HTTP/1.1 500 x\r\n\r\n<html>", b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100000])
def test_what_is_no_reply_is_told(reply):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            c, _ = listener.accept()
            c.recv(4096)
            c.sendall(reply)
            c.close()
        t = threading.Thread(target=serve)
        t.start()
        r = cloche("ps", "--server", "127.0.0.1:%d" % listener.getsockname()[1])
        t.join()
    assert r.returncode in (1, 2) and r.stderr.startswith("cloche: "), r


def test_addresses_that_are_none():
    for bad in ("x", "https://127.0.0.1:1", "example.org:80", "127.0.0.1:99999", "unix:", "http://"):
        r = cloche("ps", "--server", bad)
        assert r.returncode in (1, 2) and r.stderr, (bad, r)
    assert cloche("stop").returncode == 2 and cloche("ps", "x").returncode == 2
