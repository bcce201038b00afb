// What keeps anything from going either way until the person decides: somebody showed another key, or came with an
// older program. What there is to know before stands behind the button (`new_key.js`, `older_program.js`).

import { nameOf } from "./avatar.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { more } from "./more.js";
import { button } from "./parts.js";

/** The banner that says so; null while nothing is in the way. */
export function stop(contact) {
  const name = nameOf(contact);
  if (contact.stopped) return banner(t("stopped"), t("stopped.title", { name }), t("stopped.why"), t("stopped.compare"), async () => (await more("new_key")).compareKeys(contact));
  if (contact.downgraded && !contact.blocked) return banner(t("downgraded"), t("downgraded.title", { name }), t("downgraded.why"), t("downgraded.do"), async () => (await more("older_program")).agree(contact));
  return null;
}

const banner = (label, title, why, words, call) => h("section", { class: "banner stop", role: "alert", "aria-label": label }, icon("alert", 24),
  h("div", { class: "stop-text" }, h("h2", {}, title), h("p", {}, why), h("div", { class: "row" }, button(words, call, { kind: "danger" }))));
