"""What pages show of a repository: differences, headers of model files, rows of tables. Tables are compared with pyarrow."""
import base64
import json
import subprocess

import pytest
import tables as parquet
from conftest import repo_name
from huggingface_hub import CommitOperationAdd, CommitOperationDelete


def make(hub, request, repo_type=None):
    name = repo_name(request)
    hub.api("alice").create_repo(name, repo_type=repo_type)
    return name


def get(hub, path, status=200, user="alice", **params):
    r = hub.http(user).get(path, params=params)
    assert r.status_code == status, r.text
    return r.json()


def text_of(file):
    """The lines of a file of a diff, as git prints them."""
    return [mark + line for h in file["hunks"] for mark, line in h["lines"]]


def commit(hub, name, *operations):
    return hub.api("alice").create_commit(name, [CommitOperationAdd(o[0], o[1]) if isinstance(o, tuple) else CommitOperationDelete(o) for o in operations],
                                          commit_message="change").oid


def commit_small(hub, name, path, content):
    """A file that git has itself, whatever it is."""
    lines = [{"key": "header", "value": {"summary": "small"}},
             {"key": "file", "value": {"path": path, "encoding": "base64", "content": base64.b64encode(content).decode()}}]
    r = hub.http("alice").post(f"/api/models/{name}/commit/main", content="\n".join(map(json.dumps, lines)),
                               headers={"Content-Type": "application/x-ndjson"})
    assert r.status_code == 200, r.text


def test_a_diff_is_git_s(hub, request, tmp_path):
    name = make(hub, request)
    lines = [b"line %d\n" % i for i in range(100)]
    first = commit(hub, name, ("a.txt", b"".join(lines)), ("gone.txt", b"going\n"), ("old name.txt", b"".join(lines[:50])), ("bin", bytes(range(256))),
                   ("w.safetensors", b"x" * 100))
    lines[10] = b"<script>alert('10')</script>\n"
    lines[70:72] = [b"caf\xe9 in latin\n"]
    second = commit(hub, name, ("a.txt", b"".join(lines)), "gone.txt", "old name.txt", ("d/new name.txt", b"".join(lines[:10] + lines[11:50])),
                    ("bin", bytes(256)), ("w.safetensors", b"y" * 200), ("new.txt", b"no end"))
    d = get(hub, f"/api/models/{name}/diff/main")
    assert d["commit"]["id"] == second and d["commit"]["title"] == "change" and d["base"] == first and not d["truncated"]
    files = {f["path"]: f for f in d["files"]}
    assert {p: f["status"] for p, f in files.items()} == {"a.txt": "modified", "gone.txt": "removed", "d/new name.txt": "renamed", "bin": "modified",
                                                          "w.safetensors": "modified", "new.txt": "added"}
    assert files["d/new name.txt"]["old_path"] == "old name.txt" and files["a.txt"]["old_path"] is None
    assert files["bin"]["binary"] and files["bin"]["hunks"] == [] and files["bin"]["lfs"]["new"]["size"] == 256
    lfs = files["w.safetensors"]["lfs"]
    assert lfs["old"]["size"] == 100 and lfs["new"]["size"] == 200 and lfs["old"]["oid"] != lfs["new"]["oid"] and files["w.safetensors"]["binary"]
    a = files["a.txt"]
    assert (a["added"], a["removed"], len(a["hunks"])) == (2, 3, 2)
    subprocess.run(["git", "clone", "-q", hub.git_url(name, "alice"), tmp_path / "c"], check=True, env={"GIT_LFS_SKIP_SMUDGE": "1", "PATH": "/usr/bin:/bin"})
    for path in ("a.txt", "new.txt", "gone.txt"):
        out = subprocess.run(["git", "-C", tmp_path / "c", "diff", first, second, "--", path], capture_output=True, check=True).stdout
        shown = out.decode("utf-8", "replace").split("\n@@ ", 1)[1].split("\n")[1:-1]
        assert text_of(files[path]) == [s for s in shown if not s.startswith(("@@ ", "\\"))]
        assert [(h["old_start"], h["old_lines"], h["new_start"], h["new_lines"]) for h in files[path]["hunks"]][0] == tuple(
            int(x) for part in out.decode("utf-8", "replace").split("\n@@ -")[1].split(" @@")[0].split(" +") for x in (part.split(",") + ["1"])[:2])
    text = hub.http("alice").get(f"/{name}/commit/{second}.diff")
    assert text.headers["content-type"].startswith("text/plain") and "rename to d/new name.txt" in text.text
    assert hub.http("alice").get(f"/api/models/{name}/compare/{first}..{second}").text == text.text
    whole = get(hub, f"/api/models/{name}/diff/{first}")
    assert whole["base"] is not None and {f["status"] for f in whole["files"] if f["path"] != ".gitattributes"} == {"added"}
    root = get(hub, f"/api/models/{name}/diff/{whole['base']}")
    assert root["base"] is None and [f["path"] for f in root["files"]] == [".gitattributes"]
    assert get(hub, f"/api/models/{name}/diff/main", base=second)["files"] == []
    commit_small(hub, name, "small", b"a\0b")
    (small,) = get(hub, f"/api/models/{name}/diff/main")["files"]
    assert small["binary"] and small["hunks"] == [] and small["lfs"] is None
    get(hub, f"/api/models/{name}/diff/main", 404, base="nothing")
    get(hub, f"/api/models/{name}/diff/nothing", 404)
    get(hub, f"/api/models/{name}/compare/main", 400)


def test_a_diff_has_limits(hub, request):
    name = make(hub, request)
    oid = commit(hub, name, *[(f"many/{i}.txt", b"%d\n" % i) for i in range(320)])
    d = get(hub, f"/api/models/{name}/diff/{oid}")
    assert len(d["files"]) == 300 and d["n_files"] == 320 and d["truncated"]
    oid = commit(hub, name, ("long.txt", b"x\n" * 5000), ("wide.txt", b"\xc3\xa9" * 5000), ("large.txt", b"large\n" * 300000))
    files = {f["path"]: f for f in get(hub, f"/api/models/{name}/diff/{oid}")["files"]}
    assert len(text_of(files["long.txt"])) == 3000 and files["long.txt"]["added"] == 5000 and files["long.txt"]["truncated"]
    assert text_of(files["wide.txt"]) == ["+" + "é" * 2000] and files["wide.txt"]["truncated"]
    assert files["large.txt"]["hunks"] == [] and files["large.txt"]["truncated"] and not files["large.txt"]["binary"]


# --- headers of model files ---------------------------------------------------------------------------------------------

def make_weights(path, big=0):
    import torch
    from safetensors.torch import save_file
    tensors = {"model.embed.weight": torch.zeros(100, 8, dtype=torch.bfloat16), "model.norm.weight": torch.ones(8), "scalar": torch.tensor(3)}
    tensors |= {f"layer.{i}.weight": torch.zeros(2, 3, dtype=torch.float16) for i in range(big)}
    save_file(tensors, path, metadata={"format": "pt", "note": "<b>caf\u00e9</b>"})
    return tensors


@pytest.mark.parametrize("big", [0, 3000])
def test_a_safetensors_header(hub, request, tmp_path, big):
    """The same by the hub's route, by Hugging Face's client that reads ranges, and from the file."""
    name = make(hub, request)
    tensors = make_weights(tmp_path / "model.safetensors", big)
    hub.api("alice").upload_file(path_or_fileobj=tmp_path / "model.safetensors", path_in_repo="model.safetensors", repo_id=name)
    d = get(hub, f"/api/models/{name}/inspect/main/model.safetensors")
    assert d["format"] == "safetensors" and d["metadata"] == {"format": "pt", "note": "<b>caf\u00e9</b>"} and not d["truncated"]
    assert {t["name"]: (t["shape"], t["bytes"]) for t in d["tensors"]} == {k: (list(v.shape), v.numel() * v.element_size()) for k, v in tensors.items()}
    assert d["parameters"] == sum(v.numel() for v in tensors.values())
    theirs = hub.api("alice").get_safetensors_metadata(name)
    info = hub.api("alice").model_info(name)
    assert {t["name"]: t["dtype"] for t in d["tensors"]} == {k: v.dtype for f in theirs.files_metadata.values() for k, v in f.tensors.items()}
    assert info.safetensors.parameters == theirs.parameter_count and info.safetensors.total == d["parameters"]
    assert hub.api("alice").model_info(name, expand=["safetensors"]).safetensors.total == d["parameters"]


def test_shards_and_classes(hub, request, tmp_path):
    name = make(hub, request)
    for i in (1, 2):
        make_weights(tmp_path / f"model-0000{i}-of-00002.safetensors", big=i)
    (tmp_path / "other.safetensors").write_bytes(b"no header")
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8}')
    hub.api("alice").upload_folder(folder_path=tmp_path, repo_id=name)
    info = hub.api("alice").model_info(name)
    assert info.safetensors.parameters == {"BF16": 1600, "F32": 16, "I64": 2, "F16": 18} and info.safetensors.total == 1636
    assert (info.transformers_info.auto_model, info.transformers_info.pipeline_tag, info.transformers_info.processor) == (
        "AutoModelForCausalLM", "text-generation", "AutoTokenizer")
    assert info.config == {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    get(hub, f"/api/models/{name}/inspect/main/other.safetensors", 413)
    get(hub, f"/api/models/{name}/inspect/main/config.json", 400)
    get(hub, f"/api/models/{name}/inspect/main/none.safetensors", 404)
    before = info.sha
    hub.api("alice").delete_file("model-00002-of-00002.safetensors", name)
    assert hub.api("alice").model_info(name).safetensors.total == 815
    assert hub.api("alice").model_info(name, revision=before).safetensors.total == 1636


def make_gguf(path, n_tokens=20000):
    import gguf
    import numpy
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(2048)
    w.add_token_list([f"<token {i}>" for i in range(n_tokens)])
    w.add_token_scores([0.5] * n_tokens)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_chat_template("{{ messages }}")
    w.add_tensor("token_embd.weight", numpy.zeros((10, 32), dtype=numpy.float32))
    w.add_tensor("output_norm.weight", numpy.zeros(32, dtype=numpy.float16))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def test_a_gguf_header(hub, request, tmp_path):
    """Its vocabulary is far longer than what is read at first."""
    pytest.importorskip("gguf")
    name = make(hub, request)
    make_gguf(tmp_path / "m.gguf")
    hub.api("alice").upload_file(path_or_fileobj=tmp_path / "m.gguf", path_in_repo="m.gguf", repo_id=name)
    d = get(hub, f"/api/models/{name}/inspect/main/m.gguf")
    assert d["format"] == "gguf" and d["metadata"]["general.architecture"] == "llama" and d["metadata"]["llama.context_length"] == 2048
    assert d["metadata"]["tokenizer.ggml.tokens"] == {"elements": "str", "n": 20000, "first": [f"<token {i}>" for i in range(6)]}
    assert {t["name"]: (t["dtype"], t["shape"], t["bytes"]) for t in d["tensors"]} == {
        "token_embd.weight": ("F32", [10, 32], 1280), "output_norm.weight": ("F16", [32], 64)}
    assert d["parameters"] == 352
    assert hub.api("alice").model_info(name).gguf == {"total": 352, "architecture": "llama", "context_length": 2048,
                                                      "chat_template": "{{ messages }}", "bos_token": "<token 1>", "eos_token": "<token 2>"}


# --- rows: tests/hub/tables.py has the files ------------------------------------------------------------------------------

def put(hub, name, path, content, repo_type="dataset"):
    hub.api("alice").upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=name, repo_type=repo_type)


@pytest.fixture(scope="module")
def tables(hub, tmp_path_factory):
    """All files in one repository, by one commit: name -> table of pyarrow."""
    hub.api("alice").create_repo("alice/tables", repo_type="dataset")
    folder = tmp_path_factory.mktemp("tables")
    out = parquet.write_all(folder)
    hub.api("alice").upload_folder(folder_path=folder, repo_id="alice/tables", repo_type="dataset")
    return out


def rows(hub, path, name="alice/tables", status=200, **params):
    return get(hub, f"/api/datasets/{name}/rows/main/{path}", status, **params)


@pytest.mark.parametrize("path", parquet.names())
def test_parquet_rows_are_pyarrow_s(hub, tables, path):
    table = tables[path]
    for offset, limit in ((0, 1000), (0, 7), (101, 50), (len(table) - 3, 100), (len(table), 5), (10 ** 12, 5)):
        offset = max(offset, 0)
        d = rows(hub, path, offset=offset, limit=limit)
        assert d["format"] == "parquet" and d["total"] == len(table) and not d["truncated"]
        assert [c["name"] for c in d["columns"]] == table.column_names
        want = parquet.rows_of(table.slice(min(offset, len(table)), limit))
        assert d["rows"] == want, (path, offset, limit)


def test_files_of_datasets(hub, request, tmp_path):
    """As push_to_hub and to_parquet write them: images are their size, texts and lists are whole."""
    datasets = pytest.importorskip("datasets")
    name = repo_name(request)
    png = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    features = datasets.Features({"text": datasets.Value("string"), "ids": datasets.Sequence(datasets.Value("int32")), "image": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
                                  "deep": [[datasets.Value("float32")]], "turns": [{"role": datasets.Value("string"), "n": datasets.Value("int8")}]})
    data = {"text": [f"row {i}" if i % 5 else None for i in range(300)], "ids": [list(range(i % 4)) for i in range(300)],
            "image": [{"bytes": png, "path": None}] * 300, "deep": [[[0.5] * (i % 3), []] for i in range(300)],
            "turns": [[{"role": "user", "n": k} for k in range(i % 3)] for i in range(300)]}
    ds = datasets.Dataset.from_dict(data, features=features)
    ds.to_parquet(tmp_path / "d.parquet")
    hub.api("alice").create_repo(name, repo_type="dataset")
    put(hub, name, "d.parquet", tmp_path / "d.parquet")
    d = rows(hub, "d.parquet", name, offset=120, limit=30)
    assert [c["name"] for c in d["columns"]] == list(data) and d["total"] == 300
    assert {c["name"]: c["type"] for c in d["columns"]} == {"text": "string", "ids": "list<int32>", "image": "struct<bytes: binary, path: string>",
                                                            "deep": "list<list<float32>>", "turns": "list<struct<role: string, n: int8>>"}
    for i, row in enumerate(d["rows"], 120):
        assert row == [data["text"][i], data["ids"][i], {"bytes": {"bytes": len(png)}, "path": None}, data["deep"][i], data["turns"][i]]


def test_csv_and_json_rows(hub, request):
    name = repo_name(request)
    hub.api("alice").create_repo(name, repo_type="dataset")
    put(hub, name, "a.csv", b'\xef\xbb\xbfname,"a ""quoted"" one",n\r\nx,"line\r\nbreak, and ""more""",1\r\n\r\ny,,2\r\nz\r\n')
    d = rows(hub, "a.csv", name)
    assert [c["name"] for c in d["columns"]] == ["name", 'a "quoted" one', "n"] and d["total"] == 3
    assert d["rows"] == [["x", 'line\r\nbreak, and "more"', "1"], ["y", "", "2"], ["z", None, None]]
    put(hub, name, "b.tsv", b"a\tb\n" + b"".join(b"%d\t%d\n" % (i, i * i) for i in range(5000)))
    d = rows(hub, "b.tsv", name, offset=4000, limit=10)
    assert d["rows"] == [[str(i), str(i * i)] for i in range(4000, 4010)] and d["total"] is None
    assert rows(hub, "b.tsv", name, offset=4990, limit=100)["total"] == 5000
    records = [{"a": i, "b": {"c": [i, None, "\u00e9]}\""]}, "s": "x" * (i % 7)} for i in range(3000)]
    records[1500]["new"] = 1.5
    put(hub, name, "c.jsonl", "\n".join(map(json.dumps, records)).encode())
    put(hub, name, "d.json", json.dumps(records, indent=1).encode())
    for path, kind in (("c.jsonl", "jsonl"), ("d.json", "json")):
        d = rows(hub, path, name, offset=1495, limit=10)
        assert d["format"] == kind and [(c["name"], c["type"]) for c in d["columns"]] == [("a", "int64"), ("b", "struct"), ("s", "string"), ("new", "float64")]
        assert d["rows"] == [[r["a"], r["b"], r["s"], r.get("new")] for r in records[1495:1505]] and d["total"] is None
        assert rows(hub, path, name, offset=2999)["total"] == 3000
    put(hub, name, "bad.json", b'[{"a": 1}, {"a": ')
    rows(hub, "bad.json", name, 400)
    put(hub, name, "bad.csv", b'a,b\n"x')
    rows(hub, "bad.csv", name, 400)
    put(hub, name, "bad.parquet", b"PAR1 no table PAR1")
    assert "footer" in rows(hub, "bad.parquet", name, 400)["error"]
    rows(hub, "none.csv", name, 404)
    rows(hub, ".gitattributes", name, 400)
