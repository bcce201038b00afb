// Links in texts: http, https and uzel, and no others. The words stay what was written; the address is what is opened.

import { h } from "./dom.js";
import { visible } from "./plain_text.js";

const FOUND = /(?:https?:\/\/|uzel:)[^\s<>"'`“”«»\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/giu;
const TRAILING = /[.,;:!?…)\]}*_]+$/u;
const LONGEST = 4096;

/** Text as nodes: its links can be followed, the rest is text. */
export function linked(text) {
  const nodes = [];
  let done = 0;
  for (const match of text.matchAll(FOUND)) {
    const written = trimmed(match[0]);
    const link = made(written);
    if (link === null) continue;
    if (match.index > done) nodes.push(visible(text.slice(done, match.index)));
    nodes.push(link);
    done = match.index + written.length;
  }
  if (done < text.length) nodes.push(visible(text.slice(done)));
  return nodes;
}

function trimmed(written) {
  let kept = written.replace(TRAILING, "");
  const closing = written.slice(kept.length);
  if (closing.startsWith(")") && kept.split("(").length > kept.split(")").length) kept += ")";
  return kept;
}

function made(written) {
  if (written.length > LONGEST) return null;
  if (/^uzel:/i.test(written)) {
    if (!/^uzel:[1-9][0-9]{0,9}(\?|$)/i.test(written)) return null;
    return h("a", { href: `#/add?link=${encodeURIComponent(written)}`, class: "link", dir: "ltr" }, visible(written));
  }
  let url;
  try {
    url = new URL(written);
  } catch {
    return null;
  }
  if ((url.protocol !== "http:" && url.protocol !== "https:") || url.hostname === "") return null;
  const attributes = { href: url.href, target: "_blank", rel: "noopener noreferrer", class: "link", dir: "ltr" };
  return h("a", { ...attributes, title: url.origin, translate: "no" }, visible(written));
}
