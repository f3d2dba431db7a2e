// Markdown to document nodes. What a model writes is text from a stranger: it becomes text nodes and a fixed set of elements,
// never markup; links lead to http and https only and are followed by a click alone; images are not loaded.
// Every pattern is anchored or looks for one character, so that time grows with the length of the text.

import {make, copyButton} from "./dom.js";

const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})\s*(\S*)/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const QUOTE = /^ {0,3}> ?/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEPTH_MAX = 8;

export function render(text) {
  const out = document.createDocumentFragment();
  blocks(out, text.replace(/\r\n?/g, "\n").split("\n"), 0);
  return out;
}

// --- blocks ---------------------------------------------------------------------------------------------------------

function blocks(out, lines, depth) {
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    if (line.trim() === "") i++;
    else if (FENCE.test(line)) i = fence(out, lines, i);
    else if (HEADING.test(line)) i = heading(out, lines, i);
    else if (RULE.test(line)) { out.append(make("hr")); i++; }
    else if (QUOTE.test(line) && depth < DEPTH_MAX) i = quote(out, lines, i, depth);
    else if (ITEM.test(line) && depth < DEPTH_MAX) i = list(out, lines, i, depth);
    else if (isTable(lines, i)) i = table(out, lines, i);
    else i = paragraph(out, lines, i);
  }
}

function fence(out, lines, i) {
  const [, mark, language] = FENCE.exec(lines[i]);
  const indent = lines[i].length - lines[i].trimStart().length;
  const body = [];
  for (i++; i < lines.length; i++) {
    const t = lines[i].trim();
    if (t.length >= mark.length && t[0] === mark[0] && t === t[0].repeat(t.length)) { i++; break; }
    let cut = 0;
    while (cut < indent && lines[i][cut] === " ") cut++;
    body.push(lines[i].slice(cut));
  }
  const text = body.join("\n");
  const copy = copyButton(() => text);
  copy.setAttribute("aria-label", "Copy the code");
  out.append(make("div", {class: "code"}, make("div", {class: "bar"}, make("span", {}, language || "text"), copy),
    make("pre", {tabindex: "0", role: "region", "aria-label": `Code: ${language || "text"}`}, make("code", {}, text))));
  return i;
}

// The page has its own h1, so that a text's begin below it.
function heading(out, lines, i) {
  const level = HEADING.exec(lines[i])[1].length;
  const text = lines[i].trim().replace(/^#+/, "").replace(/[ \t]#+$/, "").trim();
  const e = make(`h${Math.min(level + 1, 6)}`);
  inline(e, text, 0);
  out.append(e);
  return i + 1;
}

function quote(out, lines, i, depth) {
  const inner = [];
  for (; i < lines.length && QUOTE.test(lines[i]); i++) inner.push(lines[i].replace(QUOTE, ""));
  const e = make("blockquote");
  blocks(e, inner, depth + 1);
  out.append(e);
  return i;
}

const ordered = (mark) => /\d/.test(mark[0]);

function list(out, lines, i, depth) {
  const [, space, first] = ITEM.exec(lines[i]);
  const base = space.length;
  const e = ordered(first) ? make("ol", {start: parseInt(first, 10)}) : make("ul");
  while (i < lines.length) {
    const m = ITEM.exec(lines[i]);
    if (!m || m[1].length < base || m[1].length > base + 3 || ordered(m[2]) !== ordered(first) || RULE.test(lines[i])) break;
    const width = m[0].length;
    const inner = [lines[i].slice(width)];
    for (i++; i < lines.length; i++) {
      const indent = lines[i].length - lines[i].trimStart().length;
      const blank = lines[i].trim() === "";
      const after = lines[i + 1] ?? "";
      if (blank && !(after.startsWith(" ".repeat(base + 2)) || ITEM.test(after))) break;
      if (!blank && indent < base + 2 && (ITEM.test(lines[i]) || lines[i - 1].trim() === "" || startsBlock(lines[i]))) break;
      inner.push(lines[i].slice(Math.min(indent, width)));
    }
    const item = make("li");
    blocks(item, inner, depth + 1);
    // A tight item is a line, not a paragraph.
    if (item.firstChild?.nodeName === "P" && !inner.includes("")) item.firstChild.replaceWith(...item.firstChild.childNodes);
    e.append(item);
  }
  out.append(e);
  return i;
}

const startsBlock = (line) => FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || RULE.test(line);

const isTable = (lines, i) => lines[i].includes("|") && i + 1 < lines.length && lines[i + 1].includes("-") && DIVIDER.test(lines[i + 1]);

function cells(line) {
  const out = [""];
  const t = line.trim().replace(/^\|/, "");
  for (let k = 0; k < t.length; k++) {
    if (t[k] === "\\" && t[k + 1] === "|") { out[out.length - 1] += "|"; k++; }
    else if (t[k] === "|") out.push("");
    else out[out.length - 1] += t[k];
  }
  if (out.length > 1 && out[out.length - 1].trim() === "") out.pop();
  return out.map((c) => c.trim());
}

function table(out, lines, i) {
  const row = (name, line) => make("tr", {}, ...cells(line).map((c) => { const e = make(name); inline(e, c, 0); return e; }));
  const e = make("table", {}, make("thead", {}, row("th", lines[i])));
  const body = make("tbody");
  for (i += 2; i < lines.length && lines[i].includes("|"); i++) body.append(row("td", lines[i]));
  e.append(body);
  out.append(make("div", {class: "table", tabindex: "0", role: "region", "aria-label": "Table"}, e));
  return i;
}

function paragraph(out, lines, i) {
  const text = [];
  do text.push(lines[i++]);
  while (i < lines.length && lines[i].trim() !== "" && !startsBlock(lines[i]) && !ITEM.test(lines[i]) && !isTable(lines, i));
  const e = make("p");
  text.forEach((line, k) => {
    const last = k === text.length - 1;
    text[k] = last ? line.trim() : line.trimStart();
  });
  inline(e, text.join("\n"), 0);
  out.append(e);
  return i;
}

// --- within a line --------------------------------------------------------------------------------------------------

const MARKS = {"**": "strong", "__": "strong", "~~": "del", "*": "em", "_": "em"};
const word = (c) => c !== undefined && /[\p{L}\p{N}_]/u.test(c);

// Where a run of marks that begins at `at` is closed, or -1. How far was looked in vain is remembered in `none`.
function closing(text, at, mark, none) {
  if (none[mark]) return -1;
  const from = at + mark.length;
  if (!text[from] || /\s/.test(text[from]) || (mark[0] === "_" && word(text[at - 1]))) return -1;
  for (let k = from + 1; (k = text.indexOf(mark, k)) >= 0; k++) {
    const alone = mark.length === 2 || (text[k - 1] !== mark && text[k + 1] !== mark);
    if (alone && !/[\s\\]/.test(text[k - 1]) && !(mark[0] === "_" && word(text[k + mark.length]))) return k;
    if (!alone) k++;
  }
  none[mark] = true;
  return -1;
}

function safeLink(target) {
  try {
    const url = new URL(target);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch { return null; }
}

function link(out, text, at, depth, none) {
  if (none["]("]) return -1;
  const middle = text.indexOf("](", at);
  if (middle < 0) none["]("] = true;
  const end = middle < 0 ? -1 : text.indexOf(")", middle);
  if (end < 0 || text.slice(at + 1, middle).includes("[")) return -1;
  const href = safeLink(text.slice(middle + 2, end).trim().split(/\s/)[0]);
  if (!href) return -1;
  const a = make("a", {href, target: "_blank", rel: "noopener noreferrer nofollow"});
  inline(a, text.slice(at + 1, middle), depth + 1);
  out.append(a);
  return end + 1;
}

function code(out, text, at, none) {
  let n = 0;
  while (text[at + n] === "`") n++;
  const mark = "`".repeat(n);
  if (!none[mark]) {
    for (let k = at + n; (k = text.indexOf(mark, k)) >= 0;) {
      let m = n;
      while (text[k + m] === "`") m++;
      if (m === n) {
        let inner = text.slice(at + n, k).replace(/\n/g, " ");
        if (inner.length > 2 && inner[0] === " " && inner.at(-1) === " ") inner = inner.slice(1, -1);
        out.append(make("code", {}, inner));
        return k + n;
      }
      k += m;
    }
    none[mark] = true;
  }
  out.append(mark);
  return at + n;
}

function inline(out, text, depth) {
  const none = {};
  let plain = 0, at = 0;
  const flush = () => { if (at > plain) out.append(text.slice(plain, at)); };
  while (at < text.length) {
    const c = text[at];
    let next = -1;
    if (c === "\\" && at + 1 < text.length && /[!-/:-@[-`{-~]/.test(text[at + 1])) {
      flush();
      out.append(text[at + 1]);
      next = at + 2;
    } else if (c === "`") {
      flush();
      next = code(out, text, at, none);
    } else if (c === "\n") {
      flush();
      out.append(make("br"));
      next = at + 1;
    } else if (c === "[" && depth < DEPTH_MAX) {
      const before = document.createDocumentFragment();
      next = link(before, text, at, depth, none);
      if (next >= 0) { flush(); out.append(before); }
    } else if ((c === "*" || c === "_" || c === "~") && depth < DEPTH_MAX) {
      const mark = MARKS[text.slice(at, at + 2)] ? text.slice(at, at + 2) : c;
      const end = MARKS[mark] ? closing(text, at, mark, none) : -1;
      if (end >= 0) {
        flush();
        const e = make(MARKS[mark]);
        inline(e, text.slice(at + mark.length, end), depth + 1);
        out.append(e);
        next = end + mark.length;
      }
    }
    if (next < 0) at++;
    else at = plain = next;
  }
  flush();
}
