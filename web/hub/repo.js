// A repository: what stands above each of its pages, and its card.

import {make, link, badge, count, note, ago} from "./ui.js";
import {form} from "./forms.js";
import * as net from "./net.js";
import {fromServer} from "./html.js";
import {canRun, snippets} from "./snippets.js";
import * as files from "./files.js";
import * as history from "./commits.js";
import * as talk from "./discussions.js";
import {settingsOf} from "./settings.js";
import {uploadTo} from "./upload.js";

const KIND = {models: "model", datasets: "dataset", spaces: "space"};
const quiet = (asked) => asked.then(() => true, (e) => { if (e.name === "AbortError") throw e; return false; });

// What a page of a repository is given: {repo, info, user, mayRead, mayWrite, signal, go, again, ...}
async function open(route) {
  const {repo, signal} = route;
  const user = await net.me();
  const reply = await net.ask(net.api(repo), {signal});
  const info = await reply.json();
  if (info.id.toLowerCase() !== net.idOf(repo).toLowerCase()) { // it was renamed
    const [ns, name] = info.id.split("/");
    route.go(location.pathname.replace(net.pageOf(repo), net.pageOf({...repo, ns, name})) + location.search, {replace: true});
    await new Promise(() => {});
  }
  const [mayWrite, mayRead] = await Promise.all([user ? quiet(net.ask(net.api(repo, "auth-check/write"), {signal})) : false,
    info.gated ? quiet(net.ask(net.api(repo, "auth-check"), {signal})) : true]);
  return {...route, info, user, mayWrite, mayRead};
}

// --- above every page -----------------------------------------------------------------------------------------------

async function likeButton({repo, info, user, signal}) {
  if (!user) return make("span", {class: "likes"}, `♥ ${count(info.likes)}`);
  const likers = await net.get(net.api(repo, "likers"), {signal}).catch(() => []);
  let liked = likers.some((l) => l.user === user.name), n = info.likes;
  const b = make("button", {type: "button", class: "like", onclick: async () => {
    b.disabled = true;
    try {
      await net.send(liked ? "DELETE" : "POST", net.api(repo, "like"));
      liked = !liked;
      n += liked ? 1 : -1;
    } catch (e) { b.title = e.message; }
    b.disabled = false;
    show();
  }});
  const show = () => {
    b.textContent = `♥ ${count(n)}`;
    b.setAttribute("aria-pressed", String(liked));
    b.setAttribute("aria-label", `Like, ${count(n)} so far`);
  };
  show();
  return b;
}

function tabs({repo, mayWrite, tab}) {
  const at = {"": "", tree: "tree", blob: "tree", commits: "tree", commit: "tree", upload: "tree"}[tab] ?? tab;
  const rows = [["", "Card"], ["tree", "Files"], ["discussions", "Discussions"], ...(mayWrite ? [["settings", "Settings"]] : [])];
  return make("nav", {class: "tabs", "aria-label": "Parts of the repository"}, ...rows.map(([view, label]) =>
    make("a", {href: net.pageOf(repo, view, view === "tree" ? "main" : undefined), "aria-current": view === at ? "page" : null}, label)));
}

// What is asked of whoever may not read the files yet.
function gate(r) {
  if (r.mayRead) return "";
  const box = make("section", {class: "box gate"}, make("h2", {}, "Access is asked for"),
    make("p", {}, `The files of this ${KIND[r.repo.type]} are for whom its owners let in.`));
  if (!r.user) box.append(make("p", {}, link(`/login?next=${encodeURIComponent(location.pathname)}`, "Sign in"), " to ask."));
  else box.append(form("Ask for access", [], async () => {
    const {status} = await net.post(net.api(r.repo, "ask-access"), {});
    if (status === "accepted") { r.again(); return ""; }
    return status === "rejected" ? "The owners have rejected it." : "Asked: the owners will answer.";
  }));
  return box;
}

async function frame(r, title, ...children) {
  const {repo, info} = r;
  const head = make("header", {class: "repo-head"}, make("h1", {}, link(`/${repo.ns}`, repo.ns), " / ", link(net.pageOf(repo), repo.name)),
    badge(KIND[repo.type]), info.private ? badge("private") : "", info.gated ? badge(`gated: ${info.gated}`) : "", await likeButton(r));
  return {title: title ? `${title} – ${info.id}` : info.id, node: make("div", {}, head, tabs(r), gate(r), ...children)};
}

// Wraps what a view of another file makes.
const inside = (make) => async (route) => {
  const r = await open(route);
  const {title, nodes, shown} = await make(r);
  return {...await frame(r, title, ...nodes), shown};
};

// --- the card -------------------------------------------------------------------------------------------------------

function tagLinks({repo, info}) {
  const of = (tag) => `/${repo.type}?filter=${encodeURIComponent(tag)}`;
  const tags = (info.tags ?? []).slice(0, 60);
  return tags.length ? make("ul", {class: "chips", "aria-label": "Tags"}, ...tags.map((t) => make("li", {}, link(of(t), t)))) : "";
}

async function cardText({repo, signal}, rev) {
  try {
    const {html, why} = await net.get(net.api(repo, "card", encodeURIComponent(rev)), {signal});
    return html === null ? note(`The card cannot be shown: ${why}`) : fromServer(html);
  } catch (e) {
    if (e.code === "EntryNotFound") return note("There is no card: a README.md would be it.");
    throw e;
  }
}

async function chatLink(r) {
  if (r.repo.type !== "models") return "";
  try {
    const {data} = await net.get("/v1/models", {signal: r.signal});
    const found = data.find((m) => m.id.toLowerCase() === r.info.id.toLowerCase()) ?? data.find((m) => m.id.toLowerCase() === r.repo.name.toLowerCase());
    const talks = canRun(r) && (r.info.pipeline_tag ?? "text-generation") === "text-generation";
    const name = found?.id ?? (talks ? r.info.id : null);
    return name ? make("a", {class: "button primary", href: `/chat?model=${encodeURIComponent(name)}`}, "Chat with this model") : "";
  } catch { return ""; }
}

export const card = inside(async (r) => {
  const {info} = r;
  const [text, chat] = await Promise.all([cardText(r, "main"), chatLink(r)]);
  const facts = make("dl", {class: "facts-list"});
  const fact = (name, value) => { if (value) facts.append(make("dt", {}, name), make("dd", {}, value)); };
  fact("Task", info.pipeline_tag);
  fact("Library", info.library_name);
  fact("Downloads", count(info.downloads ?? 0));
  fact("Changed", ago(info.lastModified));
  fact("Files", link(net.pageOf(r.repo, "tree", "main"), `${info.siblings?.length ?? 0}`));
  return {title: "", nodes: [tagLinks(r), make("div", {class: "with-side right"}, make("article", {class: "card-text"}, text),
    make("aside", {"aria-label": "Facts"}, chat, snippets(r), facts))]};
});

export const tree = inside(files.tree);
export const blob = inside(files.blob);
export const commits = inside(history.commits);
export const commit = inside(history.commit);
export const discussions = inside(talk.discussions);
export const settings = inside(settingsOf);
export const upload = inside(uploadTo);
