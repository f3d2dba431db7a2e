"""Discussions and pull requests through the real huggingface_hub and the real git."""
import subprocess
import warnings

import pytest
from conftest import repo_name
from huggingface_hub import CommitOperationAdd, hf_hub_download
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from test_git import commit, git


@pytest.fixture
def name(hub, request):
    n = repo_name(request)
    hub.api("alice").create_repo(n)
    return n


def refused(status, call, *args, **kw):
    with pytest.raises(HfHubHTTPError) as e:
        call(*args, **kw)
    assert e.value.response.status_code == status, e.value
    return str(e.value)


def events(api, name, num):
    return [e.type for e in api.get_discussion_details(name, num).events]


def test_a_discussion(hub, name):
    api, bob = hub.api("alice"), hub.api("bob")
    made = bob.create_discussion(name, "Does it run?", description="On **my** machine <script>alert(1)</script>\n\n[x](javascript:alert(1))")
    assert (made.num, made.title, made.status, made.author, made.is_pull_request) == (1, "Does it run?", "open", "bob", False)
    assert made.repo_id == name and made.repo_type == "model" and made.url == f"{hub.url}/{name}/discussions/1" and made.git_reference is None
    first = made.events[0]
    assert first.content.startswith("On **my** machine") and "<strong>my</strong>" in first.rendered
    assert "<script" not in first.rendered and "javascript:" not in first.rendered
    said = api.comment_discussion(name, 1, "It does 🤗")
    assert (said.author, said.content, said.edited, said.hidden) == ("alice", "It does 🤗", False, False)
    changed = bob.rename_discussion(name, 1, "Does it run fast?")
    assert (changed.old_title, changed.new_title) == ("Does it run?", "Does it run fast?")
    closed = api.change_discussion_status(name, 1, "closed", comment="Yes")
    assert closed.new_status == "closed"
    d = hub.api().get_discussion_details(name, 1)
    assert (d.title, d.status, d.diff, d.conflicting_files) == ("Does it run fast?", "closed", None, None)
    assert [e.type for e in d.events] == ["comment", "comment", "title-change", "comment", "status-change"]
    refused(400, api.change_discussion_status, name, 1, "closed")
    bob.change_discussion_status(name, 1, "open")
    assert api.get_discussion_details(name, 1).status == "open"
    refused(400, api.merge_pull_request, name, 1)


def test_comments_are_edited_and_hidden(hub, name):
    api, bob = hub.api("alice"), hub.api("bob")
    bob.create_discussion(name, "Comments", description="first")
    c = bob.comment_discussion(name, 1, "a secret")
    edited = bob.edit_discussion_comment(name, 1, c.id, "no **secret**")
    assert (edited.id, edited.content, edited.edited, edited.number_of_edits, edited.last_edited_by) == (c.id, "no **secret**", True, 1, "bob")
    assert edited.edit_history[0]["raw"] == "a secret"
    assert "Only its author" in refused(403, api.edit_discussion_comment, name, 1, c.id, "mine now")
    assert refused(403, hub.api("wendy").rename_discussion, name, 1, "taken")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(403, hub.api("wendy").hide_discussion_comment, name, 1, c.id)
        hidden = api.hide_discussion_comment(name, 1, c.id)
        refused(404, api.hide_discussion_comment, name, 1, "0" * 24)
    assert hidden.hidden and hidden.content == "" and hidden.edit_history == []
    refused(400, bob.edit_discussion_comment, name, 1, c.id, "again")
    assert "secret" not in hub.http().get(f"/api/models/{name}/discussions/1").text


def test_lists(hub, name):
    api, bob = hub.api("alice"), hub.api("bob")
    for i in range(53):
        (api if i % 2 else bob).create_discussion(name, f"Number {i + 1}", description="x")
    bob.create_pull_request(name, "A change")
    api.change_discussion_status(name, 3, "closed")
    every = list(api.get_repo_discussions(name))
    assert [d.num for d in every] == list(range(54, 0, -1)), "more than a page of them, newest first"
    assert [d.num for d in api.get_repo_discussions(name, discussion_type="pull_request")] == [54]
    assert [d.num for d in api.get_repo_discussions(name, discussion_status="closed")] == [3]
    assert len(list(api.get_repo_discussions(name, discussion_type="discussion", discussion_status="open"))) == 52
    assert {d.author for d in api.get_repo_discussions(name, author="bob")} == {"bob"}
    page = hub.http().get(f"/api/models/{name}/discussions", params={"p": 1}).json()
    assert (page["count"], page["start"], len(page["discussions"]), page["numClosedDiscussions"]) == (54, 50, 4, 1)
    assert hub.http().get(f"/api/models/{name}/discussions", params={"type": "x"}).status_code == 400


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_pull_request_by_another_user(hub, request, kind):
    api, bob = hub.api("alice"), hub.api("bob")
    name = repo_name(request)
    api.create_repo(name, repo_type=kind)
    made = bob.create_pull_request(name, "A card", repo_type=kind)
    assert (made.status, made.is_pull_request, made.git_reference, made.target_branch) == ("draft", True, "refs/pr/1", "refs/heads/main")
    assert made.conflicting_files == [] and made.merge_commit_oid is None
    refused(403, bob.upload_file, path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=name, repo_type=kind)
    done = bob.upload_file(path_or_fileobj=b"a card\n", path_in_repo="CARD.txt", repo_id=name, repo_type=kind, revision="refs/pr/1", commit_message="Add it")
    d = bob.get_discussion_details(name, 1, repo_type=kind)
    assert [(e.summary, e.oid, e.author) for e in d.events if e.type == "commit"] == [("Add it", done.oid, "bob")]
    assert "+a card" in d.diff and "CARD.txt" not in api.list_repo_files(name, repo_type=kind)
    refused(403, hub.api("wendy").upload_file, path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=name, repo_type=kind, revision="refs/pr/1")
    assert "only an open one" in refused(400, api.merge_pull_request, name, 1, repo_type=kind)
    bob.change_discussion_status(name, 1, "open", repo_type=kind)
    refused(403, bob.merge_pull_request, name, 1, repo_type=kind)
    api.merge_pull_request(name, 1, comment="Thank you", repo_type=kind)
    d = api.get_discussion_details(name, 1, repo_type=kind)
    assert d.status == "merged" and d.merge_commit_oid == api.repo_info(name, repo_type=kind).sha and "+a card" in d.diff
    assert [e.type for e in d.events] == ["comment", "commit", "status-change", "comment", "status-change"]
    with open(hf_hub_download(name, "CARD.txt", repo_type=kind, endpoint=hub.url, token=False)) as f:
        assert f.read() == "a card\n"
    assert "was merged" in refused(400, bob.upload_file, path_or_fileobj=b"x", path_in_repo="b.txt", repo_id=name, repo_type=kind, revision="refs/pr/1")
    refused(400, api.change_discussion_status, name, 1, "closed", repo_type=kind)


def test_uploads_that_open_one(hub, name, tmp_path):
    api, bob = hub.api("alice"), hub.api("bob")
    before = api.model_info(name).sha
    api.create_discussion(name, "Takes the first number")
    one = bob.upload_file(path_or_fileobj=b"1\n", path_in_repo="one.txt", repo_id=name, create_pr=True, commit_message="One", commit_description="of *three*")
    assert one.pr_url == f"{hub.url}/{name}/discussions/2" and (one.pr_num, one.pr_revision) == (2, "refs/pr/2")
    d = bob.get_discussion_details(name, 2)
    assert (d.title, d.status, d.author, d.events[0].content) == ("One", "open", "bob", "of *three*") and d.events[1].oid == one.oid
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text(f"{i}\n")
    two = bob.upload_folder(folder_path=tmp_path, path_in_repo="many", repo_id=name, create_pr=True)
    assert two.pr_num == 3 and bob.get_discussion_details(name, 3).status == "draft"
    def ops():
        return [CommitOperationAdd("three.txt", b"3\n")]
    three = bob.create_commit(name, ops(), commit_message="Three", create_pr=True, parent_commit=before)
    assert three.pr_num == 4
    refs = api.list_repo_refs(name, include_pull_requests=True)
    assert {r.ref: r.target_commit for r in refs.pull_requests} == {"refs/pr/2": one.oid, "refs/pr/3": two.oid, "refs/pr/4": three.oid}
    assert [b.name for b in refs.branches] == ["main"] and api.list_repo_refs(name).pull_requests is None
    assert api.model_info(name).sha == before
    assert sorted(api.list_repo_files(name, revision="refs/pr/3")) == [".gitattributes", "many/0.txt", "many/1.txt", "many/2.txt"]
    bob.change_discussion_status(name, 3, "open")
    for n in (2, 3, 4):
        api.merge_pull_request(name, n)
    assert sorted(api.list_repo_files(name)) == [".gitattributes", "many/0.txt", "many/1.txt", "many/2.txt", "one.txt", "three.txt"]
    for rev in (before, "nothing", "refs/pr/2"):
        with pytest.raises(RevisionNotFoundError):
            bob.create_commit(name, ops(), commit_message="x", create_pr=True, revision=rev)
    api.create_branch(name, branch="dev")
    assert bob.get_discussion_details(name, bob.create_commit(name, [CommitOperationAdd("d.txt", b"d")], commit_message="dev", create_pr=True,
                                                              revision="dev").pr_num).target_branch == "refs/heads/dev"
    with pytest.raises(HfHubHTTPError):
        hub.api().create_commit(name, ops(), commit_message="x", create_pr=True)
    assert len(list(api.get_repo_discussions(name))) == 5, "what was refused opened none"


def test_a_refused_commit_opens_none(hub, name):
    body = '{"key":"header","value":{"summary":"x"}}\n{"key":"deletedFile","value":{"path":"nothing.txt"}}\n'
    r = hub.http("bob").post(f"/api/models/{name}/commit/main", params={"create_pr": 1}, content=body)
    assert r.status_code == 404 and r.headers["x-error-code"] == "EntryNotFound"
    assert list(hub.api().get_repo_discussions(name)) == []
    assert hub.api().list_repo_refs(name, include_pull_requests=True).pull_requests == []


def test_conflicts_are_named(hub, name):
    api, bob = hub.api("alice"), hub.api("bob")
    api.upload_file(path_or_fileobj=b"one\n", path_in_repo="f.txt", repo_id=name)
    for text in (b"mine\n", b"yours\n"):
        bob.upload_file(path_or_fileobj=text, path_in_repo="f.txt", repo_id=name, create_pr=True)
    api.merge_pull_request(name, 1)
    assert api.get_discussion_details(name, 2).conflicting_files == ["f.txt"]
    before = api.model_info(name).sha
    assert "f.txt" in refused(409, api.merge_pull_request, name, 2, comment="not kept")
    assert api.model_info(name).sha == before and events(api, name, 2) == ["comment", "commit"]


def test_git(hub, name, tmp_path):
    api, bob = hub.api("alice"), hub.api("bob")
    made = bob.upload_file(path_or_fileobj=b"1\n", path_in_repo="one.txt", repo_id=name, create_pr=True)
    clone = tmp_path / "clone"
    git("clone", "-q", hub.git_url(name, "bob"), clone)
    git("fetch", "-q", "origin", "refs/pr/1", cwd=clone)
    git("checkout", "-q", "FETCH_HEAD", cwd=clone)
    assert git("rev-parse", "HEAD", cwd=clone).strip() == made.oid
    commit(clone, "Two", two__txt="2\n")
    head = commit(clone, "Three", three__txt="3\n")
    git("push", "-q", "origin", "HEAD:refs/pr/1", cwd=clone)
    d = bob.get_discussion_details(name, 1)
    assert [e.summary for e in d.events if e.type == "commit"] == ["Upload one.txt with huggingface_hub", "Two", "Three"]
    assert d.events[-1].oid == head
    assert "no right to write" in git("push", "origin", "HEAD:main", cwd=clone, ok=False)
    assert "no right to write" in git("push", "origin", "HEAD:refs/heads/new", cwd=clone, ok=False)
    assert "opened and closed in the hub" in git("push", "origin", "HEAD:refs/pr/2", cwd=clone, ok=False)
    commit(clone, "Four", four__txt="4\n")
    assert "another user" in git("push", hub.git_url(name, "wendy"), "HEAD:refs/pr/1", cwd=clone, ok=False)
    git("push", "-q", hub.git_url(name, "alice"), "HEAD:refs/pr/1", cwd=clone)
    api.merge_pull_request(name, 1)
    commit(clone, "Five", five__txt="5\n")
    assert "was merged" in git("push", "origin", "HEAD:refs/pr/1", cwd=clone, ok=False)
    git("fetch", "-q", "origin", "main", cwd=clone)
    assert git("ls-tree", "--name-only", "FETCH_HEAD", cwd=clone).split() == [".gitattributes", "four.txt", "one.txt", "three.txt", "two.txt"]
    git("fsck", "--strict", cwd=clone)
    assert "refs/pr/1" in subprocess.run(["git", "ls-remote", hub.git_url(name)], capture_output=True, text=True).stdout


def test_who_may_see_and_speak(hub, name):
    api, bob = hub.api("alice"), hub.api("bob")
    bob.upload_file(path_or_fileobj=b"hidden words\n", path_in_repo="one.txt", repo_id=name, create_pr=True)
    refused(401, hub.api().create_discussion, name, "x", description="x")
    reading = hub.http(token=hub.read_tokens["bob"]).post(f"/api/models/{name}/discussions/1/comment", json={"comment": "x"})
    assert reading.status_code == 403
    refused(404, api.get_discussion_details, name, 77)
    for title in (" ", "x" * 201, "two\nlines"):
        with pytest.raises(BadRequestError):
            api.create_discussion(name, title, description="x")
    refused(400, bob.comment_discussion, name, 1, "  ")
    refused(413, bob.comment_discussion, name, 1, "x" * 65537)
    api.update_repo_settings(name, gated="manual")
    assert "hidden words" in api.get_discussion_details(name, 1).diff
    assert bob.get_discussion_details(name, 1).diff is None, "what gated files say is not for all"
    api.update_repo_settings(name, gated=False, visibility="private")
    for call in (lambda: bob.get_discussion_details(name, 1), lambda: bob.comment_discussion(name, 1, "x"), lambda: list(bob.get_repo_discussions(name))):
        with pytest.raises(RepositoryNotFoundError):
            call()


def test_they_go_with_their_repository(hub, name):
    api = hub.api("alice")
    api.create_discussion(name, "One")
    api.move_repo(name, name + "-moved")
    assert api.get_discussion_details(name, 1).title == "One", "an old name leads to the new one"
    api.delete_repo(name + "-moved")
    api.create_repo(name + "-moved")
    assert list(api.get_repo_discussions(name + "-moved")) == [] and api.create_discussion(name + "-moved", "Two").num == 1
