// Where the page begins: let this browser in, fetch what is there, then show it, after the first run if there was none.

import { onSignedOut, secret } from "./api.js";
import { conversation } from "./conversation.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { knot } from "./icons.js";
import { apply, remembered } from "./looks.js";
import { more } from "./more.js";
import { notices } from "./notices.js";
import { empty } from "./parts.js";
import { again, path, route } from "./router.js";
import { note, sentence } from "./say.js";
import { raise, redraw, roomy } from "./shell.js";
import { signIn } from "./sign_in.js";
import { on, open, store } from "./store.js";

/** A view whose module is fetched when it is first shown. */
const later = (module, view) => async (parameters, signal) => (await more(module))[view](parameters, signal);

route("/", home);
route("/chat/:uin", conversation);
route("/chat/:uin/at/:number", conversation);
route("/contact/:uin", contact);
route("/add", later("add_contact", "addContact"));
route("/me", later("me_page", "mePage"));
route("/requests", later("request_list", "requestList"));
route("/invites", later("invites", "invites"));
route("/search", later("search", "search"));
route("/settings", later("settings", "settings"));

const noticing = new AbortController();
await remembered();
onSignedOut(() => {
  if (!store.stream) return;
  secret.forget();
  location.reload(); // nothing of what was shown stays: no dialog, no name in the title
});
await begin();

async function begin() {
  const problem = (await signIn()) ?? (await open().then(() => null, (failed) => failed));
  if (problem) {
    const page = problem.status === 401 && await more("sign_page").catch(() => null);
    if (page) page.signInPage(problem, begin);
    else lost(problem);
    return;
  }
  await apply();
  notices(noticing.signal);
  on("preferences", changed, noticing.signal);
  on("device", (device) => device.change === "address_reused" && note(t("devices.reused"), { bad: true }), noticing.signal);
  if (store.profile.set_up) raise();
  else (await more("first_run")).firstRun(raise);
}

/** The core does not answer, or not as it should. */
function lost(problem) {
  fill(document.getElementById("app"), h("main", { class: "first-run" }, h("div", { class: "first-card" }, knot(56), h("h1", { tabindex: "-1" }, t("sign.lost")),
    h("p", { class: "lead" }, sentence(problem)), h("button", { type: "button", class: "button primary", onclick: () => location.reload() }, t("lost.retry")))));
  document.querySelector("h1").focus();
}

/** Something was chosen in another window, or on another device. */
async function changed(names) {
  await apply();
  if (names.includes("language")) redraw();
  else if (path() === "/settings") again();
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
async function contact(parameters, signal) {
  const { contactPage } = await more("contact_page");
  const shown = contactPage(parameters, signal);
  return roomy() ? conversation(parameters, signal, shown) : shown;
}
