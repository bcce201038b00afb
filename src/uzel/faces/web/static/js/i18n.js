// What the page says, in the language that was chosen. Every text is in a catalogue of `lang/`; nothing visible is
// written anywhere else. A text may have forms by number; `{name}` stands for a value.

const LANGUAGES = { en: () => import("./lang/en.js"), ru: () => import("./lang/ru.js") };
const state = { language: "en", texts: {}, plural: new Intl.PluralRules("en") };

/** "en" or "ru": what was chosen, or what the browser asks for. */
export function wanted(choice) {
  if (choice in LANGUAGES) return choice;
  const asked = navigator.languages.map((each) => each.slice(0, 2).toLowerCase());
  return asked.find((each) => each in LANGUAGES) ?? "en";
}

/** Speak this language from now on. */
export async function speak(language) {
  use(language, (await LANGUAGES[language]()).default);
}

/** Speak with these texts. */
export function use(language, texts) {
  Object.assign(state, { language, texts, plural: new Intl.PluralRules(language) });
  document.documentElement.lang = language;
}

/** The language that is spoken. */
export const language = () => state.language;

/** The same as the browser's own kind of it, if it is that: en-GB for en. */
export const locale = () => navigator.languages.find((each) => each.startsWith(state.language)) ?? state.language;

/** A text. Values are put in as they are: where they come from others, use `parts`. */
export function t(key, values = {}) {
  return form(key, values).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** A text as a list, in which each value is a node or a text of its own. */
export function parts(key, values) {
  return form(key, values).split(/(\{\w+\})/).map((part) => {
    const name = part.slice(1, -1);
    return part.startsWith("{") && name in values ? values[name] : part;
  });
}

/** Whether there is such a text. */
export const has = (key) => key in state.texts;

function form(key, values) {
  const text = state.texts[key] ?? key;
  return typeof text === "string" ? text : text[state.plural.select(Number(values.n ?? 0))] ?? text.other;
}
