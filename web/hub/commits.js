// History: the commits of a revision, and what one of them changed.

import {make, link, ago, pages, note, count, plural, bytes} from "./ui.js";
import * as net from "./net.js";
import {revisions} from "./files.js";

const esc = encodeURIComponent;
const LINES_MAX = 3000; // of a file that are drawn at once

const byline = (c) => make("div", {class: "facts"}, make("span", {}, (c.authors ?? []).map((a) => a.user).join(", ")), ago(c.date));

export async function commits(r) {
  const {repo, signal} = r;
  r.rev ??= "main";
  const list = make("ol", {class: "commits"});
  const show = (c) => make("li", {}, make("div", {class: "row"}, link(net.pageOf(repo, "commit", c.id), c.title || "(no message)"), make("span", {class: "grow"}),
    make("code", {}, c.id.slice(0, 8)), link(net.pageOf(repo, "tree", c.id), "Files")), byline(c));
  const [refs, more] = await Promise.all([revisions(r, "commits"), pages(list, `${net.api(repo, "commits", esc(r.rev))}?limit=50`, (a) => net.page(a, {signal}), show, "commits")]);
  const about = r.path ? note("The history is of the whole repository.") : "";
  return {title: `Commits of ${r.rev}`, nodes: [make("div", {class: "row bar-of"}, refs), about, list, more]};
}

// --- a diff ---------------------------------------------------------------------------------------------------------

const SIGN = {"+": "added", "-": "removed", " ": ""};

function hunkRows(h) {
  let a = h.old_start, b = h.new_start;
  const head = make("tr", {class: "hunk"}, make("td", {colspan: "3"}, `@@ -${h.old_start},${h.old_lines} +${h.new_start},${h.new_lines} @@`));
  return [head, ...h.lines.map(([sign, text]) => make("tr", {class: SIGN[sign] ?? ""}, make("td", {class: "num"}, sign === "+" ? "" : String(a++)),
    make("td", {class: "num"}, sign === "-" ? "" : String(b++)), make("td", {class: "line"}, make("span", {class: "hidden"}, sign === "+" ? "added: " : sign === "-" ? "removed: " : ""), `${sign}${text}`)))];
}

function fileBody(f) {
  if (f.lfs) {
    const side = (label, x) => (x ? `${label}: ${x.oid?.slice?.(0, 16) ?? ""}${x.size === undefined ? "" : `, ${bytes(x.size)}`}` : "");
    const {old: before, new: after, ...one} = f.lfs;
    return note("A large file. ", [side("before", before), side("after", after ?? (before ? null : one))].filter(Boolean).join("; "));
  }
  if (f.binary) return note("Not a text.");
  if (!f.hunks?.length) return note(f.truncated ? "Too long to be shown." : "Nothing in it changed.");
  const rows = f.hunks.flatMap(hunkRows);
  const box = make("div", {class: "wide-table", tabindex: "0", role: "region", "aria-label": `Changes of ${f.path}`},
    make("table", {class: "diff"}, make("tbody", {}, ...rows.slice(0, LINES_MAX))));
  return f.truncated || rows.length > LINES_MAX ? make("div", {}, box, note("There is more that is not shown.")) : box;
}

// Files of /diff/: one that opens and closes for each.
export function changes(repo, rev, files) {
  if (!files.length) return note("No files are changed.");
  const total = files.reduce((t, f) => [t[0] + (f.added ?? 0), t[1] + (f.removed ?? 0)], [0, 0]);
  return make("div", {class: "changes"}, make("p", {}, `${plural(files.length, "file")} changed, `, make("span", {class: "plus"}, `${count(total[0])} lines added`), ", ",
    make("span", {class: "minus"}, `${count(total[1])} removed`)), ...files.map((f) => make("details", {class: "box", open: files.length <= 20},
    make("summary", {}, f.old_path && f.old_path !== f.path ? `${f.old_path} → ${f.path}` : f.path, " ", make("span", {class: `badge ${f.status}`}, f.status), " ",
      make("span", {class: "plus"}, `+${count(f.added ?? 0)}`), " ", make("span", {class: "minus"}, `−${count(f.removed ?? 0)}`)), fileBody(f))));
}

export async function diffOf(r, rev, base) {
  try {
    const d = await net.get(`${net.api(r.repo, "diff", esc(rev))}${base ? `?base=${esc(base)}` : ""}`, {signal: r.signal});
    const more = d.truncated ? note("More files are changed than are shown.") : "";
    return {d, node: make("div", {}, changes(r.repo, rev, d.files), more)};
  } catch (e) {
    if (e.name === "AbortError") throw e;
    return {d: null, node: note(`What it changed cannot be shown: ${e.message}`)};
  }
}

export async function commit(r) {
  const {repo, rev, signal} = r;
  const [{rows}, {node}] = await Promise.all([net.page(`${net.api(repo, "commits", esc(rev ?? "main"))}?limit=1`, {signal}), diffOf(r, rev ?? "main")]);
  const c = rows[0];
  const rest = c.message.startsWith(c.title) ? c.message.slice(c.title.length).trim() : c.message.trim();
  return {title: c.title, nodes: [make("section", {class: "box"}, make("h2", {}, c.title || "(no message)"), rest ? make("p", {class: "message-text"}, rest) : "", byline(c),
    make("p", {}, make("code", {}, c.id), " ", link(net.pageOf(repo, "tree", c.id), "Files at this commit"))), node]};
}
