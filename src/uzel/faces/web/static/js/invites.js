// Invites: links that let in whoever has them, for so long and so many people. The link is told once.

import { inTurn } from "./answers.js";
import { del, get, post } from "./api.js";
import { confirm, open } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { onlyHere } from "./me_page.js";
import { choice, copyable, page, pageHead, section } from "./page_parts.js";
import { button, empty, field, form, mistake, submit, textInput } from "./parts.js";
import { said } from "./plain_text.js";
import { qrOfText } from "./qr.js";
import { complain } from "./say.js";
import { store } from "./store.js";
import { moment, span } from "./time.js";

const HOUR = 3_600_000;
const LASTING = [24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];

/** The view of /invites. */
export function invites(_, signal) {
  const list = h("div", { class: "stack" });
  const draw = inTurn(() => get("/v1/invites", signal), (answer) => {
    const found = answer.invites.reverse();
    fill(list, found.length ? h("ul", { class: "plain-list" }, found.map((invite) => item(invite, draw))) : empty("invite", t("invites.none"), t("invites.none.do")));
  });
  draw().catch(complain);
  return { title: t("invites"), node: page(pageHead(t("invites")), section(t("invites.new"), h("p", { class: "lead" }, t("invites.words")), maker(draw)), section(t("invites.made"), list)) };
}

function maker(done) {
  const wrong = mistake();
  const label = textInput({ maxlength: "64", dir: "auto" });
  const chosen = { uses: "1", lasts: String(LASTING[1]) };
  const uses = choice([["1", t("invites.uses", { n: 1 })], ["5", t("invites.uses", { n: 5 })], ["25", t("invites.uses", { n: 25 })], ["", t("invites.uses.any")]], chosen.uses, (value) => {
    chosen.uses = value;
  });
  const lasts = choice([...LASTING.map((ms) => [String(ms), span(ms)]), ["", t("invites.lasts.ever")]], chosen.lasts, (value) => {
    chosen.lasts = value;
  });
  return form(wrong.trying(async () => {
    const number = (value) => (value === "" ? null : Number(value));
    const made = await post("/v1/invites", { label: label.value.trim(), uses: number(chosen.uses), lasts_ms: number(chosen.lasts), name: store.profile.name });
    label.value = "";
    const over = new AbortController();
    const dialog = open(t("invites.link"), [h("p", {}, t("invites.once")), qrOfText(made.link, t("invites.qr"), over.signal), copyable(made.link, t("invites.link")), onlyHere(made.link)]);
    dialog.closed.then(() => over.abort());
    await done(); // after it: the link is told this once, whatever becomes of the list
  }), field(t("invites.label"), label, t("invites.label.hint")), h("div", { class: "fields" }, field(t("invites.for"), uses), field(t("invites.lasts"), lasts)), wrong, h("div", { class: "row" }, submit(t("invites.make"))));
}

function item(invite, done) {
  const over = invite.revoked || invite.uses_left === 0 || (invite.expires_at && Date.parse(invite.expires_at) < Date.now());
  const state = invite.revoked ? t("invites.revoked") : over ? t("invites.over") : invite.uses_left === null ? t("invites.left.any") : t("invites.left", { n: invite.uses_left });
  const revoke = async () => {
    if (!await confirm(t("invites.revoke"), t("invites.revoke.sure"), t("invites.revoke"))) return;
    await del(`/v1/invites/${invite.id}`);
    await done();
  };
  return h("li", { class: over ? "line over" : "line" }, h("div", { class: "line-text" }, h("p", {}, invite.label ? said(invite.label) : t("invites.unnamed")),
    h("p", { class: "hint" }, state, " · ", invite.expires_at ? t("invites.until", { time: moment(invite.expires_at) }) : t("invites.lasts.ever"))),
    over ? null : button(t("invites.revoke"), revoke, { kind: "danger quiet" }));
}
