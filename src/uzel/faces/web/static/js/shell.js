// The frame: the list on the left, one view beside it, and on wide screens a contact's details beside the conversation.
// When the same place is put up anew, the focus stays where it was.

import { chatList } from "./chat_list.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon, knot } from "./icons.js";
import { keys } from "./keys.js";
import { lostBar } from "./lost_bar.js";
import * as router from "./router.js";
import { button, empty } from "./parts.js";
import { sentence } from "./say.js";
import { statusLine } from "./status_line.js";
import { on, store, unread } from "./store.js";

const WIDE = matchMedia("(min-width: 1240px)");
const panes = { frame: null, main: null, aside: null };
const last = { where: null, focus: null };
let ended = new AbortController();

/** Put the frame up, and show the place that the address names. */
export function raise() {
  last.focus = panes.frame?.isConnected ? steps() : null;
  lower();
  ended = new AbortController();
  const { signal } = ended;
  panes.main = h("main", { id: "main", class: "main" });
  panes.aside = h("aside", { class: "aside", "aria-label": t("contact.details"), hidden: true });
  panes.frame = h("div", { class: "frame" }, skip(), lostBar(signal), h("div", { class: "panes" }, side(signal), panes.main, panes.aside));
  fill(document.getElementById("app"), panes.frame);
  keys(signal);
  WIDE.addEventListener("change", router.again, { signal });
  router.start(show);
}

function lower() {
  ended.abort();
  router.stop();
}

/** In another language, if it is up. */
export const redraw = () => panes.frame?.isConnected && raise();

/** Whether there is room for a contact beside the conversation. */
export const roomy = () => WIDE.matches;

async function show(view, parameters, signal, where) {
  let shown;
  try {
    shown = await view(parameters, signal);
  } catch (problem) { // its module could not be fetched; what was shown before hears nothing any more
    const words = sentence(problem);
    shown = { node: h("div", { class: "home" }, empty("alert", t("sign.lost"), words, button(t("lost.retry"), router.again), h("a", { class: "button", href: "#/" }, t("back")))) };
  }
  if (signal.aborted) return;
  const kept = where === last.where ? last.focus ?? steps(panes.main) : null;
  Object.assign(last, { where, focus: null });
  panes.frame.dataset.pane = where === "/" ? "list" : "main";
  fill(panes.main, shown.node);
  fill(panes.aside, shown.beside ?? null);
  panes.aside.hidden = !shown.beside;
  const count = unread();
  document.title = `${count ? `(${count}) ` : ""}${shown.title ? `${shown.title} · ` : ""}Uzel`;
  document.documentElement.dataset.title = shown.title ?? "";
  mark(where);
  if (!document.querySelector("dialog[open]") && !refocus(kept)) (shown.focus ?? headed)(panes.main);
  shown.shown?.();
}

/** Where the focus is, if it is inside of that: which child of which, from the frame on. */
function steps(inside = panes.frame) {
  const focused = document.activeElement;
  if (!inside?.contains(focused)) return null;
  const path = [];
  for (let at = focused; at !== panes.frame; at = at.parentElement) path.unshift([...at.parentElement.children].indexOf(at));
  return { path, tag: focused.tagName };
}

/** Put the focus back there. False when there is no such place any more. */
function refocus(kept) {
  const found = kept?.path.reduce((at, index) => at?.children[index], panes.frame);
  if (found?.tagName !== kept?.tag) return false;
  found?.focus({ preventScroll: true });
  return Boolean(found);
}

/** Change what is shown, and leave the focus where it is. */
export function keepFocus(change) {
  const kept = steps();
  change();
  if (document.activeElement === document.body) refocus(kept);
}

function headed(main) {
  if (document.activeElement?.closest(".side") && panes.frame.dataset.pane === "list") return;
  main.querySelector("h1[tabindex]")?.focus({ preventScroll: true });
}

function mark(where) {
  for (const link of panes.frame.querySelectorAll(".side a[href^='#/']")) {
    const here = link.getAttribute("href").slice(1);
    const inside = where === here || where.startsWith(`${here}/`) || where === here.replace("/chat/", "/contact/");
    if (inside) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** Mark where one is again, once the list was drawn anew. */
const remark = () => panes.frame && mark(router.path());

function skip() {
  return h("a", { class: "skip", href: "#main", onclick: (event) => {
    event.preventDefault();
    panes.main.querySelector("textarea, h1, button, a")?.focus();
  } }, t("skip"));
}

function side(signal) {
  return h("div", { class: "side" },
    h("header", { class: "side-head" },
      h("h1", { class: "brand-head" }, h("a", { class: "brand", href: "#/", "aria-label": t("home") }, knot(30), h("span", { translate: "no" }, "Uzel"))),
      h("nav", { "aria-label": t("nav"), class: "side-nav" },
        place("#/add", "add", t("nav.add")), place("#/me", "qr", t("nav.me")),
        requestsPlace(signal), place("#/settings", "settings", t("nav.settings")))),
    chatList(signal, remark),
    statusLine(signal));
}

const place = (href, sign, words) => h("a", { class: "icon-button", href, "aria-label": words, title: words }, icon(sign));

function requestsPlace(signal) {
  const badge = h("span", { class: "badge" });
  const link = h("a", { class: "icon-button", href: "#/requests" }, icon("user"), badge);
  const update = () => {
    const n = store.requests.length;
    fill(badge, n ? String(n) : "");
    badge.hidden = n === 0;
    const words = n ? t("nav.requests.n", { n }) : t("nav.requests");
    link.setAttribute("aria-label", words);
    link.title = words;
  };
  on("requests", update, signal);
  update();
  return link;
}
