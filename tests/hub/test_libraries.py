"""transformers and datasets against the hub: what people push from a notebook comes back as it was, with HF_ENDPOINT alone.

Both read the endpoint and the cache's place when they are imported, so each test's steps run in a Python of their own, with a
cache that is empty unless the test says otherwise: nothing comes back from anywhere but the server."""
import json
import os
import subprocess
import sys
import textwrap

import pytest
from conftest import repo_name

pytest.importorskip("transformers")
pytest.importorskip("datasets")
pytest.importorskip("torch")


class Notebook:
    """Runs cells in Pythons of their own. What a cell prints last is JSON, and is what `run` gives."""

    def __init__(self, hub, home):
        self.hub, self.home = hub, home

    def run(self, cell, user="alice", cache="cache", **names):
        env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        env.update(HF_ENDPOINT=self.hub.url, HF_HOME=str(self.home / cache), HF_HUB_DISABLE_PROGRESS_BARS="1",
                   HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")
        if user:
            env["HF_TOKEN"] = self.hub.tokens[user]
        head = "import json\n" + "".join(f"{k} = {v!r}\n" for k, v in names.items())
        done = subprocess.run([sys.executable, "-c", head + textwrap.dedent(cell)], env=env, capture_output=True, text=True,
                              timeout=300, cwd=self.home)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def notebook(hub, tmp_path):
    return Notebook(hub, tmp_path)


TINY = """
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

def tiny(seed):
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64))

def words():
    t = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["<unk>", "once", "upon", "a", "time"])}, unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=t, unk_token="<unk>", chat_template="{{ messages[0].content }}")

def total(m):
    return [round(float(p.double().sum()), 9) for p in m.parameters()]
"""


def cell(body):
    return TINY + textwrap.dedent(body)


def test_a_model_comes_back_as_it_was(hub, notebook, request):
    name = repo_name(request)
    pushed = notebook.run(cell("""
        m = tiny(1)
        m.save_pretrained("saved")
        m = AutoModelForCausalLM.from_pretrained("saved")
        m.push_to_hub(name, commit_message="A tiny model")
        words().push_to_hub(name)
        print(json.dumps(total(m)))
    """), name=name)
    pulled = notebook.run(cell("""
        m = AutoModelForCausalLM.from_pretrained(name)
        t = AutoTokenizer.from_pretrained(name)
        out = m.generate(**t("once upon", return_tensors="pt"), max_new_tokens=3, do_sample=False)
        print(json.dumps([total(m), t("once upon a time")["input_ids"], t.chat_template, list(out.shape)]))
    """), user=None, cache="fresh", name=name)
    assert pulled == [pushed, [1, 2, 3, 4], "{{ messages[0].content }}", [1, 5]]
    info = hub.api().model_info(name)
    assert "transformers" in info.tags and "safetensors" in info.tags and info.library_name == "transformers"
    assert "A tiny model" in [c.title for c in hub.api().list_repo_commits(name)]


def test_a_private_model_needs_a_token(hub, notebook, request):
    name = repo_name(request)
    pushed = notebook.run(cell("""
        m = tiny(2)
        m.push_to_hub(name, private=True)
        print(json.dumps(total(m)))
    """), name=name)
    assert hub.api("alice").model_info(name).private
    tried = notebook.run(cell("""
        out = {}
        for who, token in tokens.items():
            try:
                out[who] = total(AutoModelForCausalLM.from_pretrained(name, token=token, cache_dir=f"of-{who}"))
            except OSError as e:
                out[who] = str(e)
        print(json.dumps(out))
    """), user=None, cache="fresh", name=name, tokens={"nobody": False, "bob": hub.tokens["bob"], "alice": hub.read_tokens["alice"]})
    for who in ("nobody", "bob"):
        assert "is not a local folder and is not a valid model identifier" in tried[who]
    assert tried["alice"] == pushed


def test_a_model_at_a_revision(hub, notebook, request):
    name = repo_name(request)
    totals = notebook.run(cell("""
        from huggingface_hub import HfApi
        api = HfApi()
        out = {}
        for seed in (3, 4):
            m = tiny(seed)
            m.push_to_hub(name)
            out[api.model_info(name).sha] = total(m)
        api.create_tag(name, tag="v1", revision=list(out)[0])
        m = tiny(5)
        m.push_to_hub(name, revision="side")
        out["side"] = total(m)
        m = tiny(6)
        pr = m.push_to_hub(name, create_pr=True)
        out[pr.pr_revision] = total(m)
        print(json.dumps(out))
    """), name=name)
    first, second, side, pull = totals
    wanted = {first: totals[first], "v1": totals[first], "main": totals[second], side: totals[side], pull: totals[pull]}
    assert len({json.dumps(t) for t in totals.values()}) == 4 and pull.startswith("refs/pr/")
    assert notebook.run(cell("""
        print(json.dumps({r: total(AutoModelForCausalLM.from_pretrained(name, revision=r)) for r in revisions}))
    """), user=None, cache="fresh", name=name, revisions=list(wanted)) == wanted


def test_a_model_in_shards(hub, notebook, request):
    name = repo_name(request)
    pushed = notebook.run(cell("""
        m = tiny(7)
        m.push_to_hub(name, max_shard_size="30KB")
        print(json.dumps(total(m)))
    """), name=name)
    files = hub.api().list_repo_files(name)
    assert sum(f.endswith(".safetensors") for f in files) > 1 and "model.safetensors.index.json" in files
    assert notebook.run(cell("""
        print(json.dumps(total(AutoModelForCausalLM.from_pretrained(name))))
    """), user=None, cache="fresh", name=name) == pushed


def test_a_dataset_with_splits_and_configurations(hub, notebook, request):
    name = repo_name(request)
    notebook.run("""
        from datasets import Dataset, DatasetDict
        def rows(n, of): return Dataset.from_dict({"id": list(range(n)), "text": [f"{of} {i}" for i in range(n)], "words": [[of, str(i)] for i in range(n)]})
        DatasetDict(train=rows(100, "train"), test=rows(10, "test")).push_to_hub(name)
        rows(7, "german").push_to_hub(name, "de", split="validation")
        rows(50, "many").push_to_hub(name, "sharded", num_shards=5)
        print(json.dumps(0))
    """, name=name)
    files = hub.api().list_repo_files(name, repo_type="dataset")
    assert sum(f.startswith("sharded/") for f in files) == 5 and "data/train-00000-of-00001.parquet" in files
    assert notebook.run("""
        from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset, load_dataset_builder
        d, de, many = load_dataset(name), load_dataset(name, "de", split="validation"), load_dataset(name, "sharded", split="train")
        b = load_dataset_builder(name)
        print(json.dumps([{s: len(x) for s, x in d.items()}, d["train"][99], [len(de), de[0]["text"]], [len(many), [x["id"] for x in many] == list(range(50))],
                          sorted(get_dataset_config_names(name)), sorted(get_dataset_split_names(name)), b.info.splits["train"].num_examples,
                          sorted(b.info.features)]))
    """, user=None, cache="fresh", name=name) == [
        {"train": 100, "test": 10}, {"id": 99, "text": "train 99", "words": ["train", "99"]}, [7, "german 0"], [50, True],
        ["de", "default", "sharded"], ["test", "train"], 100, ["id", "text", "words"]]


def test_a_dataset_streams(hub, notebook, request):
    name = repo_name(request)
    notebook.run("""
        from datasets import Dataset
        Dataset.from_dict({"id": list(range(3000)), "text": ["a line of text " * 20 + str(i) for i in range(3000)]}).push_to_hub(name, num_shards=3)
        print(json.dumps(0))
    """, name=name)
    assert notebook.run("""
        from datasets import load_dataset
        d = load_dataset(name, split="train", streaming=True)
        print(json.dumps([[x["id"] for x in d.take(3)], [x["id"] for x in d.skip(2998)], sum(1 for _ in d), d.num_shards]))
    """, user=None, cache="fresh", name=name) == [[0, 1, 2], [2998, 2999], 3000, 3]


def test_a_dataset_is_pushed_again(hub, notebook, request):
    """A second push replaces the files of the first; a push to a branch leaves main alone; the old revision loads still."""
    name = repo_name(request)
    assert notebook.run("""
        from datasets import Dataset, load_dataset
        from huggingface_hub import HfApi
        def rows(n): return Dataset.from_dict({"x": list(range(n))})
        rows(5).push_to_hub(name, num_shards=2)
        first = HfApi().dataset_info(name).sha
        rows(9).push_to_hub(name)
        rows(3).push_to_hub(name, revision="side")
        def count(r): return len(load_dataset(name, split="train", revision=r))
        print(json.dumps([count("main"), count(first), count("side"), sorted(HfApi().list_repo_files(name, repo_type="dataset"))]))
    """, name=name) == [9, 5, 3, [".gitattributes", "README.md", "data/train-00000-of-00001.parquet"]]


def test_a_private_dataset_needs_a_token(hub, notebook, request):
    name = repo_name(request)
    notebook.run("""
        from datasets import Dataset
        Dataset.from_dict({"x": [1]}).push_to_hub(name, private=True)
        print(json.dumps(0))
    """, name=name)
    tried = notebook.run("""
        from datasets import load_dataset
        out = {}
        for who, token in tokens.items():
            for streaming in (False, True):
                try:
                    got = [x["x"] for x in load_dataset(name, split="train", streaming=streaming, token=token, cache_dir=f"of-{who}")]
                except Exception as e:
                    got = type(e).__name__
                out.setdefault(who, []).append(got)
        print(json.dumps(out))
    """, user=None, cache="fresh", name=name, tokens={"nobody": False, "bob": hub.tokens["bob"], "alice": hub.read_tokens["alice"]})
    assert tried == {"nobody": ["DatasetNotFoundError"] * 2, "bob": ["DatasetNotFoundError"] * 2, "alice": [[1]] * 2}


def test_plain_files_are_a_dataset(hub, notebook, request):
    """CSV and JSON lines in a repository, with no card: what a folder of data is to load_dataset."""
    name = repo_name(request)
    api = hub.api("alice")
    for kind in ("csv", "jsonl", "text"):
        api.create_repo(f"{name}-{kind}", repo_type="dataset")
    api.upload_file(path_or_fileobj=b"a,b\n1,x\n2,y\n", path_in_repo="train.csv", repo_id=name + "-csv", repo_type="dataset")
    api.upload_file(path_or_fileobj=b"a,b\n3,z\n", path_in_repo="test.csv", repo_id=name + "-csv", repo_type="dataset")
    for i in range(3):
        api.upload_file(path_or_fileobj=json.dumps({"n": i}).encode() + b"\n", path_in_repo=f"data/train/{i}.jsonl", repo_id=name + "-jsonl",
                        repo_type="dataset")
    api.upload_file(path_or_fileobj="grüße\nwelt\n".encode(), path_in_repo="all the/täxt.txt", repo_id=name + "-text", repo_type="dataset")
    assert notebook.run("""
        from datasets import load_dataset
        c = load_dataset(name + "-csv")
        one = load_dataset(name + "-csv", data_files="test.csv", split="train")
        j = load_dataset(name + "-jsonl", split="train")
        s = load_dataset(name + "-jsonl", split="train", streaming=True)
        t = load_dataset(name + "-text", split="train")
        h = load_dataset("csv", data_files=f"hf://datasets/{name}-csv/*.csv", split="train")
        print(json.dumps([c["train"][1], c["test"][0], len(one), [x["n"] for x in j], [x["n"] for x in s], t["text"][:], len(h)]))
    """, user=None, cache="fresh", name=name) == [{"a": 2, "b": "y"}, {"a": 3, "b": "z"}, 1, [0, 1, 2], [0, 1, 2], ["grüße", "welt"], 3]


def test_a_folder_of_pictures_is_a_dataset(hub, notebook, request):
    name = repo_name(request)
    pytest.importorskip("PIL")
    assert notebook.run("""
        import pathlib
        from PIL import Image
        from datasets import load_dataset
        from huggingface_hub import HfApi
        for kind in ("cat", "dog"):
            for i in range(2):
                p = pathlib.Path("pictures/train", kind, f"{i}.png")
                p.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (4 + i, 3), (i, 2, 3)).save(p)
        HfApi().create_repo(name, repo_type="dataset")
        HfApi().upload_folder(repo_id=name, folder_path="pictures", repo_type="dataset")
        d = load_dataset(name, split="train")
        print(json.dumps([len(d), d.features["label"].names, sorted(x["image"].size for x in d)]))
    """, name=name) == [4, ["cat", "dog"], [[4, 3], [4, 3], [5, 3], [5, 3]]]
