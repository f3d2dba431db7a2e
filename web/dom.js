// Small help with the document. Text goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

// make("button", {class: "quiet", type: "button", onclick: f}, "Copy")
export function make(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value === true) e.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}

export const button = (label, onclick, attributes = {}) => make("button", {type: "button", onclick, ...attributes}, label);

// A button that says for a moment that it was done.
export function copyButton(text) {
  const b = button("Copy", async () => {
    let done = "Copied";
    try { await navigator.clipboard.writeText(text()); } catch { done = copyOld(text()) ? "Copied" : "Not allowed"; }
    b.textContent = done;
    setTimeout(() => { b.textContent = "Copy"; }, 1500);
  });
  return b;
}

// Without TLS browsers offer no clipboard, only this.
function copyOld(text) {
  const area = make("textarea", {class: "hidden"});
  area.value = text;
  const before = document.activeElement;
  document.body.append(area);
  area.select();
  const ok = document.execCommand("copy");
  area.remove();
  before?.focus();
  return ok;
}

export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  make("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
