"""Fixtures: a server with a tiny model that answers gibberish at once, and one with a real model where there is one.

CLOCHE_BIN names the program, CLOCHE_SMOLLM2 a SmolLM2 as GGUF (default: what `make run` fetched)."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tiny_models  # noqa: E402
from serving import ROOT, Server  # noqa: E402

TINY = "tiny-q8_0"


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    return tiny_models.write(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def server(models, tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("data"), "--model", models[TINY], "--model", models["tiny-f32"])
    yield s
    assert s.stop() == 0, s.errors


@pytest.fixture(scope="session")
def real_model():
    path = os.environ.get("CLOCHE_SMOLLM2", str(ROOT / "build/fetch/SmolLM2-135M-Instruct.Q4_1.gguf"))
    if not os.path.isfile(path):
        pytest.skip(f"no real model at {path}")
    return path


@pytest.fixture(scope="session")
def real_server(real_model, tmp_path_factory):
    link = tmp_path_factory.mktemp("real") / "smollm2.gguf"
    link.symlink_to(real_model)
    s = Server(tmp_path_factory.mktemp("data"), "--model", link)
    yield s
    assert s.stop() == 0, s.errors
