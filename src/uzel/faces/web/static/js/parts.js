// The small parts that views are made of: buttons, fields, forms.

import { fill, fresh, h } from "./dom.js";
import { icon } from "./icons.js";
import { doing, sentence } from "./say.js";

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

/** Nothing is here yet, and what to do about it. */
export const empty = (sign, title, words, ...actions) =>
  h("div", { class: "empty" }, h("div", { class: "empty-sign" }, typeof sign === "string" ? icon(sign, 32) : sign),
    h("h2", {}, title), h("p", {}, words), actions.length ? h("div", { class: "row" }, actions) : null);

/** A form; what is in it is sent by Enter and by its button. */
export const form = (call, ...children) => h("form", { class: "form", novalidate: true, onsubmit: doing(call) }, children);

export const submit = (words, kind = "primary") => h("button", { type: "submit", class: `button ${kind}` }, words);

/** A line that says what is wrong with what was typed; empty as long as nothing is. `trying` does something, and says. */
export function mistake() {
  const element = h("p", { class: "mistake", role: "alert" });
  element.say = (words) => fill(element, words);
  element.trying = (call) => async (...given) => {
    element.say(null);
    try {
      await call(...given);
    } catch (problem) {
      if (problem.name !== "AbortError") element.say(sentence(problem));
    }
  };
  return element;
}
