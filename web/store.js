// Conversations, kept in this browser (IndexedDB) and nowhere else.
//
//   {id, title, updated, model, system, messages: [{role, content, ...}]}

const FORMAT = "cloche-conversations-1";
const IMPORT_MAX = 10000; // conversations, and messages of each
let base = null;          // null: the browser keeps nothing (private windows of some): what there is lives in `memory`
const memory = new Map();

export function open() {
  return new Promise((resolve) => {
    let asked;
    try { asked = indexedDB.open("cloche", 1); } catch { resolve(); return; }
    asked.onupgradeneeded = () => asked.result.createObjectStore("conversations", {keyPath: "id"});
    asked.onsuccess = () => { base = asked.result; resolve(); };
    asked.onerror = () => resolve();
  });
}

function perform(mode, act) {
  return new Promise((resolve, reject) => {
    const t = base.transaction("conversations", mode);
    const asked = act(t.objectStore("conversations"));
    t.oncomplete = () => resolve(asked.result);
    t.onerror = t.onabort = () => reject(t.error);
  });
}

// Newest first.
export async function all() {
  const rows = base ? await perform("readonly", (s) => s.getAll()) : [...memory.values()];
  return rows.sort((a, b) => b.updated - a.updated);
}

export async function put(conversation) {
  const copy = structuredClone(conversation);
  if (base) await perform("readwrite", (s) => s.put(copy));
  else memory.set(copy.id, copy);
}

export async function remove(id) {
  if (base) await perform("readwrite", (s) => s.delete(id));
  else memory.delete(id);
}

export const blank = () => ({id: newId(), title: "", updated: Date.now(), model: "", system: "", messages: []});

// randomUUID needs TLS; random bytes do not.
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

export async function exportAll() {
  return JSON.stringify({format: FORMAT, conversations: await all()}, null, 1) + "\n";
}

// --- a file from elsewhere ------------------------------------------------------------------------------------------

const isText = (v) => typeof v === "string";
const number = (v, fallback) => (Number.isFinite(v) ? v : fallback);

function readToken(t) {
  if (!Array.isArray(t) || !isText(t[0]) || !Number.isFinite(t[1]) || !Array.isArray(t[2])) throw new Error("a token is not as it should be");
  return [t[0], t[1], t[2].slice(0, 20).filter((p) => Array.isArray(p) && isText(p[0]) && Number.isFinite(p[1])).map((p) => [p[0], p[1]])];
}

function readMessage(m) {
  if (!m || !["user", "assistant"].includes(m.role) || !isText(m.content)) throw new Error("a message lacks its role or text");
  const out = {role: m.role, content: m.content};
  for (const key of ["thought", "model", "finish", "fault"]) if (isText(m[key])) out[key] = m[key];
  if (Array.isArray(m.tokens)) out.tokens = m.tokens.map(readToken);
  if (m.receipt && isText(m.receipt.id) && isText(m.receipt.text))
    out.receipt = {id: m.receipt.id, text: m.receipt.text, chain: String(m.receipt.chain ?? ""), seed: String(m.receipt.seed ?? "")};
  if (m.stats) out.stats = {tokens: number(m.stats.tokens, 0), rate: number(m.stats.rate, 0), first: number(m.stats.first, 0)};
  return out;
}

function readConversation(c) {
  if (!c || !Array.isArray(c.messages) || c.messages.length > IMPORT_MAX) throw new Error("a conversation lacks its messages");
  return {...blank(), title: isText(c.title) ? c.title.slice(0, 200) : "", updated: number(c.updated, Date.now()),
    model: isText(c.model) ? c.model : "", system: isText(c.system) ? c.system : "", messages: c.messages.map(readMessage)};
}

// All or nothing; they get new ids, so that nothing that is here is lost. Returns how many.
export async function importAll(text) {
  const file = JSON.parse(text);
  if (file?.format !== FORMAT || !Array.isArray(file.conversations) || file.conversations.length > IMPORT_MAX)
    throw new Error(`not a file of conversations ("format": "${FORMAT}")`);
  const rows = file.conversations.map(readConversation);
  for (const c of rows) await put(c);
  return rows.length;
}
