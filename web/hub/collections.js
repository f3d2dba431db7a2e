// Collections: those of an owner, and one with what is in it.

import {make, link, section, note, ago, badge, plural} from "./ui.js";
import * as net from "./net.js";
import {repoRow, typeOf} from "./list.js";

const pageOf = (slug) => `/collections/${net.pathOf(slug)}`;

// facts: what a row says besides the title.
const row = (c, facts) => make("li", {class: "repo-row"}, make("div", {class: "row"}, link(pageOf(c.slug), c.title), c.private ? badge("private") : ""),
  c.description ? make("div", {}, c.description) : "", make("div", {class: "facts"}, ...facts, make("span", {}, "changed ", ago(c.lastUpdated))));

// A section with the first of an owner's, or nothing where there are none.
export async function collectionsOf(name, signal) {
  const rows = await net.get(`/api/collections?owner=${encodeURIComponent(name)}&limit=100`, {signal});
  if (!rows.length) return "";
  return section("Collections", make("ul", {class: "repos"}, ...rows.map((c) => row(c, []))));
}

function item(i) {
  const li = i.type === "collection" ? row(i, [make("span", {}, `collection of ${plural(i.numberItems, "item")}`)]) : repoRow(typeOf[i.type], i);
  if (i.type === "dataset" || i.type === "space") li.firstChild.append(badge(i.type));
  if (i.note) li.append(make("p", {class: "note"}, i.note.text));
  return li;
}

export async function collection({slug, signal}) {
  const c = await net.get(`/api/collections/${net.pathOf(slug)}`, {signal});
  return {title: c.title, node: make("div", {}, make("h1", {}, c.title, " ", c.private ? badge("private") : ""),
    make("p", {class: "facts"}, "a collection of ", link(`/${encodeURIComponent(c.owner.name)}`, c.owner.name), ", changed ", ago(c.lastUpdated)),
    c.description ? make("p", {}, c.description) : "",
    c.items.length ? make("ul", {class: "repos", "aria-label": "What is in it"}, ...c.items.map(item)) : note("Nothing is in it that you may see."))};
}
