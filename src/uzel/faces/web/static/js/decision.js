// A decision about somebody that is taken only by a person who says that they asked them.

import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { button } from "./parts.js";

/** Ask for it: what to do before, step by step, what else is shown, what they say they did, and what comes of it. */
export function decide(title, steps, shown, asked, words, call) {
  const said = h("input", { type: "checkbox", onchange: () => {
    take.disabled = !said.checked;
  } });
  const take = button(words, async () => {
    await call();
    dialog.close();
  }, { kind: "danger" });
  take.disabled = true;
  const dialog = open(title, [
    h("ol", { class: "steps" }, steps.map((step) => h("li", {}, step))), shown,
    h("label", { class: "toggle" }, said, h("span", {}, asked)),
    h("div", { class: "row end" }, button(t("not.now"), () => dialog.close(), { autofocus: true }), take),
  ]);
}
