// Search over all chats, or one: what was found, marked, with the way to its place.

import { get } from "./api.js";
import { avatar, nameOf } from "./avatar.js";
import { fill, h, later } from "./dom.js";
import { t } from "./i18n.js";
import { instead, page, pageHead } from "./page_parts.js";
import { button, empty } from "./parts.js";
import { code, line, said, visible } from "./plain_text.js";
import { announce } from "./say.js";
import { on, store } from "./store.js";
import { moment } from "./time.js";

const PAGE = 50;
const AROUND = 90;

/** The view of /search?q=…&chat=… */
export function search({ query }, signal) {
  const chat = Number(query.get("chat")) || null;
  const state = { before: null, asked: "" };
  const list = h("ul", { class: "plain-list hits" });
  const none = h("div", {});
  const more = button(t("search.more"), () => ask(false), { hidden: true });
  const input = h("input", { type: "search", class: "search-input", "aria-label": t("search"), placeholder: t("search.words"), value: query.get("q") ?? "", maxlength: "1000", autocomplete: "off" });
  const ask = async (anew) => {
    if (signal.aborted) return; // what was typed last is asked for a little later: another place may be shown
    const words = input.value.trim();
    if (anew) Object.assign(state, { before: null, asked: words });
    history.replaceState(null, "", `#/search?${new URLSearchParams({ ...(words && { q: words }), ...(chat && { chat }) })}`);
    if (!words) {
      fill(list);
      more.hidden = true;
      fill(none, empty("search", t("search.start"), t("search.start.do")));
      return;
    }
    const asked = new URLSearchParams({ q: words, limit: PAGE, ...(chat && { chat }), ...(state.before && { before: state.before }) });
    const { hits } = await get(`/v1/search?${asked}`, signal);
    if (signal.aborted || state.asked !== words) return;
    if (anew) fill(list);
    list.append(...hits.map(item));
    state.before = hits.at(-1)?.text.number ?? null;
    more.hidden = hits.length < PAGE;
    fill(none, list.childElementCount ? null : empty("search", t("search.none"), t("search.none.do")));
    announce(t("search.found", { n: list.childElementCount }));
  };
  const wrong = instead(none);
  input.addEventListener("input", later(() => ask(true).catch(wrong), 200));
  ask(true).catch(wrong);
  on("removed", (gone) => list.querySelector(`[data-number="${gone.number}"]`)?.remove(), signal);
  on("deleted", () => ask(true).catch(wrong), signal);
  const within = chat ? h("p", { class: "hint" }, t("search.within"), " ", said(nameOf(store.chats.get(chat) ?? { uin: chat })), " ", h("a", { href: "#/search" }, t("search.all"))) : null;
  return {
    title: t("search"), focus: () => input.focus(),
    node: page(pageHead(t("search")), h("div", { class: "search-box", role: "search", "aria-label": t("search") }, input, within), none, list, h("div", { class: "row" }, more)),
  };
}

function item({ text, spans }) {
  const who = store.chats.get(text.chat) ?? { uin: text.chat, name: "" };
  return h("li", { "data-number": text.number }, h("a", { class: "hit", href: `#/chat/${text.chat}/at/${text.number}` }, avatar(who), h("span", { class: "hit-text" },
    h("span", { class: "chat-top" }, h("span", { class: "chat-name" }, who.name ? said(line(who.name)) : code(who.uin)), h("time", { class: "chat-time", datetime: text.stored_at }, moment(text.stored_at))),
    h("span", { class: "hit-words", dir: "auto" }, text.outgoing ? `${t("you")}: ` : null, h("bdi", { dir: "auto" }, marked(text.text, spans))))));
}

/** The text around what was found; spans count code points. */
function marked(text, spans) {
  const characters = [...text];
  const start = Math.max(0, (spans[0]?.[0] ?? 0) - AROUND);
  const end = Math.min(characters.length, start + 3 * AROUND);
  const cut = (from, to) => visible(characters.slice(from, to).join(""));
  const nodes = [start > 0 ? "…" : null];
  let at = start;
  for (const [from, to] of spans.filter(([first, last]) => first >= start && last <= end)) {
    nodes.push(cut(at, from), h("mark", {}, cut(from, to)));
    at = to;
  }
  return [...nodes, cut(at, end), end < characters.length ? "…" : null];
}
