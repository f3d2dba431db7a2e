// HTML that the server made of Markdown (cards, comments): the one place where text becomes markup. The server has left out all HTML
// of the author's own; here only a fixed set of elements and attributes goes on, so that an error there does no harm either.

const ELEMENTS = new Set(["A", "BLOCKQUOTE", "BR", "CODE", "DEL", "EM", "H1", "H2", "H3", "H4", "H5", "H6", "HR", "IMG", "LI", "OL", "P",
  "PRE", "STRONG", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "UL"]);
const ATTRIBUTES = {A: ["href", "title"], IMG: ["src", "alt", "title"], OL: ["start"], TD: ["align"], TH: ["align"]};
const SCHEMES = ["http:", "https:", "mailto:"];

const policy = globalThis.trustedTypes?.createPolicy("cloche", {
  createHTML: (text) => text,
  createScriptURL: (url) => { if (url !== "/ui/hub/hash.js") throw new TypeError(`no script of ours: ${url}`); return url; },
});

// The one worker of these pages.
export const hashWorker = () => {
  const url = "/ui/hub/hash.js";
  return new Worker(policy ? policy.createScriptURL(url) : url, {type: "module"});
};

function keepAddress(from, to, name) {
  let url;
  try { url = new URL(from.getAttribute(name), location.origin); } catch { return; }
  const own = url.origin === location.origin;
  if (name === "src" ? !own : !SCHEMES.includes(url.protocol)) return;
  to.setAttribute(name, from.getAttribute(name));
  if (name === "href" && !own) { to.rel = "noopener noreferrer nofollow"; to.target = "_blank"; }
  if (name === "src") to.loading = "lazy";
}

function copy(from, to, level) {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || !ELEMENTS.has(node.tagName) || node.namespaceURI !== "http://www.w3.org/1999/xhtml") continue;
    const heading = /^H([1-6])$/.exec(node.tagName); // the page has its own h1
    const made = document.createElement(heading ? `h${Math.min(6, Number(heading[1]) + 1)}` : node.tagName);
    for (const name of ATTRIBUTES[node.tagName] ?? []) {
      if (!node.hasAttribute(name)) continue;
      if (name === "href" || name === "src") keepAddress(node, made, name);
      else made.setAttribute(name, node.getAttribute(name));
    }
    if (heading) made.id = anchorOf(node.textContent);
    if (level < 200) copy(node, made, level + 1);
    if (made.tagName === "TABLE" || made.tagName === "PRE") {
      const box = document.createElement("div");
      box.className = "wide-table";
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", made.tagName === "PRE" ? "Code" : "Table");
      box.append(made);
      to.append(box);
    } else to.append(made);
  }
}

// A prefix keeps it from being taken for one of the page's own.
const anchorOf = (text) => `-${text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 80)}`;

export function fromServer(text) {
  const out = document.createElement("div");
  out.className = "body";
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(text) : text;
  copy(template.content, out, 0);
  return out;
}
