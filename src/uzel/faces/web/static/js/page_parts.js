// The parts of pages that a first look does not show: heads and cards, choices and switches, what is to be copied.

import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";
import { complain, copy, sentence } from "./say.js";

/** A choice of one, as a drop-down: [value, words] pairs. It has the focus once it was used, in every browser. */
export function choice(options, chosen, call) {
  const items = options.map(([value, words]) => h("option", { value, selected: value === chosen }, words));
  const select = h("select", { onchange: async () => {
    select.focus();
    try {
      await call(select.value);
      chosen = select.value;
    } catch (problem) { // it is as it was
      select.value = chosen;
      complain(problem);
    }
  } }, items);
  return select;
}

/** A switch with its words. */
export function toggle(words, on, call, hint = null) {
  const box = h("input", { type: "checkbox", class: "switch", checked: on, onchange: async () => {
    try {
      await call(box.checked, box);
    } catch (problem) { // it is as it was
      box.checked = !box.checked;
      complain(problem);
    }
  } });
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

/** What went wrong, in the place of what was to stand there. What was given up meanwhile says nothing. */
export const instead = (frame) => (problem) => problem.name === "AbortError" || fill(frame, h("p", { class: "mistake" }, sentence(problem)));

/** What one should know before one goes on, and what to do about it. */
export const caution = (words, action = null) => h("div", { class: "caution" }, icon("alert", 18), h("p", {}, words, action && [" ", action]));

/** Something to be copied: a link, a code. */
export function copyable(text, words) {
  const value = h("output", { class: "copyable-text", dir: "ltr", translate: "no" }, text);
  return h("div", { class: "copyable" }, h("span", { class: "sr" }, words), value, button(t("copy"), () => copy(text), { sign: "copy" }));
}
