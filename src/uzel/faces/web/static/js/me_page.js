// Oneself, as others need it: the QR code, the link and the number.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { copyable, page, pageHead, section } from "./page_parts.js";
import { field, form, mistake, submit, textInput } from "./parts.js";
import { code } from "./plain_text.js";
import { qrImage } from "./qr.js";
import { again } from "./router.js";
import { note } from "./say.js";
import { changeProfile, store } from "./store.js";

/** The view of /me. */
export function mePage(_, signal) {
  return {
    title: t("nav.me"),
    node: page(pageHead(t("nav.me")),
      section(null, h("p", { class: "lead" }, t("me.words")), linkAndCode(signal),
        h("dl", { class: "facts" }, h("div", {}, h("dt", {}, t("me.number")), h("dd", {}, code(store.me.uin))), h("div", {}, h("dt", {}, t("me.key")), h("dd", {}, code(store.me.fingerprint))))),
      section(t("me.name"), nameForm(again)),
      section(t("invites"), h("p", {}, t("me.invites")), h("a", { class: "button", href: "#/invites" }, icon("invite", 18), t("invites")))),
  };
}

export const linkAndCode = (signal) => [qrImage("/v1/me/qr.svg", t("me.qr"), signal), copyable(store.me.link, t("me.link"))];

/** What the link says one is called. */
export function nameForm(done, words = t("save")) {
  const wrong = mistake();
  const input = textInput({ value: store.profile.name, maxlength: "64", dir: "auto", autocomplete: "nickname" });
  return form(wrong.trying(async () => {
    if (input.value.trim() !== store.profile.name) await changeProfile({ name: input.value.trim() });
    note(t("saved"));
    done();
  }), h("div", { class: "with-button" }, field(t("me.name.label"), input, t("me.name.hint")), submit(words, "")), wrong);
}
