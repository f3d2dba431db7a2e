"""Logits of every family, container and block type against Hugging Face transformers (eager attention, float32).

The models are tiny and random, written by tools/make_models.py together with what transformers computes for them, given
the roundings of profile n1 (16-bit keys and values, 8-bit activations) where the file's types ask for them. The largest
difference at any position must stay under the row's share of the range of the logits. Where a rounding falls the other
way, positions after it differ more; so one of the first positions must agree almost exactly too, which a wrong block
layout or scale never does.
"""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT, need


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of tiny models and its expected.json; CLOCHE_TINY names one that is there already."""
    need("transformers")
    need("gguf")
    folder = os.environ.get("CLOCHE_TINY")
    if not folder:
        folder = str(tmp_path_factory.mktemp("tiny"))
        subprocess.run([sys.executable, ROOT / "tools/make_models.py", "tiny", folder], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(folder, "expected.json")) as f:
        return folder, {row["model"]: row for row in json.load(f)}


def names():
    """Models that make_models.py will write, without importing torch."""
    sys.path.insert(0, str(ROOT / "tools"))
    import make_models
    for name, (_, _, options) in make_models.tiny_models():
        yield name
        for dtype in options.get("gguf", []):
            yield f"{name}-{dtype}.gguf"


def compare(cloche, model, tokens, want, tolerance, out):
    cloche("logits", model, "--tokens", ",".join(map(str, tokens)), "--out", out)
    got = np.load(out)
    assert got.shape == want.shape and got.dtype == np.float32
    span = float(want.max() - want.min())
    worst = np.abs(got - want).max(axis=1) / span
    assert worst.max() <= tolerance, f"position {worst.argmax()}: {worst.max():.2e} of the range, at most {tolerance:.0e}"
    assert worst[:8].min() <= 5e-5, f"no position agrees: {worst[:8].min():.2e} of the range at best"
    return float(worst.max())


@pytest.mark.parametrize("model", list(names()))
def test_logits_are_those_of_transformers(cloche, tiny, tmp_path, model, record_property):
    folder, rows = tiny
    row = rows[model]
    want = np.load(os.path.join(folder, row["logits"]))
    worst = compare(cloche, os.path.join(folder, model), row["tokens"], want, row["tolerance"], tmp_path / "l.npy")
    record_property("worst", worst)


def test_a_model_written_by_hugging_face_gives_its_logits(cloche, shared, tmp_path):
    torch, transformers = need("torch"), need("transformers")
    path = shared / "models/llama-2m"
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    tokens = np.random.default_rng(7).integers(0, model.config.vocab_size, 150).tolist()
    with torch.no_grad():
        want = model(torch.tensor([tokens])).logits[0].numpy()
    compare(cloche, path, tokens, want, 2e-4, tmp_path / "l.npy")
