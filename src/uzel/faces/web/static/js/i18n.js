// What the page says, in the language that was chosen. Every text is in a catalogue of `lang/`; nothing visible is
// written anywhere else. A text may have forms by number; `{name}` stands for a value. What a first look never says is in
// the catalogue's second half, `…_rest`.

const LANGUAGES = ["en", "ru"];
const state = { language: "en", texts: {}, plural: new Intl.PluralRules("en"), rest: false, whole: null };

/** "en" or "ru": what was chosen, or what the browser asks for. */
export function wanted(choice) {
  if (LANGUAGES.includes(choice)) return choice;
  const asked = navigator.languages.map((each) => each.slice(0, 2).toLowerCase());
  return asked.find((each) => LANGUAGES.includes(each)) ?? "en";
}

/** Speak this language from now on. */
export async function speak(language) {
  const [first, rest] = await Promise.all([read(language), state.rest && read(`${language}_rest`)]);
  use(language, { ...first, ...rest });
}

/** Have all texts, in this language and in any that is spoken later. */
export function everything() {
  state.rest = true;
  state.whole ??= speak(state.language).catch((error) => {
    state.whole = null;
    throw error;
  });
  return state.whole;
}

const read = async (name) => (await import(`./lang/${name}.js`)).default;

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
