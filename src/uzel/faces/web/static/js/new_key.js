// The two keys of somebody, side by side. The new one is taken only by somebody who says that they asked.

import { post } from "./api.js";
import { nameOf } from "./avatar.js";
import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { button } from "./parts.js";
import { code } from "./plain_text.js";

/** Show them. */
export function compareKeys(contact) {
  const asked = h("input", { type: "checkbox", onchange: () => {
    take.disabled = !asked.checked;
  } });
  const take = button(t("stopped.accept"), async () => {
    await post(`/v1/contacts/${contact.uin}/accept-key`, { fingerprint: contact.stopped });
    dialog.close();
  }, { kind: "danger" });
  take.disabled = true;
  const name = nameOf(contact);
  const dialog = open(t("stopped.title", { name }), [
    h("ol", { class: "steps" }, h("li", {}, t("stopped.step.ask", { name })), h("li", {}, t("stopped.step.read")), h("li", {}, t("stopped.step.else"))),
    h("dl", { class: "prints" }, h("div", {}, h("dt", {}, t("stopped.old")), h("dd", {}, code(contact.fingerprint ?? "—"))),
      h("div", { class: "new" }, h("dt", {}, t("stopped.new")), h("dd", {}, code(contact.stopped)))),
    h("label", { class: "toggle" }, asked, h("span", {}, t("stopped.asked", { name }))),
    h("div", { class: "row end" }, button(t("stopped.wait"), () => dialog.close(), { autofocus: true }), take),
  ]);
}
