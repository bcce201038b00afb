// What the person chose for the page as a whole: its language and its theme.

import { speak, wanted } from "./i18n.js";
import { store } from "./store.js";

const REMEMBERED = "uzel.looks";

/** Before the core was asked: as it was here last. */
export async function remembered() {
  try {
    const looks = JSON.parse(localStorage.getItem(REMEMBERED) ?? "{}");
    paint(looks.theme);
    await speak(wanted(looks.language));
  } catch {
    await speak(wanted("auto"));
  }
}

/** As the preferences say. */
export async function apply() {
  const { language, theme } = store.preferences;
  localStorage.setItem(REMEMBERED, JSON.stringify({ language, theme }));
  paint(theme);
  await speak(wanted(language));
}

function paint(theme) {
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
}
