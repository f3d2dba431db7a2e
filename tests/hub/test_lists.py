"""Cards become tags; lists find repositories by them and show nobody what is not theirs."""
import json

import pytest
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

CARD = """---
license: apache-2.0
language: [en, de]
library_name: transformers
pipeline_tag: text-generation
datasets: [lab/words]
base_model: lab/base
tags: [poetry]
---
# A model
See arXiv:2401.00001.
"""
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8}


@pytest.fixture(scope="module")
def filled(own_hub):
    """lab/poet has a card, lab/secret is private, alice/plain has nothing; 25 small ones to page through."""
    lab = own_hub.api("alice")
    lab.create_repo("lab/poet")
    lab.upload_file(path_or_fileobj=CARD.encode(), path_in_repo="README.md", repo_id="lab/poet")
    lab.upload_file(path_or_fileobj=json.dumps(CONFIG).encode(), path_in_repo="config.json", repo_id="lab/poet")
    lab.create_repo("lab/secret", private=True)
    lab.upload_file(path_or_fileobj=b"---\nlicense: mit\ntags: [hidden-tag]\n---\n", path_in_repo="README.md", repo_id="lab/secret")
    lab.create_repo("alice/plain")
    lab.create_repo("alice/own", private=True)
    lab.create_repo("lab/gated")
    lab.update_repo_settings("lab/gated", gated="manual")
    lab.create_repo("lab/words", repo_type="dataset")
    lab.upload_file(path_or_fileobj=b"---\nlanguage: [en]\ntask_categories: [translation]\nsize_categories: [n<1K]\n---\n",
                    path_in_repo="README.md", repo_id="lab/words", repo_type="dataset")
    lab.create_repo("lab/page", repo_type="space", space_sdk="static")
    for i in range(25):
        own_hub.api("bob").create_repo(f"bob/many-{i:02}")
    return own_hub


def ids(rows):
    return [r.id for r in rows]


def test_the_card_of_main_becomes_facts(filled):
    info = filled.api().model_info("lab/poet")
    assert info.card_data.license == "apache-2.0" and info.card_data.language == ["en", "de"]
    assert (info.pipeline_tag, info.library_name) == ("text-generation", "transformers")
    assert {"transformers", "text-generation", "poetry", "en", "de", "license:apache-2.0", "dataset:lab/words", "base_model:lab/base",
            "arxiv:2401.00001", "llama"} <= set(info.tags)
    assert info.config == {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    assert {s.rfilename for s in info.siblings} == {".gitattributes", "README.md", "config.json"}


def test_facts_are_those_of_the_revision_asked_for(filled):
    api = filled.api()
    first = filled.api().list_repo_commits("lab/poet")[-1].commit_id
    old = api.model_info("lab/poet", revision=first)
    assert old.sha == first and not old.card_data and old.pipeline_tag is None


def test_a_changed_card_changes_the_lists(filled):
    api = filled.api("bob")
    api.create_repo("bob/changing")
    for word in ("first-word", "second-word"):
        api.upload_file(path_or_fileobj=f"---\ntags: [{word}]\n---\n".encode(), path_in_repo="README.md", repo_id="bob/changing")
    assert ids(api.list_models(filter="second-word")) == ["bob/changing"]
    assert ids(api.list_models(filter="first-word")) == []
    api.move_repo("bob/changing", "bob/renamed-thing")
    assert ids(api.list_models(search="renamed-thing")) == ["bob/renamed-thing"] and ids(api.list_models(search="changing")) == []
    api.super_squash_history("bob/renamed-thing")
    assert ids(api.list_models(filter="second-word")) == ["bob/renamed-thing"]
    api.delete_file("README.md", "bob/renamed-thing")
    assert ids(api.list_models(filter="second-word")) == []
    api.delete_repo("bob/renamed-thing")
    assert ids(api.list_models(search="renamed-thing")) == []


def test_a_card_that_cannot_be_read_is_none(filled):
    api = filled.api("bob")
    api.create_repo("bob/broken")
    head = [{"key": "header", "value": {"summary": "by hand"}},
            {"key": "file", "value": {"path": "README.md", "encoding": "utf-8", "content": "---\na: [\n---\n# arXiv:2401.00002\n"}}]
    r = filled.http("bob").post("/api/models/bob/broken/commit/main", content="\n".join(map(json.dumps, head)),
                                headers={"Content-Type": "application/x-ndjson"})
    assert r.status_code == 200, r.text
    info = api.model_info("bob/broken")
    assert not info.card_data and info.tags == ["arxiv:2401.00002"]
    api.delete_repo("bob/broken")


@pytest.mark.parametrize("ask, found", [
    (dict(author="lab"), ["lab/gated", "lab/poet"]),
    (dict(author="LAB"), ["lab/gated", "lab/poet"]),
    (dict(author="nobody"), []),
    (dict(search="poe"), ["lab/poet"]),
    (dict(search="LAB/P"), ["lab/poet"]),
    (dict(search="po"), ["lab/poet"]),
    (dict(search='"; DROP'), []),
    (dict(filter="poetry"), ["lab/poet"]),
    (dict(filter=["poetry", "en"]), ["lab/poet"]),
    (dict(filter=["poetry", "fr"]), []),
    (dict(filter="license:apache-2.0"), ["lab/poet"]),
    (dict(trained_dataset="lab/words"), ["lab/poet"]),
    (dict(pipeline_tag="text-generation"), ["lab/poet"]),
    (dict(pipeline_tag="poetry"), []),
    (dict(gated=True), ["lab/gated"]),
    (dict(gated=False, author="lab"), ["lab/poet"]),
    (dict(author="lab", search="poet", filter="poetry", pipeline_tag="text-generation"), ["lab/poet"]),
    (dict(inference="warm"), []),
])
def test_lists_find_what_fits_all_conditions(filled, ask, found):
    assert sorted(ids(filled.api().list_models(**ask))) == found


def test_datasets_and_spaces_have_lists_of_their_own(filled):
    api = filled.api()
    assert ids(api.list_datasets()) == ["lab/words"] and ids(api.list_spaces()) == ["lab/page"]
    assert ids(api.list_datasets(filter="task_categories:translation", language="en", size_categories="n<1K")) == ["lab/words"]
    assert ids(api.list_datasets(language="fr")) == []


@pytest.mark.parametrize("user, sees", [(None, set()), ("bob", set()), ("rita", {"lab/secret"}), ("wendy", {"lab/secret"}),
                                        ("alice", {"lab/secret", "alice/own"}), ("root", {"lab/secret", "alice/own"})])
def test_private_repositories_are_listed_to_those_who_may_read_them(filled, user, sees):
    private = {"lab/secret", "alice/own"}
    api = filled.api(user)
    for ask in (dict(), dict(sort="created_at"), dict(search="lab/secret"), dict(search="own"), dict(author="lab"), dict(author="alice"),
                dict(filter="hidden-tag")):
        got = set(ids(api.list_models(**ask))) & private
        fits = {"lab/secret"} if ask.get("search") == "lab/secret" or ask.get("author") == "lab" or "filter" in ask else \
            {"alice/own"} if "search" in ask or "author" in ask else private
        assert got == sees & fits, ask


def test_a_token_for_one_repository_lists_no_other_private_one(filled):
    token = filled.token("alice", "--read", "--repo", "lab/secret")
    rows = filled.http(token=token).get("/api/models").json()
    assert {r["id"] for r in rows if r["private"]} == {"lab/secret"}


def test_pages_are_whole_and_have_absolute_links(filled):
    seen, url = [], f"{filled.url}/api/models?author=bob&sort=createdAt&limit=10"
    sizes = []
    while url:
        r = filled.http().get(url)
        sizes.append(len(r.json()))
        seen += [x["id"] for x in r.json()]
        url = r.links.get("next", {}).get("url")
        assert url is None or url.startswith(filled.url + "/api/models?") and "author=bob" in url
    assert sizes == [10, 10, 5] and seen == [f"bob/many-{i:02}" for i in reversed(range(25))]
    assert filled.http().get("/api/models?cursor=zz").status_code == 400
    assert len(list(filled.api().list_models(author="bob", limit=7))) == 7


def test_items_have_what_is_asked_for(filled):
    api = filled.api()
    plain = filled.http().get("/api/models?search=lab/poet").json()[0]
    assert set(plain) == {"_id", "id", "modelId", "private", "gated", "downloads", "likes", "trendingScore", "tags", "pipeline_tag",
                          "library_name", "createdAt"}
    full = next(iter(api.list_models(search="lab/poet", full=True)))
    assert full.author == "lab" and len(full.sha) == 40 and full.last_modified and len(full.siblings) == 3
    assert next(iter(api.list_models(search="lab/poet", cardData=True))).card_data.license == "apache-2.0"
    assert next(iter(api.list_models(search="lab/poet", fetch_config=True))).config["model_type"] == "llama"
    some = filled.http().get("/api/models?search=lab/poet&expand=likes&expand=sha").json()[0]
    assert set(some) == {"_id", "id", "likes", "sha"}
    with pytest.raises((BadRequestError, HfHubHTTPError)):
        list(api.list_models(expand=["nonsense"]))
    for bad in ("sort=size", "direction=1", "&".join(f"filter=a{i}" for i in range(40))):
        assert filled.http().get("/api/models?" + bad).status_code == 400, bad
    assert filled.http().get("/api/models?num_parameters=min:3B").status_code == 501


def test_every_property_of_the_client_may_be_asked_for(filled):
    import typing

    from huggingface_hub import hf_api
    api = filled.api()
    api.model_info("lab/poet", expand=list(typing.get_args(hf_api.ExpandModelProperty_T)))
    api.dataset_info("lab/words", expand=list(typing.get_args(hf_api.ExpandDatasetProperty_T)))
    api.space_info("lab/page", expand=list(typing.get_args(hf_api.ExpandSpaceProperty_T)))


def test_tags_by_type_hold_those_of_public_repositories(filled):
    tags = filled.api().get_model_tags()
    assert {"id": "license:apache-2.0", "label": "apache-2.0", "type": "license"} in tags["license"]
    assert {"id": "text-generation", "label": "text-generation", "type": "pipeline_tag"} in tags["pipeline_tag"]
    assert {"id": "transformers", "label": "transformers", "type": "library"} in tags["library"]
    assert "en" in [t["id"] for t in tags["language"]] and "dataset:lab/words" in [t["id"] for t in tags["dataset"]]
    assert "poetry" in [t["id"] for t in tags["other"]] and "transformers" not in [t["id"] for t in tags["other"]]
    assert "hidden-tag" not in json.dumps(tags)
    assert "language:en" in [t["id"] for t in filled.api().get_dataset_tags()["language"]]
