"""Who may call what: every route of the hub, by everybody, on a public, a private and a gated repository of an organisation.

The routes are read from the program's own table (src/serve/hub_routes.c). One without a row here is a failure: whoever adds a
route says who may call it. A row names the request that is sent, which is a good one, and the 15 statuses that it gets, as
one of the grids below or one of its own."""
import itertools
import json
import re

import pytest
from serving import ROOT

CALLERS = ["anonymous", "reader", "writer", "admin", "other"]
USERS = {"anonymous": None, "reader": "rita", "writer": "wendy", "admin": "root", "other": "bob"}
KINDS = ["public", "private", "gated"]
SOURCE = (ROOT / "src/serve/hub_routes.c").read_text(encoding="utf-8")
ROUTES = re.findall(r'^    \{"([A-Z*]+)", "([^"]+)", (CLO_\w+),', SOURCE, re.M)


def grid(text):
    """A line for each caller: the statuses on a public, a private and a gated repository."""
    rows = [list(map(int, line.split()[1:])) for line in text.strip().splitlines()]
    assert [line.split()[0] for line in text.strip().splitlines()] == CALLERS and all(len(r) == 3 for r in rows)
    return {(c, k): rows[i][j] for i, c in enumerate(CALLERS) for j, k in enumerate(KINDS)}


def same(status, anonymous=None):
    return {(c, k): anonymous if anonymous and c == "anonymous" else status for c in CALLERS for k in KINDS}


SEE = grid("""
    anonymous 200 401 200
    reader    200 200 200
    writer    200 200 200
    admin     200 200 200
    other     200 404 200""")
READ = grid("""
    anonymous 200 401 401
    reader    200 200 200
    writer    200 200 200
    admin     200 200 200
    other     200 404 403""")
WRITE = grid("""
    anonymous 401 401 401
    reader    403 403 403
    writer    200 200 200
    admin     200 200 200
    other     403 404 403""")
KNOWN_SEES = grid("""
    anonymous 401 401 401
    reader    200 200 200
    writer    200 200 200
    admin     200 200 200
    other     200 404 200""")
CREATE = grid("""
    anonymous 401 401 401
    reader    403 403 403
    writer    200 200 200
    admin     200 200 200
    other     403 403 403""")
ANSWER = grid("""
    anonymous 401 401 401
    reader    403 403 403
    writer    400 400 200
    admin     400 400 200
    other     403 404 403""")
ASK = grid("""
    anonymous 401 401 401
    reader    400 400 200
    writer    400 400 200
    admin     400 400 200
    other     400 404 200""")
MEMBERS = grid("""
    anonymous 401 401 401
    reader    200 200 200
    writer    200 200 200
    admin     200 200 200
    other     403 403 403""")

R = "/api/{T}/{ns}/{name}"
COMMIT = "\n".join(map(json.dumps, [{"key": "header", "value": {"summary": "more"}},
                                    {"key": "file", "value": {"path": "b.txt", "encoding": "utf-8", "content": "b"}}]))
NEW = itertools.count()

# (method, pattern): (statuses, path, what is sent). {id} is the repository, {name} its second half, {new} a name that is free.
TABLE = {
    ("GET", "/api/whoami-v2"): (same(200, anonymous=401), "/api/whoami-v2", {}),
    ("GET", "/api/users/{x}/overview"): (same(200), "/api/users/alice/overview", {}),
    ("GET", "/api/users/{x}/followers"): (same(200), "/api/users/alice/followers", {}),
    ("GET", "/api/users/{x}/following"): (same(200), "/api/users/alice/following", {}),
    ("GET", "/api/users/{x}/likes"): (same(200), "/api/users/alice/likes", {}),
    ("GET", "/api/settings/repositories"): (same(200, anonymous=401), "/api/settings/repositories", {}),
    ("GET", "/api/organizations/{x}/settings/repositories"): (MEMBERS, "/api/organizations/lab/settings/repositories", {}),
    ("GET", "/api/organizations/{x}/overview"): (same(200), "/api/organizations/lab/overview", {}),
    ("GET", "/api/organizations/{x}/members"): (same(200), "/api/organizations/lab/members", {}),
    ("GET", "/api/organizations/{x}/followers"): (same(200), "/api/organizations/lab/followers", {}),
    ("POST", "/api/validate-yaml"): (same(200), "/api/validate-yaml", {"json": {"content": "", "repoType": "model"}}),
    ("GET", "/api/models"): (same(200), "/api/models", {}),
    ("GET", "/api/datasets"): (same(200), "/api/datasets", {}),
    ("GET", "/api/spaces"): (same(200), "/api/spaces", {}),
    ("GET", "/api/models-tags-by-type"): (same(200), "/api/models-tags-by-type", {}),
    ("GET", "/api/datasets-tags-by-type"): (same(200), "/api/datasets-tags-by-type", {}),
    ("GET", "/api/agent-harnesses"): (same(200), "/api/agent-harnesses", {}),
    ("*", "/api/telemetry/*"): (same(204), "/api/telemetry/x", {}),
    ("*", "/api/daily_papers"): (same(501), "/api/daily_papers", {}),
    ("*", "/api/papers/*"): (same(501), "/api/papers/x", {}),
    ("*", "/api/jobs/*"): (same(501), "/api/jobs/x", {}),
    ("*", "/api/scheduled-jobs/*"): (same(501), "/api/scheduled-jobs/x", {}),
    ("*", "/api/buckets/*"): (same(501), "/api/buckets/x", {}),
    ("*", "/api/kernels/*"): (same(501), "/api/kernels/x", {}),
    ("*", "/api/settings/webhooks"): (same(501), "/api/settings/webhooks", {}),
    ("*", "/api/settings/webhooks/*"): (same(501), "/api/settings/webhooks/x", {}),

    ("POST", "/api/repos/create"): (CREATE, "/api/repos/create", {"json": {"name": "{new}", "organization": "lab"}}),
    ("DELETE", "/api/repos/delete"): (WRITE, "/api/repos/delete", {"json": {"name": "{name}", "organization": "lab"}}),
    ("POST", "/api/repos/move"): (WRITE, "/api/repos/move", {"json": {"fromRepo": "{id}", "toRepo": "lab/{new}"}}),

    ("GET", R): (SEE, "/api/models/{id}", {}),
    ("GET", R + "/revision/{rev}"): (SEE, "/api/models/{id}/revision/main", {}),
    ("PUT", R + "/settings"): (WRITE, "/api/models/{id}/settings", {"json": {"private": False}}),
    ("GET", R + "/auth-check"): (READ, "/api/models/{id}/auth-check", {}),
    ("GET", R + "/auth-check/write"): (WRITE, "/api/models/{id}/auth-check/write", {}),
    ("GET", R + "/tree/{rev}"): (SEE, "/api/models/{id}/tree/main", {}),
    ("GET", R + "/tree/{rev}/*"): (SEE, "/api/models/{id}/tree/main/folder", {}),
    ("POST", R + "/paths-info/{rev}"): (SEE, "/api/models/{id}/paths-info/main", {"json": {"paths": ["a.txt"]}}),
    ("GET", R + "/refs"): (SEE, "/api/models/{id}/refs", {}),
    ("POST", R + "/branch/*"): (WRITE, "/api/models/{id}/branch/another", {"json": {}}),
    ("DELETE", R + "/branch/*"): (WRITE, "/api/models/{id}/branch/side", {}),
    ("POST", R + "/tag/{rev}"): (WRITE, "/api/models/{id}/tag/main", {"json": {"tag": "v2"}}),
    ("DELETE", R + "/tag/*"): (WRITE, "/api/models/{id}/tag/v1", {}),
    ("GET", R + "/commits/{rev}"): (SEE, "/api/models/{id}/commits/main", {}),
    ("POST", R + "/super-squash/*"): (WRITE, "/api/models/{id}/super-squash/main", {"json": {}}),
    ("POST", R + "/preupload/{rev}"): (WRITE, "/api/models/{id}/preupload/main", {"json": {"files": [{"path": "b", "size": 1, "sample": ""}]}}),
    ("POST", R + "/commit/{rev}"): (WRITE, "/api/models/{id}/commit/main",
                                    {"content": COMMIT, "headers": {"Content-Type": "application/x-ndjson"}}),
    ("GET", R + "/user-access-request/{x}"): (ANSWER, "/api/models/{id}/user-access-request/pending", {}),
    ("POST", R + "/user-access-request/handle"): (ANSWER, "/api/models/{id}/user-access-request/handle",
                                                  {"json": {"user": "bob", "status": "accepted"}}),
    ("POST", R + "/user-access-request/grant"): (ANSWER, "/api/models/{id}/user-access-request/grant", {"json": {"user": "rita"}}),
    ("POST", R + "/ask-access"): (ASK, "/api/models/{id}/ask-access", {}),
    ("POST", R + "/like"): (KNOWN_SEES, "/api/models/{id}/like", {}),
    ("DELETE", R + "/like"): (KNOWN_SEES, "/api/models/{id}/like", {}),
    ("GET", R + "/likers"): (SEE, "/api/models/{id}/likers", {}),
    ("POST", "/{R}/{ns}/{name}/ask-access"): (ASK, "/{id}/ask-access", {}),
    ("GET", "/{R}/{ns}/{name}/resolve/{rev}/*"): (READ, "/{id}/resolve/main/a.txt", {}),
    ("GET", "/{R}/{ns}/{name}/raw/{rev}/*"): (READ, "/{id}/raw/main/a.txt", {}),
}


def test_every_route_has_a_row_and_every_row_a_route():
    assert len(ROUTES) == SOURCE.count('    {"') and len(set(ROUTES)) == len(ROUTES)
    assert {(m, p) for m, p, _ in ROUTES} == set(TABLE)
    for key, (cells, _, _) in TABLE.items():
        assert set(cells) == set(itertools.product(CALLERS, KINDS)), key


def make(hub, kind):
    """A repository of lab with a file, a folder, a branch and a tag; where it is gated, bob asked."""
    repo, alice = f"lab/cell-{next(NEW)}", hub.http("alice")

    def send(method, path, **kw):
        r = alice.request(method, path, **kw)
        assert r.status_code == 200, r.text

    send("POST", "/api/repos/create", json={"name": repo[4:], "organization": "lab", "private": kind == "private"})
    files = [{"key": "header", "value": {"summary": "files"}}] + [
        {"key": "file", "value": {"path": p, "encoding": "utf-8", "content": "x"}} for p in ("a.txt", "folder/b.txt")]
    send("POST", f"/api/models/{repo}/commit/main", content="\n".join(map(json.dumps, files)), headers={"Content-Type": "application/x-ndjson"})
    send("POST", f"/api/models/{repo}/branch/side", json={})
    send("POST", f"/api/models/{repo}/tag/main", json={"tag": "v1"})
    if kind == "gated":
        send("PUT", f"/api/models/{repo}/settings", json={"gated": "manual"})
        assert hub.http("bob").post(f"/api/models/{repo}/ask-access").status_code == 200
    return repo


@pytest.fixture(scope="module")
def still(own_hub):
    """One repository of each kind, for requests that change nothing."""
    return {kind: make(own_hub, kind) for kind in KINDS}


def fill(value, repo):
    if isinstance(value, dict):
        return {k: fill(v, repo) for k, v in value.items()}
    if not isinstance(value, str) or value == COMMIT:
        return value
    return value.replace("{id}", repo).replace("{name}", repo[4:]).replace("{new}", f"new-{next(NEW)}")


def call(hub, who, method, path, sent, repo):
    with hub.http(**who) as h:
        return h.request("GET" if method == "*" else method, path.replace("{id}", repo), **fill(sent, repo))


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, _ in ROUTES])
def test_who_may_call_it(own_hub, still, method, pattern):
    assert (method, pattern) in TABLE, "a route that no row speaks of"
    cells, path, sent = TABLE[method, pattern]
    changes = method in ("POST", "PUT", "DELETE") and ("{id}" in path or "repos" in path)
    wrong = []
    for (caller, kind), status in cells.items():
        repo = make(own_hub, kind) if changes else still[kind]
        r = call(own_hub, {"user": USERS[caller]}, method, path, sent, repo)
        if r.status_code != status:
            wrong.append((caller, kind, f"{r.status_code} instead of {status}", r.text[:200]))
    assert not wrong


READING_POSTS = {"/api/validate-yaml", R + "/paths-info/{rev}", R + "/ask-access", "/{R}/{ns}/{name}/ask-access"}


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, _ in ROUTES if m in ("POST", "PUT", "DELETE") and p not in READING_POSTS])
def test_a_token_that_reads_changes_nothing(own_hub, method, pattern):
    _, path, sent = TABLE[method, pattern]
    for user in ("alice", "root"):
        repo = make(own_hub, "gated")
        r = call(own_hub, {"token": own_hub.read_tokens[user]}, method, path, sent, repo)
        assert r.status_code == 403, (user, r.text)


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, _ in ROUTES if "{name}" in p])
def test_a_token_for_another_repository_is_a_strangers(own_hub, still, method, pattern):
    """On a private repository it finds nothing, whatever its user could do there."""
    _, path, sent = TABLE[method, pattern]
    token = own_hub.token("alice", "--write", "--repo", still["public"], "--name", f"scoped-{next(NEW)}")
    r = call(own_hub, {"token": token}, method, path, sent, still["private"])
    assert (r.status_code, r.headers["X-Error-Code"]) == (404, "RepoNotFound")


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, _ in ROUTES])
def test_a_wrong_token_is_refused_everywhere(own_hub, still, method, pattern):
    _, path, sent = TABLE[method, pattern]
    r = call(own_hub, {"token": "hf_" + "x" * 51}, method, path, sent, still["public"])
    assert r.status_code == 401 and r.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
