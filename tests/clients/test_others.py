"""Other clients: langchain, and OpenAI's own for node."""
import os
import shutil
import subprocess

import pytest
from conftest import TINY
from serving import ROOT

NODE = """
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.URL + '/v1', apiKey: 'x', maxRetries: 0 });
const ask = { model: process.env.MODEL, messages: [{ role: 'user', content: 'hi' }], max_tokens: 16, seed: 2 };
const whole = await client.chat.completions.create(ask);
let text = '';
const stream = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
let usage = null;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? '';
  if (chunk.usage) usage = chunk.usage;
}
if (text !== whole.choices[0].message.content) throw new Error('the stream differs');
if (usage.total_tokens !== whole.usage.total_tokens) throw new Error('usage differs');
const runner = client.chat.completions.stream(ask);
if (await runner.finalContent() !== text) throw new Error('the helper differs');
try {
  await client.chat.completions.create({ ...ask, model: 'nope' });
  throw new Error('no error');
} catch (e) {
  if (!(e instanceof OpenAI.NotFoundError) || e.code !== 'model_not_found') throw e;
}
const ids = [];
for await (const m of client.models.list()) ids.push(m.id);
if (!ids.includes(process.env.MODEL)) throw new Error('the model is not listed');
console.log('ok');
"""


def test_openai_for_node(server):
    packages = ROOT / "build/npm"
    if not shutil.which("node") or not (packages / "node_modules/openai").is_dir():
        pytest.skip("node with the package openai is not there (tools/bootstrap.sh clients)")
    script = packages / "ask.mjs"
    script.write_text(NODE)
    p = subprocess.run(["node", str(script)], capture_output=True, text=True, timeout=120, env={**os.environ, "URL": server.url, "MODEL": TINY})
    assert p.returncode == 0 and p.stdout == "ok\n", p.stderr


def test_langchain(server):
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(base_url=server.url + "/v1", api_key="x", model=TINY, temperature=0, max_tokens=12, max_retries=0)
    whole = chat.invoke("say something")
    assert "".join(c.content for c in chat.stream("say something")) == whole.content
    assert whole.usage_metadata["output_tokens"] <= 12 and whole.response_metadata["finish_reason"] in ("stop", "length")
