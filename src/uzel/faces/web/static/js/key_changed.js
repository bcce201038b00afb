// The stop, in red: somebody showed another key than before. Nothing goes either way until the person decides, and the
// new key is taken only by somebody who says that they asked.

import { post } from "./api.js";
import { nameOf } from "./avatar.js";
import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";
import { code } from "./plain_text.js";

export function keyChanged(contact) {
  return h("section", { class: "banner stop", role: "alert", "aria-label": t("stopped") }, icon("alert", 24),
    h("div", { class: "stop-text" }, h("h2", {}, t("stopped.title", { name: nameOf(contact) })), h("p", {}, t("stopped.why")),
      h("div", { class: "row" }, button(t("stopped.compare"), () => compare(contact), { kind: "danger" }))));
}

function compare(contact) {
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
