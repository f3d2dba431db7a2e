// "Use this": how programs get at a repository of this server.

import {make, codeBlock} from "./ui.js";
import {copyButton} from "../dom.js";

const TASK_CLASSES = {"text-generation": "AutoModelForCausalLM", "fill-mask": "AutoModelForMaskedLM",
  "text-classification": "AutoModelForSequenceClassification", "text2text-generation": "AutoModelForSeq2SeqLM"};

const WEIGHTS = ["model.safetensors", "model.safetensors.index.json"];

// Whether the files of a repository of models look like one that this program runs.
export function canRun({repo, info}) {
  const files = (info.siblings ?? []).map((s) => s.rfilename);
  return repo.type === "models" && (files.some((f) => f.endsWith(".gguf")) || (files.includes("config.json") && files.some((f) => WEIGHTS.includes(f))));
}

function python(lines) {
  return [`import os`, `os.environ["HF_ENDPOINT"] = "${location.origin}"  # before the libraries are loaded`, "", ...lines].join("\n");
}

// [[label, language, text]]
function all(r) {
  const {repo, info} = r, id = info.id, web = (repo.type === "models" ? "" : `${repo.type}/`) + id;
  const kind = repo.type === "models" ? "" : `, repo_type="${repo.type.slice(0, -1)}"`;
  const out = [];
  if (repo.type === "models" && info.library_name === "transformers") {
    const cls = TASK_CLASSES[info.pipeline_tag] ?? "AutoModel";
    out.push(["transformers", "python", python([`from transformers import AutoTokenizer, ${cls}`, "",
      `tokenizer = AutoTokenizer.from_pretrained("${id}")`, `model = ${cls}.from_pretrained("${id}")`])]);
  }
  if (repo.type === "datasets") out.push(["datasets", "python", python([`from datasets import load_dataset`, "", `data = load_dataset("${id}")`])]);
  out.push(["huggingface_hub", "python", [`from huggingface_hub import snapshot_download`, "",
    `snapshot_download("${id}"${kind}, endpoint="${location.origin}")`].join("\n")]);
  out.push(["hf", "shell", `HF_ENDPOINT=${location.origin} hf download ${id}${repo.type === "models" ? "" : ` --repo-type ${repo.type.slice(0, -1)}`}`]);
  out.push(["git", "shell", `git lfs install\ngit clone ${location.origin}/${web}`]);
  if (canRun(r)) {
    out.push(["cloche", "shell", `cloche pull ${id} --from ${location.origin}\ncloche run ${id} "Why is the sky blue?"`]);
    const body = JSON.stringify({model: id, messages: [{role: "user", content: "Why is the sky blue?"}]});
    out.push(["this server", "shell", `curl ${location.origin}/v1/chat/completions -H "Authorization: Bearer $HF_TOKEN" -d '${body}'`]);
  }
  return out;
}

export function snippets(r) {
  return make("section", {class: "box use"}, make("h2", {}, `Use this ${r.repo.type.slice(0, -1)}`), ...all(r).map(([label, language, text], i) => {
    const copy = copyButton(() => text);
    copy.setAttribute("aria-label", `Copy the code for ${label}`);
    return make("details", {open: i === 0}, make("summary", {}, label), codeBlock(text, language, copy));
  }));
}
