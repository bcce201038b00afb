// The dialog of all keys that work everywhere (`keys.js`).

import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

export function help() {
  const rows = [
    ["Ctrl+K", t("help.switch")], ["Alt+↑ / Alt+↓", t("help.beside")], ["/", t("help.search")], ["Enter", t("help.send")],
    ["Shift+Enter", t("help.newline")], ["↑ / ↓", t("help.messages")], ["Esc", t("help.back")], ["?", t("help.help")],
  ];
  open(t("help"), h("dl", { class: "keys" }, rows.map(([key, words]) =>
    h("div", {}, h("dt", {}, h("kbd", { translate: "no" }, key)), h("dd", {}, words)))));
}
