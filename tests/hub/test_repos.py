"""Repositories through the real huggingface_hub: made, filled, read, renamed, set, removed; errors are its own exceptions."""
import hashlib
import io

import pytest
from conftest import repo_name
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.errors import BadRequestError, EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError


@pytest.fixture
def name(hub, request):
    n = repo_name(request)
    hub.api("alice").create_repo(n)
    return n


def test_a_new_repository(hub):
    api = hub.api("alice")
    url = api.create_repo("alice/New.Model_1")
    assert str(url) == f"{hub.url}/alice/New.Model_1" and url.repo_id == "alice/New.Model_1" and url.repo_type == "model"
    assert api.list_repo_files("alice/New.Model_1") == [".gitattributes"]
    assert [c.title for c in api.list_repo_commits("alice/New.Model_1")] == ["initial commit"]
    assert api.model_info("ALICE/new.model_1").id == "alice/New.Model_1", "names are found whatever their case"
    with pytest.raises(HfHubHTTPError, match="already created"):
        api.create_repo("alice/New.Model_1")
    assert api.create_repo("alice/New.Model_1", exist_ok=True).repo_id == "alice/New.Model_1"
    with pytest.raises(HfHubHTTPError) as e:
        api.create_repo("bob/not-mine")
    assert e.value.response.status_code == 403
    for org, user, may in (("lab", "wendy", True), ("lab", "rita", False), ("lab", "bob", False), ("lab", "root", True)):
        if may:
            hub.api(user).create_repo(f"{org}/by-{user}", repo_type="dataset")
        else:
            with pytest.raises(HfHubHTTPError):
                hub.api(user).create_repo(f"{org}/by-{user}", repo_type="dataset")


def test_files_come_and_go(hub, name, tmp_path):
    api = hub.api("alice")
    info = api.upload_file(path_or_fileobj=b"hello\n", path_in_repo="a/hello.txt", repo_id=name, commit_message="Say hello", commit_description="twice")
    assert info.oid == api.model_info(name).sha and str(info) == f"{hub.url}/{name}/commit/{info.oid}"
    first = api.list_repo_commits(name)[0]
    assert (first.title, first.message, first.authors) == ("Say hello", "twice", ["alice"])
    for i in range(3):
        (tmp_path / f"f{i}.txt").write_text(f"{i}\n" * 10)
    api.upload_folder(folder_path=tmp_path, path_in_repo="many", repo_id=name)
    assert sorted(api.list_repo_files(name)) == [".gitattributes", "a/hello.txt", "many/f0.txt", "many/f1.txt", "many/f2.txt"]
    made = api.create_commit(name, [CommitOperationAdd("x.txt", b"x"), CommitOperationDelete("a/hello.txt"), CommitOperationDelete("many/", is_folder=True)],
                             commit_message="several", parent_commit=api.model_info(name).sha)
    assert sorted(api.list_repo_files(name)) == [".gitattributes", "x.txt"]
    with pytest.raises(HfHubHTTPError, match="branch was updated since"):
        api.create_commit(name, [CommitOperationAdd("y.txt", b"y")], commit_message="late", parent_commit=info.oid)
    with pytest.raises(EntryNotFoundError):
        api.delete_file("nothing.txt", name)
    assert api.list_repo_files(name, revision=info.oid) == [".gitattributes", "a/hello.txt"] and made.oid != info.oid
    api.create_commit(name, [CommitOperationCopy("x.txt", "copies/x.txt")], commit_message="copy")
    with open(hf_hub_download(name, "copies/x.txt", endpoint=hub.url, token=False)) as f:
        assert f.read() == "x"


def test_paths_that_are_refused(hub, name):
    api = hub.api("alice")
    for path in ("a/.git/config", "a//b", "a\\b", "x" * 300):
        with pytest.raises((HfHubHTTPError, ValueError)):
            api.create_commit(name, [CommitOperationAdd(path, b"x")], commit_message="no")
    assert api.list_repo_files(name) == [".gitattributes"]


def test_downloads(hub, name, tmp_path):
    api = hub.api("alice")
    text = b"".join(b"line %d\n" % i for i in range(5000))
    api.create_commit(name, [CommitOperationAdd("t.txt", io.BytesIO(text)), CommitOperationAdd("sub/empty.txt", b"")], commit_message="files")
    path = hf_hub_download(name, "t.txt", endpoint=hub.url, token=False)
    assert open(path, "rb").read() == text
    folder = snapshot_download(name, endpoint=hub.url, token=False, local_dir=tmp_path / "all")
    assert (tmp_path / "all/sub/empty.txt").read_bytes() == b"" and folder
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(name, "none.txt", endpoint=hub.url, token=False)
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download(name, "t.txt", revision="none", endpoint=hub.url, token=False)
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("alice/none", "t.txt", endpoint=hub.url, token=False)
    with hub.http() as c:
        url = f"/{name}/resolve/main/t.txt"
        head = c.head(url)
        assert head.headers["x-repo-commit"] == api.model_info(name).sha and int(head.headers["content-length"]) == len(text)
        blob = hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
        assert head.headers["etag"] == f'"{blob}"' and head.headers["accept-ranges"] == "bytes"
        for spec, status, want in (("bytes=0-0", 206, text[:1]), ("bytes=10-19", 206, text[10:20]), ("bytes=-5", 206, text[-5:]),
                                   (f"bytes={len(text) - 3}-", 206, text[-3:]), ("bytes=0-999999999", 206, text), ("bytes=5-1", 200, text),
                                   ("lines=1-2", 200, text)):
            r = c.get(url, headers={"Range": spec})
            assert (r.status_code, r.content) == (status, want), spec
        r = c.get(url, headers={"Range": f"bytes={len(text)}-"})
        assert r.status_code == 416 and r.headers["content-range"] == f"bytes */{len(text)}"
        assert c.get(url, headers={"If-None-Match": f'"{blob}"'}).status_code == 304
        r = c.get(f"/{name}/resolve/main/sub")
        assert (r.status_code, r.headers["x-error-code"]) == (404, "EntryNotFound") and "x-repo-commit" in r.headers


def test_branches_tags_and_history(hub, name):
    api = hub.api("alice")
    api.create_branch(name, branch="a/b")
    api.upload_file(path_or_fileobj=b"1", path_in_repo="one.txt", repo_id=name, revision="a/b")
    assert api.list_repo_files(name, revision="a/b") == [".gitattributes", "one.txt"] and api.list_repo_files(name) == [".gitattributes"]
    with pytest.raises(HfHubHTTPError, match="Reference refs/heads/a/b already exists"):
        api.create_branch(name, branch="a/b")
    api.create_branch(name, branch="a/b", exist_ok=True)
    api.create_tag(name, tag="v1", tag_message="the first", revision="a/b")
    sha = api.model_info(name, revision="v1").sha
    api.create_tag(name, tag="short", revision=sha[:8])
    with pytest.raises(HfHubHTTPError) as e:
        api.create_tag(name, tag="v1")
    assert e.value.response.status_code == 409
    refs = api.list_repo_refs(name)
    assert {b.name for b in refs.branches} == {"main", "a/b"} and {(t.name, t.target_commit) for t in refs.tags} == {("v1", sha), ("short", sha)}
    api.delete_tag(name, tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(name, tag="v1")
    with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main"):
        api.delete_branch(name, branch="main")
    with pytest.raises(HfHubHTTPError, match="Invalid rev id"):
        api.delete_branch(name, branch="none")
    api.super_squash_history(name, branch="a/b", commit_message="one")
    assert [c.title for c in api.list_repo_commits(name, revision="a/b")] == ["one"]
    assert api.list_repo_files(name, revision="a/b") == [".gitattributes", "one.txt"]
    api.delete_branch(name, branch="a/b")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(name, revision="a/b")


def test_trees_and_paths(hub, name):
    api = hub.api("alice")
    api.create_commit(name, [CommitOperationAdd(f"d{i}/f{j}.txt", b"%d" % j) for i in range(3) for j in range(4)], commit_message="tree")
    tree = list(api.list_repo_tree(name, recursive=True, expand=True))
    assert {t.path for t in tree} == {".gitattributes", *(f"d{i}" for i in range(3)), *(f"d{i}/f{j}.txt" for i in range(3) for j in range(4))}
    assert {t.last_commit.title for t in tree if t.path != ".gitattributes"} == {"tree"}
    assert [t.path for t in api.list_repo_tree(name, path_in_repo="d1")] == [f"d1/f{j}.txt" for j in range(4)]
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(name, path_in_repo="none"))
    info = api.get_paths_info(name, ["d1", "d1/f2.txt", "none"])
    assert {i.path for i in info} == {"d1", "d1/f2.txt"}
    with hub.http() as c:
        pages, url = [], f"/api/models/{name}/tree/main?recursive=true&limit=5"
        while url:
            r = c.get(url)
            pages += [e["path"] for e in r.json()]
            url = r.links["next"]["url"] if "next" in r.links else None
        assert sorted(pages) == sorted(t.path for t in tree)


def test_file_system(hub, name):
    fs = HfFileSystem(endpoint=hub.url, token=hub.tokens["alice"])
    with fs.open(f"{name}/notes/a.txt", "w") as f:
        f.write("by the file system\n")
    assert fs.read_text(f"{name}/notes/a.txt") == "by the file system\n"
    assert fs.ls(f"{name}/notes", detail=False) == [f"{name}/notes/a.txt"] and fs.glob(f"{name}/**/*.txt") == [f"{name}/notes/a.txt"]
    fs.cp_file(f"{name}/notes/a.txt", f"{name}/notes/b.txt")
    fs.rm(f"{name}/notes/a.txt")
    assert fs.ls(f"{name}/notes", detail=False, refresh=True) == [f"{name}/notes/b.txt"]


def test_moved_and_removed(hub, name):
    api = hub.api("alice")
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=name)
    api.move_repo(from_id=name, to_id="lab/moved-here")
    assert api.model_info(name).id == "lab/moved-here", "the old id leads there"
    with open(hf_hub_download(name, "x.txt", endpoint=hub.url, token=False, force_download=True)) as f:
        assert f.read() == "x"
    api.create_repo("alice/in-the-way")
    with pytest.raises(HfHubHTTPError, match="A model repository called .* already exists"):
        api.move_repo(from_id="lab/moved-here", to_id="alice/in-the-way")
    with pytest.raises(HfHubHTTPError):
        hub.api("bob").delete_repo("lab/moved-here")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(name)  # the old id does not lead to what would be lost
    api.delete_repo("lab/moved-here")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("lab/moved-here")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("lab/moved-here")
    api.delete_repo("lab/moved-here", missing_ok=True)


def test_private_ones(hub, name):
    api = hub.api("alice")
    api.update_repo_settings(name, visibility="private")
    assert api.model_info(name).private
    for user in (None, "bob"):
        with pytest.raises(RepositoryNotFoundError):
            hub.api(user).model_info(name)
        assert not hub.api(user).repo_exists(name)
    assert hub.api("root").model_info(name).private


def test_bodies_that_are_no_commit(hub, name):
    with hub.http("alice") as c:
        url = f"/api/models/{name}/commit/main"
        head = '{"key":"header","value":{"summary":"s"}}\n'
        for body, status in ((b"", 400), (b"{", 400), (b"[]\n", 400), (head.encode() + b'{"key":"file","value":{"path":"a"}}', 400),
                             (head.encode() + b'{"key":"file","value":{"path":"../a","content":"x"}}', 422), (head.encode() * 2, 400),
                             (head.encode() + b'{"key":"lfsFile","value":{"path":"a.bin","algo":"sha256","oid":"' + b"0" * 64 + b'","size":3}}', 400),
                             (b'{"key":"file","value":{"path":"a","content":"x"}}', 400), (b"\xff\xfe", 400)):
            r = c.post(url, content=body, headers={"Content-Type": "application/x-ndjson"})
            assert r.status_code == status and r.json()["error"], (body, r.status_code, r.text)
    assert hub.api().list_repo_files(name) == [".gitattributes"]
    with pytest.raises(BadRequestError):
        hub.api("alice").model_info(name, expand=["nonsense"])


def test_an_old_address_leads_to_the_same_place(hub, request):
    old = repo_name(request)
    new, api = old + "-new", hub.api("alice")
    for kind in ("model", "dataset"):
        api.create_repo(old, repo_type=kind)
        api.move_repo(old, new, repo_type=kind)
    http, name = hub.http(follow_redirects=False), old.split("/")[1]
    for path, want in [(f"/api/models/{old}", f"/api/models/{new}"), (f"/api/datasets/{old}/tree/main/a%2Fb?recursive=1", f"/api/datasets/{new}/tree/main/a%2Fb?recursive=1"),
                       (f"/{old}.git/info/refs?service=git-upload-pack", f"/{new}.git/info/refs?service=git-upload-pack"),
                       (f"/{old}/resolve/main/{old}/x", f"/{new}/resolve/main/{old}/x"), (f"/datasets/{old}/resolve/main/x", f"/datasets/{new}/resolve/main/x"),
                       (f"/api/models/%61lice/{name}/refs", f"/api/models/{new}/refs"), (f"/ALICE/{name}/raw/main/x", f"/{new}/raw/main/x")]:
        r = http.get(path)
        assert (r.status_code, r.headers.get("Location")) == (307, want), path
