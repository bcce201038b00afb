// The bar that says that a connection is lost: the page's to the core, or the core's to its node. It counts down to the
// next attempt, and tries at once when asked.

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { button } from "./parts.js";
import { announce, complain } from "./say.js";
import { on, store } from "./store.js";

const GRACE = 1200;

export function lostBar(signal) {
  const words = h("span", { id: "lost-words" });
  const bar = h("section", { class: "lost-bar", hidden: true, "aria-labelledby": "lost-words" }, icon("alert", 18), words, button(t("lost.retry"), retry, { kind: "small" }));
  let since = 0;
  let told = "";
  const draw = () => {
    const lost = what();
    if (lost === null) since = 0;
    else since ||= Date.now();
    const visible = lost !== null && Date.now() - since >= GRACE;
    bar.hidden = !visible;
    if (visible) fill(words, t(lost.key), " ", countdown(lost.at));
    const key = visible ? lost.key : "";
    if (key !== told) announce(key ? t(key) : t("lost.back"));
    told = key;
  };
  const timer = setInterval(draw, 500);
  signal.addEventListener("abort", () => clearInterval(timer));
  on("link", draw, signal);
  on("presence", draw, signal);
  return bar;
}

function what() {
  if (!store.link.up) return { key: "lost.core", at: store.link.retryAt };
  const { online, contested, retry_at: at, reason } = store.status;
  if (online) return null;
  if (contested) return { key: "lost.contested", at: at && Date.parse(at) };
  return { key: reason === "node_key_changed" ? "lost.node_key" : "lost.node", at: at && Date.parse(at) };
}

function countdown(at) {
  const n = at ? Math.max(0, Math.ceil((at - Date.now()) / 1000)) : 0;
  return n > 0 ? t("lost.in", { n }) : t("lost.now");
}

function retry() {
  if (!store.link.up) store.stream.retry();
  else post("/v1/reconnect").catch(complain);
}
