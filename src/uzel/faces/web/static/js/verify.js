// Comparing the safety number with somebody: both see the same twelve groups, or somebody is in between.

import { post } from "./api.js";
import { nameOf } from "./avatar.js";
import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";
import { note } from "./say.js";

/** The number in groups, as both read it aloud. */
export const groups = (number) => h("div", { class: "safety", dir: "ltr", translate: "no" },
  (number.match(/\d{5}/g) ?? [number]).map((group) => h("span", {}, group)));

/** Whether they are verified, and the way to become it. */
export function trustCard(contact, onChange) {
  if (!contact.safety_number) return [h("p", { class: "trust unsure" }, icon("unsure"), t("verify.unmet")), h("p", { class: "hint" }, t("verify.unmet.do"))];
  const state = contact.verified
    ? h("p", { class: "trust good" }, icon("shield"), t("verify.done", { name: nameOf(contact) }))
    : h("p", { class: "trust unsure" }, icon("unsure"), t("verify.not", { name: nameOf(contact) }));
  const words = contact.verified ? t("verify.again") : t("verify.compare");
  return [state, button(words, () => compare(contact, onChange), { kind: contact.verified ? "" : "primary", sign: "shield" })];
}

function compare(contact, onChange) {
  const name = nameOf(contact);
  const same = async () => {
    await post(`/v1/contacts/${contact.uin}/verify`, { safety_number: contact.safety_number });
    dialog.close();
    note(t("verify.done", { name }));
    onChange();
  };
  const differs = () => {
    dialog.close();
    open(t("verify.differs"), [h("p", {}, t("verify.differs.do", { name }))]);
  };
  const dialog = open(t("verify.title", { name }), [
    h("ol", { class: "steps" }, h("li", {}, t("verify.step.call", { name })), h("li", {}, t("verify.step.read")), h("li", {}, t("verify.step.same"))),
    groups(contact.safety_number),
    h("div", { class: "row end" }, button(t("verify.no"), differs), contact.verified ? null : button(t("verify.yes"), same, { kind: "primary" })),
  ], { name: "wide" });
}
