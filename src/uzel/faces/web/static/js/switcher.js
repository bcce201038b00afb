// Ctrl+K: to another chat, by the first letters of its name.

import { avatar } from "./avatar.js";
import { matching } from "./chat_list.js";
import { open } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { said, code } from "./plain_text.js";
import { go } from "./router.js";

const MOST = 8;

export function switcher() {
  let at = 0;
  let found = [];
  const list = h("ul", { role: "listbox", id: "switch-list", class: "switch-list", "aria-label": t("chats") });
  const input = h("input", {
    type: "text", role: "combobox", class: "search-input", "aria-label": t("switch"), "aria-expanded": "true", "aria-controls": "switch-list",
    autocomplete: "off", placeholder: t("chats.filter"), autofocus: true, oninput: () => draw(0), onkeydown: (event) => press(event),
  });
  const none = h("p", { class: "hint" }, t("chats.none.found"));
  const take = (chat) => {
    dialog.close();
    go(`/chat/${chat.uin}`);
  };
  const draw = (chosen) => {
    found = matching(input.value).slice(0, MOST);
    at = found.length ? (chosen + found.length) % found.length : 0;
    fill(list, found.map((chat, index) =>
      h("li", { role: "option", id: `switch-${index}`, "aria-selected": String(index === at), onclick: () => take(chat) },
        avatar(chat), chat.name ? said(chat.name) : code(chat.uin))));
    list.hidden = found.length === 0;
    none.hidden = found.length > 0;
    if (found.length) input.setAttribute("aria-activedescendant", `switch-${at}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const press = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) draw(at + step);
    else if (event.key === "Enter" && found.length) take(found[at]);
    else return;
    event.preventDefault();
  };
  const dialog = open(t("switch"), [input, list, none], { name: "switcher" });
  draw(0);
}
