// What the page says beside the views: to screen readers, and in short notes at the edge.

import { h } from "./dom.js";
import { Problem } from "./api.js";
import { t } from "./i18n.js";

const SHOWN = 6000;

/** Tell a screen reader, without moving the focus. What was told does not stay: it may be deleted meanwhile. */
export function announce(words, { alarm = false } = {}) {
  const region = document.getElementById(alarm ? "alarm" : "said");
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = words;
  });
  setTimeout(() => region.textContent === words && region.replaceChildren(), SHOWN);
}

/** A short note that goes by itself. */
export function note(words, { bad = false } = {}) {
  const element = h("div", { class: bad ? "toast bad" : "toast" }, words);
  document.getElementById("toasts").append(element);
  announce(words, { alarm: bad });
  setTimeout(() => element.remove(), SHOWN);
}

/** Say what went wrong. Something that was given up meanwhile says nothing. */
export function complain(problem) {
  if (problem?.name === "AbortError") return;
  note(sentence(problem), { bad: true });
}

/** A problem in words. */
export function sentence(problem) {
  if (!(problem instanceof Problem)) {
    console.error(problem);
    return t("problem.unexpected");
  }
  return problem.sentence;
}

/** A listener that does this and says what went wrong; what it belongs to is disabled meanwhile. */
export const doing = (call) => async (event) => {
  event?.preventDefault?.();
  const target = event?.submitter ?? event?.currentTarget;
  if (target?.getAttribute?.("aria-disabled") === "true") return;
  target?.setAttribute?.("aria-disabled", "true");
  try {
    await call(event);
  } catch (problem) {
    complain(problem);
  } finally {
    target?.removeAttribute?.("aria-disabled");
  }
};

/** Put it into the clipboard. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    note(t("copied"));
  } catch {
    note(t("copy.failed"), { bad: true });
  }
}

/** Hand the person a file. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
