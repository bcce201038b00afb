// Oneself, as others need it: the QR code, the link and the number.

import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { caution, copyable, page, pageHead, section } from "./page_parts.js";
import { field, form, mistake, submit, textInput } from "./parts.js";
import { code } from "./plain_text.js";
import { qrImage } from "./qr.js";
import { again } from "./router.js";
import { note } from "./say.js";
import { changeProfile, on, store } from "./store.js";

/** A node of this machine's own, as a link has it: HOST:PORT, perhaps with its key. */
const LOOPBACK = /^(127\.[\d.]+|\[::1\]|localhost):/i;

/** The view of /me. */
export function mePage(_, signal) {
  return {
    title: t("nav.me"),
    node: page(pageHead(t("nav.me")),
      section(null, h("p", { class: "lead" }, t("me.words")), linkAndCode(signal),
        h("dl", { class: "facts" }, h("div", {}, h("dt", {}, t("me.number")), h("dd", {}, code(store.me.uin))), h("div", {}, h("dt", {}, t("me.key")), h("dd", {}, code(store.me.fingerprint))))),
      section(t("me.name"), nameForm(() => signal.aborted || again())),
      section(t("invites"), h("p", {}, t("me.invites")), h("a", { class: "button", href: "#/invites" }, icon("invite", 18), t("invites")))),
  };
}

/** The code and the link, as they are now: another node changes them. `choose` as for `onlyHere`. */
export function linkAndCode(signal, choose) {
  const frame = h("div", { class: "stack" });
  let shown = null;
  const draw = () => {
    const { link } = store.me;
    if (link === shown) return;
    shown = link;
    fill(frame, qrImage("/v1/me/qr.svg", t("me.qr"), signal), copyable(link, t("me.link")), onlyHere(link, choose));
  };
  on("profile", draw, signal);
  draw();
  return frame;
}

/** That a link leads nobody elsewhere here, if all nodes in it are this machine's own, and `choose`, the way to one. */
export function onlyHere(link, choose = toNodes()) {
  const nodes = new URL(link).searchParams.getAll("node");
  return nodes.length && nodes.every((node) => LOOPBACK.test(node)) ? caution(t("me.here"), choose) : null;
}

const toNodes = () => h("a", { href: "#/settings?at=nodes", onclick: (event) => event.target.closest("dialog")?.close() }, t("me.here.do"));

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
