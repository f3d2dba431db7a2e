"""Answers that must fit a JSON Schema, judged by PyPI's jsonschema: 20 schemas, 10 answers each, of a model that says
anything at all (random weights) and of a real one. Schemas bound their texts, so that a random walk comes to an end."""
import json
import re
import sys

import pytest

from conftest import ROOT, need

sys.path.insert(0, str(ROOT / "tests"))
import tiny_models  # noqa: E402

WORD = {"type": "string", "maxLength": 12}
SCHEMAS = {
    "person": {"type": "object", "properties": {"name": WORD, "age": {"type": "integer", "minimum": 0, "maximum": 130},
               "email": {"type": "string", "pattern": "^[a-z]{1,8}@[a-z]{1,8}\\.(com|org)$"}}, "required": ["name", "age"],
               "additionalProperties": False},
    "optional": {"type": "object", "properties": {k: {"type": "boolean"} for k in "abcdef"}, "required": ["c"],
                 "additionalProperties": False},
    "numbers": {"type": "object", "properties": {"i": {"type": "integer"}, "n": {"type": "number"},
                "p": {"type": "number", "minimum": 0, "maximum": 1}, "q": {"type": "number", "exclusiveMinimum": -5, "exclusiveMaximum": 5},
                "big": {"type": "integer", "minimum": 10 ** 17}, "neg": {"type": "integer", "exclusiveMaximum": -10}},
                "required": ["i", "n", "p", "q", "big", "neg"], "additionalProperties": False},
    "list of texts": {"type": "array", "items": {"type": "string", "minLength": 2, "maxLength": 9}, "minItems": 1, "maxItems": 4},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer", "minimum": -9, "maximum": 9}, {"type": "boolean"}, {"enum": ["x", "y"]}],
              "items": False, "minItems": 3},
    "tree": {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
             "value": {"type": "integer", "minimum": 0, "maximum": 99}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2}},
             "required": ["value"], "additionalProperties": False}}},
    "list that is itself": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    "shapes": {"type": "object", "properties": {"shape": {"oneOf": [
               {"type": "object", "properties": {"kind": {"const": "circle"}, "r": {"type": "number", "minimum": 0}}, "required": ["kind", "r"],
                "additionalProperties": False},
               {"type": "object", "properties": {"kind": {"const": "square"}, "a": {"type": "integer", "minimum": 1, "maximum": 100}},
                "required": ["kind", "a"], "additionalProperties": False}]}}, "required": ["shape"], "additionalProperties": False},
    "any of types": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 1, "maximum": 12}, WORD]},
    "types": {"type": ["string", "null", "boolean"], "maxLength": 6},
    "values": {"enum": ["red", "reddish", "blue", 1, 12, 1.5, None, True, {"a": [1, 2]}, ["é", "\"quoted\""]]},
    "all of": {"allOf": [{"type": "object", "properties": {"id": {"type": "integer", "minimum": 5}}, "required": ["id"]},
               {"type": "object", "properties": {"id": {"type": "integer", "maximum": 7}, "tag": WORD}, "required": ["tag"]}]},
    "reference with more": {"$defs": {"pos": {"type": "integer", "minimum": 1}}, "type": "object",
                            "properties": {"n": {"$ref": "#/$defs/pos", "maximum": 3}}, "required": ["n"], "additionalProperties": False},
    "dates": {"type": "object", "properties": {"d": {"type": "string", "format": "date"}, "t": {"type": "string", "format": "time"},
              "dt": {"type": "string", "format": "date-time"}, "u": {"type": "string", "format": "uuid"}}, "required": ["d", "t", "dt", "u"],
              "additionalProperties": False},
    "patterns": {"type": "object", "properties": {"plate": {"type": "string", "pattern": "^[A-Z]{1,3}-[A-Z]{1,2} [1-9][0-9]{0,3}$"},
                 "hex": {"type": "string", "pattern": "^(0x)?[0-9a-f]+$", "maxLength": 10},
                 "within": {"type": "string", "pattern": "b+c", "maxLength": 8}, "not": {"type": "string", "pattern": "^[^aeiou\\s]{3}$"}},
                 "required": ["plate", "hex", "within", "not"], "additionalProperties": False},
    "mixed list": {"type": "array", "items": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, WORD, {"type": "object",
                   "properties": {"k": {"type": "integer", "minimum": -3, "maximum": 3}}, "additionalProperties": False}]}, "minItems": 2,
                   "maxItems": 3},
    "choice of required": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 1}, "b": {"type": "null"}},
                           "anyOf": [{"required": ["a"]}, {"required": ["b"]}], "additionalProperties": False},
    "nested": {"type": "object", "properties": {"x": {"type": "object", "properties": {"y": {"type": "object", "properties": {
               "z": {"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 2, "maxItems": 2},
                     "maxItems": 3}}, "required": ["z"], "additionalProperties": False}}, "required": ["y"], "additionalProperties": False}},
               "required": ["x"], "additionalProperties": False},
    "odd keys": {"type": "object", "properties": {"a b": {"type": "null"}, "é\"\\/": {"type": "boolean"}, "": {"const": "empty"}},
                 "required": ["é\"\\/", ""], "additionalProperties": False},
    "form": {"type": "object", "properties": {"title": {"type": "string", "minLength": 1, "maxLength": 20}, "tags": {"type": "array", "items": {"enum": ["x", "y", "z"]},
             "maxItems": 3}, "score": {"type": ["number", "null"], "minimum": -1, "maximum": 1}, "next": {"anyOf": [{"type": "null"}, {"type": "object",
             "properties": {"id": {"type": "integer", "minimum": 0, "maximum": 999}}, "required": ["id"], "additionalProperties": False}]}},
             "required": ["title", "tags", "score", "next"], "additionalProperties": False},
}
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
