// Letting this browser in: by the one-time address that `uzel web` opens, or by a code that another device shows.

import { Problem, raw, secret } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { knot } from "./icons.js";
import { field, form, mistake, submit, textInput } from "./parts.js";
import { sentence } from "./say.js";

async function post(body) {
  const answer = await raw("POST", "/session", { body: JSON.stringify(body), type: "application/json" });
  secret.set((await answer.json()).secret);
}

/** The one-time token behind # in the address, which is taken out of it at once. */
function token() {
  const found = /^#([A-Za-z0-9_-]{20,})$/.exec(location.hash)?.[1] ?? null;
  if (found) history.replaceState(null, "", location.pathname);
  return found;
}

/** Null when this browser is let in; else what went wrong. */
export async function signIn() {
  const shown = token();
  try {
    if (shown) await post({ token: shown });
    else await raw("GET", "/session");
    return null;
  } catch (problem) {
    if (shown && secret.get() && await raw("GET", "/session").then(() => true, () => false)) return null;
    return problem;
  }
}

/** Say so, and ask for a code. `done` is called once it was right. */
export function signInPage(problem, done) {
  const wrong = mistake();
  const code = textInput({ dir: "ltr", autocapitalize: "off", spellcheck: "false", autocomplete: "one-time-code", maxlength: "100", inputmode: "numeric" });
  const name = textInput({ dir: "auto", maxlength: "64" });
  const enter = async () => {
    try {
      await post({ code: code.value.trim(), ...(name.value.trim() ? { name: name.value.trim() } : {}) });
      done();
    } catch (failed) {
      wrong.say(failed instanceof Problem && failed.status === 401 ? t("sign.wrong") : sentence(failed));
    }
  };
  const lost = problem.code === "core_silent";
  fill(document.getElementById("app"), h("main", { class: "first-run" }, h("div", { class: "first-card" }, knot(56),
    h("h1", { tabindex: "-1" }, lost ? t("sign.lost") : t("sign.title")),
    h("p", { class: "lead" }, lost ? t("sign.lost.do") : problem.code === "one_time_used" ? t("problem.one_time_used") : t("sign.words")),
    lost ? h("button", { type: "button", class: "button primary", onclick: () => location.reload() }, t("lost.retry"))
      : form(enter, field(t("sign.code"), code, t("sign.code.hint")), field(t("devices.name"), name, t("sign.name.hint")), wrong, h("div", { class: "row" }, submit(t("sign.do")))))));
  document.querySelector("h1").focus();
}
