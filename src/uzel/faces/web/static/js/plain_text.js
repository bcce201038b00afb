// Untrusted text, made safe to look at: names, texts, links and answers of others.
//
// It stays text (`h` sees to that); here, what cannot be seen becomes visible. Control characters are shown as their
// symbols, the characters that turn the direction of whatever follows as a mark, and each piece of text stands in an
// element of its own direction, so that nothing reaches out of it.

import { h } from "./dom.js";

// eslint-disable-next-line no-control-regex
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029\ufff9-\ufffb]/g;

function symbol(character) {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return "\u2426";
}

/** The same text with nothing in it that is invisible and acts. */
export const visible = (text) => String(text ?? "").replace(/\r\n/g, "\n").replace(HIDDEN, symbol).toWellFormed();

/** One line of it, of at most so many characters. */
export function line(text, most = 200) {
  const flat = visible(String(text ?? "").slice(0, most * 2).replace(/\s+/g, " ").trim());
  const characters = [...flat];
  return characters.length > most ? `${characters.slice(0, most).join("")}…` : flat;
}

/** An element with untrusted text, isolated from what stands around it. */
export const said = (text, name = null) => h("bdi", { class: name, dir: "auto" }, visible(text));

/** What cannot be reversed or translated: a number, an address, a fingerprint. */
export const code = (text, name = "code") => h("bdi", { class: name, dir: "ltr", translate: "no" }, visible(text));
