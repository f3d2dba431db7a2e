// What a file looks like: text with numbered lines, JSON, images, Markdown, and what tables.js knows.

import {make, link, note, fault} from "./ui.js";
import * as net from "./net.js";
import {fromServer} from "./html.js";
import {inspect, rows} from "./tables.js";

const TEXT_MAX = 400000; // bytes that are fetched
const LINES_MAX = 5000;
const JSON_CHILDREN = 200;
const IMAGE = /\.(png|jpe?g|gif|webp)$/i, MARKDOWN = /\.(md|markdown)$/i, WEIGHTS = /\.(safetensors|gguf)$/i;
const TABLE = /\.(jsonl|ndjson|csv|parquet)$/i;

// null: it is no text.
async function fetchText({repo, rev, path, signal}, size) {
  const headers = size > TEXT_MAX ? {Range: `bytes=0-${TEXT_MAX - 1}`} : {};
  const data = new Uint8Array(await (await net.ask(net.pageOf(repo, "resolve", rev, path), {signal, headers})).arrayBuffer());
  if (data.includes(0)) return null;
  try { return new TextDecoder("utf-8", {fatal: true}).decode(data, {stream: size > data.length}); } catch { return null; }
}

function lines(text, cut) {
  const all = text.split("\n");
  if (all.at(-1) === "") all.pop();
  const body = make("tbody", {}, ...all.slice(0, LINES_MAX).map((line, i) => make("tr", {id: `L${i + 1}`},
    make("td", {class: "num"}, make("a", {href: `#L${i + 1}`, "aria-label": `Line ${i + 1}`}, String(i + 1))), make("td", {class: "line"}, line))));
  const box = make("div", {class: "wide-table", tabindex: "0", role: "region", "aria-label": "Text of the file"}, make("table", {class: "text"}, body));
  return cut || all.length > LINES_MAX ? make("div", {}, box, note("This is the beginning: the file goes on. The whole is at “Raw”.")) : box;
}

// A value of JSON; what is in a part is made when it is opened.
function jsonTree(key, value) {
  const label = key === null ? [] : [make("span", {class: "key"}, key), ": "];
  if (value === null || typeof value !== "object") return make("div", {class: "leaf"}, ...label, make("span", {class: typeof value}, JSON.stringify(value)));
  const entries = Object.entries(value);
  const box = make("details", {}, make("summary", {}, ...label, Array.isArray(value) ? `[ ${entries.length} ]` : `{ ${entries.length} }`));
  const fill = () => {
    if (!box.open || box.dataset.made) return;
    box.dataset.made = "yes";
    box.append(make("div", {class: "inner"}, ...entries.slice(0, JSON_CHILDREN).map(([k, v]) => jsonTree(k, v)),
      entries.length > JSON_CHILDREN ? note(`… ${entries.length - JSON_CHILDREN} more`) : ""));
  };
  box.addEventListener("toggle", fill);
  if (key === null) { box.open = true; fill(); }
  return box;
}

const other = ({query}, to, label) => {
  const q = new URLSearchParams(query);
  if (to) q.set("as", to); else q.delete("as");
  return make("p", {}, link(`${location.pathname}${q.size ? `?${q}` : ""}`, label));
};

async function asText(r, entry) {
  const text = await fetchText(r, entry.size);
  if (text === null) return note("This is no text. “Download” gets it.");
  return lines(text, entry.size > TEXT_MAX);
}

async function asJson(r, entry) {
  if (entry.size > TEXT_MAX) return asText(r, entry);
  const text = await fetchText(r, entry.size);
  if (text === null) return note("This is no text.");
  let value;
  try { value = JSON.parse(text); } catch (e) { return make("div", {}, note(`Not valid JSON: ${e.message}`), lines(text, false)); }
  return make("div", {}, other(r, "text", "As text"), make("div", {class: "json"}, jsonTree(null, value)));
}

async function asMarkdown(r) {
  const {html, why} = await net.get(net.api(r.repo, "markdown", encodeURIComponent(r.rev), net.pathOf(r.path)), {signal: r.signal});
  return make("div", {}, other(r, "text", "As text"), html === null ? note(`It cannot be shown: ${why}`) : fromServer(html));
}

// The view that fits, or the text where that one is refused.
async function orText(r, entry, view) {
  try { return await view(r, entry); } catch (e) {
    if (e.name === "AbortError") throw e;
    return make("div", {}, fault(e), WEIGHTS.test(r.path) || /parquet$/i.test(r.path) ? "" : await asText(r, entry));
  }
}

export async function viewOf(r, entry) {
  const {path, query} = r, plain = query.get("as") === "text";
  if (IMAGE.test(path)) return make("p", {class: "picture"}, make("img", {src: net.pageOf(r.repo, "resolve", r.rev, path), alt: `The image ${path}`}));
  if (WEIGHTS.test(path)) return orText(r, entry, inspect);
  if (plain) return make("div", {}, other(r, null, MARKDOWN.test(path) ? "As a page" : "As a view"), await asText(r, entry));
  if (TABLE.test(path)) return orText(r, entry, async (x, e) => make("div", {}, /parquet$/i.test(path) ? "" : other(x, "text", "As text"), await rows(x, e)));
  if (MARKDOWN.test(path) && !entry.lfs) return orText(r, entry, asMarkdown);
  if (/\.(json|ipynb)$/i.test(path)) return orText(r, entry, asJson);
  return asText(r, entry);
}
