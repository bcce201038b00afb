// Files that are put into a text: what is in them, as long as it is text and not too much.

import { t } from "./i18n.js";
import { line } from "./plain_text.js";

/** Their texts, one behind the other, up to the first that is none or is longer than so many bytes: `wrong` says so. */
export async function read(files, most) {
  let text = "";
  for (const file of files) {
    const found = file.size > most ? null : await readText(file);
    if (found === null) return { text, wrong: t(file.size > most ? "composer.file.long" : "composer.file.binary", { name: line(file.name, 60) }) };
    text += found;
  }
  return { text, wrong: null };
}

async function readText(file) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\u0000") ? null : text;
  } catch {
    return null;
  }
}
