// What a first look does not need: modules, and with the first of them the rest of the texts and of the styles.

import { Problem } from "./api.js";
import { h } from "./dom.js";
import { everything } from "./i18n.js";

let styles = null;

/** A module, once all that it needs is there. Fails as a request does when the core cannot be reached. */
export async function more(name) {
  try {
    styles ??= sheet();
    return (await Promise.all([import(`./${name}.js`), everything(), styles]))[0];
  } catch (error) {
    console.warn(error);
    styles = null;
    throw new Problem("core_silent", 0);
  }
}

const sheet = () => new Promise((onload, onerror) => document.head.append(h("link", { rel: "stylesheet", href: "/static/css/pages.css", onload, onerror })));
