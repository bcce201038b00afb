// Adding somebody, by their link, their number, or a QR code. What a link says is shown before anything is added.

import { post } from "./api.js";
import { avatar } from "./avatar.js";
import { fill, h, later } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { page, pageHead, section } from "./page_parts.js";
import { button, field, form, mistake, submit, textInput } from "./parts.js";
import { code, said } from "./plain_text.js";
import { fromCamera, fromImage } from "./qr.js";
import { go } from "./router.js";

/** The view of /add, perhaps with a link that was followed. */
export function addContact({ query }, signal) {
  const wrong = mistake();
  const link = h("textarea", { rows: "3", dir: "ltr", spellcheck: "false", autocomplete: "off", class: "wide-input", placeholder: "uzel:12345678?key=…", value: query.get("link") ?? "", maxlength: "4096" });
  const name = textInput({ maxlength: "64", dir: "auto" });
  const seen = h("div", { class: "parsed", "aria-live": "polite" });
  const look = wrong.trying(async () => {
    const text = link.value.trim();
    fill(seen);
    if (text === "") return;
    const parsed = await post("/v1/contacts/parse", { link: text });
    if (link.value.trim() !== text || signal.aborted) return;
    fill(seen, shown(parsed));
    name.placeholder = parsed.name || "";
  });
  const found = (text) => {
    link.value = text;
    look();
    link.focus();
  };
  const add = wrong.trying(async () => {
    const contact = await post("/v1/contacts", { link: link.value.trim(), name: name.value.trim() });
    if (!signal.aborted) go(`/chat/${contact.uin}`); // who went elsewhere meanwhile types there
  });
  link.addEventListener("input", later(look, 250));
  link.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    link.form.requestSubmit();
  });
  if (link.value) look();
  return {
    title: t("nav.add"),
    node: page(pageHead(t("nav.add")),
      section(t("add.how"), h("p", { class: "lead" }, t("add.words")),
        form(add, field(t("add.link"), link, t("add.link.hint")), seen, field(t("add.name"), name, t("add.name.hint")), wrong,
          h("div", { class: "row" }, submit(t("add.do")),
            button(t("scan.camera"), () => fromCamera(found), { sign: "camera" }), fromImage(found, wrong)))),
      section(t("add.other"), h("p", {}, t("add.other.words")),
        h("div", { class: "row" }, h("a", { class: "button", href: "#/me" }, icon("qr", 18), t("nav.me")), h("a", { class: "button", href: "#/invites" }, icon("invite", 18), t("invites"))))),
    focus: () => link.focus(),
  };
}

function shown(parsed) {
  const sure = parsed.fingerprint ? ["shield", "good", t("add.sure")] : ["unsure", "unsure", t("add.unsure")];
  return h("div", { class: "card found-contact" }, avatar(parsed, "big"), h("div", {},
    h("p", { class: "found-name" }, parsed.name ? said(parsed.name) : code(parsed.uin)),
    h("p", { class: "hint" }, code(parsed.uin), parsed.invite ? ` · ${t("add.invited")}` : ""),
    h("p", { class: `trust ${sure[1]}` }, icon(sure[0], 16), sure[2])));
}
