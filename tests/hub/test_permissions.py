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


def instead(cells, status):
    """Who may gets this rather than 200."""
    return {cell: status if s == 200 else s for cell, s in cells.items()}


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
PROPOSE = grid("""
    anonymous 401 401 401
    reader    200 200 200
    writer    200 200 200
    admin     200 200 200
    other     200 404 403""")
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
C = "/api/collections/{ns}/{x}"
COMMIT = "\n".join(map(json.dumps, [{"key": "header", "value": {"summary": "more"}},
                                    {"key": "file", "value": {"path": "b.txt", "encoding": "utf-8", "content": "b"}}]))
FETCH = {"content": "0014command=ls-refs\n0000", "headers": {"Content-Type": "application/x-git-upload-pack-request",
                                                              "Git-Protocol": "version=2"}}
LFS = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
OBJECT = {"oid": "0" * 64, "size": 1}
DELETION = "{sha} " + "0" * 40 + " refs/heads/side\0report-status"
PUSH = {"content": "%04x" % (4 + 40 + len(DELETION) - len("{sha}")) + DELETION + "0000",
        "headers": {"Content-Type": "application/x-git-receive-pack-request"}}
NEW = itertools.count()
HEADS, COMMENTS = {}, {}  # of each repository: the commit of main and side; the first comment of discussion 1
COLLECTIONS = {}          # of each repository: (slug, item) of a collection of lab that has it and is private where it is

# (method, pattern): (statuses, path, what is sent). {id} is the repository, {name} its second half, {new} a name that is free,
# {sha} its head, {comment} the first of discussion 1, {collection} one with the repository as {item}.
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
    ("POST", "/api/login"): (same(401), "/api/login", {"json": {"name": "alice", "token": "hf_" + "x" * 51}}),
    ("POST", "/api/logout"): (same(200), "/api/logout", {}),
    # Tokens are managed in a session of a browser, whatever a token may do.
    ("GET", "/api/settings/tokens"): (same(403, anonymous=401), "/api/settings/tokens", {}),
    ("POST", "/api/settings/tokens"): (same(403, anonymous=401), "/api/settings/tokens", {"json": {"name": "more"}}),
    ("DELETE", "/api/settings/tokens/{x}"): (same(403, anonymous=401), "/api/settings/tokens/00000000", {}),
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

    ("GET", "/api/collections"): (same(200), "/api/collections", {}),
    ("POST", "/api/collections"): (CREATE, "/api/collections", {"json": {"title": "{new}", "namespace": "lab"}}),
    ("GET", C): (SEE, "/api/collections/{collection}", {}),
    ("PATCH", C): (WRITE, "/api/collections/{collection}", {"json": {"description": "d"}}),
    ("DELETE", C): (WRITE, "/api/collections/{collection}", {}),
    ("POST", C + "/items"): (WRITE, "/api/collections/{collection}/items", {"json": {"item": {"type": "collection", "id": "{collection}"}}}),
    ("PATCH", C + "/items/*"): (WRITE, "/api/collections/{collection}/items/{item}", {"json": {"note": "n"}}),
    ("DELETE", C + "/items/*"): (WRITE, "/api/collections/{collection}/items/{item}", {}),
    ("*", C + "/resource-group"): (same(501), "/api/collections/{collection}/resource-group", {}),

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
    ("GET", R + "/inspect/{rev}/*"): (READ, "/api/models/{id}/inspect/main/w.safetensors", {}),
    ("GET", R + "/rows/{rev}/*"): (READ, "/api/models/{id}/rows/main/t.csv", {}),
    ("GET", R + "/diff/{rev}"): (READ, "/api/models/{id}/diff/main", {}),
    ("GET", R + "/compare/*"): (READ, "/api/models/{id}/compare/main..side", {}),
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
    ("GET", R + "/card/{rev}"): (instead(SEE, 404), "/api/models/{id}/card/main", {}),
    ("GET", R + "/markdown/{rev}/*"): (READ, "/api/models/{id}/markdown/main/a.txt", {}),
    ("POST", "/{R}/{ns}/{name}/ask-access"): (ASK, "/{id}/ask-access", {}),
    ("GET", R + "/discussions"): (SEE, "/api/models/{id}/discussions", {}),
    ("POST", R + "/discussions"): (PROPOSE, "/api/models/{id}/discussions", {"json": {"title": "t", "description": "d"}}),
    ("GET", R + "/discussions/{x}"): (SEE, "/api/models/{id}/discussions/1", {}),
    ("POST", R + "/discussions/{x}/comment"): (PROPOSE, "/api/models/{id}/discussions/1/comment", {"json": {"comment": "c"}}),
    ("POST", R + "/discussions/{x}/comment/*"): (WRITE, "/api/models/{id}/discussions/1/comment/{comment}/hide", {"json": {}}),
    ("POST", R + "/discussions/{x}/title"): (WRITE, "/api/models/{id}/discussions/1/title", {"json": {"title": "u"}}),
    ("POST", R + "/discussions/{x}/status"): (WRITE, "/api/models/{id}/discussions/1/status", {"json": {"status": "closed"}}),
    ("POST", R + "/discussions/{x}/merge"): (WRITE, "/api/models/{id}/discussions/2/merge", {"json": {}}),

    ("GET", R + "/xet-write-token/{rev}"): (WRITE, "/api/models/{id}/xet-write-token/main", {}),
    ("GET", R + "/xet-read-token/{rev}"): (READ, "/api/models/{id}/xet-read-token/main", {}),
    # An address or a token that was signed for one repository opens these; who one is does not.
    ("POST", "/xet/v1/xorbs/{x}/*"): (same(401), "/xet/v1/xorbs/default/" + "0" * 64, {"content": "x"}),
    ("HEAD", "/xet/v1/xorbs/{x}/*"): (same(401), "/xet/v1/xorbs/default/" + "0" * 64, {}),
    ("POST", "/xet/v1/shards"): (same(401), "/xet/v1/shards", {"content": "x"}),
    ("GET", "/xet/v1/chunks/{x}/*"): (same(401), "/xet/v1/chunks/default/" + "0" * 64, {}),
    ("HEAD", "/xet/v1/files/{x}"): (same(401), "/xet/v1/files/" + "0" * 64, {}),
    ("GET", "/xet/v1/reconstructions/{x}"): (same(401), "/xet/v1/reconstructions/" + "0" * 64, {}),
    ("GET", "/xet/v2/reconstructions/{x}"): (same(401), "/xet/v2/reconstructions/" + "0" * 64, {}),
    ("GET", "/xet/fetch/{x}"): (same(403), "/xet/fetch/x", {}),
    ("POST", "/v1/telemetry"): (same(204), "/v1/telemetry", {"content": "x"}),
    ("PUT", "/_lfs/put/{x}"): (same(403), "/_lfs/put/x", {"content": "x"}),
    ("PUT", "/_lfs/part/{x}"): (same(403), "/_lfs/part/x", {"content": "x"}),
    ("POST", "/_lfs/parts/{x}"): (same(403), "/_lfs/parts/x", {"json": {}}),
    ("POST", "/_lfs/verify/{x}"): (same(403), "/_lfs/verify/x", {"json": OBJECT, "headers": LFS}),
    ("GET", "/_lfs/get/{x}"): (same(403), "/_lfs/get/x", {}),

    ("POST", "/{R}/{ns}/{git}/info/lfs/objects/batch"): (READ, "/{id}.git/info/lfs/objects/batch",
                                                         {"json": {"operation": "download", "objects": [OBJECT]}, "headers": LFS}),
    ("POST", "/{R}/{ns}/{git}/info/lfs/verify"): (instead(READ, 404), "/{id}.git/info/lfs/verify", {"json": OBJECT, "headers": LFS}),
    ("POST", "/{R}/{ns}/{git}/info/lfs/locks/verify"): (READ, "/{id}.git/info/lfs/locks/verify", {"json": {}, "headers": LFS}),
    ("GET", "/{R}/{ns}/{git}/info/lfs/locks"): (READ, "/{id}.git/info/lfs/locks", {"headers": LFS}),
    ("POST", "/{R}/{ns}/{git}/info/lfs/locks"): (instead(READ, 501), "/{id}.git/info/lfs/locks", {"json": {}, "headers": LFS}),
    ("GET", "/{R}/{ns}/{git}/info/refs"): (READ, "/{id}.git/info/refs?service=git-upload-pack", {}),
    ("POST", "/{R}/{ns}/{git}/git-upload-pack"): (READ, "/{id}.git/git-upload-pack", FETCH),
    ("POST", "/{R}/{ns}/{git}/git-receive-pack"): (PROPOSE, "/{id}.git/git-receive-pack", PUSH),
    ("GET", "/{R}/{ns}/{name}/resolve/{rev}/*"): (READ, "/{id}/resolve/main/a.txt", {}),
    ("GET", "/{R}/{ns}/{name}/commit/{rev}"): (READ, "/{id}/commit/main.diff", {}),
    ("GET", "/{R}/{ns}/{name}/raw/{rev}/*"): (READ, "/{id}/raw/main/a.txt", {}),
}


def test_every_route_has_a_row_and_every_row_a_route():
    assert len(ROUTES) == SOURCE.count('    {"') and len(set(ROUTES)) == len(ROUTES)
    assert {(m, p) for m, p, _ in ROUTES} == set(TABLE)
    for key, (cells, _, _) in TABLE.items():
        assert set(cells) == set(itertools.product(CALLERS, KINDS)), key


def make(hub, kind):
    """A repository of lab with a file, a folder, a branch, a tag, a discussion and a pull request of alice's; where it is gated, bob asked."""
    repo = f"lab/cell-{next(NEW)}"

    def send(method, path, who="alice", **kw):
        r = client(hub, hub.tokens[who]).request(method, path, **kw)
        assert r.status_code == 200, r.text
        return r

    send("POST", "/api/repos/create", json={"name": repo[4:], "organization": "lab", "private": kind == "private"})
    files = [{"key": "header", "value": {"summary": "files"}}] + [
        {"key": "file", "value": {"path": p, "encoding": "utf-8", "content": c}}
        for p, c in (("a.txt", "x"), ("folder/b.txt", "x"), ("t.csv", "a\n1\n"), ("w.safetensors", "\2" + "\0" * 7 + "{}"))]
    HEADS[repo] = send("POST", f"/api/models/{repo}/commit/main", content="\n".join(map(json.dumps, files)),
                       headers={"Content-Type": "application/x-ndjson"}).json()["commitOid"]
    send("POST", f"/api/models/{repo}/branch/side", json={})
    send("POST", f"/api/models/{repo}/tag/main", json={"tag": "v1"})
    send("POST", f"/api/models/{repo}/discussions", json={"title": "one", "description": "first"})
    send("POST", f"/api/models/{repo}/discussions", json={"title": "two", "description": "d", "pullRequest": True})
    send("POST", f"/api/models/{repo}/discussions/2/status", json={"status": "open"})
    COMMENTS[repo] = send("GET", f"/api/models/{repo}/discussions/1").json()["events"][0]["id"]
    if kind == "gated":
        send("PUT", f"/api/models/{repo}/settings", json={"gated": "manual"})
        send("POST", f"/api/models/{repo}/ask-access", who="bob")
    return repo


CLIENTS = {}


def client(hub, token):
    if (hub.url, token) not in CLIENTS:
        CLIENTS[hub.url, token] = hub.http(token=token)
    return CLIENTS[hub.url, token]


@pytest.fixture(scope="module")
def fresh(own_hub):
    """A repository of a kind that no request has changed yet; `used` tells that one may have."""
    class Fresh(dict):
        def __missing__(self, kind):
            self[kind] = make(own_hub, kind)
            return self[kind]

        def used(self, kind):
            del self[kind]
    return Fresh()


def collection(hub, repo):
    if repo not in COLLECTIONS:
        alice = client(hub, hub.tokens["alice"])
        private = alice.get(f"/api/models/{repo}").json()["private"]
        slug = alice.post("/api/collections", json={"title": repo, "namespace": "lab", "private": private}).json()["slug"]
        (item,) = alice.post(f"/api/collections/{slug}/items", json={"item": {"type": "model", "id": repo}}).json()["items"]
        COLLECTIONS[repo] = slug, item["_id"]
    return COLLECTIONS[repo]


def fill(hub, value, repo):
    if isinstance(value, dict):
        return {k: fill(hub, v, repo) for k, v in value.items()}
    if not isinstance(value, str):
        return value
    if "{collection}" in value:
        slug, item = collection(hub, repo)
        value = value.replace("{collection}", slug).replace("{item}", item)
    return (value.replace("{id}", repo).replace("{name}", repo[4:]).replace("{sha}", HEADS[repo]).replace("{comment}", COMMENTS[repo])
            .replace("{new}", f"new-{next(NEW)}" if "{new}" in value else ""))


def call(hub, token, method, path, sent, repo):
    return client(hub, token).request("GET" if method == "*" else method, fill(hub, path, repo), **fill(hub, sent, repo))


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, _ in ROUTES])
def test_who_may_call_it(own_hub, fresh, method, pattern):
    assert (method, pattern) in TABLE, "a route that no row speaks of"
    cells, path, sent = TABLE[method, pattern]
    wrong = []
    for (caller, kind), status in cells.items():
        r = call(own_hub, own_hub.tokens.get(USERS[caller]), method, path, sent, fresh[kind])
        if r.status_code != status:
            wrong.append((caller, kind, f"{r.status_code} instead of {status}", r.text[:200]))
        if method != "GET" and r.status_code == 200:
            fresh.used(kind)
    assert not wrong


# More requests of routes that one row cannot tell of.
MORE = [
    ("a push is announced", PROPOSE, "GET", "/{id}.git/info/refs?service=git-receive-pack", {}),
    ("a large file by git-lfs", PROPOSE, "POST", "/{id}.git/info/lfs/objects/batch",
     {"json": {"operation": "upload", "objects": [OBJECT]}, "headers": LFS}),
    ("files for a pull request", PROPOSE, "POST", "/api/models/{id}/preupload/main?create_pr=1",
     {"json": {"files": [{"path": "b", "size": 1, "sample": ""}]}}),
    ("a commit to a pull request of alice's", WRITE, "POST", "/api/models/{id}/commit/refs%2Fpr%2F2",
     {"content": COMMIT, "headers": {"Content-Type": "application/x-ndjson"}}),
    ("a commit that makes a pull request", PROPOSE, "POST", "/api/models/{id}/commit/main?create_pr=1",
     {"content": COMMIT, "headers": {"Content-Type": "application/x-ndjson"}}),
]


@pytest.mark.parametrize("what, cells, method, path, sent", MORE, ids=[m[0] for m in MORE])
def test_who_may_send_it(own_hub, fresh, what, cells, method, path, sent):
    wrong = []
    for (caller, kind), status in cells.items():
        r = call(own_hub, own_hub.tokens.get(USERS[caller]), method, path, sent, fresh[kind])
        if r.status_code != status:
            wrong.append((caller, kind, f"{r.status_code} instead of {status}", r.text[:200]))
        if method != "GET" and r.status_code == 200:
            fresh.used(kind)
    assert not wrong


def test_a_push_to_a_branch_is_refused_in_its_answer(own_hub, fresh):
    """Whoever may propose may push, to pull requests alone."""
    for (caller, kind), status in WRITE.items():
        repo, token = fresh[kind], own_hub.tokens.get(USERS[caller])
        r = call(own_hub, token, "POST", "/{id}.git/git-receive-pack", PUSH, repo)
        refs = client(own_hub, own_hub.tokens["root"]).get(f"/api/models/{repo}/refs").json()
        gone = "side" not in [b["name"] for b in refs["branches"]]
        assert gone == (status == 200), (caller, kind, r.text)
        if gone:
            fresh.used(kind)


READING_POSTS = {"/api/validate-yaml", "/api/login", "/api/logout", "/{R}/{ns}/{git}/git-upload-pack", "/{R}/{ns}/{git}/info/lfs/objects/batch",
                 "/{R}/{ns}/{git}/info/lfs/verify", "/{R}/{ns}/{git}/info/lfs/locks/verify", "/{R}/{ns}/{git}/info/lfs/locks", R + "/paths-info/{rev}", R + "/ask-access", "/{R}/{ns}/{name}/ask-access"}


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, a in ROUTES if m in ("POST", "PUT", "PATCH", "DELETE") and
                                             p not in READING_POSTS and a != "CLO_HUB_SIGNED"])
def test_a_token_that_reads_changes_nothing(own_hub, fresh, method, pattern):
    _, path, sent = TABLE[method, pattern]
    for user in ("alice", "root"):
        r = call(own_hub, own_hub.read_tokens[user], method, path, sent, fresh["gated"])
        assert r.status_code == 403, (user, r.text)


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, _ in ROUTES if "{ns}" in p and m != "*"])
def test_a_token_for_another_repository_is_a_strangers(own_hub, fresh, method, pattern):
    """On a private repository it finds nothing, whatever its user could do there."""
    _, path, sent = TABLE[method, pattern]
    token = own_hub.token("alice", "--write", "--repo", fresh["public"], "--name", f"scoped-{next(NEW)}")
    r = call(own_hub, token, method, path, sent, fresh["private"])
    assert (r.status_code, r.headers.get("X-Error-Code")) == (404, None if pattern.startswith(C) else "RepoNotFound")


@pytest.mark.parametrize("method, pattern", [(m, p) for m, p, a in ROUTES if a != "CLO_HUB_SIGNED"])
def test_a_wrong_token_is_refused_everywhere(own_hub, fresh, method, pattern):
    _, path, sent = TABLE[method, pattern]
    r = call(own_hub, "hf_" + "x" * 51, method, path, sent, fresh["public"])
    assert r.status_code == 401 and r.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
