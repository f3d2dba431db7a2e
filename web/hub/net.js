// The hub, by the routes that its clients use. Who is signed in travels in a cookie that no script can read.

export class HubError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const OWN = {"X-Requested-With": "cloche"}; // then the server lets the browser ask nobody for a password

async function messageOf(reply) {
  const told = reply.headers.get("X-Error-Message");
  try {
    const {error, message} = await reply.json();
    return (typeof error === "string" ? error : error?.message) || message || told || `The server answered ${reply.status}.`;
  } catch { return told || `The server answered ${reply.status}.`; }
}

// json: a body to be sent as such. Answers that are no success throw HubError.
export async function ask(path, {json, headers, ...options} = {}) {
  const init = {...options, headers: {...OWN, ...headers}, credentials: "same-origin", cache: "no-store"};
  if (json !== undefined) {
    init.body = JSON.stringify(json);
    init.headers["Content-Type"] = "application/json";
  }
  let reply;
  try { reply = await fetch(path, init); } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new HubError(0, null, "The server cannot be reached.");
  }
  if (reply.ok) return reply;
  throw new HubError(reply.status, reply.headers.get("X-Error-Code"), await messageOf(reply));
}

export const get = async (path, options) => (await ask(path, options)).json();
export const send = (method, path, json, options) => ask(path, {method, json, ...options});
export const post = async (path, json, options) => (await send("POST", path, json ?? {}, options)).json();

// A page of a list: its rows, and the address of the next one or null.
export async function page(path, options) {
  const reply = await ask(path, options);
  const next = /<([^>]+)>; *rel="next"/.exec(reply.headers.get("Link") ?? "");
  let to = null;
  if (next) {
    const {pathname, search} = new URL(next[1], location.origin); // behind a proxy it may name another scheme
    to = pathname + search;
  }
  return {rows: await reply.json(), next: to, total: reply.headers.get("X-Total-Count")};
}

// --- who ------------------------------------------------------------------------------------------------------------

let asked = null;

// The user who is signed in, or null.
export function me() {
  asked ??= get("/api/whoami-v2").catch((e) => {
    if (e.status === 401) return null;
    asked = null;
    throw e;
  });
  return asked;
}
export const forgetMe = () => { asked = null; };
export const hasSession = (user) => (user?.auth?.accessToken?.displayName ?? "").startsWith("session ");

// --- addresses ------------------------------------------------------------------------------------------------------

const esc = encodeURIComponent;
export const pathOf = (path) => path.split("/").map(esc).join("/");

// A repository: {type: "models"|"datasets"|"spaces", ns, name}
export const idOf = (r) => `${r.ns}/${r.name}`;
export const api = (r, ...rest) => ["/api", r.type, r.ns, r.name, ...rest].join("/");
export const pageOf = (r, view, rev, path) =>
  (r.type === "models" ? "" : `/${r.type}`) + `/${esc(r.ns)}/${esc(r.name)}` + (view ? `/${view}` : "") +
  (rev === undefined ? "" : `/${esc(rev)}`) + (path ? `/${pathOf(path)}` : "");
