"""@huggingface/hub's own spec files, as its npm package ships them, against the hub.

The cases speak of repositories of the real Hub. What of those can be had here is made first: repositories of the same names and
ids, with the files whose contents the cases know. What cannot (commits and weights of the real Hub, inference, pages) is named
case by case in npm/skips.json with the reason; a case is never changed. npm/vitest.config.mjs says how they reach the server."""
import collections
import json
import math
import os
import pathlib
import shutil
import sqlite3
import subprocess

import pytest
from conftest import PASSWORD

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build/hub-npm"
PACKAGE = BUILD / "node_modules/@huggingface/hub"
pytestmark = pytest.mark.skipif(not PACKAGE.is_dir() or not shutil.which("node"), reason="tools/bootstrap.sh hub brings the npm packages")

GPT2_CONFIG = {
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1,
    "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768,
    "n_head": 12, "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": None, "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": 50257}
GPT2_README = """---
language: en
tags:
- exbert

license: mit
---


# GPT-2

Test the whole generation capabilities here: https://transformer.huggingface.co/doc/gpt2-large
"""


def card(**meta):
    return "---\n" + "".join(f"{k}: {v}\n" for k, v in meta.items()) + "---\n"


REVISIONS = {"google-bert/bert-base-uncased": ("dd4bc8b21efa05ec961e3efc4ee5e3832a3679c7", "1a7dd4986e3dab699c24ca19b2afd0f5e1a80f37",
                                               "86b5e0934494bd15c9632b12f734a8a67f723594"),
             "FacebookAI/roberta-base": ("e2da8e2f811d1448a5b465c236feacd80ffbac7b",),
             "hf-internal-testing/single-file-model": ("75fcd3fed0285ac7f1092897ff2aefdf24bf872e",),
             "EdinburghNLP/xsum": ("0f3ea2f2b55fcb11e71fb1e3aec6822e44ddcb0f",)}


class weights:
    """A safetensors file of zeros, by its tensors; it is made when it is uploaded, for it may be large."""

    def __init__(self, tensors, **metadata):
        at, header = 0, {"__metadata__": {"format": "pt", **metadata}}
        for name, (dtype, shape) in tensors.items():
            size = {"F32": 4, "I64": 8}[dtype] * math.prod(shape)
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        self.head, self.size = len(text).to_bytes(8, "little") + text, 8 + len(text) + at

    def write(self, path):
        path.write_bytes(self.head)
        os.truncate(path, self.size)
        return path


def repositories():
    """(type, name, id on the real Hub or None, files)"""
    task = "pipeline_tag"
    yield "model", "openai-community/gpt2", "621ffdc036468d709f17434d", {
        "README.md": GPT2_README,
        "config.json": json.dumps(GPT2_CONFIG, indent=2) + "\n"}
    yield "model", "huggingfacejs/test-model", None, {"README.md": "# A test\n"}
    yield "model", "Intel/dpt-large", "621ffdc136468d709f17e709", {"README.md": card(**{task: "depth-estimation"})}
    yield "model", "Intel/dpt-hybrid-midas", "638f07977559bf9a2b2b04ac", {"README.md": card(**{task: "depth-estimation"})}
    yield "model", "Intel/other", None, {"README.md": card(**{task: "text-generation"})}
    for i in range(11):
        yield "model", f"google-t5/t5-{i}", None, {}
        yield "model", f"mlx-community/m{i}", None, {"README.md": card(library_name="mlx")}
    for i in range(2):
        yield "model", f"nusantara/gguf-{i}", None, {"README.md": card(language="id", tags="[gguf]")}
    yield "dataset", "nyu-mll/glue", "621ffdd236468d709f181e3f", {}
    yield "dataset", "hf-doc-build/doc-build", "6356b19985da6f13863228bd", {}
    yield "dataset", "hf-doc-build/doc-build-dev", "636a1b69f2f9ec4289c4c19e", {}
    # Revisions that a case names by a commit of the real Hub are tags of that name here.
    bert = {"config.json": "{}\n", "tokenizer_config.json": '{\n  "do_lower_case": true\n}\n', "tf_model.h5": b"\x89HDF\r\n",
            "model.safetensors": weights({"bert.embeddings.LayerNorm.beta": ("F32", [768]), "rest": ("F32", [110_106_428 - 768])})}
    yield "model", "google-bert/bert-base-uncased", None, bert
    yield "model", "FacebookAI/roberta-base", None, {
        "model.safetensors": weights({"ids": ("I64", [1, 514]), "rest": ("F32", [124_697_433])})}
    yield "model", "hf-internal-testing/single-file-model", None, {
        "model.safetensors": weights({"all": ("F32", [109_482_240])}, total_parameters="109482240")}
    yield "dataset", "EdinburghNLP/xsum", None, {"data/XSUM-EMNLP18-Summary-Data-Original.tar.gz": b"\x1f\x8b"}
    yield "space", "huggingfacejs/client-side-oauth", "659835e689010f9c7aed608d", {}
    mobilenet = {"mobilenet/model.json": json.dumps({"format": "layers-model", "weightsManifest": [{"paths": ["group1-shard1of2"]}] * 40}),
                 "mobilenet/group1-shard1of2": bytes(4_194_304), "mobilenet/group1-shard2of2": b"\x01" * 100_000,
                 "mobilenet/coffee.jpg": b"\xff\xd8\xff" + bytes(2000), "mobilenet/README.md": "# Mobilenet\n"}
    yield "space", "huggingfacejs/push-model-from-web", None, mobilenet
    yield "space", "aschen/push-model-from-web", None, mobilenet
    yield "model", "celinah/xet-experiments", None, {"large_text.txt": b"this is a text file." * 3_145_729}


def fill(hub, room):
    api = hub.api("root")
    for org in sorted({name.split("/")[0] for _, name, _, _ in repositories()}):
        hub.cli("org", "create", org)
    ids = {}
    for kind, name, oid, files in repositories():
        api.create_repo(name, repo_type=kind, **({"space_sdk": "static"} if kind == "space" else {}))
        for path, content in files.items():
            content = content.encode() if isinstance(content, str) else content.write(room / "weights") if isinstance(content, weights) else content
            api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=name, repo_type=kind)
        ids[kind, name] = oid
    return ids


def set_facts(data, ids):
    """What no client may choose: the ids of repositories, and tags that are named as commits are."""
    db = sqlite3.connect(data / "cloche.db", timeout=30)
    with db:
        for (kind, name), oid in ids.items():
            ns, short = name.split("/")
            (row,) = db.execute("SELECT r.id FROM repos r JOIN accounts a ON a.id = r.namespace WHERE r.type = ? AND a.name = ? AND r.name = ?",
                                (kind, ns, short)).fetchone()
            if oid:
                db.execute("UPDATE repos SET oid = ? WHERE id = ?", (oid, row))
            for rev in REVISIONS.get(name, ()):
                db.execute("INSERT INTO refs (repo, name, target) SELECT repo, 'refs/tags/' || ?, target FROM refs WHERE repo = ? AND name = 'refs/heads/main'",
                           (rev, row))
    db.close()


@pytest.fixture(scope="module")
def specs(own_hub, tmp_path_factory):
    """The report of one run of all spec files."""
    hub = own_hub
    hub.cli("user", "add", "hub.js", "--password-stdin", "--fullname", "@huggingface/hub CI bot", "--email", "eliott@huggingface.co", given=PASSWORD)
    set_facts(hub.data, fill(hub, tmp_path_factory.mktemp("weights")))
    room = BUILD / "hub"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    for part in ("src", "index.ts", "tsconfig.json", "package.json"):
        (shutil.copytree if (PACKAGE / part).is_dir() else shutil.copy)(PACKAGE / part, room / part)
    for part in ("vitest.config.mjs", "setup.mjs", "skips.json"):
        shutil.copy(HERE / "npm" / part, room / part)
    report = tmp_path_factory.mktemp("npm") / "report.json"
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(["node", "../node_modules/vitest/vitest.mjs", "run", "--reporter=json", f"--outputFile={report}"], cwd=room,
                          env={**env, "CLOCHE_HUB": hub.url, "CLOCHE_TOKEN": hub.token("hub.js", "--write", "--name", "ci-hub.js")},
                          capture_output=True, text=True, timeout=900)
    assert report.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(report.read_text())


def test_the_spec_files(specs):
    skips = json.loads((HERE / "npm/skips.json").read_text())
    failed, count = [], collections.defaultdict(collections.Counter)
    for file in specs["testResults"]:
        name = file["name"].split("/hub/src/")[1]
        if not file["assertionResults"]:
            failed.append(f"{name}: {file['message']}")
        for case in file["assertionResults"]:
            count[name][case["status"]] += 1
            if case["status"] == "failed":
                failed.append(f"{name}: {' > '.join(case['ancestorTitles'] + [case['title']])}: " + case["failureMessages"][0].split("\n    at ")[0][:300])
    for name, c in sorted(count.items()):
        print(f"{name}: {c['passed']} passed, {c['failed']} failed, {c['skipped']} skipped")
    total = sum(count.values(), collections.Counter())
    print(dict(total))
    assert not failed, "\n".join(failed)
    assert total["passed"] + total["skipped"] == sum(total.values()) and total["passed"] >= 500
    named = sum(count[f].total() if "*" in cases else len(cases) for f, cases in skips.items())
    assert total["skipped"] == named, "skips.json names cases that are not there"
