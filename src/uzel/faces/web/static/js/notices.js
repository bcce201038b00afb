// What calls somebody who looks elsewhere: the count in the title and the icon, and notifications, if they were allowed.
// A notification says that something came, and what only when that was chosen on this device.

import { nameOf } from "./avatar.js";
import { t } from "./i18n.js";
import { line } from "./plain_text.js";
import { go, path } from "./router.js";
import { on, store, unread } from "./store.js";

const CONTENT = "uzel.notify.content";
const SIZE = 64;
const open = new Map();
let shown = -1;

/** Whether this device's notifications show what was said. */
export const content = {
  get: () => localStorage.getItem(CONTENT) === "yes",
  set: (yes) => localStorage.setItem(CONTENT, yes ? "yes" : "no"),
};

/** "granted", "denied", "default", or "never" where there are none. */
export const permission = () => ("Notification" in window ? Notification.permission : "never");

export async function askPermission() {
  return permission() === "default" ? Notification.requestPermission() : permission();
}

export function notices(signal) {
  const count = () => {
    const n = unread();
    const { title } = document.documentElement.dataset;
    document.title = `${n ? `(${n}) ` : ""}${title ? `${title} · ` : ""}Uzel`;
    if (n === shown) return;
    shown = n;
    icon(n).catch(() => {});
  };
  on("chats", count, signal);
  on("text", notify, signal);
  on("requests", count, signal);
  on("read", (mark) => shut((text) => text.chat === mark.chat && text.number <= mark.up_to), signal);
  on("removed", (gone) => shut((text) => text.number === gone.number), signal);
  on("deleted", (gone) => shut((text) => text.chat === gone.chat), signal);
  count();
}

/** Take back the notifications of texts that were read or deleted. */
function shut(over) {
  for (const [notice, text] of open) if (over(text)) notice.close();
}

function notify(text) {
  const chat = store.chats.get(text.chat);
  const watched = document.visibilityState === "visible" && document.hasFocus();
  if (!text.unread || !store.preferences.notifications || permission() !== "granted" || chat?.blocked) return;
  if (watched && `${path()}/`.startsWith(`/chat/${text.chat}/`)) return;
  const title = content.get() && chat ? nameOf(chat) : t("notify.title");
  const notice = new Notification(title, {
    body: content.get() ? line(text.text, 120) : t("notify.body"), tag: `uzel-${content.get() ? text.chat : "text"}`, icon: "/static/img/uzel.svg",
  });
  open.set(notice, text);
  notice.onclose = () => open.delete(notice);
  notice.onclick = () => {
    window.focus();
    go(`/chat/${text.chat}`);
    notice.close();
  };
}

/** The icon in the tab: the knot, with the number of unread texts. */
async function icon(n) {
  const link = document.querySelector("link[rel=icon]");
  if (n === 0) {
    Object.assign(link, { href: "/static/img/uzel.svg", type: "image/svg+xml" });
    return;
  }
  const image = Object.assign(new Image(SIZE, SIZE), { src: "/static/img/uzel.svg" });
  await image.decode();
  if (n !== shown) return; // others came, or these were read
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, SIZE, SIZE);
  context.fillStyle = "#b3261e";
  context.beginPath();
  context.arc(44, 44, 20, 0, 7);
  context.fill();
  context.fillStyle = "#fff";
  context.font = "bold 26px sans-serif";
  context.textAlign = "center";
  context.fillText(n > 9 ? "9+" : String(n), 44, 53);
  Object.assign(link, { href: canvas.toDataURL("image/png"), type: "image/png" });
}
