// Dialogs, as the browser's own <dialog>: it keeps the focus, Esc closes it, and the focus returns where it was.

import { fresh, h } from "./dom.js";
import { t } from "./i18n.js";
import { button, iconButton } from "./parts.js";

/** Open one. Gives the dialog; it is removed when it closes. `close` settles with what it was closed with. */
export function open(title, children, { name = "" } = {}) {
  const id = fresh("dialog");
  const dialog = h("dialog", { class: `dialog ${name}`, "aria-labelledby": id });
  const shut = iconButton("close", t("close"), () => dialog.close());
  dialog.append(h("header", { class: "dialog-head" }, h("h2", { id }, title), shut), h("div", { class: "dialog-body" }, children));
  const before = document.activeElement;
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.closed = new Promise((done) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      done(dialog.returnValue);
    });
  });
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("[autofocus]")?.focus();
  return dialog;
}

/** Ask before something that cannot be undone. True when the person says so. */
export async function confirm(title, words, yes, { danger = true } = {}) {
  const answer = (value) => (event) => event.target.closest("dialog").close(value);
  const dialog = open(title, [
    h("p", {}, words),
    h("div", { class: "row end" },
      button(t("cancel"), answer(""), { autofocus: true }), button(yes, answer("yes"), { kind: danger ? "danger" : "primary" })),
  ]);
  return (await dialog.closed) === "yes";
}

/** A list of things to do with something, beside what was pressed. */
export function menu(anchor, items) {
  document.querySelector(".menu")?.hidePopover();
  const list = h("div", { class: "menu", role: "menu", popover: "auto" }, items.map(([words, call, kind = ""]) =>
    h("button", { type: "button", role: "menuitem", tabindex: "-1", class: `menu-item ${kind}`, onclick: () => {
      list.hidePopover();
      call();
    } }, words)));
  list.addEventListener("keydown", (event) => walk(event, list));
  list.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    const had = list.contains(document.activeElement) || document.activeElement === document.body;
    list.remove();
    anchor.setAttribute("aria-expanded", "false");
    if (had && anchor.isConnected) anchor.focus();
  });
  anchor.setAttribute("aria-expanded", "true");
  document.body.append(list);
  list.showPopover();
  place(list, anchor.getBoundingClientRect());
  list.firstElementChild?.focus();
}

function place(list, at) {
  const { offsetWidth: width, offsetHeight: height } = list;
  const below = at.bottom + height + 8 < innerHeight;
  list.style.left = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`;
  list.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - height - 4)}px`;
}

function walk(event, list) {
  const items = [...list.children];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Tab") list.hidePopover();
  if (event.key === "Escape") event.stopPropagation(); // it closes the menu, and leaves nothing else
  if (step === undefined) return;
  event.preventDefault();
  items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
}
