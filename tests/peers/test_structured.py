"""Answers that must fit a JSON Schema, judged by PyPI's jsonschema: 20 schemas, 10 answers each, of a model that says
anything at all (random weights) and of a real one. Schemas bound their texts, so that a random walk comes to an end."""
import json
import re
import sys

import pytest

from conftest import ROOT, need

sys.path.insert(0, str(ROOT / "tests"))
import tiny_models  # noqa: E402
from schemas import SCHEMAS  # noqa: E402

N_ANSWERS = 10
LOOSE = ("--temp", "1.5", "--top-k", "0", "--top-p", "1", "--min-p", "0", "-n", "900")


def spacing(text):
    """The text as the white space policy wants it."""
    return json.dumps(json.loads(text), ensure_ascii=False)


def judge(cloche, model, folder, options):
    jsonschema = need("jsonschema")
    sys.setrecursionlimit(10000)  # the judge takes several frames a level of nesting
    assert len(SCHEMAS) == 20
    cut, seen = [], set()
    for name, schema in SCHEMAS.items():
        path = folder / "schema.json"
        path.write_text(json.dumps(schema, ensure_ascii=False), encoding="utf-8")
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        for seed in range(N_ANSWERS):
            got = cloche.json("run", model, "--schema", path, "--json", "--seed", seed, *options, f"Give an example of: {name}.")
            if got["finish_reason"] != "stop":
                cut.append((name, seed, got["text"]))
                continue
            value = json.loads(got["text"])
            faults = [e.message for e in validator.iter_errors(value)]
            assert not faults, (name, seed, got["text"], faults)
            assert "\n" not in got["text"] and not re.match(r"\s|.*\s$", got["text"])
            seen.add((name, got["text"]))
    assert not cut, cut
    assert len(seen) > 150  # of 200: they are not all the same


def test_every_answer_of_a_random_model_fits(cloche, tmp_path):
    model = tmp_path / "tiny.gguf"
    model.write_bytes(tiny_models.model_bytes("q8_0"))
    judge(cloche, model, tmp_path, LOOSE)


def test_every_answer_of_a_real_model_fits(cloche, real_gguf, tmp_path):
    judge(cloche, real_gguf, tmp_path, LOOSE)


def test_white_space_and_order_are_fixed(cloche, real_gguf, tmp_path):
    schema = {"type": "object", "properties": {"b": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 3, "maxItems": 3},
              "a": {"type": "object", "properties": {"c": {"type": "boolean"}}, "required": ["c"]}}, "required": ["a", "b"]}
    path = tmp_path / "s.json"
    path.write_text(json.dumps(schema))
    text = cloche("run", real_gguf, "--schema", path, "--temp", 0, "Numbers.").rstrip("\n")
    assert text == spacing(text) and list(json.loads(text)) == ["b", "a"]


@pytest.mark.parametrize("lookup", ["--lookup", "--no-lookup"])
def test_any_object(cloche, real_gguf, lookup):
    got = [cloche.json("run", real_gguf, "--json-mode", "--json", "--temp", 0, "-n", 120, more, "List three rivers as JSON.")
           for more in (lookup, "--no-cache")]
    assert got[0]["tokens"] == got[1]["tokens"]
    assert got[0]["text"].startswith("{")
    if got[0]["finish_reason"] == "stop":
        assert isinstance(json.loads(got[0]["text"]), dict)
