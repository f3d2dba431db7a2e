// Discussions and pull requests.

import {make, link, badge, ago, note, plural} from "./ui.js";
import {form, field, text, area, action} from "./forms.js";
import * as net from "./net.js";
import {fromServer} from "./html.js";
import {diffOf} from "./commits.js";

const signIn = (what) => make("p", {}, link(`/login?next=${encodeURIComponent(location.pathname)}`, "Sign in"), ` to ${what}.`);
const author = (x) => (x.author ? link(`/${x.author.name}`, x.author.name) : make("em", {}, "somebody who is gone"));

// --- the list -------------------------------------------------------------------------------------------------------

async function list(r) {
  const {repo, query, signal, user, info} = r;
  const status = query.get("status") ?? "open", p = Number.parseInt(query.get("p") ?? "0", 10) || 0;
  const d = await net.get(`${net.api(repo, "discussions")}?status=${encodeURIComponent(status)}&p=${p}`, {signal});
  const at = (s, page) => `${net.pageOf(repo, "discussions")}?status=${s}${page ? `&p=${page}` : ""}`;
  const choose = make("nav", {class: "row", "aria-label": "Which discussions"}, ...["open", "closed", "all"].map((s) =>
    make("a", {href: at(s), "aria-current": s === status ? "page" : null}, s[0].toUpperCase() + s.slice(1))));
  if (user && !info.discussionsDisabled) choose.append(make("span", {class: "grow"}), make("a", {class: "button", href: net.pageOf(repo, "discussions", "new")}, "New discussion"));
  const items = d.discussions.map((x) => make("li", {class: "repo-row"}, make("div", {class: "row"}, link(net.pageOf(repo, "discussions", String(x.num)), x.title),
    x.isPullRequest ? badge("pull request") : "", badge(x.status, x.status)),
    make("div", {class: "facts"}, make("span", {}, `#${x.num}`), make("span", {}, author(x)), ago(x.createdAt), make("span", {}, plural(x.numComments, "comment")))));
  const turn = make("nav", {class: "row", "aria-label": "Pages of discussions"});
  if (p > 0) turn.append(link(at(status, p - 1), "Before"));
  if (d.start + d.discussions.length < d.count) turn.append(link(at(status, p + 1), "After"));
  return {title: "Discussions", nodes: [choose, items.length ? make("ul", {class: "repos"}, ...items) : note("None."), turn]};
}

function begin(r) {
  const {repo, go, user} = r;
  if (!user) return {title: "New discussion", nodes: [signIn("begin a discussion")]};
  return {title: "New discussion", nodes: [make("h2", {}, "New discussion"), form("Begin it", [field("Title", text("title", {required: true, maxlength: "200"})),
    field("Text (Markdown)", area("description", {rows: "8"}))], async ({title, description}) => {
    const {num} = await net.post(net.api(repo, "discussions"), {title, description});
    go(net.pageOf(repo, "discussions", String(num)));
  })]};
}

// --- one ------------------------------------------------------------------------------------------------------------

function eventItem(r, num, e) {
  const by = make("div", {class: "facts"}, author(e), " ", ago(e.createdAt));
  const {data} = e;
  if (e.type === "comment") {
    if (data.hidden) return make("li", {class: "event"}, by, note("This comment was hidden."));
    const mine = r.user && e.author?.name === r.user.name;
    const hide = mine || r.mayWrite ? action("Hide", async () => { await net.post(net.api(r.repo, "discussions", num, "comment", e.id, "hide")); r.again(); }, {class: "quiet small"}) : "";
    return make("li", {class: "event comment"}, make("div", {class: "row"}, by, data.edited ? note("edited") : "", make("span", {class: "grow"}), hide), fromServer(data.latest.html));
  }
  const line = make("li", {class: "event"}, by);
  if (e.type === "status-change") line.append(make("p", {}, "set it to ", badge(data.status, data.status)));
  else if (e.type === "commit") line.append(make("p", {}, "commit ", link(net.pageOf(r.repo, "commit", data.oid), data.subject || data.oid.slice(0, 8))));
  else if (e.type === "title-change") line.append(make("p", {}, "changed the title from “", data.from, "” to “", data.to, "”"));
  else line.append(make("p", {}, e.type));
  return line;
}

function answer(r, d) {
  const {repo, user, mayWrite, again} = r, at = (...x) => net.api(repo, "discussions", d.num, ...x);
  if (!user) return signIn("answer");
  const mine = d.author?.name === user.name, open = d.status === "open" || d.status === "draft";
  const nodes = [form("Comment", [field("Answer (Markdown)", area("comment", {rows: "5"}))], async ({comment}) => {
    await net.post(at("comment"), {comment});
    again();
  })];
  const buttons = make("div", {class: "row"});
  if ((mine || mayWrite) && d.status !== "merged") {
    if (d.status === "draft") buttons.append(action("Ready for review", async () => { await net.post(at("status"), {status: "open"}); again(); }));
    buttons.append(action(open ? "Close" : "Open again", async () => { await net.post(at("status"), {status: open ? "closed" : "open"}); again(); }));
  }
  if (d.isPullRequest && mayWrite && d.status === "open") buttons.append(action(`Merge into ${(d.changes?.base ?? "main").replace("refs/heads/", "")}`, async () => {
    await net.post(at("merge"), {});
    again();
  }, {class: "primary", disabled: (d.filesWithConflicts ?? []).length > 0}));
  nodes.push(buttons);
  return make("section", {class: "box"}, make("h3", {}, "Answer"), ...nodes);
}

async function one(r) {
  const {repo, rev, signal} = r, num = encodeURIComponent(rev);
  const d = await net.get(net.api(repo, "discussions", num), {signal});
  const conflicts = d.filesWithConflicts ?? [];
  const head = make("div", {}, make("h2", {}, d.title, make("span", {class: "soft"}, ` #${d.num}`)), make("div", {class: "row"}, badge(d.status, d.status),
    d.isPullRequest ? badge("pull request") : "", make("span", {}, "by ", author(d), " ", ago(d.createdAt))));
  const nodes = [head];
  if (conflicts.length && d.status !== "merged") nodes.push(make("section", {class: "box bad"}, make("p", {}, "It conflicts with the branch in:"), make("ul", {}, ...conflicts.map((c) => make("li", {}, c)))));
  nodes.push(make("ol", {class: "events"}, ...d.events.map((e) => eventItem(r, num, e))));
  if (d.isPullRequest && r.mayRead) {
    const base = (d.changes?.base ?? "refs/heads/main").replace("refs/heads/", "");
    const head = d.status === "merged" && d.changes?.mergeCommitId ? {rev: d.changes.mergeCommitId} : {rev: `refs/pr/${d.num}`, base};
    nodes.push(make("details", {class: "box changes-box", open: true}, make("summary", {}, "Changes"), (await diffOf(r, head.rev, head.base)).node));
  }
  nodes.push(answer(r, d));
  return {title: d.title, nodes};
}

export const discussions = (r) => (r.rev === undefined ? list(r) : r.rev === "new" ? begin(r) : one(r));
