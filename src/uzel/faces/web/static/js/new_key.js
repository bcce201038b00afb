// The two keys of somebody, side by side. The new one is taken only by somebody who says that they asked.

import { post } from "./api.js";
import { nameOf } from "./avatar.js";
import { decide } from "./decision.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { code } from "./plain_text.js";

/** Show them. */
export function compareKeys(contact) {
  const name = nameOf(contact);
  const steps = [t("stopped.step.ask", { name }), t("stopped.step.read"), t("stopped.step.else")];
  const keys = h("dl", { class: "prints" }, h("div", {}, h("dt", {}, t("stopped.old")), h("dd", {}, code(contact.fingerprint ?? "—"))),
    h("div", { class: "new" }, h("dt", {}, t("stopped.new")), h("dd", {}, code(contact.stopped))));
  decide(t("stopped.title", { name }), steps, keys, t("stopped.asked", { name }), t("stopped.accept"),
    () => post(`/v1/contacts/${contact.uin}/accept-key`, { fingerprint: contact.stopped }));
}
