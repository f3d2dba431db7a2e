// Pieces that many pages are made of.

import {make, button} from "../dom.js";

export {make, button};

export const link = (href, ...children) => make("a", {href}, ...children);
export const note = (...children) => make("p", {class: "note"}, ...children);
export const say = (text) => document.getElementById("live").replaceChildren(text);

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];
export function bytes(n) {
  let i = 0;
  for (; n >= 1000 && i < UNITS.length - 1; i++) n /= 1000;
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[i]}`;
}

export const count = (n) => new Intl.NumberFormat("en").format(n);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

const STEPS = [[31536000, "year"], [2592000, "month"], [604800, "week"], [86400, "day"], [3600, "hour"], [60, "minute"]];
// A time as people say it, the exact one under the pointer.
export function ago(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return make("span", {}, "");
  const s = (Date.now() - at) / 1000, [unit, name] = STEPS.find(([n]) => s >= n) ?? [0, ""];
  const text = unit ? new Intl.RelativeTimeFormat("en", {numeric: "auto"}).format(-Math.floor(s / unit), name) : "just now";
  return make("time", {datetime: at.toISOString(), title: at.toLocaleString()}, text);
}

export const fault = (e) => make("p", {class: "fault", role: "alert"}, e.message ?? String(e));
export const badge = (text, kind = "") => make("span", {class: `badge ${kind}`}, text);
export const section = (title, ...children) => make("section", {class: "box"}, make("h2", {}, title), ...children);

// A button that opens what is below it; Escape and a click elsewhere close it.
export function menu(label, content, attributes = {}) {
  const box = make("details", {class: "menu", ...attributes}, make("summary", {}, label), make("div", {class: "menu-body"}, content));
  box.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !box.open) return;
    box.open = false;
    box.querySelector("summary").focus();
    e.stopPropagation();
  });
  return box;
}
document.addEventListener("click", (e) => {
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(e.target)) open.open = false;
});

// What the parts of a path lead to, slashes between.
export function crumbs(label, parts) {
  const list = make("ol", {});
  parts.forEach(({text, href}, i) => {
    const last = i === parts.length - 1;
    list.append(make("li", {}, href && !last ? link(href, text) : make("span", {"aria-current": last ? "page" : null}, text)));
  });
  return make("nav", {class: "crumbs", "aria-label": label}, list);
}

export function table(label, heads, rows) {
  return make("div", {class: "wide-table", tabindex: "0", role: "region", "aria-label": label},
    make("table", {}, make("caption", {class: "hidden"}, label),
      make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", {scope: "col"}, h)))),
      make("tbody", {}, ...rows)));
}
export const row = (...cells) => make("tr", {}, ...cells.map((c) => make("td", {}, c)));

// Rows that come page by page: `load(address)` gives {rows, next}, `show(row)` an element.
export async function pages(into, first, load, show, what) {
  const more = button(`More ${what}`, () => turn(more.next), {class: "more"});
  async function turn(address) {
    more.disabled = true;
    try {
      const {rows, next} = await load(address);
      const made = rows.map(show);
      into.append(...made);
      more.next = next;
      more.hidden = !next;
      if (address !== first) made[0]?.querySelector("a, button")?.focus();
    } finally { more.disabled = false; }
  }
  await turn(first);
  return more;
}

// A text to copy, as a block.
export function codeBlock(text, language, copy) {
  return make("div", {class: "code"}, make("div", {class: "bar"}, make("span", {}, language), copy),
    make("pre", {tabindex: "0", role: "region", "aria-label": `Code: ${language}`}, make("code", {}, text)));
}
