// Forms: fields with labels, what was refused said beside the button, no second press while one is under way.

import {make} from "./ui.js";

let n = 0;

export function field(label, input, hint) {
  input.id ||= `field-${++n}`;
  const out = make("div", {class: "field"}, make("label", {for: input.id}, label), input);
  if (hint) {
    const id = `${input.id}-hint`;
    input.setAttribute("aria-describedby", id);
    out.append(make("p", {class: "note", id}, hint));
  }
  return out;
}

export const text = (name, attributes = {}) => make("input", {name, type: "text", autocomplete: "off", spellcheck: "false", ...attributes});
export const area = (name, attributes = {}) => make("textarea", {name, rows: "4", ...attributes});
export const hidden = (label, input) => { input.setAttribute("aria-label", label); return input; };

export function choice(name, options, value) {
  const s = make("select", {name}, ...options.map(([v, label]) => make("option", {value: v}, label)));
  s.value = value;
  return s;
}

export function radios(legend, name, options, value) {
  return make("fieldset", {}, make("legend", {}, legend), ...options.map(([v, label]) =>
    make("label", {class: "check"}, make("input", {type: "radio", name, value: v, checked: v === value}), label)));
}

// act(values, form) does it; what it returns is shown as done.
export function form(label, fields, act, attributes = {}) {
  const press = make("button", {type: "submit", class: attributes.class ?? "primary"}, label);
  const told = make("p", {class: "told", role: "status"});
  const f = make("form", {novalidate: true}, ...fields, make("div", {class: "row"}, press, told));
  f.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (press.disabled) return;
    press.disabled = true;
    told.className = "told";
    told.textContent = "";
    try {
      const done = await act(Object.fromEntries(new FormData(f)), f);
      if (typeof done === "string") told.textContent = done;
    } catch (error) {
      told.className = "told fault";
      told.textContent = error.message;
    } finally { press.disabled = false; }
  });
  return f;
}

// A button that does something in one press, and says what was refused.
export function action(label, act, attributes = {}) {
  const told = make("span", {class: "told", role: "status"});
  const press = make("button", {type: "button", ...attributes, onclick: async () => {
    press.disabled = true;
    told.textContent = "";
    try { await act(); } catch (e) { told.className = "told fault"; told.textContent = e.message; } finally { press.disabled = false; }
  }}, label);
  return make("span", {class: "row"}, press, told);
}
