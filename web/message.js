// One message on the page. A view is {element, refresh()}; refresh shows what the message has become.
//
//   {role, content, thought, tokens: [[text, logprob, [[text, logprob], ...]], ...], stats, place, finish, fault,
//    receipt: {id, chain, seed, text}, verdict: {good, text}}

import {byId, make, button, copyButton, download} from "./dom.js";
import {render} from "./markdown.js";
import {replay} from "./api.js";

const percent = (logprob) => {
  const p = 100 * Math.exp(logprob);
  return p >= 99.95 ? "100 %" : p >= 1 ? `${p.toFixed(1)} %` : p >= 0.01 ? `${p.toFixed(2)} %` : "<0.01 %";
};

// --- tokens and their probabilities ---------------------------------------------------------------------------------

const shade = (logprob) => {
  const p = Math.exp(logprob);
  return p >= 0.9 ? "" : p >= 0.5 ? "p1" : p >= 0.2 ? "p2" : p >= 0.05 ? "p3" : "p4";
};

const visible = (text) => text.replace(/\n/g, "↵").replace(/\t/g, "⇥") || "∅";

function showTip(span, token) {
  const tip = byId("tip");
  const rows = token[2].some((t) => t[0] === token[0]) ? token[2] : [[token[0], token[1]], ...token[2]];
  tip.replaceChildren(...rows.map(([text, logprob]) => make("div", {class: text === token[0] ? "row chosen" : "row"},
    make("span", {}, visible(text)), make("span", {}, percent(logprob)))));
  tip.hidden = false;
  const box = span.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const below = box.bottom + 6 + size.height < innerHeight;
  tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - size.width - 8))}px`;
  tip.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - size.height - 6)}px`;
}

const hideTip = () => { byId("tip").hidden = true; };

function moveFocus(event) {
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  const from = event.target;
  const to = event.key === "Home" ? from.parentNode.firstChild : event.key === "End" ? from.parentNode.lastChild :
    step === 1 ? from.nextSibling : step === -1 ? from.previousSibling : null;
  if (!step && event.key !== "Home" && event.key !== "End") return;
  event.preventDefault();
  if (!to) return;
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function tokenList(tokens) {
  const list = make("div", {class: "tokens", role: "listbox", "aria-label": "Tokens; arrow keys move, each tells its probability",
    onkeydown: moveFocus});
  list.append(...tokens.map((token, i) => {
    const span = make("span", {class: `token ${shade(token[1])}`, role: "option", tabindex: i ? "-1" : "0", "aria-selected": "false",
      "aria-label": `${visible(token[0])}, ${percent(token[1])}`}, token[0]);
    for (const on of ["mouseenter", "focus"]) span.addEventListener(on, () => showTip(span, token));
    for (const off of ["mouseleave", "blur"]) span.addEventListener(off, hideTip);
    return span;
  }));
  return list;
}

// --- the receipt ----------------------------------------------------------------------------------------------------

// What the receipt's own text says, for show; null when it is no JSON.
function facts(text) {
  try {
    const r = JSON.parse(text);
    return {model: String(r.model ?? ""), tokens: Number(r.output?.n), program: String(r.program?.version ?? "")};
  } catch { return null; }
}

function verdictOf(v, message) {
  const where = `token ${v.at + 1} of ${v.tokens}`;
  if (v.same && !v.text.trim().endsWith(message.content.trim()))
    return {good: false, text: "The receipt is sound, but it is of another text than this one."};
  if (v.same)
    return {good: true, text: `Identical: all ${v.checked} tokens, every choice and every number behind them, computed again in ${
      v.seconds.toFixed(1)} s${v.same_program ? "" : " by another build"}.`};
  if (v.what === "token")
    return {good: false, text: `Not the same: ${where} is “${visible(v.stated?.text ?? "")}” in the receipt and “${
      visible(v.found?.text ?? "")}” here.`};
  if (v.what === "logits") return {good: false, text: `Not the same: the numbers behind ${where} differ.`};
  return {good: false, text: `Not the same: the receipt is of another ${v.what}.`};
}

function receiptView(message, changed) {
  const {receipt} = message, told = facts(receipt.text);
  const verdict = make("p", {class: "verdict", role: "status"});
  const show = () => {
    verdict.className = `verdict ${message.verdict ? (message.verdict.good ? "good" : "bad") : ""}`;
    verdict.textContent = message.verdict?.text ?? "";
  };
  const again = button("Replay", async () => {
    again.disabled = true;
    verdict.className = "verdict";
    verdict.textContent = "Computing the answer again…";
    try { message.verdict = verdictOf(await replay(receipt.text), message); }
    catch (e) { message.verdict = {good: false, text: `Could not be checked: ${e.message}`}; }
    again.disabled = false;
    show();
    changed();
  });
  const save = button("Download", () => download(`${receipt.id.slice(0, 18).replace(/\W/g, "")}.json`, receipt.text));
  const row = (name, value) => [make("dt", {}, name), make("dd", {}, value)];
  show();
  return make("details", {class: "receipt"}, make("summary", {}, `Receipt ${receipt.id.slice(0, 14)}…`),
    make("dl", {}, ...row("Receipt", receipt.id), ...row("Model", told?.model ?? "?"), ...row("Logits chain", receipt.chain),
      ...row("Seed", receipt.seed), ...row("Tokens", String(told?.tokens ?? "?")), ...row("Program", `cloche ${told?.program ?? "?"}`)),
    make("div", {class: "row"}, again, save), verdict);
}

// --- the message ----------------------------------------------------------------------------------------------------

function factsLine(m) {
  const parts = [];
  if (m.stats?.tokens) parts.push(`${m.stats.tokens} tokens`);
  if (m.stats?.rate) parts.push(`${m.stats.rate.toFixed(1)} tokens/s`);
  if (m.stats?.first) parts.push(`first after ${(m.stats.first / 1000).toFixed(2)} s`);
  if (m.finish === "length") parts.push("length reached");
  if (m.finish === "stopped") parts.push("stopped");
  return parts.join(" · ");
}

function editor(message, view, actions) {
  const area = make("textarea", {"aria-label": "Edit the message", rows: String(Math.min(14, message.content.split("\n").length + 1))});
  area.value = message.content;
  const done = () => { actions.edited(message, area.value); };
  const cancel = () => { view.refresh(); view.element.querySelector(".foot button")?.focus(); };
  area.addEventListener("keydown", (e) => {
    if (e.key === "Escape") { e.stopPropagation(); cancel(); }
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing && message.role === "user") { e.preventDefault(); done(); }
  });
  view.element.replaceChildren(make("div", {class: "edit"}, area, make("div", {class: "row"},
    button(message.role === "user" ? "Send again" : "Save", done, {class: "primary"}), button("Cancel", cancel, {class: "quiet"}))));
  area.focus();
}

// actions: busy(message) whether it is being written; edited(message, text), regenerate(message), changed()
export function messageView(message, actions) {
  const view = {element: make("li", {class: `message ${message.role}`})};
  const body = make("div", {class: "body"});
  const thought = make("p"), thoughts = make("details", {class: "thought"}, make("summary", {}, "Thoughts"), thought);
  let asTokens = false;

  function fill() {
    if (message.role === "user") body.textContent = message.content;
    else if (asTokens) body.replaceChildren(tokenList(message.tokens));
    else if (!message.content && actions.busy(message))
      body.replaceChildren(make("p", {class: "waiting"}, message.place ? `Number ${message.place} in line…` : "Reading…"));
    else body.replaceChildren(render(message.content));
  }

  function foot() {
    const e = make("div", {class: "foot"});
    if (message.role === "assistant") e.append(make("span", {class: "facts"}, factsLine(message)));
    e.append(copyButton(() => message.content));
    if (message.role === "assistant") e.append(button("Regenerate", () => actions.regenerate(message)));
    e.append(button("Edit", () => editor(message, view, actions)));
    if (message.tokens?.length) {
      const b = button("Probabilities", () => {
        asTokens = !asTokens;
        b.setAttribute("aria-pressed", String(asTokens));
        hideTip();
        fill();
      }, {"aria-pressed": String(asTokens)});
      e.append(b);
    }
    return e;
  }

  view.refresh = () => {
    const busy = actions.busy(message);
    view.element.classList.toggle("writing", busy && Boolean(message.content));
    if (busy) view.element.setAttribute("aria-busy", "true");
    else view.element.removeAttribute("aria-busy");
    fill();
    thought.textContent = message.thought ?? "";
    const parts = [make("span", {class: "hidden"}, message.role === "user" ? "You said:" : "The model said:")];
    if (message.thought) parts.push(thoughts);
    parts.push(body);
    if (message.fault) parts.push(make("p", {class: "fault"}, message.fault));
    if (!busy) parts.push(foot());
    if (!busy && message.receipt) parts.push(receiptView(message, actions.changed));
    view.element.replaceChildren(...parts);
  };
  view.refresh();
  return view;
}
