// At the foot of the list: the node one is logged in to, and how the way there is protected.

import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { code } from "./plain_text.js";
import { on, store } from "./store.js";

/** Post-quantum, or the name of what it is instead. */
export const agreement = (name) => (/mlkem/i.test(name) ? t("pq.yes") : t("pq.no", { name }));

export function statusLine(signal) {
  const line = h("footer", { class: "status-line" });
  const draw = () => {
    const { online, node, key_agreement: key } = store.status;
    const up = online && store.link.up;
    const words = !store.link.up ? t("status.core.lost") : online ? t("status.online") : t("status.offline");
    fill(line, h("a", { href: "#/settings", class: "status-link" },
      h("span", { class: up ? "dot on" : "dot" }), h("span", {}, words), up ? code(node.split(",")[0], "status-node") : null),
      up && key ? h("span", { class: "status-lock", title: key }, icon("lock", 14), agreement(key)) : null);
  };
  on("presence", draw, signal);
  on("link", draw, signal);
  draw();
  return line;
}
