// Files and folders of a revision, and the frame of one file.

import {make, link, bytes, ago, menu, crumbs, table, pages, note} from "./ui.js";
import {action, form, field, text, radios} from "./forms.js";
import * as net from "./net.js";
import {viewOf} from "./view.js";

const esc = encodeURIComponent;

// --- which revision -------------------------------------------------------------------------------------------------

// A menu of branches and tags that leads to the same view of another one.
export async function revisions(r, view, path) {
  const {repo, rev, signal, mayWrite, go} = r;
  const refs = await net.get(net.api(repo, "refs"), {signal});
  const group = (label, rows) => (rows.length ? [make("h3", {}, label), make("ul", {}, ...rows.map((x) =>
    make("li", {}, make("a", {href: net.pageOf(repo, view, x.name, path), "aria-current": x.name === rev ? "true" : null}, x.name))))] : []);
  const body = make("div", {}, ...group("Branches", refs.branches), ...group("Tags", refs.tags));
  if (mayWrite) body.append(make("h3", {}, `New, from ${rev}`), form("Create", [radios("Kind", "kind", [["branch", "Branch"], ["tag", "Tag"]], "branch"),
    field("Name", text("name", {required: true}))], async ({kind, name}) => {
    if (kind === "branch") await net.send("POST", net.api(repo, "branch", esc(name)), {startingPoint: rev});
    else await net.send("POST", net.api(repo, "tag", esc(rev)), {tag: name});
    go(net.pageOf(repo, view, name, path));
  }));
  const kind = refs.branches.some((b) => b.name === rev) ? "Branch" : refs.tags.some((t) => t.name === rev) ? "Tag" : "Revision";
  return menu(`${kind}: ${rev.length === 40 ? rev.slice(0, 8) : rev}`, body, {class: "menu refs"});
}

export function pathCrumbs({repo, rev, path}) {
  const parts = path ? path.split("/") : [];
  return crumbs("Path", [{text: repo.name, href: net.pageOf(repo, "tree", rev)},
    ...parts.map((p, i) => ({text: p, href: net.pageOf(repo, "tree", rev, parts.slice(0, i + 1).join("/"))}))]);
}

// --- a folder -------------------------------------------------------------------------------------------------------

function entryRow({repo, rev}, e) {
  const folder = e.type === "directory", name = e.path.split("/").pop();
  const to = link(net.pageOf(repo, folder ? "tree" : "blob", rev, e.path), folder ? `${name}/` : name);
  const commit = e.lastCommit ? link(net.pageOf(repo, "commit", e.lastCommit.id), e.lastCommit.title) : "";
  const get = folder ? "" : make("a", {href: `${net.pageOf(repo, "resolve", rev, e.path)}?download=true`, download: true, "aria-label": `Download ${name}`}, "↓");
  return make("tr", {}, make("td", {class: "file"}, to), make("td", {class: "num"}, folder ? "" : bytes(e.size), e.lfs ? make("span", {class: "lfs", title: "A large file"}, " LFS") : ""),
    make("td", {}, get), make("td", {class: "commit"}, commit), make("td", {class: "when"}, e.lastCommit ? ago(e.lastCommit.date) : ""));
}

export async function tree(r) {
  const {repo, path, signal, user} = r;
  r.rev ??= "main";
  const {rev} = r;
  const first = `${net.api(repo, "tree", esc(rev))}${path ? `/${net.pathOf(path)}` : ""}?expand=true&limit=100`;
  const body = table("Files", ["Name", "Size", "", "Last commit", "When"], []);
  body.classList.add("files");
  const rows = body.querySelector("tbody");
  const [refs, more] = await Promise.all([revisions(r, "tree", path), pages(rows, first, (a) => net.page(a, {signal}), (e) => entryRow(r, e), "files")]);
  const bar = make("div", {class: "row bar-of"}, refs, pathCrumbs(r), make("span", {class: "grow"}),
    link(net.pageOf(repo, "commits", rev, path), "History"));
  if (user && r.mayRead) bar.append(make("a", {class: "button", href: `${net.pageOf(repo, "upload", rev)}${path ? `?folder=${esc(path)}` : ""}`}, "Upload"));
  return {title: path || "Files", nodes: [bar, body, rows.childElementCount ? "" : note("No files are here."), more]};
}

// --- a file ---------------------------------------------------------------------------------------------------------

async function removeFile({repo, rev, path, go}) {
  if (!confirm(`Delete ${path} on ${rev}?`)) return;
  const lines = [{key: "header", value: {summary: `Delete ${path}`}}, {key: "deletedFile", value: {path}}];
  await net.ask(net.api(repo, "commit", esc(rev)), {method: "POST", headers: {"Content-Type": "application/x-ndjson"}, body: lines.map((l) => JSON.stringify(l)).join("\n")});
  go(net.pageOf(repo, "tree", rev, path.split("/").slice(0, -1).join("/")));
}

export async function blob(r) {
  const {repo, rev, path, signal, mayWrite} = r;
  const reply = await net.post(net.api(repo, "paths-info", esc(rev ?? "main")), {paths: [path ?? ""], expand: true}, {signal});
  const entry = reply[0];
  if (!entry) throw new net.HubError(404, "EntryNotFound", `${path} is not in ${rev}`);
  if (entry.type === "directory") {
    r.go(net.pageOf(repo, "tree", rev, path), {replace: true});
    await new Promise(() => {});
  }
  const refs = await revisions(r, "blob", path);
  const facts = make("div", {class: "row facts"}, make("span", {}, bytes(entry.size)), entry.lfs ? make("span", {class: "sha", title: "SHA-256"}, entry.lfs.oid.slice(0, 16)) : "",
    entry.lastCommit ? make("span", {}, link(net.pageOf(repo, "commit", entry.lastCommit.id), entry.lastCommit.title), " ", ago(entry.lastCommit.date)) : "");
  const bar = make("div", {class: "row bar-of"}, refs, pathCrumbs(r), make("span", {class: "grow"}));
  if (r.mayRead) bar.append(link(net.pageOf(repo, "resolve", rev, path), "Raw"), make("a", {href: `${net.pageOf(repo, "resolve", rev, path)}?download=true`, download: true}, "Download"));
  bar.append(link(net.pageOf(repo, "commits", rev, path), "History"));
  if (mayWrite) bar.append(action("Delete", () => removeFile(r), {class: "quiet"}));
  const view = r.mayRead ? await viewOf(r, entry) : note("The files are for those who were let in.");
  return {title: path, nodes: [bar, facts, view]};
}
