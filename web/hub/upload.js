// Upload: files are dropped or picked, large ones go by the batch interface of git-lfs, small ones in the commit.

import {make, button, bytes, count, note, plural, link} from "./ui.js";
import {field, text, area, radios} from "./forms.js";
import * as net from "./net.js";
import {hashWorker} from "./html.js";

const BATCH = 200;    // files that the server is asked about at once
const SAMPLE = 512;   // bytes by which it judges
const esc = encodeURIComponent;

// --- what was dropped -----------------------------------------------------------------------------------------------

const entriesOf = (folder) => new Promise((resolve, reject) => {
  const reader = folder.createReader(), all = [];
  const more = () => reader.readEntries((some) => { if (some.length) { all.push(...some); more(); } else resolve(all); }, reject);
  more();
});
const fileOf = (entry) => new Promise((resolve, reject) => { entry.file(resolve, reject); });

async function walk(entry, at, out) {
  if (entry.isFile) out.push({path: at + entry.name, file: await fileOf(entry)});
  else for (const e of await entriesOf(entry)) await walk(e, `${at}${entry.name}/`, out);
}

// Entries are to be taken before the first wait: the browser forgets them.
async function dropped(transfer) {
  const entries = [...transfer.items].filter((i) => i.kind === "file").map((i) => i.webkitGetAsEntry?.() ?? null);
  if (entries.length === 0 || entries.includes(null)) return [...transfer.files].map((file) => ({path: file.name, file}));
  const out = [];
  for (const e of entries) await walk(e, "", out);
  return out;
}

// --- sending --------------------------------------------------------------------------------------------------------

async function base64(blob) {
  const data = new Uint8Array(await blob.arrayBuffer());
  let s = "";
  for (let i = 0; i < data.length; i += 0x8000) s += String.fromCharCode(...data.subarray(i, i + 0x8000));
  return btoa(s);
}

function hash(file, progress, signal) {
  return new Promise((resolve, reject) => {
    const worker = hashWorker();
    const end = (act, value) => { worker.terminate(); act(value); };
    worker.onmessage = ({data}) => {
      if (data.done !== undefined) progress(data.done);
      else if (data.hex) end(resolve, data.hex);
      else end(reject, new Error(`${file.name} cannot be read: ${data.error}`));
    };
    worker.onerror = () => end(reject, new Error("The worker that computes digests did not start."));
    signal.addEventListener("abort", () => end(reject, new DOMException("stopped", "AbortError")));
    worker.postMessage(file);
  });
}

// fetch tells nothing of how far a body has gone.
function transmit(method, url, body, headers, progress, signal) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open(method, url);
    for (const [k, v] of Object.entries({"X-Requested-With": "cloche", ...headers})) x.setRequestHeader(k, v);
    x.upload.onprogress = (e) => progress(e.loaded);
    x.onload = () => {
      let answer = {};
      try { answer = JSON.parse(x.responseText); } catch { /* an empty one */ }
      if (x.status >= 200 && x.status < 300) { resolve(answer); return; }
      reject(new net.HubError(x.status, x.getResponseHeader("X-Error-Code"), answer.error ?? answer.message ?? `The server answered ${x.status}.`));
    };
    x.onerror = () => reject(new net.HubError(0, null, "The connection ended before the files were sent."));
    x.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => x.abort());
    x.send(body);
  });
}

// Sets `mode` of each file: "regular", "lfs", or "ignored".
async function askModes({repo, rev}, files, pull, signal) {
  for (let i = 0; i < files.length; i += BATCH) {
    const some = files.slice(i, i + BATCH);
    const asked = await Promise.all(some.map(async ({path, file}) => ({path, size: file.size, sample: await base64(file.slice(0, SAMPLE))})));
    const {files: rows} = await net.post(`${net.api(repo, "preupload", esc(rev))}${pull ? "?create_pr=1" : ""}`, {files: asked}, {signal});
    for (const row of rows) some.find((f) => f.path === row.path).mode = row.shouldIgnore ? "ignored" : row.uploadMode;
  }
}

const LFS = {"Content-Type": "application/vnd.git-lfs+json", Accept: "application/vnd.git-lfs+json"};
// Signed addresses are of this server; behind a proxy they may name another scheme.
const own = (href) => { const {pathname, search} = new URL(href, location.origin); return pathname + search; };

async function sendLarge({repo}, f, progress, signal) {
  f.oid = await hash(f.file, (n) => progress(`Reading ${f.path}`, n / 2), signal);
  const web = (repo.type === "models" ? "" : `/${repo.type}`) + `/${net.idOf(repo)}.git`;
  const batch = await (await net.ask(`${web}/info/lfs/objects/batch`, {method: "POST", headers: LFS, signal,
    body: JSON.stringify({operation: "upload", transfers: ["basic"], hash_algo: "sha256", objects: [{oid: f.oid, size: f.file.size}]})})).json();
  const [object] = batch.objects;
  if (object.error) throw new Error(`${f.path}: ${object.error.message}`);
  const {upload, verify} = object.actions ?? {};
  if (upload) await transmit("PUT", own(upload.href), f.file, {...upload.header, "Content-Type": "application/octet-stream"}, (n) => progress(`Sending ${f.path}`, (f.file.size + n) / 2), signal);
  if (verify) await net.ask(own(verify.href), {method: "POST", headers: {...LFS, ...verify.header}, body: JSON.stringify({oid: f.oid, size: f.file.size}), signal});
}

async function commitBody(files, summary, description) {
  const lines = [JSON.stringify({key: "header", value: {summary, description}})];
  for (const f of files) {
    if (f.mode === "lfs") lines.push(JSON.stringify({key: "lfsFile", value: {path: f.path, algo: "sha256", oid: f.oid, size: f.file.size}}));
    else lines.push(JSON.stringify({key: "file", value: {path: f.path, content: await base64(f.file), encoding: "base64"}}));
  }
  return new Blob(lines.map((l) => `${l}\n`), {type: "application/x-ndjson"});
}

// tell(words, bytes of all that are done). Returns what the commit's answer is.
async function send(r, files, {summary, description, pull}, tell, signal) {
  tell("Asking the server", 0);
  await askModes(r, files, pull, signal);
  const wanted = files.filter((f) => f.mode !== "ignored");
  if (!wanted.length) throw new Error("The repository's .gitignore leaves out all of these files.");
  let done = 0;
  for (const f of wanted.filter((x) => x.mode === "lfs")) {
    const before = done;
    await sendLarge(r, f, (words, n) => tell(words, before + n), signal);
    done += f.file.size;
    tell(`Sent ${f.path}`, done);
  }
  const body = await commitBody(wanted, summary, description);
  return transmit("POST", `${net.api(r.repo, "commit", esc(r.rev))}${pull ? "?create_pr=1" : ""}`, body, {"Content-Type": "application/x-ndjson"},
    (n) => tell("Sending the commit", Math.min(done + n, done + body.size)), signal);
}

// --- the page -------------------------------------------------------------------------------------------------------

function where(answer, repo, rev) {
  if (answer.pullRequestUrl) return new URL(answer.pullRequestUrl).pathname;
  return net.pageOf(repo, "tree", rev);
}

export function uploadTo(r) {
  const {repo, go, query, user, mayWrite} = r;
  const rev = r.rev ??= "main";
  if (!user) return {title: "Upload", nodes: [make("p", {}, link(`/login?next=${esc(location.pathname)}`, "Sign in"), " to upload.")]};
  const files = new Map(); // by path
  const folder = text("folder", {value: query.get("folder") ?? "", placeholder: "the first one"});
  const list = make("ul", {class: "picked", "aria-label": "Files to upload"});
  const summary = text("summary", {placeholder: "Upload files", maxlength: "200"}), description = area("description", {rows: "2"});
  const mode = radios("Where to", "where", mayWrite ? [["branch", `Commit to ${rev}`], ["pull", "As a pull request"]] : [["pull", "As a pull request"]], mayWrite ? "branch" : "pull");
  const bar = make("progress", {max: "1", value: "0", "aria-label": "Progress of the upload", hidden: true});
  const told = make("p", {class: "told", role: "status"});
  const go_ = make("button", {type: "submit", class: "primary", disabled: true}, "Upload");
  let control = null;
  const cancel = button("Stop", () => control?.abort(), {hidden: true});

  function draw() {
    list.replaceChildren(...[...files].map(([path, file]) => make("li", {class: "row"}, make("span", {class: "file"}, path), make("span", {class: "soft"}, bytes(file.size)),
      button("✕", () => { files.delete(path); draw(); }, {class: "icon", "aria-label": `Without ${path}`}))));
    go_.disabled = files.size === 0 || control !== null;
    if (files.size) told.textContent = `${plural(files.size, "file")}, ${bytes([...files.values()].reduce((n, f) => n + f.size, 0))}`;
  }
  function add(some) {
    for (const {path, file} of some) files.set(path, file);
    draw();
  }
  const picker = (attributes, label) => {
    const input = make("input", {type: "file", multiple: true, hidden: true, "aria-label": label, ...attributes});
    input.addEventListener("change", () => { add([...input.files].map((file) => ({path: file.webkitRelativePath || file.name, file}))); input.value = ""; });
    return [button(label, () => input.click()), input];
  };
  const zone = make("div", {class: "drop", id: "drop"}, make("p", {}, "Drop files or folders here, or"), make("div", {class: "row"}, ...picker({id: "pick"}, "Pick files"),
    ...picker({webkitdirectory: true}, "Pick a folder")));
  zone.addEventListener("dragover", (e) => { e.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (e) => {
    e.preventDefault();
    zone.classList.remove("over");
    try { add(await dropped(e.dataTransfer)); } catch (error) { told.className = "told fault"; told.textContent = error.message; }
  });

  const form = make("form", {class: "upload", novalidate: true}, zone, list, field("Folder", folder), field("What it is", summary), field("More about it", description), mode,
    make("div", {class: "row"}, go_, cancel), bar, told);
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (control || files.size === 0) return;
    control = new AbortController();
    r.signal.addEventListener("abort", () => control?.abort());
    const at = folder.value.split("/").filter(Boolean).join("/"), total = Math.max(1, [...files.values()].reduce((n, f) => n + f.size, 0));
    const sent = [...files].map(([path, file]) => ({path: at ? `${at}/${path}` : path, file}));
    const one = sent.length === 1 ? `Upload ${sent[0].path}` : `Upload ${count(sent.length)} files`;
    bar.hidden = cancel.hidden = false;
    go_.disabled = true;
    told.className = "told";
    try {
      const pull = new FormData(form).get("where") === "pull";
      const answer = await send(r, sent, {summary: summary.value.trim() || one, description: description.value, pull},
        (words, n) => { told.textContent = `${words} (${Math.min(100, Math.floor((100 * n) / total))} %)`; bar.value = Math.min(1, n / total); }, control.signal);
      control = null;
      go(where(answer, repo, rev));
    } catch (error) {
      control = null;
      told.className = "told fault";
      told.textContent = error.name === "AbortError" ? "Stopped. Nothing was committed." : `Nothing was committed: ${error.message}`;
      bar.hidden = cancel.hidden = true;
      go_.disabled = false;
    }
  });
  draw();
  return {title: "Upload", nodes: [make("h2", {}, `Upload to ${rev}`), mayWrite ? "" : note("You may not write here: what you upload becomes a pull request."), form]};
}
