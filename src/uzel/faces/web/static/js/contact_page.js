// A contact: who they are here, how far they are known, what they can be given, and what can be done about them.

import { contactOf, inTurn } from "./answers.js";
import { del, patch, put, raw } from "./api.js";
import { avatar, nameOf } from "./avatar.js";
import { confirm } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { choice, copyable, pageHead, section } from "./page_parts.js";
import { button, empty, field, form, mistake, submit, textInput } from "./parts.js";
import { code } from "./plain_text.js";
import { qrImage } from "./qr.js";
import { go } from "./router.js";
import { complain, download, note } from "./say.js";
import { keepFocus } from "./shell.js";
import { agreement } from "./status_line.js";
import { stop } from "./stop.js";
import { on, store } from "./store.js";
import { moment, span } from "./time.js";
import { trustCard } from "./verify.js";

const HOUR = 3_600_000;
const KEPT = [24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR, 365 * 24 * HOUR];

/** How long texts are kept: the usual lengths, for ever, and whatever it is now. */
export function retention(words, now, call) {
  const lengths = now === null || KEPT.includes(now) ? KEPT : [...KEPT, now].sort((a, b) => a - b);
  const options = [["", t("retention.ever")], ...lengths.map((ms) => [String(ms), span(ms)])];
  return field(words, choice(options, now === null ? "" : String(now), (value) => call(value === "" ? null : Number(value))), t("retention.hint"));
}

/** The view of /contact/UIN. */
export function contactPage({ uin }, signal) {
  const body = h("div", { class: "page-body", tabindex: "-1" });
  const view = { uin, body, signal };
  const refresh = inTurn(() => contactOf(uin, signal), (contact) => show(view, contact));
  const draw = () => refresh().catch((problem) => signal.aborted || complain(problem));
  on("contact", (change) => change.uin === uin && draw(), signal);
  on("anew", draw, signal);
  on("link", () => (store.link.up ? draw() : parted(view)), signal);
  draw();
  return { node: h("div", { class: "page" }, pageHead(t("contact.details")), body), title: t("contact.details") };
}

function show(view, contact) {
  if (view.signal.aborted) return;
  if (!contact) {
    view.contact = view.key = null;
    fill(view.body, empty("user", t("talk.nobody"), code(view.uin),
      h("a", { class: "button primary", href: `#/add?link=${view.uin}` }, t("talk.add")), forgetButton(view.uin)));
    return;
  }
  const same = view.key === key(contact);
  Object.assign(view, { contact, key: key(contact) });
  if (same) known(view, contact); // what is typed, opened or chosen stays
  else keepFocus(() => fill(view.body, stop(contact), who(contact), section(t("verify.card"), trustCard(contact, () => {})),
    given(contact, view.signal), settings(contact), danger(contact, view.signal)));
}

/** Whether they are there, and what else is told of them. */
function known({ body }, contact) {
  body.querySelector(".who .avatar").classList.toggle("here", contact.connected);
  body.querySelector(".who .facts").replaceWith(facts(contact));
}

/** The core is out of reach: nobody is known to be there. */
const parted = (view) => view.contact && known(view, { ...view.contact, connected: false, key_agreement: null });

/** What the rest shows. */
const key = ({ name, link, verified, stopped, downgraded, blocked, fingerprint, safety_number: safety, retention_ms: kept }) =>
  JSON.stringify([name, link, verified, stopped, downgraded, blocked, fingerprint, safety, kept]);

function who(contact) {
  const wrong = mistake();
  const input = textInput({ value: contact.name, maxlength: "64", dir: "auto", placeholder: String(contact.uin) });
  const rename = wrong.trying(async () => {
    await patch(`/v1/contacts/${contact.uin}`, { name: input.value.trim() });
    note(t("saved"));
  });
  return h("section", { class: "card who" }, avatar(contact, "huge"),
    form(rename, h("div", { class: "with-button" }, field(t("contact.name"), input), submit(t("save"), "")), wrong), facts(contact));
}

function facts(contact) {
  const known = [
    [t("contact.number"), code(contact.uin)], contact.fingerprint && [t("contact.key"), code(contact.fingerprint)],
    [t("contact.since"), moment(contact.added_at)], contact.last_seen && [t("contact.seen"), contact.connected ? t("presence.now") : moment(contact.last_seen)],
    contact.key_agreement && [t("contact.protection"), agreement(contact.key_agreement)],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, known.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

const given = (contact, signal) => section(t("contact.link"), h("p", { class: "hint" }, t("contact.link.hint", { name: nameOf(contact) })),
  h("details", {}, h("summary", {}, t("contact.link.show")), qrImage(`/v1/contacts/${contact.uin}/qr.svg`, t("contact.qr", { name: nameOf(contact) }), signal), copyable(contact.link, t("contact.link"))));

const settings = (contact) => section(t("contact.texts"),
  retention(t("retention"), contact.retention_ms, (ms) => put(`/v1/chats/${contact.uin}/retention`, { retention_ms: ms }).then(() => note(t("saved")))),
  h("div", { class: "row" }, button(t("contact.export"), () => exportChat(contact), { sign: "file" })));

async function exportChat(contact) {
  const answer = await raw("GET", `/v1/chats/${contact.uin}/export`);
  download(await answer.blob(), `uzel-${contact.uin}.jsonl`);
}

function danger(contact, signal) {
  const name = nameOf(contact);
  const block = async () => {
    if (contact.blocked) await del(`/v1/blocks/${contact.uin}`);
    else if (await confirm(t("contact.block"), t("contact.block.sure", { name }), t("contact.block"))) await put(`/v1/blocks/${contact.uin}`);
  };
  const remove = async () => {
    if (!await confirm(t("contact.remove"), t("contact.remove.sure", { name }), t("contact.remove"))) return;
    await del(`/v1/contacts/${contact.uin}`);
    if (!signal.aborted) go("/");
  };
  return section(t("contact.end"), h("div", { class: "row" },
    button(contact.blocked ? t("contact.unblock") : t("contact.block"), block, { sign: "block", kind: contact.blocked ? "" : "danger quiet" }),
    forgetButton(contact.uin), button(t("contact.remove"), remove, { sign: "close", kind: "danger quiet" })));
}

function forgetButton(uin) {
  return button(t("contact.forget"), async () => {
    if (!await confirm(t("contact.forget"), t("contact.forget.sure"), t("delete"))) return;
    const { count } = await del(`/v1/chats/${uin}`);
    note(t("contact.forgot", { n: count }));
  }, { sign: "trash", kind: "danger quiet" });
}

