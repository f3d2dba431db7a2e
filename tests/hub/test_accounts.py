"""What accounts may do that no table of routes tells: contributors and what they made, tokens for one repository, last use."""
import json

import pytest
from conftest import PASSWORD
from serving import Server


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


def audit(hub):
    lines = [json.loads(x) for f in sorted(hub.data.glob("audit*.log")) for x in f.read_text().splitlines()]
    return [(x["event"], x.get("key"), x.get("note")) for x in lines]


def test_what_happens_to_repositories_is_in_the_audit_log(own_hub):
    hub = own_hub
    api = hub.api("wendy")
    api.create_repo("lab/noted", repo_type="dataset")
    api.move_repo("lab/noted", "wendy/noted", repo_type="dataset")
    api.delete_repo("wendy/noted", repo_type="dataset")
    assert audit(hub)[-3:] == [("repo-created", "wendy", "dataset lab/noted"), ("repo-moved", "wendy", "dataset wendy/noted, before lab/noted"),
                               ("repo-removed", "wendy", "dataset wendy/noted")]
    hub.cli("repo", "create", "lab/noted")
    hub.cli("repo", "move", "lab/noted", "bob/noted")
    hub.cli("repo", "delete", "bob/noted")
    assert audit(hub)[-3:] == [("repo-created", "lab", "model lab/noted"), ("repo-moved", "bob", "model bob/noted, before lab/noted"),
                               ("repo-removed", "bob", "model bob/noted")]
    before = len(audit(hub))
    assert hub.http("bob").post("/api/repos/create", json={"name": "x", "organization": "lab"}).status_code == 403
    with pytest.raises(AssertionError):
        hub.cli("repo", "delete", "bob/noted")
    assert len(audit(hub)) == before
    hub.cli("audit")


def test_the_last_use_of_a_token_is_kept(own_hub):
    hub = own_hub

    def used(name):
        return {t["name"]: t["used"] for t in json.loads(hub.cli("token", "list", "--json"))}[name]
    http = hub.http(token=hub.token("bob", "--read", "--name", "seldom"))
    assert used("seldom") is None and http.get("/api/whoami-v2").status_code == 200
    assert used("seldom") is None, "a request writes nothing"
    assert hub.server.stop() == 0
    assert used("seldom") > 1_700_000_000
    hub.server = Server(hub.data)
    hub.url = hub.server.url


def test_discussions_can_be_turned_off(own_hub):
    hub = own_hub
    api, bob = hub.api("alice"), hub.http("bob")
    api.create_repo("lab/quiet")
    api.create_discussion("lab/quiet", "before")
    http, talk = hub.http("alice"), {"title": "t", "description": "d"}
    assert http.put("/api/models/lab/quiet/settings", json={"discussionsDisabled": True}).json()["discussionsDisabled"] is True
    assert http.get("/api/models/lab/quiet").json()["discussionsDisabled"] is True
    for who in (http, bob):
        assert who.post("/api/models/lab/quiet/discussions", json=talk).status_code == 403
        assert who.post("/api/models/lab/quiet/preupload/main?create_pr=1", json={"files": []}).status_code == 403
        assert len(who.get("/api/models/lab/quiet/discussions").json()["discussions"]) == 1
    assert bob.post("/api/models/lab/quiet/discussions/1/comment", json={"comment": "c"}).status_code == 403
    assert bob.get("/lab/quiet.git/info/refs?service=git-receive-pack").status_code == 403
    assert change(http, "lab/quiet")[0] == 200
    assert http.put("/api/models/lab/quiet/settings", json={"private": False}).json()["discussionsDisabled"] is True
    assert http.put("/api/models/lab/quiet/settings", json={"discussionsDisabled": False}).status_code == 200
    assert bob.post("/api/models/lab/quiet/discussions", json=talk).status_code == 200
