// Settings of a repository, for those who may write to it.

import {make, note, section, ago, row, table, link} from "./ui.js";
import {form, field, text, choice, radios, action, hidden} from "./forms.js";
import * as net from "./net.js";

const esc = encodeURIComponent;

function visibility({repo, info, again}) {
  return section("Who sees it", form("Save", [radios("Visibility", "private", [["no", "Public: everyone who reaches this server"], ["yes", "Private: its members alone"]], info.private ? "yes" : "no"),
    ...(repo.type === "spaces" ? [] : [field("Files", choice("gated", [["", "for everyone who sees it"], ["auto", "for who asks, at once"], ["manual", "for who asks and is let in"]], info.gated || ""))]),
    radios("Discussions and pull requests", "talk", [["yes", "Open to everyone who reads it"], ["no", "Turned off: those that are there can be read"]], info.discussionsDisabled ? "no" : "yes")],
  async (v) => {
    await net.send("PUT", net.api(repo, "settings"), {private: v.private === "yes", discussionsDisabled: v.talk === "no", ...(v.gated === undefined ? {} : {gated: v.gated || false})});
    again();
  }));
}

function rename({repo, info, go}) {
  const type = repo.type.slice(0, -1);
  return section("Another name", form("Rename", [field("Owner and name", text("to", {value: info.id}), "Whoever comes by the old name is led here.")], async ({to}) => {
    await net.post("/api/repos/move", {fromRepo: info.id, toRepo: to.trim(), type});
    const [ns, name] = to.trim().split("/");
    go(net.pageOf({type: repo.type, ns, name}, "settings"));
  }));
}

async function refs({repo, signal, again}) {
  const all = await net.get(net.api(repo, "refs"), {signal});
  const rows = [...all.branches.map((b) => ["branch", b]), ...all.tags.map((t) => ["tag", t])].map(([kind, x]) => row(kind, link(net.pageOf(repo, "tree", x.name), x.name),
    make("code", {}, x.targetCommit.slice(0, 8)), kind === "branch" && x.name === "main" ? "" : action("Delete", async () => {
      if (!confirm(`Delete the ${kind} ${x.name}?`)) return;
      await net.send("DELETE", net.api(repo, kind, esc(x.name)));
      again();
    }, {class: "quiet", "aria-label": `Delete the ${kind} ${x.name}`})));
  return section("Branches and tags", table("Branches and tags", ["Kind", "Name", "Commit", ""], rows));
}

async function requests({repo, info, signal, again}) {
  if (!info.gated) return "";
  const lists = await Promise.all(["pending", "accepted", "rejected"].map(async (status) => [status, await net.get(net.api(repo, "user-access-request", status), {signal})]));
  const answer = (user, status) => action(status === "accepted" ? "Let in" : "Reject", async () => {
    await net.post(net.api(repo, "user-access-request", "handle"), {user, status});
    again();
  }, {"aria-label": `${status === "accepted" ? "Let in" : "Reject"} ${user}`});
  const nameOf = (q) => q.user?.user ?? q.user?.name ?? q.username ?? "";
  const rows = lists.flatMap(([status, list]) => list.map((q) => row(nameOf(q), status, ago(q.timestamp), make("span", {class: "row"},
    status === "accepted" ? "" : answer(nameOf(q), "accepted"), status === "rejected" ? "" : answer(nameOf(q), "rejected")))));
  return section("Who asked for access", rows.length ? table("Requests", ["User", "Status", "When", ""], rows) : note("Nobody yet."),
    form("Let in", [field("User", text("user"))], async ({user}) => { await net.post(net.api(repo, "user-access-request", "grant"), {user: user.trim()}); again(); }, {class: ""}));
}

function remove({repo, info, go}) {
  const typed = hidden("The name of the repository", text("typed", {placeholder: info.id}));
  return make("section", {class: "box bad"}, make("h2", {}, "Delete it"), make("p", {}, "Its files, history and discussions are gone then. To go on, type ", make("code", {}, info.id), "."),
    form("Delete for ever", [typed], async ({typed: given}) => {
      if (given !== info.id) throw new Error(`That is not ${info.id}.`);
      const [organization, name] = info.id.split("/");
      await net.send("DELETE", "/api/repos/delete", {name, organization, type: repo.type.slice(0, -1)});
      go(`/${repo.type}`);
    }, {class: "danger"}));
}

export async function settingsOf(r) {
  if (!r.mayWrite) throw new net.HubError(403, null, "Settings are for those who may write to the repository.");
  return {title: "Settings", nodes: [visibility(r), await requests(r), rename(r), await refs(r), remove(r)]};
}
