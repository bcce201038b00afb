// The first minutes: a name, a passphrase, a back-up, a node. Each step can be skipped and made up for in the settings.
// A paired device is not asked for what only a browser on the core's own computer may do.

import { get, put } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon, knot } from "./icons.js";
import { linkAndCode } from "./me_page.js";
import { nodeField, written } from "./node_check.js";
import { button, field, form, mistake, submit, textInput } from "./parts.js";
import { code } from "./plain_text.js";
import { backupForm, passphraseForm } from "./safekeeping.js";
import { changeProfile, refreshProfile, store } from "./store.js";

const AT_HOME = [passphraseStep, backupStep];

/** Lead through the steps; `done` is called at the end. */
export function firstRun(done) {
  const steps = [nameStep, ...(store.device.kind === "paired" ? [] : AT_HOME), nodeStep, linkStep];
  const over = new AbortController();
  const frame = h("main", { class: "first-run" });
  let at = 0;
  const show = (index) => {
    at = index;
    if (index === steps.length) {
      over.abort();
      done();
      return;
    }
    const next = () => at === index && show(index + 1); // a slow answer does not lead back who went on without it
    const dots = steps.map((_, step) => h("li", { class: step < index ? "past" : step === index ? "now" : "" }));
    const content = steps[index](next, over.signal, () => show(index - 1));
    fill(frame, h("div", { class: "first-card" }, knot(56),
      h("ol", { class: "progress", "aria-hidden": "true" }, dots), h("p", { class: "sr" }, t("first.step", { n: index + 1, of: steps.length })), content,
      h("div", { class: "row spread" }, index > 0 ? button(t("first.before"), () => show(index - 1), { kind: "quiet", sign: "back" }) : h("span", {}),
        index < steps.length - 1 ? button(t("first.skip"), next, { kind: "quiet" }) : null)));
    frame.querySelector("h1").focus();
  };
  fill(document.getElementById("app"), frame);
  show(0);
}

const head = (title, words) => [h("h1", { tabindex: "-1" }, title), h("p", { class: "lead" }, words)];

function nameStep(next) {
  const wrong = mistake();
  const input = textInput({ value: store.profile.name, maxlength: "64", dir: "auto", autocomplete: "nickname" });
  const save = wrong.trying(async () => {
    await changeProfile({ name: input.value.trim() });
    next();
  });
  return [head(t("first.welcome"), t("first.welcome.words")),
    h("p", { class: "first-number" }, t("me.number"), " ", code(store.me.uin)),
    form(save, field(t("first.name"), input, t("me.name.hint")), wrong, h("div", { class: "row" }, submit(t("first.next"))))];
}

function passphraseStep(next) {
  const body = store.profile.passphrase
    ? [h("p", { class: "trust good" }, icon("check"), t("passphrase.set")), h("div", { class: "row" }, button(t("first.next"), next, { kind: "primary" }))]
    : passphraseForm(next);
  return [head(t("passphrase"), t("passphrase.words")), body];
}

function backupStep(next) {
  return [head(t("backup"), t("first.backup")), backupForm(next)];
}

function nodeStep(next, signal) {
  const wrong = mistake();
  const asked = nodeField(t("node.address"));
  const now = h("div", {});
  get("/v1/nodes", signal).then(({ nodes }) => fill(now, nodes.length ? h("p", { class: "trust good" }, icon("check"), t("first.node.has"), " ", code(nodes[0].address)) : null)).catch(() => {});
  const use = wrong.trying(async () => {
    const text = asked.input.value.trim();
    if (text) {
      if (!await asked.check()) return wrong.say(t("first.node.bad"));
      const others = (await get("/v1/nodes")).nodes.map(written);
      await put("/v1/nodes", { nodes: [text, ...others.filter((each) => each.split(",")[0] !== text.split(",")[0])] });
      await refreshProfile(); // the link has the node in it
    }
    return next();
  });
  return [head(t("first.node"), t("first.node.words")), now, form(use, asked.node, wrong, h("div", { class: "row" }, submit(t("first.next"))))];
}

function linkStep(next, signal, before) {
  const finish = async () => {
    await changeProfile({ set_up: true });
    next();
  };
  return [head(t("first.done"), t("first.done.words")), linkAndCode(signal, h("button", { type: "button", class: "inline-button", onclick: before }, t("me.here.do"))), h("div", { class: "row" }, button(t("first.start"), finish, { kind: "primary" }))];
}
