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
    assert bad.status_code == 400 and len(bad.json()["errors"]) == 1
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


def test_likes_are_counted_once_and_listed_to_those_who_may_see(hub):
    api = hub.api("alice")
    api.create_repo("lab/liked")
    api.create_repo("lab/liked-secret", private=True)
    for user in ("alice", "rita", "rita"):
        for repo in ("lab/liked", "lab/liked-secret"):
            assert hub.http(user).post(f"/api/models/{repo}/like").status_code == 200
    assert api.model_info("lab/liked").likes == 2
    assert sorted(u.username for u in api.list_repo_likers("lab/liked")) == ["alice", "rita"]
    assert set(api.list_liked_repos("rita").models) == {"lab/liked", "lab/liked-secret"}
    assert hub.api("bob").list_liked_repos("rita").models == ["lab/liked"]
    assert (hub.api("bob").get_user_overview("rita").num_likes, hub.api("rita").get_user_overview("rita").num_likes) == (1, 2)
    hub.api("rita").unlike("lab/liked")
    hub.api("rita").unlike("lab/liked")
    assert api.model_info("lab/liked").likes == 1 and hub.api("bob").list_liked_repos("rita").models == []
    assert hub.http("bob").post("/api/models/lab/liked-secret/like").status_code == 404
    assert hub.http().post("/api/models/lab/liked/like").status_code == 401
    assert hub.http(token=hub.read_tokens["bob"]).post("/api/models/lab/liked/like").status_code == 403
    api.delete_repo("lab/liked")
    assert api.list_liked_repos("alice").models == ["lab/liked-secret"]
    api.delete_repo("lab/liked-secret")


def test_likers_come_in_pages(hub):
    hub.api("alice").create_repo("lab/popular")
    for user in ("alice", "rita", "wendy", "bob", "root"):
        hub.http(user).post("/api/models/lab/popular/like")
    seen, url = [], f"{hub.url}/api/models/lab/popular/likers?limit=2"
    while url:
        r = hub.http().get(url)
        seen.append([x["user"] for x in r.json()])
        url = r.links.get("next", {}).get("url")
    assert [len(p) for p in seen] == [2, 2, 1] and sorted(sum(seen, [])) == ["alice", "bob", "rita", "root", "wendy"]


def test_a_user_who_goes_likes_nothing_any_more(hub):
    hub.cli("user", "add", "gone", "--password-stdin", given="correct horse\n")
    token = hub.token("gone", "--write")
    hub.api("alice").create_repo("lab/left")
    assert hub.http(token=token).post("/api/models/lab/left/like").status_code == 200
    assert hub.api().model_info("lab/left").likes == 1
    hub.cli("user", "remove", "gone")
    assert hub.api().model_info("lab/left").likes == 0 and list(hub.api().list_repo_likers("lab/left")) == []


def test_an_account_with_repositories_stays(hub):
    hub.cli("user", "add", "owner", "--password-stdin", given="correct horse\n")
    from huggingface_hub import HfApi
    HfApi(endpoint=hub.url, token=hub.token("owner", "--write")).create_repo("owner/kept")
    with pytest.raises(AssertionError, match="has repositories"):
        hub.cli("user", "remove", "owner")
    assert hub.api().repo_exists("owner/kept")


def test_what_a_namespace_takes_up(hub):
    api = hub.api("alice")
    api.create_repo("lab/stored", private=True)
    rows = {r.id: r for r in api.list_user_repos(namespace="lab")}
    assert (rows["lab/stored"].type, rows["lab/stored"].visibility, rows["lab/stored"].storage) == ("model", "private", 0)
    assert all(r.id.startswith("alice/") for r in api.list_user_repos())
    path = "/api/organizations/lab/settings/repositories"
    assert [hub.http(u).get(path).status_code for u in (None, "bob", "rita", "root")] == [401, 403, 200, 200]
    assert hub.http("bob").get("/api/organizations/nothing/settings/repositories").status_code == 404


def test_overviews_count_what_who_asks_may_see(hub):
    hub.api("wendy").create_repo("wendy/one")
    hub.api("wendy").create_repo("wendy/two", private=True)
    hub.api("wendy").create_repo("wendy/three", repo_type="dataset")
    seen = [(o.num_models, o.num_datasets, o.num_spaces) for o in (hub.api(u).get_user_overview("wendy") for u in (None, "bob", "wendy", "root"))]
    assert seen == [(1, 1, 0), (1, 1, 0), (2, 1, 0), (2, 1, 0)]
