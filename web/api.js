// The server, by the routes that every client uses.

const KEY = "cloche.key";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const getKey = () => { try { return sessionStorage.getItem(KEY) || ""; } catch { return ""; } };
export function setKey(key) {
  try { if (key) sessionStorage.setItem(KEY, key); else sessionStorage.removeItem(KEY); } catch { /* then it is asked for again */ }
}

async function ask(path, options = {}) {
  const headers = {"X-Requested-With": "cloche", ...options.headers};
  const key = getKey();
  if (key) headers.Authorization = `Bearer ${key}`;
  let reply;
  try {
    reply = await fetch(path, {...options, headers, credentials: "same-origin", redirect: "error", cache: "no-store"});
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new ApiError(0, "The server cannot be reached.");
  }
  if (reply.ok) return reply;
  let message = `The server answered ${reply.status}.`;
  try { message = (await reply.json()).error.message || message; } catch { /* no JSON: the number must do */ }
  throw new ApiError(reply.status, message);
}

// Those that answer; encoders make vectors only.
export async function listModels() {
  const {data} = await (await ask("/v1/models")).json();
  return data.filter((m) => m.capabilities.includes("completion")).map((m) => m.id);
}

// Whether a model that is in no list yet, of a repository, is one that answers.
export async function hasModel(name) {
  try { return (await (await ask(`/v1/models/${name.split("/").map(encodeURIComponent).join("/")}`)).json()).capabilities.includes("completion"); } catch { return false; }
}

// Whether the server holds repositories too, which others' pages show.
export async function hasHub() {
  try { return (await fetch("/api/models?limit=1", {headers: {"X-Requested-With": "cloche"}})).ok; } catch { return false; }
}

const json = {"Content-Type": "application/json"};

// Compares a receipt with a new computation of its answer.
export async function replay(text, signal) {
  return (await ask("/v1/receipts/replay", {method: "POST", headers: json, body: text, signal})).json();
}

// The data of server-sent events (WHATWG HTML section 9.2.6), one string each.
export async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", data = [];
  for (;;) {
    const {value, done} = await reader.read();
    rest += done ? "\n\n" : value;
    let end;
    while ((end = rest.search(/\r\n|\n|\r(?!$)/)) >= 0) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + (rest[end] === "\r" && rest[end + 1] === "\n" ? 2 : 1));
      if (line === "") {
        if (data.length) yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
    }
    if (done) return;
  }
}

// Yields the chunks of an answer; throws ApiError for an error in the middle too.
export async function* chat(body, signal) {
  const reply = await ask("/v1/chat/completions", {method: "POST", headers: json, signal,
    body: JSON.stringify({...body, stream: true, stream_options: {include_usage: true}, x_queue: true})});
  let ended = false;
  for await (const data of events(reply.body)) {
    if (data === "[DONE]") { ended = true; break; }
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(0, chunk.error.message);
    yield chunk;
  }
  if (!ended) throw new ApiError(0, "The connection ended before the answer did.");
}
