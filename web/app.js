// The page: conversations on the left, one of them in the middle. One answer is written at a time.

import {byId, make, button, download} from "./dom.js";
import * as api from "./api.js";
import * as store from "./store.js";
import * as settings from "./settings.js";
import {messageView} from "./message.js";

const FRAME_MS = 60;      // between two drawings of what is being written
const NEAR_PX = 80;       // who is so near the end follows it

let conversations = [];
let current = store.blank();
let writing = null;       // {conversation, message, view, control}: the answer under way

const log = byId("log"), input = byId("input");
const notice = (text) => { byId("notice").textContent = text; };

// --- showing --------------------------------------------------------------------------------------------------------

const titleOf = (c) => c.title || "New conversation";

const actions = {
  busy: (m) => writing?.message === m,
  changed: () => { keep(current); },
  regenerate(message) {
    if (writing) return;
    current.messages.length = current.messages.indexOf(message);
    answer();
  },
  edited(message, text) {
    if (writing) return;
    message.content = text;
    for (const key of ["receipt", "verdict", "tokens", "stats", "fault"]) delete message[key]; // they were of another text
    if (message.role === "user") {
      current.messages.length = current.messages.indexOf(message) + 1;
      answer();
    } else {
      keep(current);
      showConversation();
    }
    input.focus();
  },
};

function addView(message) {
  const view = messageView(message, actions);
  if (writing?.message === message) writing.view = view;
  byId("messages").append(view.element);
}

function showConversation() {
  byId("messages").replaceChildren();
  byId("welcome").hidden = current.messages.length > 0;
  for (const m of current.messages) addView(m);
  document.title = current.title ? `${current.title} – Cloche` : "Cloche";
  log.scrollTop = log.scrollHeight;
}

function showList() {
  byId("list").replaceChildren(...conversations.map((c) => {
    const open = button(titleOf(c), () => choose(c), {class: "open", title: titleOf(c)});
    if (c.id === current.id) open.setAttribute("aria-current", "true");
    return make("li", {class: c.id === current.id ? "current" : ""}, open,
      button("✕", () => removeConversation(c), {class: "icon remove", "aria-label": `Delete “${titleOf(c)}”`}));
  }));
}

function showButtons() {
  byId("send").hidden = Boolean(writing);
  byId("stop").hidden = !writing;
}

function choose(c) {
  current = c;
  if (c.model && [...byId("model").options].some((o) => o.value === c.model)) byId("model").value = c.model;
  openSide(false);
  showConversation();
  showList();
  input.focus();
}

async function keep(c) {
  c.updated = Date.now();
  if (!conversations.includes(c)) conversations.unshift(c);
  try { await store.put(c); } catch (e) { notice(`This browser could not keep the conversation: ${e.message}`); }
}

async function removeConversation(c) {
  if (!confirm(`Delete “${titleOf(c)}”?`)) return;
  if (writing?.conversation === c) stop();
  await store.remove(c.id);
  conversations = conversations.filter((x) => x !== c);
  if (c === current) choose(store.blank());
  else showList();
}

// --- an answer ------------------------------------------------------------------------------------------------------

function requestBody(conversation, before) {
  const messages = before.filter((m) => m.content).map(({role, content}) => ({role, content}));
  if (conversation.system.trim()) messages.unshift({role: "system", content: conversation.system});
  return {model: conversation.model, messages, ...settings.request()};
}

const readTokens = (list) => list.map((t) => [t.token, t.logprob, t.top_logprobs.map((p) => [p.token, p.logprob])]);

function takeChunk(message, chunk, times) {
  if (chunk.x_queue) message.place = chunk.x_queue.place;
  const choice = chunk.choices[0];
  const delta = choice?.delta ?? {};
  if (delta.reasoning_content) message.thought = (message.thought ?? "") + delta.reasoning_content;
  if (delta.content) message.content += delta.content;
  if ((delta.content || delta.reasoning_content) && !times.first) times.first = performance.now();
  if (choice?.logprobs?.content) message.tokens = [...(message.tokens ?? []), ...readTokens(choice.logprobs.content)];
  if (choice?.finish_reason) message.finish = choice.finish_reason;
  if (choice?.x_receipt) {
    const {id, chain, seed, text} = choice.x_receipt;
    message.receipt = {id, chain, seed, text};
  }
  if (chunk.usage) {
    message.stats.tokens = chunk.usage.completion_tokens;
    message.stats.rate = chunk.timings?.predicted_per_second ?? 0;
  }
}

// Whole sentences are read out as they come, the rest at the end.
function reader() {
  let said = 0;
  return (text, end) => {
    const rest = text.slice(said);
    const at = end ? rest.length : Math.max(rest.lastIndexOf(". "), rest.lastIndexOf("! "), rest.lastIndexOf("? "), rest.lastIndexOf("\n")) + 1;
    if (at <= 0) return;
    byId("live").append(make("p", {}, rest.slice(0, at)));
    said += at;
  };
}

function draw(message) {
  if (writing?.message !== message || writing.conversation !== current) return;
  const follow = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
  writing.view.refresh();
  if (follow) log.scrollTop = log.scrollHeight;
}

async function write(message, body, signal) {
  const begin = performance.now(), times = {}, read = reader();
  let due = 0;
  const show = () => {
    due = 0;
    draw(message);
    read(message.content, false);
  };
  for await (const chunk of api.chat(body, signal)) {
    takeChunk(message, chunk, times);
    if (times.first) message.stats.first = times.first - begin;
    due ||= setTimeout(show, FRAME_MS);
  }
  clearTimeout(due);
  read(message.content, true);
}

async function answer() {
  const conversation = current, before = [...current.messages];
  conversation.model = byId("model").value;
  const message = {role: "assistant", content: "", model: conversation.model, stats: {tokens: 0, rate: 0, first: 0}};
  const control = new AbortController();
  conversation.messages.push(message);
  writing = {conversation, message, view: null, control};
  byId("live").replaceChildren();
  notice("");
  showConversation();
  showButtons();
  try { await write(message, requestBody(conversation, before), control.signal); }
  catch (e) {
    if (e.name === "AbortError") message.finish = "stopped";
    else message.fault = e.message;
    if (e.status === 401) askForKey();
    if (message.fault) notice(message.fault);
  }
  const {view} = writing;
  writing = null;
  delete message.place;
  if (conversation === current) {
    const follow = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
    view.refresh();
    if (follow) log.scrollTop = log.scrollHeight;
  }
  showButtons();
  if (conversations.includes(conversation)) await keep(conversation);
}

function stop() {
  writing?.control.abort();
  input.focus();
}

function send() {
  const text = input.value.trim();
  if (!text || writing) return;
  if (!byId("model").value) { notice("There is no model to ask yet."); return; }
  if (!current.title) current.title = text.split("\n")[0].slice(0, 60);
  current.messages.push({role: "user", content: text});
  input.value = "";
  fitInput();
  keep(current);
  showList();
  answer();
}

function fitInput() {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight}px`;
}

// --- around it ------------------------------------------------------------------------------------------------------

function openSide(open) {
  byId("side").classList.toggle("open", open);
  byId("shade").hidden = !open;
  byId("side-open").setAttribute("aria-expanded", String(open));
  if (open) byId("side-close").focus();
}

function askForKey() {
  const dialog = byId("key");
  if (dialog.open) return;
  byId("key-input").value = "";
  dialog.showModal();
}

async function loadModels() {
  const select = byId("model");
  try {
    const names = await api.listModels();
    const linked = new URLSearchParams(location.search).get("model"); // from a page of the hub
    if (linked && !names.includes(linked) && await api.hasModel(linked)) names.push(linked);
    select.replaceChildren(...names.map((n) => make("option", {value: n}, n)));
    const wanted = [linked, current.model, settings.lastModel()].find((n) => names.includes(n));
    if (wanted) select.value = wanted;
    if (linked && !names.includes(linked)) notice(`${linked} is no model that answers here.`);
    else notice(names.length ? "" : "This server has no model yet: cloche import brings one.");
  } catch (e) {
    if (e.status === 401) askForKey();
    else notice(e.message);
  }
}

async function importFile(file) {
  try {
    const n = await store.importAll(await file.text());
    conversations = await store.all();
    showList();
    notice("");
    byId("live").replaceChildren(make("p", {}, `${n} conversations imported.`));
  } catch (e) { notice(`Not imported: ${e.message}`); }
}

function listen() {
  byId("composer").addEventListener("submit", (e) => { e.preventDefault(); send(); });
  input.addEventListener("input", fitInput);
  input.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
    e.preventDefault();
    send();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (byId("side").classList.contains("open")) { openSide(false); byId("side-open").focus(); }
    else if (writing) stop();
  });
  byId("stop").addEventListener("click", stop);
  byId("new").addEventListener("click", () => choose(store.blank()));
  byId("model").addEventListener("change", (e) => settings.setLastModel(e.target.value));
  byId("side-open").addEventListener("click", () => openSide(true));
  byId("side-close").addEventListener("click", () => { openSide(false); byId("side-open").focus(); });
  byId("shade").addEventListener("click", () => openSide(false));
  byId("export").addEventListener("click", async () => download("cloche-conversations.json", await store.exportAll()));
  byId("import").addEventListener("click", () => byId("import-file").click());
  byId("import-file").addEventListener("change", async (e) => {
    if (e.target.files[0]) await importFile(e.target.files[0]);
    e.target.value = "";
  });
  byId("key-cancel").addEventListener("click", () => byId("key").close("cancel"));
  byId("key").addEventListener("close", () => {
    if (byId("key").returnValue !== "use" || !byId("key-input").value.trim()) return;
    api.setKey(byId("key-input").value.trim());
    byId("key-input").value = "";
    loadModels();
  });
}

async function start() {
  settings.start(() => current, () => { if (conversations.includes(current)) keep(current); });
  listen();
  await store.open();
  conversations = await store.all();
  showList();
  showConversation();
  showButtons();
  input.focus();
  await loadModels();
  if (await api.hasHub()) for (const link of document.querySelectorAll(".of-hub")) link.hidden = false;
}

start();
