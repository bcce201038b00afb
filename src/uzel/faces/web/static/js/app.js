// Where the page begins: let this browser in, fetch what is there, then show it, after the first run if there was none.

import { addContact } from "./add_contact.js";
import { onSignedOut, secret } from "./api.js";
import { contactPage } from "./contact_page.js";
import { conversation } from "./conversation.js";
import { h } from "./dom.js";
import { firstRun } from "./first_run.js";
import { t } from "./i18n.js";
import { knot } from "./icons.js";
import { invites } from "./invites.js";
import { apply, remembered } from "./looks.js";
import { mePage } from "./me_page.js";
import { notices } from "./notices.js";
import { empty } from "./parts.js";
import { requestList } from "./request_list.js";
import { route } from "./router.js";
import { search } from "./search.js";
import { settings } from "./settings.js";
import { lower, raise, roomy } from "./shell.js";
import { signIn, signInPage } from "./sign_in.js";
import { close, on, open, store } from "./store.js";

route("/", home);
route("/chat/:uin", conversation);
route("/chat/:uin/at/:number", conversation);
route("/contact/:uin", contactPlace);
route("/add", addContact);
route("/me", mePage);
route("/requests", requestList);
route("/invites", invites);
route("/search", search);
route("/settings", settings);

const noticing = new AbortController();
await remembered();
onSignedOut(() => {
  if (!store.stream) return;
  secret.forget();
  close();
  lower();
  signInPage({ code: "unauthorized" }, () => location.reload());
});
await begin();

async function begin() {
  const problem = (await signIn()) ?? (await open().then(() => null, (failed) => failed));
  if (problem) {
    signInPage(problem, begin);
    return;
  }
  await apply();
  notices(noticing.signal);
  on("preferences", apply, noticing.signal);
  if (store.profile.set_up) raise();
  else firstRun(raise);
}

/** Nothing is chosen: what to do next. */
function home() {
  const words = store.chats.size ? t("home.words") : t("chats.none.do");
  return {
    title: "",
    node: h("div", { class: "home" }, empty(knot(96), store.chats.size ? t("home.title") : t("home.first"), words,
      h("a", { class: "button primary", href: "#/add" }, t("nav.add")), h("a", { class: "button", href: "#/me" }, t("nav.me")))),
    focus: () => {},
  };
}

/** A contact: beside the conversation where there is room, else instead of it. */
function contactPlace(parameters, signal) {
  const contact = contactPage(parameters, signal);
  return roomy() ? conversation(parameters, signal, contact) : contact;
}
