// Somebody at a glance: their initials on a colour that comes from their number, so that it is always the same.

import { h } from "./dom.js";
import { visible } from "./plain_text.js";

const GOLDEN = 137.508;

/** What somebody is called here: their name, else their number. */
export const nameOf = (person) => visible(person.name || String(person.uin));

export function avatar(person, size = "") {
  const element = h("span", { class: `avatar ${size}`, "aria-hidden": "true" }, initials(person));
  element.style.setProperty("--hue", String(Math.round((person.uin * GOLDEN) % 360)));
  if (person.connected) element.classList.add("here");
  return element;
}

function initials(person) {
  const words = visible(person.name || "").match(/[\p{L}\p{N}]+/gu) ?? [];
  if (words.length === 0) return String(person.uin).slice(0, 2);
  const first = [...words[0]][0];
  return (words.length > 1 ? first + [...words.at(-1)][0] : first).toLocaleUpperCase();
}
