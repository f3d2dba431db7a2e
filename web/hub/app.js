// The hub's pages: an address leads to a view, a view gives a title and an element. Links are real ones; those to other pages of
// ours are followed without loading the shell again.

import {make, link, fault, say} from "./ui.js";
import * as net from "./net.js";
import {home, list} from "./list.js";
import * as repo from "./repo.js";
import {login, account, newRepo} from "./account.js";
import {owner} from "./owner.js";
import {collection} from "./collections.js";

const KINDS = ["models", "datasets", "spaces"];
const VIEWS = {"": repo.card, tree: repo.tree, blob: repo.blob, commits: repo.commits, commit: repo.commit,
  discussions: repo.discussions, settings: repo.settings, upload: repo.upload};
// First words of addresses that are no account's; the server knows them all (src/hub/account.c).
const OTHERS = ["api", "chat", "ui", "v1", "v2", "metrics", "docs", "xet", "_lfs", "health", "version", "readyz", "livez", "ping"];

function decode(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

// {view, ...}: what an address is, or null when it is no page of ours.
function read(url) {
  const parts = url.pathname.split("/").filter((p) => p !== "").map(decode);
  const [first, ...rest] = parts;
  if (parts.length === 0) return {view: home};
  if (rest.length === 0 && KINDS.includes(first)) return {view: list, type: first};
  if (rest.length === 0 && first === "login") return {view: login};
  if (rest.length === 0 && first === "new") return {view: newRepo};
  if (rest.length === 0 && first === "settings") return {view: account};
  if (first === "collections") return rest.length === 2 ? {view: collection, slug: rest.join("/")} : null;
  if (OTHERS.includes(first)) return null;
  if (rest.length === 0) return {view: owner, name: first};
  const type = KINDS.includes(first) ? first : "models";
  const [ns, name, view = "", rev, ...path] = KINDS.includes(first) ? rest : parts;
  if (!name || !Object.hasOwn(VIEWS, view)) return null;
  return {view: VIEWS[view], tab: view, repo: {type, ns, name}, rev, path: path.join("/")};
}

let under = null; // the view that is being made

const FAULTS = {404: "There is no such page, or it is not for you to see.", 401: "There is no such page, or you must sign in to see it."};

function faultPage(e) {
  const signIn = e.status === 401 || e.status === 404 || e.status === 403;
  return {title: "Not shown", node: make("div", {class: "narrow"}, make("h1", {}, "Not shown"),
    fault(e.code === "RepoNotFound" ? {message: FAULTS[e.status]} : e),
    signIn ? make("p", {}, link(`/login?next=${encodeURIComponent(location.pathname + location.search)}`, "Sign in"), " or ",
      link("/", "go to the first page"), ".") : make("p", {}, link("/", "To the first page")))};
}

async function show(moved) {
  under?.abort();
  const control = under = new AbortController();
  const route = read(location) ?? {view: async () => { throw new net.HubError(404, "RepoNotFound", ""); }};
  const main = document.getElementById("main");
  main.setAttribute("aria-busy", "true");
  let made;
  try { made = await route.view({...route, query: new URLSearchParams(location.search), signal: control.signal, go, again: () => show(false)}); }
  catch (e) {
    if (control.signal.aborted) return;
    made = faultPage(e);
  }
  if (control.signal.aborted) return;
  document.title = made.title ? `${made.title} – Cloche` : "Cloche";
  main.replaceChildren(made.node);
  main.removeAttribute("aria-busy");
  for (const kind of ["models", "datasets"]) {
    const at = document.getElementById(`to-${kind}`);
    if (location.pathname === `/${kind}`) at.setAttribute("aria-current", "page");
    else at.removeAttribute("aria-current");
  }
  if (moved) {
    main.focus({preventScroll: true});
    say(made.title);
    if (location.hash) document.getElementById(decode(location.hash.slice(1)))?.scrollIntoView();
    else scrollTo(0, 0);
  } else if (location.hash) document.getElementById(decode(location.hash.slice(1)))?.scrollIntoView();
  made.shown?.();
}

// To an address of ours; anything else is loaded.
export function go(address, {replace = false} = {}) {
  const url = new URL(address, location.href);
  if (url.origin !== location.origin || !read(url)) { location.assign(url); return; }
  history[replace ? "replaceState" : "pushState"](null, "", url);
  show(true);
}

async function showWho() {
  const user = await net.me().catch(() => null);
  const to = document.getElementById("who");
  if (!user) {
    const next = location.pathname === "/login" ? "" : `?next=${encodeURIComponent(location.pathname + location.search)}`;
    to.replaceChildren(link(`/login${next}`, "Sign in"));
    return;
  }
  to.replaceChildren(link("/new", "New"), link(`/${user.name}`, user.name), link("/settings", "Settings"));
}
export const signedInChanged = () => { net.forgetMe(); return showWho(); };
document.addEventListener("cloche-who", signedInChanged);

document.addEventListener("click", (e) => {
  const a = e.target.closest?.("a[href]");
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.target || a.hasAttribute("download")) return;
  const url = new URL(a.href);
  if (url.origin !== location.origin || !read(url)) return;
  if (url.pathname === location.pathname && url.search === location.search && url.hash) return;
  e.preventDefault();
  go(url);
});
addEventListener("popstate", () => show(true));

showWho();
show(false);
