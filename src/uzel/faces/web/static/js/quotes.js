// What replies answer: the texts of a chat by their ids, as far as they are known here; the core is asked for others.
//
// Of each only what a quote shows is kept, and of those the latest. One is asked for at a time.

import { get } from "./api.js";

const MOST = 1000;
const MOST_CHARACTERS = 400;

export class Quotes {
  #uin;
  #signal;
  #known = new Map();
  #asking = new Map();
  #last = Promise.resolve();

  constructor(uin, signal) {
    this.#uin = uin;
    this.#signal = signal;
  }

  /** Texts that were seen. */
  learn(records) {
    for (const { id, number, outgoing, text } of records) this.#keep(id, { number, outgoing, text: text.slice(0, MOST_CHARACTERS) });
  }

  /** What is known: null when there is no such text, undefined when nobody asked yet. */
  get(id) {
    return this.#known.get(id);
  }

  /** The text, or null; undefined when the core did not answer. */
  find(id) {
    if (this.#known.has(id)) return Promise.resolve(this.#known.get(id));
    if (!this.#asking.has(id)) {
      this.#last = this.#last.then(() => this.#ask(id)).finally(() => this.#asking.delete(id));
      this.#asking.set(id, this.#last);
    }
    return this.#asking.get(id);
  }

  /** A text is gone; the ids that meant it. */
  forget(number) {
    const gone = [...this.#known].filter(([, known]) => known?.number === number).map(([id]) => id);
    for (const id of gone) this.#keep(id, null);
    return gone;
  }

  /** All texts are gone, or may be. */
  clear() {
    this.#known.clear();
  }

  async #ask(id) {
    if (this.#signal.aborted) return undefined;
    try {
      const { texts } = await get(`/v1/texts?chat=${this.#uin}&id=${id}`, this.#signal);
      this.#keep(id, null);
      this.learn(texts);
    } catch {
      return undefined;
    }
    return this.#known.get(id);
  }

  #keep(id, known) {
    this.#known.delete(id);
    this.#known.set(id, known);
    if (this.#known.size > MOST) this.#known.delete(this.#known.keys().next().value);
  }
}
