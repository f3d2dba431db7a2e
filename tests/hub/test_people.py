"""Who someone is, as the clients ask: whoami, users, organisations; cards; what this hub does not have."""
import time

import pytest
from huggingface_hub.errors import HfHubHTTPError


def test_whoami_names_the_user_its_organisations_and_the_token(hub):
    me = hub.api("alice").whoami()
    assert (me["type"], me["name"], me["fullname"], me["email"]) == ("user", "alice", "Alice A", "alice@hub.test")
    assert len(me["id"]) == 24
    assert [(o["name"], o["roleInOrg"]) for o in me["orgs"]] == [("lab", "admin")]
    assert me["auth"]["accessToken"]["displayName"] == "laptop" and me["auth"]["accessToken"]["role"] == "write"
    assert me["avatarUrl"].startswith(hub.url)


def test_whoami_without_a_valid_token_is_401(hub):
    assert hub.http().get("/api/whoami-v2").status_code == 401
    wrong = hub.http(token="hf_" + "x" * 51).get("/api/whoami-v2")
    assert wrong.status_code == 401
    assert wrong.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        hub.api().whoami(token="hf_" + "x" * 51)


def test_overviews_and_members(hub):
    api = hub.api()
    user = api.get_user_overview("ALICE")
    assert (user.username, user.fullname, [o.name for o in user.orgs]) == ("alice", "Alice A", ["lab"])
    org = api.get_organization_overview("lab")
    assert (org.name, org.fullname, org.num_users) == ("lab", "The Lab", 3)
    assert [m.username for m in api.list_organization_members("lab")] == ["alice", "rita", "wendy"]
    assert list(api.list_user_followers("alice")) == []
    assert "email" not in hub.http().get("/api/users/alice/overview").text
    for path in ("/api/users/lab/overview", "/api/users/nobody/overview", "/api/organizations/alice/overview",
                 "/api/organizations/nobody/members"):
        assert hub.http().get(path).status_code == 404, path


def test_a_card_is_checked_before_it_is_committed(hub):
    ask = hub.http()
    good = ask.post("/api/validate-yaml", json={"content": "---\nlicense: mit\n---\n", "repoType": "model"})
    assert (good.status_code, good.json()) == (200, {"errors": [], "warnings": []})
    bad = ask.post("/api/validate-yaml", json={"content": "---\nlicense: [\n---\n", "repoType": "model"})
    assert bad.status_code == 200 and len(bad.json()["errors"]) == 1
    assert ask.post("/api/validate-yaml", json={"content": "", "repoType": "x"}).status_code == 400


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/api/agent-harnesses", 200), ("HEAD", "/api/telemetry/a/b", 204), ("GET", "/api/daily_papers", 501),
    ("GET", "/api/papers/2401.00001", 501), ("POST", "/api/jobs/alice", 501), ("GET", "/api/scheduled-jobs/alice", 501),
    ("GET", "/api/buckets/alice/b", 501), ("GET", "/api/kernels/alice/k", 501), ("GET", "/api/settings/webhooks", 501)])
def test_what_is_not_here_is_told_at_once(hub, method, path, status):
    start = time.monotonic()
    r = hub.http().request(method, path)
    assert r.status_code == status and time.monotonic() - start < 2
    if status == 501:
        assert r.json()["error"] == r.headers["X-Error-Message"]
