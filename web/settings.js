// How the model is asked: kept in this browser, except the system prompt, which belongs to a conversation.

import {byId, make} from "./dom.js";

const STORE = "cloche.settings";
const NUMBERS = [
  {name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05},
  {name: "top_p", label: "Top-p", min: 0, max: 1, step: 0.01},
  {name: "top_k", label: "Top-k", min: 0, max: 1000000, step: 1},
  {name: "min_p", label: "Min-p", min: 0, max: 1, step: 0.01},
  {name: "seed", label: "Seed", min: 0, max: Number.MAX_SAFE_INTEGER, step: 1},
  {name: "max_tokens", label: "Most tokens", min: 1, max: 1000000, step: 1},
];

let now = {receipt: true, logprobs: false, numbers: {}};

function valid(spec, v) {
  return Number.isFinite(v) && v >= spec.min && v <= spec.max && (spec.step !== 1 || Number.isSafeInteger(v));
}

function load() {
  let kept = {};
  try { kept = JSON.parse(localStorage.getItem(STORE)) || {}; } catch { /* then the defaults hold */ }
  const numbers = {};
  for (const spec of NUMBERS) if (valid(spec, kept.numbers?.[spec.name])) numbers[spec.name] = kept.numbers[spec.name];
  now = {receipt: kept.receipt !== false, logprobs: kept.logprobs === true, model: String(kept.model ?? ""), numbers};
}

function save() {
  try { localStorage.setItem(STORE, JSON.stringify(now)); } catch { /* it holds until the tab is closed */ }
}

// What a request says.
export function request() {
  const body = {...now.numbers};
  if (now.receipt) body.x_receipt = true;
  if (now.logprobs) Object.assign(body, {logprobs: true, top_logprobs: 5});
  return body;
}

export const lastModel = () => now.model;
export function setLastModel(name) {
  now.model = name;
  save();
}

function show() {
  for (const spec of NUMBERS) {
    const e = byId(`set-${spec.name}`);
    e.value = now.numbers[spec.name] ?? "";
    e.removeAttribute("aria-invalid");
  }
  byId("set-receipt").checked = now.receipt;
  byId("set-logprobs").checked = now.logprobs;
}

function readNumber(spec, e) {
  const text = e.value.trim(), v = Number(text.replace(",", "."));
  const ok = text === "" || valid(spec, v);
  if (ok) e.removeAttribute("aria-invalid");
  else e.setAttribute("aria-invalid", "true");
  if (text === "" || !ok) delete now.numbers[spec.name];
  else now.numbers[spec.name] = v;
  save();
}

// conversation() is the one whose system prompt is shown; changed() is called after that was edited.
export function start(conversation, changed) {
  load();
  for (const spec of NUMBERS) {
    const e = make("input", {id: `set-${spec.name}`, inputmode: "decimal", autocomplete: "off",
      title: spec.max > 1000 ? undefined : `${spec.min} to ${spec.max}`});
    e.addEventListener("input", () => readNumber(spec, e));
    byId("set-numbers").append(make("label", {}, spec.label, e));
  }
  for (const name of ["receipt", "logprobs"])
    byId(`set-${name}`).addEventListener("change", (event) => { now[name] = event.target.checked; save(); });
  byId("set-system").addEventListener("input", (event) => { conversation().system = event.target.value; changed(); });
  byId("set-reset").addEventListener("click", () => {
    now = {...now, receipt: true, logprobs: false, numbers: {}};
    save();
    show();
  });
  byId("settings-open").addEventListener("click", () => {
    show();
    byId("set-system").value = conversation().system;
    byId("settings").showModal();
  });
}
