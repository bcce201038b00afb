// The live events of the core, read with fetch, for an EventSource could not carry the second secret.
//
// It is resumed behind the last event that was seen; each comes once and in order. When it breaks it is tried again
// after a growing, uneven time, which is told, so that a countdown can be shown; `retry` does not wait for it.

import { raw } from "./api.js";

const FIRST = 500;
const LONGEST = 30_000;
const SILENCE = 40_000;

/** Takes the stream in pieces; gives whole events. */
export class Parser {
  #rest = "";

  feed(piece) {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop();
    return blocks.map(block).filter((event) => event !== null);
  }
}

function block(text) {
  const event = { id: null, kind: "", data: "" };
  for (const line of text.split("\n")) {
    if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("event: ")) event.kind = line.slice(7);
    else if (line.startsWith("data: ")) event.data += line.slice(6);
  }
  return event.kind === "" ? null : { ...event, data: JSON.parse(event.data) };
}

/** Follows the events behind `after`. `onEvent(kind, data)`; `onLink({ up, retryAt })` when it breaks and stands. */
export class Stream {
  #after;
  #wake = () => {};

  constructor(after, { onEvent, onLink }) {
    this.#after = String(after);
    this.onEvent = onEvent;
    this.onLink = onLink;
  }

  /** Goes on until this browser is signed out. */
  async run() {
    let wait = FIRST;
    for (;;) {
      try {
        await this.#read(() => {
          wait = FIRST;
        });
      } catch (problem) {
        if (problem.status === 401) return;
      }
      const pause = wait * (0.75 + Math.random() / 2);
      wait = Math.min(wait * 2, LONGEST);
      this.onLink({ up: false, retryAt: Date.now() + pause });
      await this.#pause(pause);
    }
  }

  retry() {
    this.#wake();
  }

  async #read(onReady) {
    const quiet = new AbortController();
    let watch = setTimeout(() => quiet.abort(), SILENCE);
    try {
      const answer = await raw("GET", `/v1/events?after=${this.#after}`, { signal: quiet.signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new Parser();
      this.onLink({ up: true, retryAt: null });
      onReady();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watch);
        watch = setTimeout(() => quiet.abort(), SILENCE);
        for (const event of parser.feed(value)) this.#take(event);
      }
    } finally {
      clearTimeout(watch);
    }
  }

  #take(event) {
    if (event.id !== null) this.#after = event.id;
    this.onEvent(event.kind, event.data);
  }

  #pause(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.#wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }
}
