// The stop, in red: somebody showed another key than before. Nothing goes either way until the person decides
// (`new_key.js`).

import { nameOf } from "./avatar.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { more } from "./more.js";
import { button } from "./parts.js";

export function keyChanged(contact) {
  return h("section", { class: "banner stop", role: "alert", "aria-label": t("stopped") }, icon("alert", 24),
    h("div", { class: "stop-text" }, h("h2", {}, t("stopped.title", { name: nameOf(contact) })), h("p", {}, t("stopped.why")),
      h("div", { class: "row" }, button(t("stopped.compare"), async () => (await more("new_key")).compareKeys(contact), { kind: "danger" }))));
}
