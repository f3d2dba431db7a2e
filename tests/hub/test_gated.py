"""Gated repositories: metadata for all, files for those who were let in."""
import itertools

import pytest
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

names = (f"gated-{i}" for i in itertools.count())


@pytest.fixture
def repo(hub):
    """A repository of lab whose files need the owners' word."""
    repo_id = f"lab/{next(names)}"
    owner = hub.api("alice")
    owner.create_repo(repo_id)
    owner.upload_file(path_or_fileobj=b"inside", path_in_repo="file.txt", repo_id=repo_id)
    owner.update_repo_settings(repo_id, gated="manual")
    return repo_id


def get(hub, user, repo):
    return hub.http(user).get(f"/{repo}/resolve/main/file.txt").status_code


def ask(hub, user, repo, **kw):
    return hub.http(user).post(f"/api/models/{repo}/ask-access", **kw)


def test_files_wait_for_an_answer_and_metadata_do_not(hub, repo, tmp_path):
    bob, owner = hub.api("bob"), hub.api("alice")
    assert bob.model_info(repo).gated == "manual" and bob.repo_exists(repo)
    with pytest.raises(GatedRepoError, match="is restricted and you are not in the authorized list"):
        bob.hf_hub_download(repo, "file.txt", local_dir=tmp_path)
    with pytest.raises(GatedRepoError):
        bob.auth_check(repo)
    assert get(hub, None, repo) == 401
    assert ask(hub, "bob", repo, json={"company": "ACME"}).json() == {"status": "pending"}
    waiting = list(owner.list_pending_access_requests(repo))
    assert [(w.username, w.status, w.fields) for w in waiting] == [("bob", "pending", {"company": "ACME"})]
    assert get(hub, "bob", repo) == 403
    owner.accept_access_request(repo, "bob")
    assert get(hub, "bob", repo) == 200
    bob.auth_check(repo)
    assert [w.username for w in owner.list_accepted_access_requests(repo)] == ["bob"]
    owner.reject_access_request(repo, "bob", rejection_reason="no more")
    assert get(hub, "bob", repo) == 403
    owner.cancel_access_request(repo, "bob")
    assert [w.username for w in owner.list_pending_access_requests(repo)] == ["bob"] and list(owner.list_rejected_access_requests(repo)) == []


def test_an_answer_twice_is_an_error(hub, repo):
    owner = hub.api("alice")
    owner.grant_access(repo, "bob")
    for again in (lambda: owner.grant_access(repo, "bob"), lambda: owner.accept_access_request(repo, "bob")):
        with pytest.raises(HfHubHTTPError) as e:
            again()
        assert e.value.response.status_code == 400
    for user, status in (("rita", 404), ("nobody", 404), ("lab", 404)):
        with pytest.raises(HfHubHTTPError) as e:
            owner.reject_access_request(repo, user, rejection_reason="no")
        assert e.value.response.status_code == status, user


def test_a_request_is_answered_by_its_id_too(hub, repo):
    ask(hub, "bob", repo)
    request = next(iter(hub.api("alice").list_pending_access_requests(repo)))
    hub.api("alice").accept_access_request(repo, request_id=request.request_id)
    assert get(hub, "bob", repo) == 200


def test_automatic_access_is_given_at_once(hub, repo):
    hub.api("alice").update_repo_settings(repo, gated="auto")
    assert get(hub, "bob", repo) == 403
    assert ask(hub, "bob", repo).json() == {"status": "accepted"}
    assert get(hub, "bob", repo) == 200


def test_a_form_asks_as_well(hub, repo):
    r = hub.http("bob").post(f"/{repo}/ask-access", data={"country": "Österreich & Co", "use": "a b"})
    assert r.json() == {"status": "pending"}
    assert next(iter(hub.api("alice").list_pending_access_requests(repo))).fields == {"country": "Österreich & Co", "use": "a b"}


def test_members_need_not_ask_and_others_cannot_answer(hub, repo):
    assert [get(hub, u, repo) for u in ("rita", "wendy", "alice", "root")] == [200] * 4
    for user in (None, "bob", "rita"):
        for call in (lambda h: h.get(f"/api/models/{repo}/user-access-request/pending"),
                     lambda h: h.post(f"/api/models/{repo}/user-access-request/grant", json={"user": "bob"}),
                     lambda h: h.post(f"/api/models/{repo}/user-access-request/handle", json={"user": "bob", "status": "accepted"})):
            assert call(hub.http(user)).status_code == (401 if user is None else 403)
    assert get(hub, "bob", repo) == 403


def test_what_makes_no_sense_is_refused(hub, repo):
    alice, bob = hub.http("alice"), hub.http("bob")
    base = f"/api/models/{repo}/user-access-request"
    ask(hub, "bob", repo)
    for body in ({}, {"user": "bob"}, {"user": "bob", "status": "none"}, {"status": "accepted"}, {"user": "bob", "requestId": "x", "status": "accepted"},
                 {"user": "bob", "status": "accepted", "rejectionReason": "r"}):
        assert alice.post(base + "/handle", json=body).status_code == 400, body
    assert alice.get(base + "/others").status_code == 404
    assert bob.post(f"/api/models/{repo}/ask-access", content=b"[1]").status_code == 400
    assert bob.post(f"/api/models/{repo}/ask-access", json={"a": "x" * 20000}).status_code in (200, 413)  # bob asked already
    assert hub.http("rita").post(f"/api/models/{repo}/ask-access", json={"a": "x" * 20000}).status_code == 413
    assert ask(hub, None, repo).status_code == 401
    hub.api("alice").update_repo_settings(repo, gated=False)
    assert ask(hub, "bob", repo).status_code == 400 and alice.get(base + "/pending").status_code == 400
    assert get(hub, None, repo) == 200
