"""What the peer tests share: the program, the outside data, and skips that are named."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cloche(tmp_path_factory):
    """cloche(*arguments, input=None, env=None) runs the program and returns its output; a failure fails the test."""
    program = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))
    program = str(ROOT / program) if not os.path.isabs(program) else program
    if not os.path.exists(program):
        pytest.skip(f"{program} is not built")
    data = tmp_path_factory.mktemp("data")

    def run(*arguments, input=None, env=None, check=True):
        p = subprocess.run([program, *map(str, arguments)], input=input, capture_output=True, text=True, cwd=ROOT,
                           env=dict(os.environ, CLOCHE_DATA=str(data), **(env or {})),
                           **({} if input is not None else {"stdin": subprocess.DEVNULL}))
        if check:
            assert p.returncode == 0, f"cloche {' '.join(map(str, arguments))}: {p.returncode}\n{p.stderr}"
            return p.stdout
        return p

    run.json = lambda *arguments, **more: json.loads(run(*arguments, **more))
    return run


@pytest.fixture(scope="session")
def shared():
    """The folder with real tokenizers, vocabularies and templates; tests that need it are skipped without it."""
    folder = pathlib.Path(os.environ.get("CLOCHE_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("CLOCHE_SHARED is not set and ../shared is not there")
    return folder


@pytest.fixture(scope="session")
def real_gguf():
    """A GGUF file of a real model: CLOCHE_TEST_GGUF, else what `tools/bootstrap.sh answer` fetched."""
    named = os.environ.get("CLOCHE_TEST_GGUF")
    found = [pathlib.Path(named)] if named else [ROOT / folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
                                                 for folder in ("build/fetch", "build/models")]
    for path in found:
        if path.is_file():
            return path
    pytest.skip("no real model: CLOCHE_TEST_GGUF is not set and tools/bootstrap.sh answer has fetched none")


def need(module):
    """A module of tests/peers/requirements.txt, or a skip that says which is missing."""
    return pytest.importorskip(module, reason=f"{module} is not installed (tools/bootstrap.sh peers)")
