"""Small files are answered from memory; nobody is given what an acknowledged change has undone, whoever made it."""
import concurrent.futures
import json
import uuid

import pytest


def put(c, repo, path, text):
    lines = [{"key": "header", "value": {"summary": path}}, {"key": "file", "value": {"path": path, "content": text}}]
    r = c.post(f"/api/models/{repo}/commit/main", content="\n".join(map(json.dumps, lines)), headers={"Content-Type": "application/x-ndjson"})
    assert r.status_code == 200, r.text
    return r.json()["commitOid"]


@pytest.fixture
def small(hub):
    """A public repository with a config.json that was read three times, so that its answer is kept."""
    repo = f"alice/kept-{uuid.uuid4().hex[:8]}"
    hub.api("alice").create_repo(repo)
    with hub.http("alice") as c:
        put(c, repo, "config.json", '{"a": 1}')
    with hub.http() as c:
        for _ in range(3):
            assert c.get(f"/{repo}/resolve/main/config.json").text == '{"a": 1}'
    return repo


def settings(hub, repo, **kw):
    with hub.http("alice") as c:
        assert c.put(f"/api/models/{repo}/settings", json=kw).status_code == 200


def status(hub, repo, user=None, token=None):
    with hub.http(user, token=token) as c:
        return c.get(f"/{repo}/resolve/main/config.json").status_code


def test_the_same_answer_again(hub, small):
    with hub.http() as c:
        url = f"/{small}/resolve/main/config.json"
        a, b, head = c.get(url), c.get(url), c.head(url)
        same = lambda r: {k: v for k, v in r.headers.items() if k not in ("x-request-id", "date")}  # noqa: E731
        assert same(a) == same(b) == same(head) and a.content == b.content and head.content == b""
        assert a.headers["x-request-id"] != b.headers["x-request-id"] and a.headers["etag"] and a.headers["x-repo-commit"]
        assert c.get(url, headers={"Range": "bytes=1-3"}).text == '"a"'
        assert c.get(url, headers={"If-None-Match": a.headers["etag"]}).status_code == 304
        assert c.get(url, headers={"Origin": "http://localhost:3"}).headers["access-control-allow-origin"] == "http://localhost:3"
        assert "access-control-allow-origin" not in c.get(url).headers
        assert c.get(url, headers={"Origin": "http://evil.test"}).status_code == 403
        assert c.post(url).status_code == 405 and c.get(url, params={"download": "true"}).headers["content-disposition"].startswith("attachment")
        assert c.get(url).headers["content-disposition"].startswith("inline")
        assert c.get(url.replace("resolve", "raw")).headers["content-type"].startswith("text/plain")


def test_a_commit_is_seen_at_once(hub, small):
    with hub.http("alice") as writer, hub.http() as reader:
        for n in range(200):
            oid = put(writer, small, "config.json", json.dumps({"n": n}))
            for _ in range(2):
                r = reader.get(f"/{small}/resolve/main/config.json")
                assert (r.json(), r.headers["x-repo-commit"]) == ({"n": n}, oid)


def test_with_many_readers_and_writers(hub, small):
    """Each writer reads back what it wrote last while others keep the same answers warm."""
    def work(i):
        with hub.http("alice") as c:
            for n in range(25):
                put(c, small, f"f{i}.json", json.dumps([i, n]))
                assert c.get(f"/{small}/resolve/main/f{i}.json").json() == [i, n]
                for k in range(8):
                    c.get(f"/{small}/resolve/main/f{k}.json")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_made_private_and_gated(hub, small):
    settings(hub, small, private=True)
    assert [status(hub, small), status(hub, small, "bob"), status(hub, small, "alice")] == [401, 404, 200]
    assert [status(hub, small), status(hub, small, "bob")] == [401, 404], "what its owner read is for nobody else"
    settings(hub, small, private=False)
    assert [status(hub, small), status(hub, small, "bob")] == [200, 200]
    settings(hub, small, gated="manual")
    assert [status(hub, small), status(hub, small, "bob"), status(hub, small, "alice")] == [401, 403, 200]
    assert [status(hub, small), status(hub, small, "bob")] == [401, 403]


def test_by_another_process(hub, small):
    """The command line writes to the same database while the server runs."""
    name = small.split("/")[1]
    hub.cli("repo", "move", small, f"alice/{name}-moved")
    with hub.http() as c:
        assert c.get(f"/{small}/resolve/main/config.json").status_code == 307
        for _ in range(3):
            assert c.get(f"/alice/{name}-moved/resolve/main/config.json").status_code == 200
    hub.cli("repo", "delete", f"alice/{name}-moved")
    assert [status(hub, small), status(hub, f"alice/{name}-moved"), status(hub, small, "bob")] == [401, 401, 404]


def test_tokens(hub, small):
    text = hub.token("bob", "--read", "--name", f"t-{uuid.uuid4().hex[:6]}")
    assert [status(hub, small, token=text) for _ in range(3)] == [200, 200, 200]
    assert status(hub, small, token=text[:-1] + ("a" if text[-1] != "a" else "b")) == 401
    hub.cli("token", "revoke", text[3:11])
    assert status(hub, small, token=text) == 401 and status(hub, small) == 200


def test_branches_and_refs(hub, small):
    api = hub.api("alice")
    api.create_branch(small, branch="side")
    with hub.http() as c, hub.http("alice") as w:
        for _ in range(2):
            assert c.get(f"/{small}/resolve/side/config.json").status_code == 200
        api.delete_branch(small, branch="side")
        assert c.get(f"/{small}/resolve/side/config.json").status_code == 404
        old = put(w, small, "config.json", "{}")
        put(w, small, "config.json", "[]")
        assert [c.get(f"/{small}/resolve/{r}/config.json").text for r in (old, "main", old)] == ["{}", "[]", "{}"]
