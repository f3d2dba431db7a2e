"""What accounts may do that no table of routes tells: contributors and what they made, tokens for one repository, last use."""
import json

import pytest
from conftest import PASSWORD


def add(hub, name, role):
    hub.cli("user", "add", name, "--password-stdin", given=PASSWORD)
    hub.cli("org", "add-member", "lab", name, "--role", role)
    return hub.token(name, "--write")


@pytest.fixture(scope="module")
def connie(own_hub):
    """A contributor of lab."""
    return own_hub.http(token=add(own_hub, "connie", "contributor"))


def change(http, repo):
    """Statuses of a branch made, a setting set, a commit."""
    line = json.dumps({"key": "header", "value": {"summary": "s"}}) + "\n" + json.dumps({"key": "file", "value": {"path": "a", "content": "x"}})
    return (http.post(f"/api/models/{repo}/branch/{http.headers['Authorization'][-6:]}", json={}).status_code,
            http.put(f"/api/models/{repo}/settings", json={"private": True}).status_code,
            http.post(f"/api/models/{repo}/commit/main", content=line, headers={"Content-Type": "application/x-ndjson"}).status_code)


def test_a_contributor_changes_what_it_made(own_hub, connie):
    hub = own_hub
    assert connie.post("/api/repos/create", json={"name": "connies", "organization": "lab"}).status_code == 200
    hub.api("alice").create_repo("lab/alices")
    assert change(connie, "lab/connies") == (200, 200, 200) and change(connie, "lab/alices") == (403, 403, 403)
    other = hub.http(token=add(hub, "carl", "contributor"))
    assert change(other, "lab/connies") == (403, 403, 403), "another contributor did not make it"
    assert connie.post("/api/repos/move", json={"fromRepo": "lab/connies", "toRepo": "lab/renamed"}).status_code == 200
    assert change(connie, "lab/renamed")[2] == 200
    hub.cli("org", "add-member", "lab", "connie", "--role", "read")
    assert change(connie, "lab/renamed")[1:] == (403, 403), "who made it and reads now"
    hub.cli("org", "add-member", "lab", "connie", "--role", "contributor")
    assert connie.request("DELETE", "/api/repos/delete", json={"name": "renamed", "organization": "lab"}).status_code == 200
    hub.cli("repo", "create", "lab/by-hand")
    assert change(connie, "lab/by-hand") == (403, 403, 403), "nobody in particular made it"


def test_a_token_for_a_repository_follows_it(own_hub):
    hub = own_hub
    api = hub.api("alice")
    api.create_repo("lab/follow", private=True)
    http = hub.http(token=hub.token("alice", "--write", "--repo", "lab/follow", "--name", "follow"))

    def seen():
        return [r["id"] for r in http.get("/api/models?author=lab").json() if r["private"]]
    assert http.get("/api/models/lab/follow").status_code == 200 and seen() == ["lab/follow"]
    api.move_repo("lab/follow", "alice/followed")
    assert http.get("/api/models/alice/followed").status_code == 200 and http.post("/api/models/alice/followed/branch/x", json={}).status_code == 200
    api.create_repo("lab/follow", private=True)
    assert http.get("/api/models/lab/follow").status_code == 404, "one that took the old name is another"
    hub.cli("repo", "move", "alice/followed", "lab/again")
    assert http.get("/api/models/lab/again").status_code == 200 and seen() == ["lab/again"]
    scopes = {t["name"]: t["scope"] for t in json.loads(hub.cli("token", "list", "--json"))}
    assert scopes["follow"] == "models/lab/again"
    api.delete_repo("lab/again")
    api.create_repo("lab/again", private=True)
    assert http.get("/api/models/lab/again").status_code == 404 and seen() == []


def test_a_token_for_a_repository_that_is_not_there_yet_makes_it(own_hub):
    hub = own_hub
    http = hub.http(token=hub.token("alice", "--write", "--repo", "datasets/lab/Later", "--name", "later"))
    body = {"type": "dataset", "name": "later", "organization": "lab", "private": True}
    assert http.post("/api/repos/create", json={**body, "name": "other"}).status_code == 403
    assert http.post("/api/repos/create", json={**body, "type": "model"}).status_code == 403
    assert http.post("/api/repos/create", json=body).status_code == 200
    assert http.get("/api/datasets/lab/later").status_code == 200
    hub.api("alice").move_repo("lab/later", "lab/sooner", repo_type="dataset")
    assert http.get("/api/datasets/lab/sooner").status_code == 200
    assert http.post("/api/repos/create", json=body).status_code == 403, "it has its repository"
