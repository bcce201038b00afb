// Keeping the identity safe: the back-up file and the passphrase. Whoever loses both loses the number for ever.

import { post, raw } from "./api.js";
import { open } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { copyable } from "./page_parts.js";
import { button, field, form, mistake, submit } from "./parts.js";
import { download, note } from "./say.js";
import { refreshProfile, store } from "./store.js";
import { moment } from "./time.js";

const secretInput = (kind) => h("input", { type: "password", autocomplete: kind, maxlength: "1024" });

/** A new passphrase, typed twice: who errs in it is shut out for ever. `parts` are its fields. An
 * optional one is asked for again once something is typed. */
function twice(words, hint, { optional = false } = {}) {
  const first = secretInput("new-password");
  const second = secretInput("new-password");
  const again = field(t("passphrase.again"), second);
  const show = () => {
    again.hidden = optional && first.value === "";
  };
  first.addEventListener("input", show);
  show();
  const clear = () => {
    first.value = second.value = "";
    show();
  };
  return { parts: [field(words, first, hint), again], value: () => first.value, same: () => first.value === second.value, clear };
}

/** Download a back-up. Without a passphrase it has a recovery code, which is shown once. */
export function backupForm(done = () => {}) {
  const wrong = mistake();
  const passphrase = twice(t("backup.passphrase"), t("backup.passphrase.hint"), { optional: true });
  const make = wrong.trying(async () => {
    if (passphrase.value() && !passphrase.same()) return wrong.say(t("passphrase.differs"));
    const body = JSON.stringify({ passphrase: passphrase.value() || null });
    const answer = await raw("POST", "/v1/profile/backup", { body, type: "application/json" });
    const recovery = answer.headers.get("X-Uzel-Recovery-Code");
    download(await answer.blob(), `uzel-${store.me.uin}.uzel`);
    passphrase.clear();
    if (recovery) await codeDialog(recovery); // before anything else can go wrong: it is told this once
    await refreshProfile();
    note(t("backup.made"));
    return done();
  });
  return form(make, passphrase.parts, wrong, h("div", { class: "row" }, submit(t("backup.do"))));
}

function codeDialog(recovery) {
  const dialog = open(t("backup.code"), [
    h("p", {}, t("backup.code.words")), copyable(recovery, t("backup.code")),
    h("div", { class: "row end" }, button(t("backup.code.kept"), () => dialog.close(), { kind: "primary" }))]);
  return dialog.closed;
}

/** When the last back-up was made, in words. */
export const backedUp = () =>
  h("p", { class: "hint" }, store.profile.backed_up_at ? t("backup.last", { time: moment(store.profile.backed_up_at) }) : t("backup.never"));

/** Set, change or take away the passphrase of the profile. */
export function passphraseForm(done = () => {}) {
  const has = store.profile.passphrase;
  const wrong = mistake();
  const current = secretInput("current-password");
  const next = twice(t("passphrase.new"), t("passphrase.hint"));
  const set = (value) => wrong.trying(async () => {
    const wanted = value === undefined ? next.value() : value;
    if (wanted === "") return wrong.say(t("passphrase.empty"));
    if (wanted !== null && !next.same()) return wrong.say(t("passphrase.differs"));
    await post("/v1/profile/passphrase", { new: wanted, current: has ? current.value : null });
    await refreshProfile();
    note(t(wanted === null ? "passphrase.gone" : "passphrase.set"));
    return done();
  });
  return form(set(), has ? field(t("passphrase.current"), current) : null, next.parts, wrong,
    h("div", { class: "row" }, submit(has ? t("passphrase.change") : t("passphrase.do")), has ? button(t("passphrase.remove"), set(null), { kind: "danger quiet" }) : null));
}
