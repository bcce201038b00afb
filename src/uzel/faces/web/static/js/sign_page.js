// What a browser sees that is not let in: why, and where to enter a pairing code.

import { Problem } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { knot } from "./icons.js";
import { field, form, mistake, submit, textInput } from "./parts.js";
import { sentence } from "./say.js";
import { letIn } from "./sign_in.js";

/** Say so, and ask for a code. `done` is called once it was right. */
export function signInPage(problem, done) {
  const wrong = mistake();
  const code = textInput({ dir: "ltr", autocapitalize: "off", spellcheck: "false", autocomplete: "one-time-code", maxlength: "100", inputmode: "numeric" });
  const name = textInput({ dir: "auto", maxlength: "64" });
  const enter = async () => {
    try {
      await letIn({ code: code.value.trim(), ...(name.value.trim() ? { name: name.value.trim() } : {}) });
      done();
    } catch (failed) {
      wrong.say(failed instanceof Problem && failed.status === 401 ? t("sign.wrong") : sentence(failed));
    }
  };
  fill(document.getElementById("app"), h("main", { class: "first-run" }, h("div", { class: "first-card" }, knot(56),
    h("h1", { tabindex: "-1" }, t("sign.title")), h("p", { class: "lead" }, problem.code === "one_time_used" ? sentence(problem) : t("sign.words")),
    form(enter, field(t("sign.code"), code, t("sign.code.hint")), field(t("devices.name"), name, t("sign.name.hint")), wrong, h("div", { class: "row" }, submit(t("sign.do")))))));
  document.querySelector("h1").focus();
}
