"""What tests of running the hub's models share: the command line, small models, and pushing them."""
import json
import os
import pathlib
import subprocess
import sys

import pytest
from serving import BIN

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tiny_models  # noqa: E402

PROMPT = "The bell"


def command(data, *args):
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return subprocess.run([BIN, *map(str, args), "--data", str(data)], env=env, capture_output=True, text=True, timeout=300)


def cloche(data, *args, code=0):
    done = command(data, *args)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def answer(data, model, *args):
    return cloche(data, "run", model, PROMPT, "--raw", "-n", "8", "--temp", "0", *args)


def digest(data, model, tmp_path):
    """By which receipts name the model."""
    answer(data, model, "--receipt", tmp_path / "receipt")
    return json.loads((tmp_path / "receipt").read_text())["model"]


def save_llama(folder, seed, **how):
    """What transformers writes: a Llama in safetensors and a tokenizer of bytes."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    torch.manual_seed(seed)
    words = {c: i for i, c in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|end|>"])}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                                 num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=128, bos_token_id=256,
                                 eos_token_id=256)).save_pretrained(folder, **how)
    t = Tokenizer(models.BPE(vocab=words, merges=[]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|end|>", bos_token="<|end|>",
                            chat_template="{% for m in messages %}{{ m.content }}{% endfor %}").save_pretrained(folder)
    return folder


def push(hub, folder, name, user="alice", private=False):
    api = hub.api(user)
    api.create_repo(name, private=private, exist_ok=True)
    return api.upload_folder(repo_id=name, folder_path=folder).oid


def push_ggufs(hub, name, files):
    api = hub.api("alice")
    api.create_repo(name, exist_ok=True)
    for path, kind in files.items():
        api.upload_file(repo_id=name, path_in_repo=path, path_or_fileobj=tiny_models.model_bytes(kind))


def snapshots(hub, name):
    """The folders in which the model's files lie once they were needed."""
    with hub.http("root") as c:
        return sorted((hub.data / "snapshots" / c.get(f"/api/models/{name}").json()["_id"]).glob("*"))
