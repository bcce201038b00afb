// One text in a conversation: its bubble, its state in a glyph and in words, what it answers, what can be done with it.

import { h } from "./dom.js";
import { t, has } from "./i18n.js";
import { icon } from "./icons.js";
import { linked } from "./links.js";
import { line, said } from "./plain_text.js";
import { store } from "./store.js";
import { clock, dayName, dayOf, exact } from "./time.js";

const FOLD_CHARACTERS = 1500;
const FOLD_LINES = 16;
const UNFOLD_CHARACTERS = 20_000;
const TOGETHER = 5 * 60_000;

/** Why it failed, or that it did: for a person. */
export const reasonOf = (reason) => (reason && has(`reason.${reason}`) ? t(`reason.${reason}`) : t("reason.other", { reason: reason ?? "" }));

const WAITS = new Set(["queued", "sending"]);

/** Whether it waits to be let in, though they can be reached. */
const knocks = ({ state, chat }) => WAITS.has(state) && store.gates.get(chat) === "asked";

/** How far a text has come, in words. */
export const stateOf = (record) => t(knocks(record) ? "state.asked" : `state.${record.state}`);

/** How far a text has come: a glyph, and the same in words. */
export function glyph(record) {
  const words = stateOf(record);
  const state = knocks(record) ? "queued" : record.state;
  const sign = state === "cancelled" ? "close" : state;
  return h("span", { class: `glyph ${state}`, title: words }, icon(sign, 16), h("span", { class: "sr" }, words));
}

/** Whether it begins anew: another author, another day, or a pause. */
const begins = (record, previous) => !previous || previous.outgoing !== record.outgoing || newDay(record, previous)
  || Date.parse(record.stored_at) - Date.parse(previous.stored_at) > TOGETHER;
const newDay = (record, previous) => !previous || dayOf(previous.stored_at) !== dayOf(record.stored_at);

/** The row of a text. `about`: its `previous`, the `author`'s name, `quotes`, `firstUnread`, and `onMore`, `onQuote`, `onFound`. */
export function row(record, about) {
  const { previous } = about;
  const classes = ["msg", record.outgoing ? "mine" : "theirs", begins(record, previous) && "begins", record.state].filter(Boolean).join(" ");
  const label = t("message.label", { author: about.author, time: clock(record.stored_at) });
  const more = h("button", {
    type: "button", class: "more", tabindex: "-1", "aria-label": t("message.more", { label }), title: t("message.actions"),
    "aria-haspopup": "menu", "aria-expanded": "false", onclick: (event) => about.onMore(record, event.currentTarget),
  }, icon("more", 18));
  const article = h("article", { class: classes, "aria-label": label }, h("div", { class: "bubble" },
    record.reply && quote(record, about), body(record.text), meta(record)), more);
  return h("div", { class: "row-of-log", "data-number": record.number },
    newDay(record, previous) && h("h2", { class: "day" }, h("time", { datetime: record.stored_at }, dayName(record.stored_at))),
    about.firstUnread === record.number && h("p", { class: "unread-line" }, t("message.unread")),
    article, record.state === "failed" && failure(record, about));
}

function meta(record) {
  const time = h("time", { datetime: record.stored_at, title: exact(record.stored_at) }, clock(record.stored_at));
  return h("span", { class: "meta" }, time, record.outgoing ? glyph(record) : null);
}

function failure(record, about) {
  const again = h("button", { type: "button", class: "inline-button", onclick: () => about.onRetry(record) }, t("message.retry"));
  return h("p", { class: "failure" }, reasonOf(record.reason), " ", again);
}

function quote(record, about) {
  const known = about.quotes.get(record.reply);
  if (known) return quoteOf(known, about);
  const place = h("p", { class: "quote" }, t("quote.unknown"));
  if (known === undefined) about.quotes.find(record.reply).then((found) => found && about.onFound(() => place.replaceWith(quoteOf(found, about))));
  return place;
}

function quoteOf(original, about) {
  const who = h("span", { class: "quote-who" }, about.authorOf(original));
  return h("button", { type: "button", class: "quote", onclick: () => about.onQuote(original) }, who, said(line(original.text, 140)));
}

/** A text with its links; a long one is folded, and unfolds piece by piece. */
function body(text) {
  const first = folded(text);
  const element = h("div", { class: "text", dir: "auto" }, linked(text.slice(0, first)));
  if (first === text.length) return element;
  let shown = first;
  const more = h("button", { type: "button", class: "inline-button", onclick: () => {
    const end = whole(text, shown + UNFOLD_CHARACTERS);
    element.append(...linked(text.slice(shown, end)));
    shown = end;
    if (shown === text.length) more.remove();
  } }, t("message.unfold"));
  return [element, more];
}

function folded(text) {
  let end = 0;
  for (let lines = 0; lines < FOLD_LINES; lines += 1) {
    const next = text.indexOf("\n", end);
    if (next < 0 || next > FOLD_CHARACTERS) return text.length <= FOLD_CHARACTERS + 300 ? text.length : wordEnd(text);
    end = next + 1;
  }
  return text.slice(end).split("\n", 4).length < 4 && text.length <= FOLD_CHARACTERS ? text.length : end - 1;
}

function wordEnd(text) {
  const space = text.lastIndexOf(" ", FOLD_CHARACTERS);
  return space > FOLD_CHARACTERS - 100 ? space : whole(text, FOLD_CHARACTERS);
}

/** Not inside of a character that takes two. */
const whole = (text, at) => (/[\ud800-\udbff]/.test(text.charAt(at - 1)) ? Math.min(at + 1, text.length) : Math.min(at, text.length));
