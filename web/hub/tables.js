// Files of weights and of rows: what is in a safetensors or GGUF file, and the rows of a dataset.

import {make, link, bytes, count, note, table, row, button} from "./ui.js";
import {text} from "./forms.js";
import * as net from "./net.js";

const TENSORS_DRAWN = 500;
const PER_PAGE = 50;
const CELL_MAX = 300; // characters of a cell that are shown at first

// 1234567 -> "1.2 M"
function parameters(n) {
  for (const [size, name] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]]) if (n >= size) return `${(n / size).toFixed(1)} ${name}`;
  return String(n);
}

const show = (v) => (typeof v === "string" ? v : JSON.stringify(v));

// A value; what is long is cut until it is asked for.
function cell(v) {
  if (v === null || v === undefined) return make("span", {class: "null"}, "null");
  const whole = show(v);
  if (whole.length <= CELL_MAX) return make("span", {class: typeof v}, whole);
  const box = make("span", {}, `${whole.slice(0, CELL_MAX)}… `);
  box.append(button("all", () => box.replaceChildren(whole), {class: "quiet small", "aria-label": "Show all of it"}));
  return box;
}

export async function inspect(r) {
  const d = await net.get(net.api(r.repo, "inspect", encodeURIComponent(r.rev), net.pathOf(r.path)), {signal: r.signal});
  const types = new Map();
  for (const t of d.tensors) types.set(t.dtype, (types.get(t.dtype) ?? 0) + 1);
  const facts = make("dl", {class: "facts-list"}, make("dt", {}, "Format"), make("dd", {}, d.format), make("dt", {}, "Parameters"),
    make("dd", {title: count(d.parameters)}, parameters(d.parameters)), make("dt", {}, "Tensors"), make("dd", {}, count(d.tensors.length)),
    make("dt", {}, "Types"), make("dd", {}, [...types].map(([t, n]) => `${t} × ${count(n)}`).join(", ")));
  const pairs = Object.entries(d.metadata ?? {});
  const metadata = pairs.length ? make("details", {class: "box", open: pairs.length <= 12}, make("summary", {}, `Metadata (${count(pairs.length)})`),
    table("Metadata", ["Key", "Value"], pairs.map(([k, v]) => row(k, cell(v))))) : "";
  const list = table("Tensors", ["Name", "Type", "Shape", "Bytes"], []);
  const told = make("p", {class: "note", role: "status"});
  const find = text("find", {type: "search", placeholder: "Find a tensor", "aria-label": "Find a tensor", oninput: () => draw()});
  function draw() {
    const found = d.tensors.filter((t) => t.name.toLowerCase().includes(find.value.toLowerCase()));
    list.querySelector("tbody").replaceChildren(...found.slice(0, TENSORS_DRAWN).map((t) =>
      make("tr", {}, make("td", {class: "file"}, t.name), make("td", {}, t.dtype), make("td", {}, `[${t.shape.join(", ")}]`), make("td", {class: "num"}, bytes(t.bytes)))));
    told.textContent = found.length > TENSORS_DRAWN ? `The first ${TENSORS_DRAWN} of ${count(found.length)}.` : "";
  }
  draw();
  return make("div", {class: "inspector"}, facts, metadata, find, told, list, d.truncated ? note("There are more tensors than are told.") : "");
}

export async function rows(r) {
  const offset = Math.max(0, Number.parseInt(r.query.get("offset") ?? "0", 10) || 0);
  const d = await net.get(`${net.api(r.repo, "rows", encodeURIComponent(r.rev), net.pathOf(r.path))}?offset=${offset}&limit=${PER_PAGE}`, {signal: r.signal});
  const heads = ["#", ...d.columns.map((c) => make("span", {}, c.name, " ", make("span", {class: "type"}, c.type)))];
  const body = d.rows.map((cells, i) => row(String(offset + i), ...cells.map(cell)));
  const at = (o) => `${location.pathname}?offset=${o}`;
  const turn = make("nav", {class: "row", "aria-label": "Pages of rows"});
  if (offset > 0) turn.append(link(at(Math.max(0, offset - PER_PAGE)), "Rows before"));
  if (d.total === null ? d.rows.length === PER_PAGE : offset + d.rows.length < d.total) turn.append(link(at(offset + PER_PAGE), "Rows after"));
  const what = d.total === null ? `Rows from ${count(offset)}` : d.total === 0 ? "No rows" : `Rows ${count(offset)} to ${count(offset + d.rows.length - 1)} of ${count(d.total)}`;
  return make("div", {class: "rows"}, make("p", {}, `${d.format}: ${what}`), table("Rows", heads, body), turn,
    d.truncated ? note("Some values are longer than what is shown, or not all rows were counted.") : "");
}
