// What the hub's pages are tested on: people, and repositories that are made over HTTP as clients make them.
import {execFileSync} from "node:child_process";
import {createHash} from "node:crypto";
import {join} from "node:path";
import {BIN, folder} from "./harness.mjs";

export const PASSWORD = "correct horse battery";
const cli = (args, input = "") => execFileSync(BIN, [...args, "--data", join(folder, "hub")], {input, encoding: "utf8"});

// alice, admin of lab; bob, who belongs to nothing. Returns their writing tokens.
export function addPeople() {
  for (const name of ["alice", "bob"]) cli(["user", "add", name, "--password-stdin"], `${PASSWORD}\n`);
  cli(["org", "create", "lab"]);
  cli(["org", "add-member", "lab", "alice", "--role", "admin"]);
  const token = (user) => JSON.parse(cli(["token", "create", "--user", user, "--write", "--name", "test", "--json"])).token;
  return {alice: token("alice"), bob: token("bob")};
}

export function client(url, token) {
  const ask = async (method, path, body, type = "application/json") => {
    const headers = {...(token ? {Authorization: `Bearer ${token}`} : {}), ...(body === undefined ? {} : {"Content-Type": type})};
    const r = await fetch(url + path, {method, headers, body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body)});
    const text = await r.text();
    if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${text.slice(0, 300)}`);
    try { return JSON.parse(text); } catch { return text; }
  };
  return {
    ask,
    create: (id, type = "model", more = {}) => ask("POST", "/api/repos/create", {type, organization: id.split("/")[0], name: id.split("/")[1], ...more}),
    // files: {path: string or Buffer}
    commit: (kind, id, files, {summary = "Add files", rev = "main", remove = [], query = ""} = {}) => ask("POST", `/api/${kind}/${id}/commit/${encodeURIComponent(rev)}${query}`,
      [{key: "header", value: {summary}}, ...Object.entries(files).map(([path, data]) => ({key: "file", value: {path, encoding: "base64", content: Buffer.from(data).toString("base64")}})),
        ...remove.map((path) => ({key: "deletedFile", value: {path}}))].map((l) => JSON.stringify(l)).join("\n"), "application/x-ndjson"),
    // A large file, as git-lfs sends it.
    async large(kind, id, path, data, summary = "A large file") {
      const oid = createHash("sha256").update(data).digest("hex"), web = kind === "models" ? id : `${kind}/${id}`;
      const {objects: [o]} = await ask("POST", `/${web}.git/info/lfs/objects/batch`, {operation: "upload", transfers: ["basic"], objects: [{oid, size: data.length}]}, "application/vnd.git-lfs+json");
      if (o.actions) {
        const r = await fetch(o.actions.upload.href, {method: "PUT", body: data});
        if (!r.ok) throw new Error(`PUT: ${r.status} ${await r.text()}`);
      }
      await ask("POST", `/api/${kind}/${id}/commit/main`, [{key: "header", value: {summary}}, {key: "lfsFile", value: {path, algo: "sha256", oid, size: data.length}}].map((l) => JSON.stringify(l)).join("\n"), "application/x-ndjson");
    },
  };
}

// tensors: {name: [shape]} of F32 zeros.
export function safetensors(tensors, metadata = {format: "pt"}) {
  const header = {__metadata__: metadata};
  let at = 0;
  for (const [name, shape] of Object.entries(tensors)) {
    const n = 4 * shape.reduce((a, b) => a * b, 1);
    header[name] = {dtype: "F32", shape, data_offsets: [at, at + n]};
    at += n;
  }
  let text = JSON.stringify(header);
  while (text.length % 8) text += " ";
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return Buffer.concat([head, Buffer.from(text), Buffer.alloc(at)]);
}
