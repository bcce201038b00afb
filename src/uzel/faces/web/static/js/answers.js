// Answers of the core, beside what it tells of by itself: an answer that is older takes nothing back.

import { get } from "./api.js";

/** Ask, and use the answer, unless one that was asked for later has come before it. */
export function inTurn(ask, use) {
  let asked = 0;
  let used = 0;
  return async () => {
    const turn = ++asked;
    const answer = await ask();
    if (turn < used) return;
    used = turn;
    use(answer);
  };
}

/** A contact; null when they are none (any more). */
export async function contactOf(uin, signal) {
  try {
    return await get(`/v1/contacts/${uin}`, signal);
  } catch (problem) {
    if (problem.code !== "not_a_contact") throw problem;
    return null;
  }
}

/** A text is in this state now. */
export const become = (record, { state, reason, changed_at }) => Object.assign(record, { state, reason, changed_at });

/** The texts of a chat. What is told of while the core is asked is given on to `came`, `changed` and `gone`. */
export class Texts {
  #chat;
  #signal;
  #asking = new Set();

  constructor(uin, signal) {
    this.#chat = `/v1/chats/${uin}/texts`;
    this.#signal = signal;
  }

  came(record) {
    for (const told of this.#asking) told.came.push(record);
  }

  changed(state) {
    for (const told of this.#asking) told.states.push(state);
  }

  gone(number) {
    for (const told of this.#asking) told.gone.add(number);
  }

  /** A page of them: `more` when it is a whole one, `came` at the end meanwhile, if nothing else is behind it. */
  page(query, most) {
    return this.#current(async () => {
      const texts = await this.#ask(`${query}limit=${most}`);
      return { texts, more: texts.length === most };
    });
  }

  /** One and those around it: what is `older` and `newer` than they are. */
  around(number, most) {
    return this.#current(async () => {
      const { texts } = await get(`/v1/texts/${number}/around?limit=${most}`, this.#signal);
      const [older, newer] = await Promise.all([
        this.#ask(`before=${texts[0].number}&limit=1`), this.#ask(`after=${texts.at(-1).number}&limit=1`)]);
      return { texts, older, newer };
    });
  }

  async #ask(query) {
    return (await get(`${this.#chat}?${query}`, this.#signal)).texts;
  }

  /** The answer as things are when it comes. */
  async #current(work) {
    const told = { came: [], states: [], gone: new Set() };
    this.#asking.add(told);
    try {
      const answer = await work();
      const last = answer.texts.at(-1)?.number ?? 0;
      const here = (each) => !told.gone.has(each.number);
      const texts = answer.texts.filter(here);
      const came = told.came.filter((each) => each.number > last && here(each));
      for (const state of told.states) {
        const record = [...texts, ...came].find((each) => each.number === state.number);
        if (record && record.changed_at <= state.changed_at) become(record, state);
      }
      return { ...answer, texts, came };
    } finally {
      this.#asking.delete(told);
    }
  }
}
