// The keys that work everywhere. The help dialog lists them; whatever they do can be done without them too.

import { beside } from "./chat_list.js";
import { more } from "./more.js";
import { go, path } from "./router.js";
import { complain } from "./say.js";

export function keys(signal) {
  document.addEventListener("keydown", press, { signal });
}

const typing = (target) => target.matches?.("input, textarea, select, [contenteditable]");

function press(event) {
  if (event.defaultPrevented || event.isComposing) return;
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const dialog = document.querySelector("dialog[open]");
  if ((event.ctrlKey || event.metaKey) && event.code === "KeyK" && !dialog) done(event, dialogOf("switcher"));
  else if (dialog) return;
  else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) done(event, () => step(event.key === "ArrowDown" ? 1 : -1));
  else if (event.key === "Escape") escape(event);
  else if (plain && !typing(event.target) && event.key === "/") done(event, () => go("/search"));
  else if (plain && !typing(event.target) && event.key === "?") done(event, dialogOf("help"));
}

/** A dialog that a module of the same name opens. */
const dialogOf = (name) => () => more(name).then((module) => document.querySelector("dialog[open]") || module[name](), complain);

function done(event, call) {
  event.preventDefault();
  call();
}

function step(by) {
  const at = /^\/chat\/(\d+)/.exec(path());
  const chat = beside(at ? Number(at[1]) : 0, by);
  if (chat) go(`/chat/${chat.uin}`);
}

function escape(event) {
  if (event.target.matches?.("textarea") && event.target.value) {
    event.target.blur();
    return;
  }
  const contact = /^\/contact\/(\d+)/.exec(path());
  if (contact) go(`/chat/${contact[1]}`);
  else if (path() !== "/") go("/");
}
