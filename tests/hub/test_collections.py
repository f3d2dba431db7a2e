"""Collections, by huggingface_hub's own methods, its `hf collections`, and requests that no client sends."""
import json
import os
import re
import subprocess
import sys

import pytest
from huggingface_hub.errors import HfHubHTTPError


def status(call, *args, **kw):
    with pytest.raises(HfHubHTTPError) as e:
        call(*args, **kw)
    return e.value.response.status_code


def ids(collection):
    return [i.item_id for i in collection.items]


@pytest.fixture(scope="module")
def hub(own_hub):
    for name, kind, private in (("lab/one", "model", False), ("lab/rows", "dataset", False), ("lab/app", "space", False),
                                ("lab/hidden", "model", True), ("alice/own", "model", True)):
        own_hub.api("alice").create_repo(name, repo_type=kind, private=private, **({"space_sdk": "static"} if kind == "space" else {}))
    return own_hub


@pytest.fixture
def api(hub):
    return hub.api("alice")


def test_a_collection_is_made_changed_and_removed(api):
    made = api.create_collection("Recent Models, 2026!", description="What we read")
    assert re.fullmatch(r"alice/recent-models-2026-[0-9a-f]{24}", made.slug) and made.url.endswith("/collections/" + made.slug)
    assert (made.title, made.description, made.private, made.items, made.position, made.upvotes) == ("Recent Models, 2026!", "What we read", False, [], 0, 0)
    assert made.owner["name"] == "alice" and made.owner["type"] == "user" and made.last_updated.year >= 2024
    assert status(api.create_collection, "Recent Models, 2026!") == 409
    assert api.create_collection("Recent Models, 2026!", exists_ok=True).slug == made.slug
    changed = api.update_collection_metadata(made.slug, title="Älter", description="", theme="pink", private=True)
    assert changed.slug == "alice/lter" + made.slug[-25:] and (changed.title, changed.description, changed.theme) == ("Älter", None, "pink")
    assert changed.private
    assert api.get_collection(made.slug).slug == changed.slug, "the old slug leads on"
    assert api.update_collection_metadata(made.slug).title == "Älter", "what is not named stays"
    api.delete_collection(made.slug)
    assert status(api.get_collection, made.slug) == 404 and status(api.delete_collection, made.slug) == 404
    api.delete_collection(made.slug, missing_ok=True)


def test_items_are_added_noted_moved_and_removed(api):
    slug = api.create_collection("With items", namespace="lab").slug
    assert slug.startswith("lab/with-items-")
    assert [(i.item_id, i.item_type, i.note, i.position) for i in api.add_collection_item(slug, "lab/one", "model", note="<the> small & one").items] == [
        ("lab/one", "model", "<the> small & one", 0)]
    api.add_collection_item(slug, "datasets/lab/rows", "dataset")
    api.add_collection_item(slug, "lab/app", "space")
    assert ids(api.get_collection(slug)) == ["lab/one", "lab/rows", "lab/app"]
    assert status(api.add_collection_item, slug, "lab/one", "model") == 409
    assert ids(api.add_collection_item(slug, "lab/one", "model", exists_ok=True)) == ["lab/one", "lab/rows", "lab/app"]
    assert status(api.add_collection_item, slug, "lab/one", "dataset") == 404
    assert status(api.add_collection_item, slug, "2307.09288", "paper") == 404 and status(api.add_collection_item, slug, "lab/b", "bucket") == 404
    one, rows, app = api.get_collection(slug).items
    api.update_collection_item(slug, one.item_object_id, note="New note", position=1)
    got = api.get_collection(slug)
    assert ids(got) == ["lab/rows", "lab/one", "lab/app"] and got.items[1].note == "New note" and [i.position for i in got.items] == [0, 1, 2]
    api.update_collection_item(slug, app.item_object_id, position=0)
    api.update_collection_item(slug, rows.item_object_id, position=99)
    assert ids(api.get_collection(slug)) == ["lab/app", "lab/one", "lab/rows"]
    api.update_collection_item(slug, one.item_object_id, note="")
    assert api.get_collection(slug).items[1].note is None
    api.delete_collection_item(slug, one.item_object_id)
    assert ids(api.get_collection(slug)) == ["lab/app", "lab/rows"]
    assert status(api.delete_collection_item, slug, one.item_object_id) == 404
    api.delete_collection_item(slug, one.item_object_id, missing_ok=True)
    assert status(api.update_collection_item, slug, one.item_object_id, position=0) == 404


def test_collections_are_in_collections(hub, api):
    inner = api.create_collection("Inner", private=True)
    outer = api.create_collection("Outer")
    api.add_collection_item(outer.slug, inner.slug, "collection")
    api.add_collection_item(outer.slug, outer.slug[-24:], "collection")
    assert ids(api.get_collection(outer.slug)) == [inner.slug, outer.slug]
    raw = hub.http("alice").get(f"/api/collections/{outer.slug}").json()["items"]
    assert raw[0]["id"] == inner.slug[-24:] and raw[0]["numberItems"] == 0 and raw[1]["numberItems"] == 2
    assert ids(hub.api("bob").get_collection(outer.slug)) == [outer.slug]
    assert hub.http("bob").get(f"/api/collections/{outer.slug}").json()["items"][0]["numberItems"] == 1, "what is hidden is not counted"
    assert status(hub.api("bob").add_collection_item, hub.api("bob").create_collection("Bob's").slug, inner.slug, "collection") == 404
    api.delete_collection(inner.slug)
    assert ids(api.get_collection(outer.slug)) == [outer.slug]


def test_what_one_may_not_see_is_not_shown(hub, api):
    slug = api.create_collection("Mixed", namespace="lab").slug
    for name in ("lab/one", "alice/own", "lab/hidden"):
        api.add_collection_item(slug, name, "model")
    api.add_collection_item(slug, "lab/rows", "dataset")
    assert ids(api.get_collection(slug)) == ["lab/one", "alice/own", "lab/hidden", "lab/rows"]
    assert ids(hub.api("wendy").get_collection(slug)) == ["lab/one", "lab/hidden", "lab/rows"]
    for other in (hub.api("bob"), hub.api()):
        seen = other.get_collection(slug)
        assert ids(seen) == ["lab/one", "lab/rows"] and [i.position for i in seen.items] == [0, 1]
    wendy = hub.api("wendy")
    wendy.update_collection_item(slug, wendy.get_collection(slug).items[2].item_object_id, position=1)
    assert ids(wendy.get_collection(slug)) == ["lab/one", "lab/rows", "lab/hidden"]
    assert ids(api.get_collection(slug)) == ["lab/one", "alice/own", "lab/rows", "lab/hidden"], "before the one that wendy sees there"
    hidden = api.get_collection(slug).items[1].item_object_id
    assert status(wendy.delete_collection_item, slug, hidden) == 404 and status(wendy.add_collection_item, slug, "alice/own", "model") == 404
    for item in ("models/lab/hidden", "models/alice/own", "models/lab/none"):
        assert slug not in [x.slug for x in hub.api("bob").list_collections(item=item)]
    assert slug in [x.slug for x in wendy.list_collections(item="models/lab/hidden")]
    assert slug not in [x.slug for x in wendy.list_collections(item="models/alice/own")]


def test_a_renamed_repository_stays_and_a_removed_one_goes(api):
    slug = api.create_collection("Moves").slug
    for name in ("alice/before", "alice/gone"):
        api.create_repo(name)
        api.add_collection_item(slug, name, "model")
    api.move_repo("alice/before", "alice/after")
    assert ids(api.get_collection(slug)) == ["alice/after", "alice/gone"]
    assert status(api.add_collection_item, slug, "alice/before", "model") == 409, "by its old name, too"
    api.delete_repo("alice/gone")
    assert ids(api.get_collection(slug)) == ["alice/after"]


def test_who_may(hub, api):
    slug = api.create_collection("Of the lab", namespace="lab", private=True).slug
    for name in ("wendy", "rita", "root"):
        assert hub.api(name).get_collection(slug).private
    assert status(hub.api("bob").get_collection, slug) == 404 and status(hub.api().get_collection, slug) == 401
    assert status(hub.api("rita").update_collection_metadata, slug, title="x") == 403
    assert hub.api("wendy").update_collection_metadata(slug, description="by wendy").description == "by wendy"
    assert status(hub.api("bob").create_collection, "Mine", namespace="lab") == 403
    assert status(hub.api("rita").create_collection, "Mine", namespace="lab") == 403
    assert status(hub.api("rita").create_collection, "Mine", namespace="nobody") == 403
    scoped = hub.http(token=hub.token("alice", "--write", "--repo", "lab/one", "--name", "scoped"))
    assert scoped.get(f"/api/collections/{slug}").status_code == 404
    assert scoped.post("/api/collections", json={"title": "x", "namespace": "alice"}).status_code == 403
    hub.cli("user", "add", "connie", "--password-stdin", given="correct horse\n")
    hub.cli("org", "add-member", "lab", "connie", "--role", "contributor")
    connie = hub.http(token=hub.token("connie", "--write"))
    own = connie.post("/api/collections", json={"title": "Connie's", "namespace": "lab"}).json()["slug"]
    assert connie.patch(f"/api/collections/{own}", json={"title": "Still hers"}).status_code == 200
    assert connie.patch(f"/api/collections/{slug}", json={"title": "Not hers"}).status_code == 403
    assert connie.delete(f"/api/collections/{own}").status_code == 200
    api.delete_collection(slug)


def test_lists(hub, api):
    bob = hub.api("bob")
    made = [bob.create_collection(f"List {i}", description="even" if i % 2 == 0 else "odd", private=i == 5).slug for i in range(7)]
    for slug in made[:3]:
        bob.add_collection_item(slug, "lab/one", "model")
    mine = [c.slug for c in bob.list_collections(owner="bob") if c.title.startswith("List")]
    assert mine == made[::-1], "the latest stands first"
    assert made[5] not in [c.slug for c in api.list_collections(owner="bob")]
    assert {c.slug for c in api.list_collections(item="models/lab/one", owner=["bob", "nobody"])} == set(made[:3])
    assert list(api.list_collections(owner="nobody")) == [] and list(api.list_collections(item="models/lab/none")) == []
    bob.update_collection_metadata(made[0], position=1)
    bob.update_collection_metadata(made[6], position=99)
    order = [c.title for c in bob.list_collections(owner="bob") if c.title.startswith("List")]
    assert order == ["List 0", "List 5", "List 4", "List 3", "List 2", "List 1", "List 6"]
    assert bob.get_collection(made[4]).position == 2 and api.get_collection(made[4]).position == 1
    latest = [c.title for c in bob.list_collections(owner="bob", sort="lastModified") if c.title.startswith("List")]
    assert set(latest) == set(order)
    http = hub.http("bob")
    for sort in ("", "lastModified"):
        url, seen = f"/api/collections?owner=bob&limit=2&sort={sort}", []
        while url:
            r = http.get(url)
            assert len(r.json()) <= 2 and all("position" not in c for c in r.json())
            seen += [c["slug"] for c in r.json()]
            url = r.links.get("next", {}).get("url")
        assert len(seen) == len(set(seen)) and set(made) <= set(seen)
    assert [c.title for c in bob.list_collections(owner="bob", limit=2)] == [c.title for c in bob.list_collections(owner="bob")][:2]
    assert {c["title"] for c in http.get("/api/collections?owner=bob&q=ODD").json()} == {"List 1", "List 3", "List 5"}
    for i in range(4):
        api.create_repo(f"alice/extra-{i}")
    many = api.create_collection("Many").slug
    for i in range(4):
        api.add_collection_item(many, f"alice/extra-{i}", "model")
    api.add_collection_item(many, "lab/one", "model")
    (listed,) = [c for c in api.list_collections(owner="alice") if c.slug == many]
    assert len(listed.items) == 4 and len(api.get_collection(many).items) == 5
    assert http.get("/api/collections?sort=size").status_code == 400 and http.get("/api/collections?cursor=zz").status_code == 400


def test_bad_requests(hub, api):
    http = hub.http("alice")
    slug = api.create_collection("Bad requests").slug
    make = [({"title": ""}, 400), ({"title": " \t"}, 400), ({}, 400), ({"title": "a\nb"}, 400), ({"title": "t" * 101}, 400), ({"title": "ok", "description": "d" * 151}, 400),
            ({"title": "\u0000"}, 400), ({"title": "ok", "resourceGroupId": "0" * 24}, 501)]
    for body, want in make:
        r = http.post("/api/collections", json={"namespace": "alice", **body})
        assert r.status_code == want, (body, r.text)
    for body in ({"theme": "beige"}, {"position": -1}, {"position": "first"}, {"title": ""}):
        assert http.patch(f"/api/collections/{slug}", json=body).status_code == 400, body
    items = [({"item": {"type": "model", "id": "lab/one"}, "note": "n" * 501}, 400), ({"item": {"type": "user", "id": "alice"}}, 400), ({}, 400),
             ({"item": {"type": "model", "id": "../../x"}}, 404), ({"item": {"type": "model", "id": "lab/one/x/y"}}, 404), ({"item": "lab/one"}, 400),
             ({"item": {"type": "collection", "id": ""}}, 404), ({"item": {"type": "collection", "id": "a/b/c"}}, 404)]
    for body, want in items:
        r = http.post(f"/api/collections/{slug}/items", json=body)
        assert r.status_code == want, (body, r.text)
    assert api.get_collection(slug).items == []
    other = api.create_collection("Taken").slug
    r = http.patch(f"/api/collections/{slug}", json={"title": "Taken"})
    assert r.status_code == 409 and api.get_collection(slug).title == "Bad requests" and api.get_collection(other).title == "Taken"
    for path in ("alice/x", "alice/" + slug[-24:][:23], "lab/" + slug[6:], "alice/x" + slug[-24:]):
        assert http.get(f"/api/collections/{path}").status_code == 404, path
    assert http.get(f"/api/collections/ALICE/{slug[-24:]}").status_code == 200
    r = http.patch(f"/api/collections/{slug}/items/{'0' * 24}", json={"note": "x"})
    assert r.status_code == 404


def test_a_note_is_no_markup(hub, api):
    slug = api.create_collection("Notes").slug
    text = "<img src=x onerror=alert(1)> & \"'"
    api.add_collection_item(slug, "lab/one", "model", note=text)
    note = hub.http().get(f"/api/collections/{slug}").json()["items"][0]["note"]
    assert note == {"text": text, "html": "&lt;img src=x onerror=alert(1)&gt; &amp; &quot;&#39;"}


def test_the_facts_of_items(hub, api):
    slug = api.create_collection("Facts").slug
    api.add_collection_item(slug, "lab/one", "model")
    api.add_collection_item(slug, "lab/app", "space")
    assert hub.http("alice").post("/api/models/lab/one/like").status_code == 200
    one, app = hub.http("alice").get(f"/api/collections/{slug}").json()["items"]
    assert one["author"] == "lab" and one["repoType"] == "model" and one["likes"] == 1 and one["isLikedByUser"] and one["gated"] is False
    assert re.fullmatch("[0-9a-f]{24}", one["_id"]) and one["_id"] != app["_id"] and app["type"] == "space"
    assert hub.http("bob").get(f"/api/collections/{slug}").json()["items"][0]["isLikedByUser"] is False


def test_hf_collections(hub):
    def hf(*args):
        code = "import sys; from huggingface_hub.cli.hf import main; sys.argv[0] = 'hf'; main()"
        done = subprocess.run([sys.executable, "-c", code, "collections", *args, "--token", hub.tokens["wendy"]], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(hub.home)})
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done.stdout
    slug = re.search(r"wendy/by-hand-[0-9a-f]{24}", hf("create", "By hand", "--description", "from a shell")).group()
    hf("add-item", slug, "lab/one", "model", "--note", "first")
    hf("update", slug, "--title", "By hf", "--theme", "green")
    info = hub.api("wendy").get_collection(slug)
    assert (info.title, info.theme, ids(info)) == ("By hf", "green", ["lab/one"])
    item = info.items[0].item_object_id
    hf("update-item", slug, item, "--note", "second")
    assert json.loads(hf("info", slug))["items"][0]["note"] == "second" and "By hf" in hf("ls", "--owner", "wendy")
    hf("delete-item", slug, item)
    hf("delete", slug)
    assert list(hub.api("wendy").list_collections(owner="wendy")) == []


def test_a_removed_account_takes_its_collections_along(hub):
    hub.cli("user", "add", "leaver", "--password-stdin", given="correct horse\n")
    http = hub.http(token=hub.token("leaver", "--write"))
    slug = http.post("/api/collections", json={"title": "Bye"}).json()["slug"]
    assert hub.http().get(f"/api/collections/{slug}").status_code == 200
    hub.cli("user", "remove", "leaver")
    assert hub.http("bob").get(f"/api/collections/{slug}").status_code == 404
    assert json.loads(hub.cli("fsck", "--json"))["faults"] == 0
