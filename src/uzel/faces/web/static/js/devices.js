// The browsers and telephones that may use this core: a code for a new one, and the way out for each.

import { inTurn } from "./answers.js";
import { del, get, patch, post, raw, secret } from "./api.js";
import { confirm, open } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { caution, copyable, instead } from "./page_parts.js";
import { button, field, form, submit, textInput } from "./parts.js";
import { said } from "./plain_text.js";
import { on, store } from "./store.js";
import { ago, clock } from "./time.js";

export function devicesCard(signal) {
  const list = h("div", { class: "stack" });
  const draw = inTurn(() => get("/v1/devices", signal), ({ devices }) => {
    fill(list, h("ul", { class: "plain-list" }, devices.map((device) => item(device, draw))));
  });
  const safely = () => draw().catch(instead(list));
  on("device", safely, signal);
  safely();
  return [list, h("div", { class: "row" }, button(t("devices.pair"), () => pair(signal), { sign: "add" }), button(t("devices.leave"), leave, { kind: "danger quiet" }))];
}

function item(device, done) {
  const seen = device.current ? t("devices.this") : t("devices.seen", { ago: ago(device.last_seen) });
  const rename = () => {
    const input = textInput({ value: device.name, maxlength: "64", dir: "auto" });
    const dialog = open(t("devices.rename"), form(async () => {
      await patch(`/v1/devices/${device.id}`, { name: input.value.trim() });
      dialog.close();
      await done();
    }, field(t("devices.name"), input), h("div", { class: "row end" }, submit(t("save")))));
  };
  const revoke = async () => {
    if (!await confirm(t("devices.revoke"), t("devices.revoke.sure"), t("devices.revoke"))) return;
    await del(`/v1/devices/${device.id}`);
    await done();
  };
  return h("li", { class: "line" }, h("div", { class: "line-text" }, h("p", {}, said(device.name)), h("p", { class: "hint" }, t(`devices.${device.kind}`), " · ", seen)),
    button(t("devices.rename"), rename, { kind: "quiet" }), device.current ? null : button(t("devices.revoke"), revoke, { kind: "danger quiet" }));
}

async function pair() {
  const { code, expires_at: until, address } = await post("/v1/devices/pairing");
  const here = new URL(address, location.href);
  const alone = ["127.0.0.1", "localhost", "[::1]"].includes(here.hostname);
  open(t("devices.pair"), [alone ? unshared(here.port) : null,
    h("ol", { class: "steps" }, h("li", {}, t(alone ? "devices.alone.code" : "devices.step.open"), " ", copyable(here.href, t("devices.address"))), h("li", {}, t("devices.step.code"), h("p", { class: "big-code", dir: "ltr", translate: "no" }, code))),
    h("p", { class: "hint" }, t("devices.until", { time: clock(until) }))]);
}

/** That no other device can open the page, and what to do about it: as in docs/page.md. */
const unshared = (port) => [caution(t("devices.alone")),
  todo(t("devices.alone.share"), `uzel start --profile ${quoted(store.profile.folder)} --web --share HOST:8943 --cert cert.pem --cert-key key.pem`),
  todo(t("devices.alone.ssh"), `ssh -N -L ${port}:127.0.0.1:${port} USER@THIS-COMPUTER`)];

const todo = (words, command) => h("div", { class: "todo" }, h("p", {}, words), copyable(command, t("devices.command")));

/** One word of a shell's line. */
const quoted = (path) => (/^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

async function leave() {
  if (!await confirm(t("devices.leave"), t("devices.leave.sure"), t("devices.leave"))) return;
  await raw("DELETE", "/session");
  secret.forget();
  location.reload();
}
