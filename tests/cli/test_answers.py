#!/usr/bin/env python3
"""Commands that answer, prove and keep models, through the program: exit codes, JSON, files.

    CLOCHE_BIN=build/cloche tests/cli/test_answers.py
"""
import functools
import hashlib
import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time

import program
from program import BIN

sys.path.insert(0, str(program.ROOT / "tests"))
import tiny_models  # noqa: E402

BOX = pathlib.Path(tempfile.mkdtemp(prefix="cloche-cli-"))
MODEL = str(BOX / "tiny-q8_0.gguf")
ENV = {**os.environ, "CLOCHE_DATA": str(BOX / "data")}
cloche = functools.partial(program.cloche, BOX / "data")


def answer(*args):
    return json.loads(cloche("run", MODEL, "--json", *args))


def test_the_same_options_give_the_same_answer():
    first = answer("-n", 24, "Hello there")
    assert first["profile"] == "n1" and first["seed"] == 0 and first["finish_reason"] in ("length", "stop")
    assert first["usage"]["completion_tokens"] == len(first["tokens"]) <= 24
    for more in (["-t", 1], ["--chunk", 1], ["--no-lookup"], ["-t", 2, "--chunk", 7, "--lookup"], ["--no-cache"]):
        again = answer("-n", 24, *more, "Hello there")
        assert again["tokens"] == first["tokens"] and again["text"] == first["text"], more
    assert answer("-n", 24, "--seed", 1, "Hello there")["tokens"] != first["tokens"]


def test_greedy_text_streams_and_reads_standard_input():
    whole = answer("-n", 16, "--temp", 0, "The")
    assert cloche("run", MODEL, "-n", 16, "--temp", 0, "The").rstrip("\n") == whole["text"].rstrip("\n")
    assert cloche("run", MODEL, "-n", 16, "--temp", 0, "--no-stream", text="The\n").rstrip("\n") == whole["text"].rstrip("\n")


def test_users_cannot_write_control_tokens():
    control = tiny_models.vocabulary()[0].index("<|im_end|>")
    plain, sly = (answer("-n", 1, "--temp", 0, p)["prompt_tokens"] for p in ("say x", "say <|im_end|>"))
    assert sly.count(control) == plain.count(control)


def test_a_stop_text_is_cut():
    text = answer("-n", 48, "--temp", 0, "the")["text"]
    stop = text[len(text) // 2:][:3]
    cut = answer("-n", 48, "--temp", 0, "--stop", stop, "the")
    assert cut["text"] == text[:text.index(stop)] and cut["finish_reason"] == "stop"


def test_a_full_context_is_told():
    cloche("run", MODEL, "--ctx", 8, "a prompt that does not fit into it", code=1)
    cloche("run", MODEL, "--ctx", 64, "-n", 500, "hi", code=1)


def test_an_answer_that_never_ends_stops_where_the_context_does():
    p = subprocess.run([BIN, "run", MODEL, "--ctx", "64", "--ignore-eos", "--temp", "0", "--json", "hi"],
                       capture_output=True, text=True, env=ENV, timeout=300)
    a = json.loads(p.stdout)
    assert p.returncode == 0 and a["finish_reason"] == "length" and a["usage"]["total_tokens"] == 64, a
    assert p.stderr.startswith("cloche: the answer ends here: the context of 64 tokens is full"), p.stderr
    p = subprocess.run([BIN, "run", MODEL, "--ignore-eos", "-n", "9", "--json", "hi"], capture_output=True, text=True,
                       env=ENV, timeout=300)
    assert p.returncode == 0 and json.loads(p.stdout)["finish_reason"] == "length" and "full" not in p.stderr


class Talk:
    """The program on a terminal of its own."""

    def __init__(self, *args):
        self.said = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(BIN, [BIN, "run", MODEL, *map(str, args)], ENV)

    def read(self):
        try:
            self.said += os.read(self.terminal, 65536).decode("utf-8", "replace")
        except OSError:  # the other side is gone
            return False
        return True

    def wait_for(self, text):
        """Reads until `text` comes, and forgets what was read by then."""
        end = time.monotonic() + 120
        while text not in self.said:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.terminal], [], [], left)[0] and self.read(), f"no {text!r}: {self.said}"
        before, self.said = self.said.split(text, 1)
        return before

    def type(self, text):
        os.write(self.terminal, text.encode())

    def end(self):
        while self.read():
            pass
        os.close(self.terminal)
        return os.waitpid(self.pid, 0)[1]


def test_ctrl_c_stops_an_answer_and_the_talk_goes_on():
    t = Talk("--ctx", 200000, "--ignore-eos", "--temp", 0.8)
    t.wait_for(">>> ")
    for _ in range(2):
        t.type("hello\n")
        t.wait_for("hello\r\n")
        while len(t.said) < 20:
            assert t.read()
        t.type("\x03")
        t.wait_for("(stopped)")
        t.wait_for(">>> ")
    t.type("half a line\x03")  # at the prompt it takes back the line
    t.wait_for("Ctrl-D ends")
    t.wait_for(">>> ")
    t.type("\x04")
    assert t.end() == 0


def test_a_talk_goes_on_after_what_does_not_fit():
    t = Talk("--ctx", 64, "--ignore-eos")
    t.wait_for(">>> ")
    t.type("hi\n")
    t.wait_for("the context of 64 tokens is full")
    t.wait_for(">>> ")
    t.type("x" * 300 + "\n")
    t.wait_for("the prompt has")
    t.wait_for(">>> ")
    t.type("\n")
    assert t.end() == 0


def test_receipts_replay_and_alterations_are_found():
    receipt = BOX / "answer.rcp"
    cloche("run", MODEL, "-n", 20, "--receipt", receipt, "Name three rivers")
    for way in ([], ["-t", 1], ["--chunk", 3]):
        v = json.loads(cloche("replay", receipt, MODEL, "--json", *way))
        assert v["same"] and v["checked"] == v["tokens"], v
    good = json.loads(receipt.read_text())
    bad = json.loads(receipt.read_text())
    bad["output"]["tokens"][5] = (bad["output"]["tokens"][5] + 1) % 256
    receipt.write_text(json.dumps(bad) + "\n")
    v = json.loads(cloche("replay", receipt, MODEL, "--json", code=3))
    assert v["differs"] == "token" and v["at"] == 5 and v["found"] == good["output"]["tokens"][5], v
    receipt.write_text(json.dumps(good))  # without the newline: cut off
    cloche("replay", receipt, MODEL, code=1)
    other = cloche("run", MODEL, "-n", 4, "--receipt", receipt, "--receipt-private", "hi") and json.loads(receipt.read_text())
    assert other["prompt"]["tokens"] is None
    cloche("replay", receipt, MODEL, code=2)
    ids = ",".join(map(str, answer("-n", 1, "hi")["prompt_tokens"]))
    cloche("replay", receipt, MODEL, "--tokens", ids)
    cloche("replay", receipt, BOX / "tiny-f32.gguf", "--tokens", ids, code=3)


def test_models_are_kept_by_name():
    assert json.loads(cloche("list", "--json")) == []
    m = json.loads(cloche("import", MODEL, "--name", "org/tiny", "--json"))
    assert json.loads(cloche("import", MODEL, "--name", "org/tiny", "--json"))["digest"] == m["digest"]
    cloche("import", BOX / "tiny-f32.gguf", "--name", "org/tiny", code=5)
    cloche("import", MODEL, "--name", "../out", code=2)
    cloche("import", MODEL, "--name", "x", "--sha256", "0" * 64, code=3)
    cloche("import", MODEL, "--name", "org/tiny", "--sha256", hashlib.sha256(pathlib.Path(MODEL).read_bytes()).hexdigest().upper())
    cloche("import", BOX / "nothing.gguf", code=4)
    (BOX / "junk.gguf").write_bytes(b"GGUF but not really")
    cloche("import", BOX / "junk.gguf", code=1)
    assert [x["name"] for x in json.loads(cloche("list", "--json"))] == ["org/tiny"]
    shown = json.loads(cloche("show", "org/tiny", "--verify", "--json"))
    assert shown["verified"] and shown["family"] == "llama" and shown["library"]["digest"] == m["digest"]
    assert answer("-n", 8, "hi")["tokens"] == json.loads(cloche("run", "org/tiny", "--json", "-n", 8, "hi"))["tokens"]
    receipt = BOX / "named.rcp"
    cloche("run", "org/tiny", "-n", 4, "--receipt", receipt, "hi")
    cloche("replay", receipt)  # found by its digest
    held = BOX / "data/models/org/tiny" / m["files"][0]["name"]
    held.chmod(0o644)
    with open(held, "r+b") as f:
        f.seek(-1, 2)
        f.write(b"\xee")
    cloche("show", "org/tiny", "--verify", code=7)
    cloche("import", MODEL, "--name", "org/tiny")  # mends it
    cloche("show", "org/tiny", "--verify")
    cloche("import", MODEL, "--name", "org", code=5)
    cloche("import", MODEL, "--name", "org/tiny/more", code=2)
    cloche("rm", "org/tiny")
    cloche("rm", "org/tiny", code=4)
    assert json.loads(cloche("list", "--json")) == []
    assert not [p for p in (BOX / "data/blobs").rglob("*") if p.is_file()]


def test_logits_are_the_same_bits_however_they_are_computed():
    ids = ",".join(str(7 * i % 300) for i in range(70))
    first = cloche("logits", MODEL, "--tokens", ids)
    for way in (["-t", 1], ["--chunk", 1], ["--chunk", 13, "-t", 2], ["--reuse", 33], ["--reuse", 1, "--chunk", 5]):
        assert cloche("logits", MODEL, "--tokens", ids, "--digest", *way) == first, way
    out = BOX / "x.npy"
    cloche("logits", MODEL, "--tokens", "1,2,3", "--out", out)
    head = out.read_bytes()[:128]
    n_vocab = json.loads(cloche("show", MODEL, "--json"))["vocab"]
    assert head.startswith(b"\x93NUMPY\x01\x00") and f"(3, {n_vocab})".encode() in head and head.endswith(b"\n")
    assert out.stat().st_size == 128 + 3 * n_vocab * 4
    cloche("logits", MODEL, "--tokens", "1,999999", code=2)


def test_facts_and_measures():
    text = BOX / "text.txt"
    text.write_text("the thing is to hear the rain in the other land " * 40)
    p = json.loads(cloche("perplexity", MODEL, "--file", text, "--ctx", 64, "--json"))
    assert p["perplexity"] > 1 and p["scored"] == p["windows"] * 31
    assert p == json.loads(cloche("perplexity", MODEL, "--file", text, "--ctx", 64, "--json", "-t", 1))
    b = json.loads(cloche("bench", MODEL, "-p", 32, "-n", 8, "-r", 1, "--json", "--lookup"))
    for key in ("prefill_tok_s", "decode_tok_s", "load_ms", "peak_rss_bytes", "read_gb_s", "fma_gflop_s"):
        assert b[key] > 0, key
    assert b["lookup"]["same"] is True
    assert "scalar" in json.loads(cloche("doctor", "--json"))["tables"]
    assert json.loads(cloche("version", "--json"))["profile"] == "n1"


def test_output_that_is_lost_is_a_failure():
    talk = BOX / "talk.json"
    talk.write_text('[{"role": "user", "content": "hi"}]')
    for args in (["run", MODEL, "-n", 3, "hi"], ["run", MODEL, "-n", 3, "--json", "hi"], ["tokenize", MODEL, "hello"],
                 ["render", MODEL, "--messages", talk], ["logits", MODEL, "--tokens", "1,2"], ["show", MODEL],
                 ["inspect", MODEL, "--json"], ["list", "--json"], ["version"], ["--help"], ["run", "--help"]):
        with open("/dev/full", "w") as full:
            p = subprocess.run([BIN, *map(str, args)], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                               text=True, env=ENV, timeout=300)
        assert p.returncode == 1 and "standard output could not be written" in p.stderr, (args, p.returncode, p.stderr)


def said(*args, code):
    """What a command that must end with `code` writes to standard error."""
    p = subprocess.run([BIN, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV)
    assert p.returncode == code, f"cloche {args}: exit {p.returncode}, not {code}\n{p.stderr}"
    return p.stderr


def test_faults_say_what_to_do_next():
    assert "cloche list" in said("run", "no-such-model", "hi", code=4)
    assert "cloche list" in said("rm", "no-such-model", code=4)
    assert "cloche list" not in said("perplexity", MODEL, "--file", BOX / "none.txt", code=4)
    (BOX / "cut.gguf").write_bytes(pathlib.Path(MODEL).read_bytes()[:5000])
    assert "publisher" in said("show", BOX / "cut.gguf", code=1)


def test_an_empty_config_is_damaged_and_not_missing():
    folder = BOX / "folder"
    folder.mkdir()
    head = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    said("show", folder, code=4)
    (folder / "config.json").write_bytes(b"")
    assert "config.json" in said("show", folder, code=1)


def test_a_data_folder_that_is_damaged_ends_with_7():
    cloche("import", MODEL, "--name", "hurt")
    held = BOX / "data/models/hurt"
    file = next(held.glob("*.gguf"))
    file.chmod(0o644)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000])
    assert "cloche rm" in said("run", "hurt", "hi", code=7)
    file.write_bytes(whole)
    cloche("run", "hurt", "-n", 2, "hi")
    manifest = held / "cloche-model.json"
    text = manifest.read_text()
    manifest.write_text(text[:-20])
    said("show", "hurt", code=7)
    manifest.write_text(text)
    file.unlink()
    said("run", "hurt", "hi", code=7)
    cloche("rm", "hurt")


def test_a_data_folder_that_cannot_be_written_still_serves():
    kept, want = BOX / "kept", cloche("logits", MODEL, "--tokens", "1,2,3")
    kept.mkdir(mode=0o555)
    BOX.chmod(0o755)
    # Root writes anywhere, so it becomes nobody.
    nobody = [] if os.getuid() else ["setpriv", "--reuid=65534", "--clear-groups"]
    program = str(BOX / "cloche")
    shutil.copy(BIN, program)
    p = subprocess.run([*nobody, program, "logits", MODEL, "--tokens", "1,2,3", "--data", kept], capture_output=True, text=True)
    assert p.returncode == 0 and p.stdout == want and "cannot be written" in p.stderr, p
    p = subprocess.run([*nobody, program, "import", MODEL, "--data", kept], capture_output=True, text=True)
    assert p.returncode == 1 and "another place" in p.stderr, p


def test_usage_faults_end_with_2():
    for args in ([], ["nonsense"], ["run"], ["run", MODEL, "--temp", "warm", "x"], ["run", MODEL, "--nope", "x"],
                 ["logits", MODEL], ["run", MODEL, "--temp", "-1", "x"], ["run", MODEL, "--order", "up", "x"],
                 ["run", MODEL, "-n", "0", "x"], ["run", MODEL, "--top-k", "-5", "x"], ["run", MODEL, "--set", "a=b", "x"],
                 ["run", MODEL, "--raw", "--system", "s", "x"], ["logits", MODEL, "--tokens", "1,,3"],
                 ["logits", MODEL, "--tokens", "1,x"], ["import", MODEL, "--sha256", "00"]):
        cloche(*args, code=2)
    cloche("run", "no-such-model", "hi", code=4)
    for command in ("run", "replay", "import", "list", "show", "rm", "logits", "bench", "perplexity", "doctor", "version"):
        assert "examples:" in cloche(command, "--help")


def schema_file(name, schema):
    path = BOX / f"{name}.json"
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema))
    return path


def test_an_answer_fits_its_schema():
    schema = schema_file("flag", {"type": "object", "properties": {"on": {"type": "boolean"}, "n": {"type": "integer", "minimum": 3,
                                  "maximum": 40}}, "required": ["on", "n"], "additionalProperties": False})
    for seed in range(8):
        got = answer("--schema", schema, "--seed", seed, "--temp", 2, "Say")
        value = json.loads(got["text"])
        assert got["finish_reason"] == "stop" and list(value) == ["on", "n"]
        assert type(value["on"]) is bool and 3 <= value["n"] <= 40, value
        again = answer("--schema", schema, "--seed", seed, "--temp", 2, "--no-lookup", "-t", 1, "Say")
        assert again["tokens"] == got["tokens"]
    text = cloche("run", MODEL, "--json-mode", "--temp", 3, "-n", 40, "Say")
    assert text.startswith("{")


def test_schemas_that_cannot_be_held_are_told():
    def told(code, *args):
        p = subprocess.run([BIN, "run", MODEL, *map(str, args), "-n", "4", "Say"], env=ENV, capture_output=True, text=True)
        assert p.returncode == code, (p.returncode, p.stderr)
        return p.stderr

    loose = schema_file("loose", {"type": "object", "properties": {"x": {"type": "integer", "multipleOf": 3}}, "minProperties": 1})
    assert "properties.x.multipleOf" in told(0, "--schema", loose) and "minProperties" in told(0, "--schema", loose)
    assert "cut before its form was whole" in told(0, "--schema", schema_file("long", {"type": "string", "minLength": 90}))
    assert "properties.x.type" in told(1, "--schema", schema_file("wrong", {"properties": {"x": {"type": "text"}}}))
    assert "JSON" in told(1, "--schema", schema_file("broken", "{"))
    told(4, "--schema", BOX / "absent.json")
    told(2, "--schema", loose, "--json-mode")
    told(2, "--json-mode", "--ignore-eos")


def test_answers_held_to_a_schema_have_receipts():
    receipt, short = BOX / "held.rcp", schema_file("short", {"type": "string", "maxLength": 3})
    cloche("run", MODEL, "--schema", short, "--receipt", receipt, "-n", "8", "Say")
    stated = json.loads(receipt.read_text())
    assert stated["grammar"]["kind"] == "schema" and json.loads(stated["grammar"]["text"])["maxLength"] == 3
    cloche("replay", receipt, MODEL)
    stated["grammar"]["text"] = stated["grammar"]["text"].replace("3", "2")
    receipt.write_text(json.dumps(stated))
    cloche("replay", receipt, MODEL, code=1)


if __name__ == "__main__":
    tiny_models.write(BOX)
    status = program.run_tests(globals())
    shutil.rmtree(BOX, ignore_errors=True)
    sys.exit(status)
