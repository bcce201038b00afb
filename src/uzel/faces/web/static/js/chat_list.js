// The chats: unread ones first, then the latest; found by name or number while one types.

import { avatar } from "./avatar.js";
import { fill, h, soon } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { iconButton, empty } from "./parts.js";
import { code, line, said } from "./plain_text.js";
import { glyph } from "./message.js";
import { go } from "./router.js";
import { listed, on, store } from "./store.js";
import { ago, brief } from "./time.js";

const FIRST_SHOWN = 100;

/** `onDrawn` is called whenever the lines were made anew. */
export function chatList(signal, onDrawn) {
  let shown = FIRST_SHOWN;
  const input = h("input", {
    type: "search", id: "chat-filter", class: "search-input", autocomplete: "off", placeholder: t("chats.filter"), "aria-label": t("chats.filter"),
    oninput: () => draw(), onkeydown: (event) => steer(event, list, input),
  });
  const list = h("ul", { class: "chat-list" });
  const more = h("button", { type: "button", class: "button quiet", onclick: () => {
    shown += FIRST_SHOWN;
    draw();
  } }, t("chats.more"));
  const none = h("div", {});
  const waiting = h("div", {});
  const draw = () => {
    if (list.matches(":active")) { // what is pressed just now would not be there any more
      again();
      return;
    }
    const found = matching(input.value);
    const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fill(list, found.slice(0, shown).map(item));
    if (focused) list.querySelector(`a[href="${focused}"]`)?.focus({ preventScroll: true });
    list.hidden = found.length === 0;
    more.hidden = found.length <= shown;
    fill(none, found.length ? null : nothing(input.value));
    onDrawn();
  };
  const again = soon(draw, 100);
  const knocks = () => fill(waiting, store.requests.length ? knockers(store.requests.length) : null);
  on("chats", soon(draw, 16), signal);
  on("contact", soon(draw, 200), signal);
  on("requests", knocks, signal);
  const clock = setInterval(draw, 60_000);
  signal.addEventListener("abort", () => clearInterval(clock));
  draw();
  knocks();
  const everywhere = iconButton("search", t("search.open"), () => go(`/search?q=${encodeURIComponent(input.value)}`));
  return h("section", { class: "chats", "aria-label": t("chats") },
    h("div", { class: "search-row", role: "search", "aria-label": t("chats.filter") }, input, everywhere), h("div", { class: "chats-scroll" }, waiting, list, more, none));
}

/** Chats whose name or number holds these words. */
export function matching(words) {
  const wanted = words.trim().toLocaleLowerCase();
  const chats = listed();
  return wanted ? chats.filter((chat) => chat.name.toLocaleLowerCase().includes(wanted) || String(chat.uin).includes(wanted)) : chats;
}

function steer(event, list, input) {
  if (event.key === "Escape" && input.value) {
    input.value = "";
    input.dispatchEvent(new Event("input"));
    event.stopPropagation();
  }
  if (event.key === "ArrowDown" || event.key === "Enter") {
    const first = list.querySelector("a");
    if (first && event.key === "Enter") go(first.getAttribute("href").slice(1));
    else first?.focus();
    event.preventDefault();
  }
}

const knockers = (n) => h("a", { class: "knockers", href: "#/requests" }, icon("user"), t("requests.waiting", { n }));

function item(chat) {
  const { last } = chat;
  const classes = ["chat-item", chat.unread && "unread", chat.stopped && "stopped", chat.blocked && "blocked"].filter(Boolean).join(" ");
  return h("li", {}, h("a", { class: classes, href: `#/chat/${chat.uin}` },
    avatar(chat, "big"),
    h("span", { class: "chat-text" },
      h("span", { class: "chat-top" }, name(chat), last && h("time", { class: "chat-time", datetime: last.stored_at }, brief(last.stored_at))),
      h("span", { class: "chat-bottom" }, preview(chat),
        chat.unread ? h("span", { class: "badge" }, String(chat.unread), h("span", { class: "sr" }, t("chats.unread", { n: chat.unread }))) : null)),
  ));
}

function name(chat) {
  const sign = chat.verified && !chat.stopped ? h("span", { class: "verified", title: t("verified") }, icon("shield", 15), h("span", { class: "sr" }, t("verified"))) : null;
  const here = chat.connected ? h("span", { class: "sr" }, t("presence.now")) : null;
  return h("span", { class: "chat-name" }, chat.name ? said(chat.name) : code(chat.uin), sign, here);
}

function preview(chat) {
  if (chat.stopped) return h("span", { class: "chat-preview alert-text" }, t("chats.stopped"));
  if (chat.blocked) return h("span", { class: "chat-preview" }, t("chats.blocked"));
  if (chat.downgraded) return h("span", { class: "chat-preview alert-text" }, t("downgraded"));
  if (chat.draft && !chat.unread) return h("span", { class: "chat-preview" }, h("em", {}, t("chats.draft")), " ", said(line(chat.draft, 60)));
  if (chat.last) return h("span", { class: "chat-preview" }, chat.last.outgoing ? glyph(chat.last) : null, said(line(chat.last.text, 80)));
  return h("span", { class: "chat-preview" }, chat.last_seen ? t("presence.seen", { ago: ago(chat.last_seen) }) : t("chats.silent"));
}

function nothing(words) {
  if (words.trim()) return h("p", { class: "hint pad" }, t("chats.none.found"));
  return empty("user", t("chats.none"), t("chats.none.do"),
    h("a", { class: "button primary", href: "#/add" }, t("nav.add")), h("a", { class: "button", href: "#/me" }, t("nav.me")));
}

/** The chat after, or before, this one, in the order of the list. */
export function beside(uin, step) {
  const chats = listed();
  const at = chats.findIndex((chat) => chat.uin === uin);
  return chats.length ? chats[(at + step + chats.length) % chats.length] : null;
}
