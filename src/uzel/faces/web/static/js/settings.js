// The settings, card by card. Each is saved when it is changed.

import { get, put } from "./api.js";
import { retention } from "./contact_page.js";
import { devicesCard } from "./devices.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { help } from "./help.js";
import { apply } from "./looks.js";
import { nameForm } from "./me_page.js";
import { nodesCard } from "./node_check.js";
import { askPermission, content, permission } from "./notices.js";
import { choice, page, pageHead, section, toggle } from "./page_parts.js";
import { button, field } from "./parts.js";
import { code } from "./plain_text.js";
import { backedUp, backupForm, passphraseForm } from "./safekeeping.js";
import { again } from "./router.js";
import { complain, note } from "./say.js";
import { redraw } from "./shell.js";
import { prefer, store } from "./store.js";

/** The view of /settings. */
export function settings({ query }, signal) {
  const saved = () => note(t("saved"));
  const nodes = section(t("nodes"), h("p", { class: "hint" }, t("nodes.words")), nodesCard(signal));
  return {
    title: t("nav.settings"),
    shown: () => {
      if (query.get("at") !== "nodes") return;
      history.replaceState(null, "", "#/settings"); // once: it may be drawn again
      nodes.scrollIntoView();
    },
    node: page(pageHead(t("nav.settings")),
      section(t("settings.looks"), looks()),
      section(t("settings.notify"), notifications()),
      nodes,
      section(t("settings.privacy"), strangers(signal), retention(t("settings.retention"), store.preferences.retention_default_ms, (ms) => prefer({ retention_default_ms: ms }).then(saved))),
      section(t("me.name"), nameForm(() => {})),
      section(t("backup"), h("p", {}, t("backup.words")), backedUp(), atHome(backupForm, signal)),
      section(t("passphrase"), h("p", {}, t("passphrase.words")), atHome(passphraseForm, signal)),
      section(t("devices"), h("p", { class: "hint" }, t("devices.words")), devicesCard(signal)),
      section(t("settings.about"), h("p", {}, "Uzel ", code(store.status.version)), h("p", { class: "hint" }, t("settings.folder"), " ", code(store.profile.folder)),
        h("div", { class: "row" }, button(t("help"), help, { sign: "help" })))),
  };
}

/** What only a browser on the core's own computer may do; on another device it is said where. */
const atHome = (made, signal) => (store.device.kind === "paired" ? h("p", { class: "hint" }, t("problem.only_at_home")) : made(() => signal.aborted || again()));

function looks() {
  const now = store.preferences;
  const change = async (what) => {
    await prefer(what);
    await apply();
    if (what.language) redraw();
  };
  const languages = choice([["auto", t("language.auto")], ["en", "English"], ["ru", "Русский"]], now.language, (language) => change({ language }));
  const themes = choice([["auto", t("theme.auto")], ["light", t("theme.light")], ["dark", t("theme.dark")]], now.theme, (theme) => change({ theme }));
  return h("div", { class: "fields" }, field(t("language"), languages), field(t("theme"), themes));
}

function notifications() {
  const hint = h("p", { class: "hint" }, permission() === "denied" ? t("notify.denied") : permission() === "never" ? t("notify.never") : t("notify.hint"));
  const change = async (on, box) => {
    if (on && await askPermission() !== "granted") {
      box.checked = false;
      fill(hint, t("notify.denied"));
      return;
    }
    await prefer({ notifications: on });
  };
  const on = store.preferences.notifications && permission() === "granted";
  return [toggle(t("notify.on"), on, change), toggle(t("notify.content"), content.get(), content.set), hint];
}

function strangers(signal) {
  const frame = h("div", {});
  const draw = (mode) => fill(frame, field(t("strangers"), choice([["ask", t("strangers.ask")], ["contacts-only", t("strangers.refuse")]], mode,
    (value) => put("/v1/strangers", { mode: value }).then(() => note(t("saved")))), t("strangers.hint")));
  get("/v1/strangers", signal).then(({ mode }) => draw(mode)).catch(complain);
  return frame;
}
