"""Models of the hub, asked for through the OpenAI and Ollama interfaces: whoever may read a repository may ask its model, for all
others it is not there."""
import pytest
from conftest import repo_name
from running import PROMPT, answer, cloche, push, push_ggufs, save_llama, tiny_models
from serving import Server


@pytest.fixture(scope="module")
def llamas(tmp_path_factory):
    at = tmp_path_factory.mktemp("llamas")
    return [save_llama(at / str(seed), seed) for seed in (11, 12)]


def complete(c, model, **more):
    return c.post("/v1/completions", json={"model": model, "prompt": PROMPT, "max_tokens": 8, "temperature": 0, **more})


def text(c, model):
    r = complete(c, model)
    assert r.status_code == 200, r.text
    return r.json()["choices"][0]["text"]


def ids(c):
    return {m["id"] for m in c.get("/v1/models").json()["data"]}


def tags(c):
    return {m["name"] for m in c.get("/api/tags").json()["models"]} | {m["name"] for m in c.get("/api/ps").json()["models"]}


def said(hub, model):
    return answer(hub.data, model).rstrip("\n")


def test_a_public_model_on_demand(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[0], name)
    with hub.http("bob") as c:
        assert text(c, name).rstrip("\n") == said(hub, llamas[0])
        assert text(c, name.upper()) == text(c, name + ":latest") == text(c, name + "@main") == text(c, name)
        assert name in ids(c) and name + ":latest" in tags(c)
        r = c.post("/api/generate", json={"model": name, "prompt": PROMPT, "raw": True, "stream": False, "options": {"num_predict": 8, "temperature": 0}})
        assert r.status_code == 200 and r.json()["response"] == text(c, name)
        chat = c.post("/v1/chat/completions", json={"model": name, "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]})
        assert chat.status_code == 200 and chat.json()["model"] == name
        with c.stream("POST", "/v1/completions", json={"model": name, "prompt": PROMPT, "max_tokens": 4, "stream": True}) as s:
            assert s.status_code == 200 and "data: [DONE]" in s.read().decode()


def test_what_is_known_before_it_is_opened(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[0], name)
    with hub.http("bob") as c:
        r = c.get(f"/v1/models/{name}")
        assert r.status_code == 200 and r.json()["id"] == name and r.json()["meta"]["n_embd"] == 64
        r = c.post("/api/show", json={"model": name})
        assert r.status_code == 200 and r.json()["details"]["family"] == "llama"
        assert name not in {m["name"].removesuffix(":latest") for m in c.get("/api/ps").json()["models"]}
        assert c.get(f"/v1/models/{name}-no").status_code == 404


def test_a_model_moves_on_with_its_branch(hub, llamas, request):
    name = repo_name(request)
    first = push(hub, llamas[0], name)
    hub.api("alice").create_tag(name, tag="v1")
    with hub.http("bob") as c:
        one = text(c, name)
        push(hub, llamas[1], name)
        two = text(c, name)
        assert one != two and two.rstrip("\n") == said(hub, llamas[1])
        assert text(c, name + "@v1") == text(c, f"{name}@{first}") == text(c, f"{name}@{first[:8]}") == one
        r = complete(c, name + "@v9")
        assert r.status_code == 404 and "no revision 'v9'" in r.json()["error"]["message"]


def test_files_of_a_repository_of_ggufs(hub, request, tmp_path):
    name = repo_name(request)
    push_ggufs(hub, name, {"tiny-Q8_0.gguf": "q8_0", "tiny-Q4_0.gguf": "q4_0"})
    with hub.http("bob") as c:
        r = complete(c, name)
        assert r.status_code == 400 and "tiny-Q8_0.gguf" in r.json()["error"]["message"]
        assert complete(c, name + ":Q5_0").status_code == 404
        for tag, kind in (("Q8_0", "q8_0"), ("q4_0", "q4_0")):
            (tmp_path / kind).write_bytes(tiny_models.model_bytes(kind))
            assert text(c, f"{name}:{tag}").rstrip("\n") == said(hub, tmp_path / kind)
        assert f"{name}:Q8_0" in ids(c) and f"{name}:Q8_0" in tags(c)


def test_a_private_model_is_absent_for_others(hub, llamas, request):
    name = "lab/" + repo_name(request).split("/")[1]
    push(hub, llamas[0], name, private=True)
    scoped = hub.token("alice", "--write", "--repo", name, "--name", "one repository")
    with hub.http("bob") as bob, hub.http("rita") as rita, hub.http("root") as root, hub.http(token=scoped) as one:
        for round in ("closed", "open"):
            for ask in (lambda c: complete(c, name), lambda c: c.get(f"/v1/models/{name}"), lambda c: c.post("/api/show", json={"model": name}),
                        lambda c: c.post("/api/generate", json={"model": name, "prompt": ""}),
                        lambda c: c.post("/api/generate", json={"model": name, "prompt": "", "keep_alive": 0}),
                        lambda c: c.post("/tokenize", json={"model": name, "prompt": "a"}),
                        lambda c: c.post("/v1/embeddings", json={"model": name, "input": "a"})):
                r, nothing = ask(bob), ask(bob).text
                assert r.status_code == 404, (round, r.text)
                assert complete(bob, name + "-none").status_code == 404
                assert nothing.replace(name, "X") == r.text.replace(name, "X")
            assert complete(bob, name).text.replace(name, "X") == complete(bob, name + "-none").text.replace(name + "-none", "X")
            assert name not in ids(bob) and name + ":latest" not in tags(bob) and name not in bob.get("/metrics").text
            assert complete(one, name).status_code == 403  # as for every model: a token for one repository opens none
            assert text(rita, name).rstrip("\n") == text(root, name).rstrip("\n") == said(hub, llamas[0])
        assert name in ids(rita) and name + ":latest" in tags(rita)
        hub.cli("org", "remove-member", "lab", "rita")
        try:
            assert complete(rita, name).status_code == 404 and name not in ids(rita) and name + ":latest" not in tags(rita)
        finally:
            hub.cli("org", "add-member", "lab", "rita", "--role", "read")


def test_a_gated_model_is_for_who_was_accepted(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[0], name)
    hub.api("alice").update_repo_settings(name, gated="auto")
    with hub.http("bob") as bob, hub.http("alice") as alice:
        assert text(alice, name)
        assert complete(bob, name).status_code == 404 and name not in ids(bob)
        assert bob.post(f"/{name}/ask-access").status_code < 400
        assert text(bob, name) and name in ids(bob)


def test_a_model_that_goes(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[0], name)
    with hub.http("bob") as c:
        said_once = text(c, name)
        hub.api("alice").move_repo(name, name + "-moved")
        assert text(c, name) == text(c, name + "-moved") == said_once
        hub.api("alice").delete_repo(name + "-moved")
        assert complete(c, name).status_code == complete(c, name + "-moved").status_code == 404
        assert not {name, name + "-moved"} & ids(c)


def test_a_receipt_of_a_private_model(hub, request, tmp_path):
    name = repo_name(request)
    push(hub, save_llama(tmp_path, 13), name, private=True)  # no other repository has it
    with hub.http("alice") as alice, hub.http("bob") as bob:
        receipt = complete(alice, name, x_receipt=True).json()["choices"][0]["x_receipt"]["text"]
        r = alice.post("/v1/receipts/replay", content=receipt)
        assert r.status_code == 200 and r.json()["same"], r.text
        r = bob.post("/v1/receipts/replay", content=receipt)
        assert r.status_code == 404 and name not in r.text


def test_a_receipt_is_replayed_by_a_server_that_never_had_the_model_open(hub, llamas, request, tmp_path):
    name, data = repo_name(request), tmp_path / "own"
    push(hub, llamas[1], name)
    cloche(data, "pull", name, "--from", hub.url)
    answer(data, name, "--receipt", tmp_path / "r")
    s = Server(data)
    try:
        with s.http() as c:
            r = c.post("/v1/receipts/replay", content=(tmp_path / "r").read_bytes())
            assert r.status_code == 200 and r.json()["same"] and r.json()["model"].startswith(name), r.text
    finally:
        assert s.stop() == 0, s.errors


def test_two_names_of_the_same_bytes(tmp_path):
    for n in ("one", "two"):
        (tmp_path / f"{n}.gguf").write_bytes(tiny_models.model_bytes("q8_0"))
    s = Server(tmp_path / "data", "--model", tmp_path / "one.gguf", "--model", tmp_path / "two.gguf")
    try:
        with s.http() as c:
            for n in ("one", "two"):
                receipt = complete(c, n, x_receipt=True).json()["choices"][0]["x_receipt"]["text"]
                r = c.post("/v1/receipts/replay", content=receipt)
                assert r.status_code == 200 and r.json()["same"], r.text
    finally:
        assert s.stop() == 0, s.errors


def test_a_key_with_a_list_of_models(hub, llamas, request):
    name = repo_name(request)
    push(hub, llamas[0], name)
    push(hub, llamas[0], name + "-other")
    key = hub.cli("key", "add", "listed", "--models", name).split()[0]
    with hub.http(token=key) as c:
        assert text(c, name) == text(c, name + "@main")
        assert complete(c, name + "-other").status_code == 403


def test_named_when_the_server_starts(hub, llamas, request, tmp_path):
    name, data = repo_name(request), tmp_path / "own"
    first = push(hub, llamas[0], name)
    cloche(data, "pull", name, "--from", hub.url)
    s = Server(data, "--model", f"{name}@{first[:10]}")
    try:
        with s.http() as c:
            assert text(c, f"{name}@{first[:10]}").rstrip("\n") == said(hub, llamas[0])
            assert f"{name}@{first[:10]}" in ids(c)
            assert text(c, name) == text(c, f"{name}@{first[:10]}")
    finally:
        assert s.stop() == 0, s.errors
    told = cloche(data, "serve", "--model", "alice/nothing", "--listen", "127.0.0.1:0", code=4)
    assert "alice/nothing" in told


def test_a_sealed_server(hub, llamas, request, tmp_path):
    name, data = repo_name(request), tmp_path / "own"
    push(hub, llamas[0], name)
    cloche(data, "pull", name, "--from", hub.url)
    s = Server(data, "--sealed")
    try:
        with s.http() as c:
            assert text(c, name).rstrip("\n") == said(hub, llamas[0])
    finally:
        assert s.stop() == 0, s.errors
