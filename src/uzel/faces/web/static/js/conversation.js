// One conversation: whom it is with and how far they are known, the texts, and where one types.

import { contactOf, inTurn } from "./answers.js";
import { post, del } from "./api.js";
import { avatar, nameOf } from "./avatar.js";
import { Composer } from "./composer.js";
import { confirm, menu } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { Log } from "./log.js";
import { button, empty } from "./parts.js";
import { code, line, said } from "./plain_text.js";
import { announce, complain, copy, doing } from "./say.js";
import { agreement } from "./status_line.js";
import { stop } from "./stop.js";
import { on, store } from "./store.js";
import { ago, exact } from "./time.js";

const NARROW = matchMedia("(max-width: 719px)");

/** The view of /chat/UIN, and of a place in it. `beside` shows the contact next to it. */
export function conversation({ uin, number }, signal, beside = null) {
  const head = h("header", { class: "head" });
  const warn = h("div", { class: "banners" });
  const foot = h("div", { class: "foot" });
  const talk = { uin, contact: null, composer: null, head, warn, foot, beside, signal };
  const author = (record) => (record.outgoing ? t("you") : nameOf(talk.contact ?? chatOf(uin)));
  talk.author = author;
  talk.refresh = inTurn(() => contactOf(uin, signal), (contact) => show(talk, contact));
  talk.log = new Log(uin, {
    author,
    onMore: (record, anchor) => menu(anchor, actions(talk, record)),
    onArrived: (record) => record.outgoing || announce(`${author(record)}: ${line(record.text, 300)}`),
    onChanged: () => hints(talk),
  }, signal);
  talk.hint = h("div", { class: "talk-hint" });
  const begin = () => open(talk, number).catch((problem) => signal.aborted || complain(problem));
  begin();
  on("link", () => store.link.up && (talk.log.loaded ? talk.refresh().catch(complain) : begin()), signal);
  on("contact", (change) => change.uin === uin && talk.refresh().catch(complain), signal);
  on("chats", () => talk.contact && [headOf(talk), hints(talk)], signal);
  on("draft", (draft) => draft.chat === uin && refreshDraft(talk).catch(() => {}), signal);
  on("removed", (gone) => talk.composer?.forget(gone.number), signal);
  on("deleted", (gone) => gone.chat === uin && talk.composer?.forget(), signal);
  const tick = setInterval(() => talk.contact && headOf(talk), 60_000);
  signal.addEventListener("abort", () => clearInterval(tick));
  headOf(talk);
  return {
    node: h("div", { class: "conversation" }, head, warn, talk.log.node, talk.hint, foot),
    title: nameOf(chatOf(uin)),
    beside: beside?.node,
    focus: () => {},
  };
}

const chatOf = (uin) => store.chats.get(uin) ?? { uin, name: "", unread: 0, waiting: 0 };

async function open(talk, number) {
  talk.first = talk.refresh();
  await Promise.all([number ? openAt(talk, number) : talk.log.openUnread(), talk.first]);
  hints(talk);
}

/** A place in it; the end when that text was deleted. */
async function openAt(talk, number) {
  try {
    await talk.log.openAround(number);
  } catch (problem) {
    if (problem.code !== "no_text") throw problem;
    complain(problem);
    await talk.log.openLatest();
  }
}

/** The contact is so now. */
function show(talk, contact) {
  if (talk.signal.aborted) return;
  talk.contact = contact;
  headOf(talk);
  banners(talk);
  footOf(talk);
  hints(talk);
}

async function refreshDraft(talk) {
  await talk.first; // what it tells may be older
  await talk.composer?.adopt(async () => (await contactOf(talk.uin, talk.signal)).draft);
}

function headOf(talk) {
  const who = { ...chatOf(talk.uin), ...(talk.contact ?? {}) };
  who.connected = store.chats.get(talk.uin)?.connected ?? who.connected;
  const focused = document.activeElement?.closest(".head") === talk.head ? document.activeElement.getAttribute("href") : null;
  const details = talk.beside ? `#/chat/${talk.uin}` : `#/contact/${talk.uin}`;
  fill(talk.head,
    link("#/", "back", t("back"), "icon-button back"),
    h("a", { class: "head-who", href: `#/contact/${talk.uin}` }, avatar(who),
      h("span", { class: "head-text" }, h("h1", { tabindex: "-1" }, who.name ? said(who.name) : code(who.uin)), h("span", { class: "head-line" }, trust(who, talk.contact), presence(who)))),
    h("div", { class: "actions" },
      link(`#/search?chat=${talk.uin}`, "search", t("search.chat")),
      link(details, talk.beside ? "close" : "info", talk.beside ? t("contact.hide") : t("contact.details"))));
  if (focused) talk.head.querySelector(`[href="${focused}"]`)?.focus();
}

const link = (href, sign, words, name = "icon-button") => h("a", { href, class: name, "aria-label": words, title: words }, icon(sign));

function trust(who, contact) {
  if (!contact) return null;
  if (who.stopped) return h("span", { class: "trust bad" }, icon("alert", 14), t("stopped"));
  const lock = who.connected && contact.key_agreement ? h("span", { class: "trust lock", title: contact.key_agreement }, icon("lock", 14), agreement(contact.key_agreement)) : null;
  return [who.verified
    ? h("span", { class: "trust good" }, icon("shield", 14), t("verified"))
    : h("span", { class: "trust unsure" }, icon("unsure", 14), t("unverified")), lock];
}

function presence(who) {
  if (who.connected) return h("span", { class: "presence here" }, t("presence.now"));
  return who.last_seen ? h("span", { class: "presence", title: exact(who.last_seen) }, t("presence.seen", { ago: ago(who.last_seen) })) : null;
}

function banners(talk) {
  const { contact, uin } = talk;
  const shown = [];
  if (!contact) shown.push(banner("info", t("talk.nobody"), h("a", { class: "button small", href: `#/add?link=${uin}` }, t("talk.add"))));
  else shown.push(stop(contact));
  if (contact?.blocked && !contact.stopped) shown.push(banner("block", t("talk.blocked"), button(t("contact.unblock"), () => del(`/v1/blocks/${uin}`), { kind: "small" })));
  fill(talk.warn, shown);
}

const banner = (sign, words, ...actions) => h("div", { class: "banner" }, icon(sign), h("p", {}, words), actions);

/** Where one types, unless nothing can be sent. */
function footOf(talk) {
  const { contact } = talk;
  const silent = !contact || contact.stopped || contact.blocked;
  if (silent) {
    talk.composer = null;
    fill(talk.foot);
  } else if (!talk.composer) {
    const first = talk.foot.childElementCount === 0;
    talk.composer = new Composer(contact, { onUp: () => talk.log.enter(), author: talk.author }, talk.signal);
    fill(talk.foot, talk.composer.node);
    const free = !document.activeElement || document.activeElement === document.body || document.activeElement.closest(".side");
    if (first && free && !NARROW.matches && !document.querySelector("dialog[open]")) talk.composer.focus();
  }
}

/** What to do in an empty conversation, or why nothing is answered. */
function hints(talk) {
  const { contact, log } = talk;
  const chat = chatOf(talk.uin);
  const knocking = contact && store.gates.get(talk.uin) === "asked" && chat.waiting > 0;
  const key = log.loaded && log.empty && contact ? "empty" : knocking ? "knocking" : "";
  if (talk.hint.dataset.key === key) return;
  talk.hint.dataset.key = key;
  fill(talk.hint, key === "empty" ? empty(avatar(contact, "huge"), t("talk.empty", { name: nameOf(contact) }), t("talk.empty.do"))
    : key === "knocking" ? h("p", { class: "knocking" }, icon("queued", 16), t("talk.knocking", { name: nameOf(contact) })) : null);
}

function actions(talk, record) {
  const items = [];
  if (talk.composer) items.push([t("message.reply"), () => talk.composer?.replyTo(record)]);
  items.push([t("message.copy"), () => copy(record.text)]);
  if (record.state === "failed" || record.state === "cancelled") items.push([t("message.retry"), doing(() => post(`/v1/texts/${record.number}/retry`))]);
  if (record.state === "queued") items.push([t("message.cancel"), doing(() => post(`/v1/texts/${record.number}/cancel`))]);
  items.push([t("message.delete"), doing(() => remove(talk, record)), "danger"]);
  return items;
}

async function remove(talk, record) {
  const yes = await confirm(t("message.delete"), t("message.delete.sure"), t("delete"));
  if (yes) await talk.log.remove(record);
}
