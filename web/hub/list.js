// The first page and the lists: search, filters, order, pages. What is asked stands in the address, so that it can be kept.

import {make, link, ago, count, badge, section} from "./ui.js";
import {field, text, choice} from "./forms.js";
import * as net from "./net.js";

const PER_PAGE = 30;
const ORDERS = [["lastModified", "Recently changed"], ["createdAt", "Newest"], ["likes", "Most liked"], ["downloads", "Most downloaded"]];
const NAMES = {models: "Models", datasets: "Datasets", spaces: "Spaces"};
// Which kinds of tags can be asked for, and what a dataset calls its task.
const FILTERS = {
  models: [["pipeline_tag", "Task"], ["library", "Library"], ["license", "Licence"], ["language", "Language"], ["other", "Tag"]],
  datasets: [["task_categories", "Task"], ["size_categories", "Size"], ["license", "Licence"], ["language", "Language"], ["other", "Tag"]],
  spaces: [],
};

export const typeOf = {model: "models", dataset: "datasets", space: "spaces"};
const repoOf = (type, id) => { const [ns, name] = id.split("/"); return {type, ns, name}; };

export function repoRow(type, r) {
  const repo = repoOf(type, r.id);
  const facts = make("div", {class: "facts"});
  if (r.pipeline_tag) facts.append(make("span", {}, r.pipeline_tag));
  if (r.lastModified ?? r.createdAt) facts.append(make("span", {}, "changed ", ago(r.lastModified ?? r.createdAt)));
  facts.append(make("span", {title: "downloads"}, `↓ ${count(r.downloads ?? 0)}`), make("span", {title: "likes"}, `♥ ${count(r.likes ?? 0)}`));
  return make("li", {class: "repo-row"}, make("div", {class: "row"}, link(net.pageOf(repo), r.id), r.private ? badge("private") : "",
    r.gated ? badge("gated") : ""), facts);
}

const fields = ["lastModified", "createdAt", "private", "gated", "downloads", "likes"];
const expands = (type) => [...fields.filter((f) => type !== "spaces" || !["gated", "downloads"].includes(f)), ...(type === "models" ? ["pipeline_tag"] : [])]
  .map((f) => `expand=${f}`).join("&");

export const listOf = (type, query, signal) => net.page(`/api/${type}?${expands(type)}&${query}`, {signal});

// --- the first page -------------------------------------------------------------------------------------------------

function searchForm(type, value, go) {
  const input = text("search", {type: "search", value, placeholder: `Search ${NAMES[type].toLowerCase()}`, "aria-label": `Search ${NAMES[type].toLowerCase()}`});
  return make("form", {role: "search", class: "row search", onsubmit: (e) => {
    e.preventDefault();
    go(`/${type}?search=${encodeURIComponent(input.value.trim())}`);
  }}, input, make("button", {type: "submit", class: "primary"}, "Search"));
}

export async function home({go, signal}) {
  const boxes = await Promise.all(["models", "datasets"].map(async (type) => {
    const {rows} = await listOf(type, "sort=lastModified&limit=10", signal);
    const list = rows.length ? make("ul", {class: "repos"}, ...rows.map((r) => repoRow(type, r)))
      : make("p", {class: "note"}, `No ${NAMES[type].toLowerCase()} yet.`);
    return section(NAMES[type], searchForm(type, "", go), list, link(`/${type}`, `All ${NAMES[type].toLowerCase()}`));
  }));
  return {title: "", node: make("div", {}, make("h1", {}, "On this server"),
    make("p", {class: "note"}, "Models and datasets that are kept here, and nowhere else unless somebody took them along. ",
      link("/chat", "Talk with a model"), "."), make("div", {class: "columns"}, ...boxes))};
}

// --- a list ---------------------------------------------------------------------------------------------------------

// The address of the same list with other values; the page begins anew.
function address(type, query, changes) {
  const q = new URLSearchParams(query);
  q.delete("cursor");
  for (const [k, v] of Object.entries(changes)) {
    q.delete(k);
    for (const one of [v].flat()) if (one) q.append(k, one);
  }
  const s = q.toString();
  return `/${type}${s ? `?${s}` : ""}`;
}

const askFor = (kind, id) => (kind === "pipeline_tag" ? {pipeline_tag: id} : null);

function filterBox(type, query, kind, label, tags, go) {
  const chosen = kind === "pipeline_tag" ? query.get("pipeline_tag") : query.getAll("filter").find((f) => tags.some((t) => t.id === f));
  const others = query.getAll("filter").filter((f) => f !== chosen);
  const s = choice(kind, [["", "any"], ...tags.map((t) => [t.id, t.label])], chosen ?? "");
  s.addEventListener("change", () => go(address(type, query, askFor(kind, s.value) ??
    (kind === "pipeline_tag" ? {pipeline_tag: ""} : {filter: [...others, s.value]}))));
  return field(label, s);
}

function chips(type, query) {
  const out = make("ul", {class: "chips", "aria-label": "What is asked for"});
  const add = (what, changes) => out.append(make("li", {}, link(address(type, query, changes), `${what} ✕`)));
  for (const f of query.getAll("filter")) add(f, {filter: query.getAll("filter").filter((x) => x !== f)});
  if (query.get("pipeline_tag")) add(query.get("pipeline_tag"), {pipeline_tag: ""});
  if (query.get("author")) add(`of ${query.get("author")}`, {author: ""});
  for (const a of out.querySelectorAll("a")) a.setAttribute("aria-label", `Without ${a.textContent.slice(0, -2)}`);
  return out.childElementCount ? out : "";
}

async function filters(type, query, go, signal) {
  if (!FILTERS[type].length) return "";
  const tags = await net.get(`/api/${type}-tags-by-type`, {signal}).catch(() => ({}));
  const boxes = FILTERS[type].filter(([kind]) => tags[kind]?.length).map(([kind, label]) => filterBox(type, query, kind, label, tags[kind], go));
  return make("aside", {class: "filters", "aria-label": "Filters"}, ...boxes);
}

export async function list({type, query, go, signal}) {
  const asked = new URLSearchParams({limit: PER_PAGE, sort: query.get("sort") || "lastModified"});
  for (const k of ["search", "author", "pipeline_tag", "cursor"]) if (query.get(k)) asked.set(k, query.get(k));
  for (const f of query.getAll("filter")) asked.append("filter", f);
  const [{rows, next}, side] = await Promise.all([listOf(type, asked, signal), filters(type, query, go, signal)]);
  const order = choice("sort", ORDERS, query.get("sort") || "lastModified");
  order.addEventListener("change", () => go(address(type, query, {sort: order.value})));
  const input = text("search", {type: "search", value: query.get("search") ?? "", "aria-label": `Search ${NAMES[type].toLowerCase()}`});
  const search = make("form", {role: "search", class: "row search", onsubmit: (e) => {
    e.preventDefault();
    go(address(type, query, {search: input.value.trim()}));
  }}, input, make("button", {type: "submit", class: "primary"}, "Search"));
  const turn = make("nav", {class: "row", "aria-label": "Pages of the list"});
  if (query.get("cursor")) turn.append(link(address(type, query, {}), "First page"));
  if (next) {
    const q = new URLSearchParams(query);
    q.set("cursor", new URLSearchParams(next.split("?")[1]).get("cursor"));
    turn.append(link(`/${type}?${q}`, "Next page"));
  }
  return {title: NAMES[type], node: make("div", {}, make("h1", {}, NAMES[type]), search, chips(type, query),
    make("div", {class: "with-side"}, side, make("div", {}, field("Order", order),
      rows.length ? make("ul", {class: "repos"}, ...rows.map((r) => repoRow(type, r))) : make("p", {class: "note"}, "Nothing is found."), turn)))};
}
