// Strangers who want to be let in. What they said is no text before they are, so that nobody is made to read it.

import { post, put } from "./api.js";
import { avatar } from "./avatar.js";
import { confirm } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { page, pageHead } from "./page_parts.js";
import { button, empty, field, form, submit, textInput } from "./parts.js";
import { code } from "./plain_text.js";
import { go } from "./router.js";
import { on, refreshRequests, store } from "./store.js";
import { ago } from "./time.js";

/** The view of /requests. */
export function requestList(_, signal) {
  const list = h("div", { class: "stack" });
  const shown = new Map();
  const none = empty("user", t("requests.none"), t("requests.none.do"), h("a", { class: "button", href: "#/settings" }, t("requests.settings")));
  const draw = () => {
    const items = store.requests.map((request) => {
      const key = `${request.uin} ${request.fingerprint}`;
      if (!shown.has(key)) shown.set(key, item(request, signal));
      shown.get(key).said(request);
      return shown.get(key);
    });
    arrange(list, items.length ? items : [none]);
  };
  on("requests", draw, signal);
  draw();
  return { title: t("requests"), node: page(pageHead(t("requests")), h("p", { class: "lead" }, t("requests.words")), list) };
}

/** Give it these children; what is there stays as it is, with what is typed in it. */
function arrange(list, wanted) {
  for (const each of [...list.children]) if (!wanted.includes(each)) each.remove();
  wanted.forEach((each, index) => list.children[index] !== each && list.insertBefore(each, list.children[index] ?? null));
}

function item(request, signal) {
  const name = textInput({ maxlength: "64", dir: "auto" });
  const accept = async () => {
    const contact = await post(`/v1/requests/${request.uin}/accept`, { name: name.value.trim() });
    if (!signal.aborted) go(`/chat/${contact.uin}`); // who went elsewhere meanwhile types there
  };
  const refuse = async () => {
    await post(`/v1/requests/${request.uin}/refuse`);
    await refreshRequests();
  };
  const block = async () => {
    if (!await confirm(t("contact.block"), t("contact.block.sure", { name: request.uin }), t("contact.block"))) return;
    await put(`/v1/blocks/${request.uin}`);
    await refreshRequests();
  };
  const words = h("p", { class: "hint" });
  const card = h("section", { class: "card request", "aria-label": String(request.uin) },
    h("div", { class: "request-who" }, avatar(request, "big"), h("div", {}, h("h2", {}, code(request.uin)),
      words, h("p", { class: "hint small-print" }, t("requests.key"), " ", code(request.fingerprint)))),
    form(accept, field(t("requests.name"), name),
      h("div", { class: "row" }, submit(t("requests.accept")), button(t("requests.refuse"), refuse), button(t("contact.block"), block, { kind: "danger quiet" }))));
  card.said = ({ has_text: text, last_at: at }) => fill(words, t(text ? "requests.said" : "requests.knocked", { ago: ago(at) }));
  return card;
}
