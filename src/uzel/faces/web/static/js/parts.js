// The small parts that views are made of: buttons, fields, headings.

import { fill, fresh, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { copy, doing } from "./say.js";

/** A button. `kind`: "", "primary", "danger", "quiet". */
export const button = (words, call, { kind = "", sign = null, ...others } = {}) =>
  h("button", { type: "button", class: `button ${kind}`, onclick: doing(call), ...others }, sign && icon(sign, 18), words);

/** A button that is a drawing; its name is read, and shown on hover. */
export const iconButton = (sign, words, call, others = {}) =>
  h("button", { type: "button", class: "icon-button", "aria-label": words, title: words, onclick: call, ...others }, icon(sign));

/** A labelled input. `hint` stands below it. */
export function field(words, input, hint = null) {
  const id = fresh();
  input.id = id;
  const about = hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null;
  if (about) input.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { for: id }, words), input, about);
}

export const textInput = (attributes = {}) => h("input", { type: "text", autocomplete: "off", ...attributes });

/** A choice of one, as a drop-down: [value, words] pairs. It has the focus once it was used, in every browser. */
export function choice(options, chosen, call) {
  const items = options.map(([value, words]) => h("option", { value, selected: value === chosen }, words));
  const select = h("select", { onchange: () => {
    select.focus();
    call(select.value);
  } }, items);
  return select;
}

/** A switch with its words. */
export function toggle(words, on, call, hint = null) {
  const box = h("input", { type: "checkbox", class: "switch", checked: on, onchange: (event) => call(event.target.checked, event.target) });
  const label = h("label", { class: "toggle" }, box, h("span", {}, words));
  return hint ? h("div", { class: "field" }, label, h("p", { class: "hint" }, hint)) : label;
}

/** The head of a page: the way back on a narrow screen, its title, what can be done. */
export const pageHead = (title, ...actions) =>
  h("header", { class: "head" },
    h("a", { class: "icon-button back", href: "#/", "aria-label": t("back"), title: t("back") }, icon("back")),
    h("h1", { tabindex: "-1" }, title), h("div", { class: "actions" }, actions));

/** A page: a head and sections below it, scrolled by themselves. */
export const page = (head, ...sections) => h("div", { class: "page" }, head, h("div", { class: "page-body", tabindex: "-1" }, sections));

export const section = (title, ...children) => h("section", { class: "card" }, title && h("h2", {}, title), children);

/** Nothing is here yet, and what to do about it. */
export const empty = (sign, title, words, ...actions) =>
  h("div", { class: "empty" }, h("div", { class: "empty-sign" }, typeof sign === "string" ? icon(sign, 32) : sign),
    h("h2", {}, title), h("p", {}, words), actions.length ? h("div", { class: "row" }, actions) : null);

/** Something to be copied: a link, a code. */
export function copyable(text, words) {
  const value = h("output", { class: "copyable-text", dir: "ltr", translate: "no" }, text);
  return h("div", { class: "copyable" }, h("span", { class: "sr" }, words), value, button(t("copy"), () => copy(text), { sign: "copy" }));
}

/** A form; what is in it is sent by Enter and by its button. */
export const form = (call, ...children) => h("form", { class: "form", novalidate: true, onsubmit: doing(call) }, children);

export const submit = (words, kind = "primary") => h("button", { type: "submit", class: `button ${kind}` }, words);

/** A line that says what is wrong with what was typed; empty as long as nothing is. */
export function mistake() {
  const element = h("p", { class: "mistake", role: "alert" });
  element.say = (words) => fill(element, words);
  return element;
}
