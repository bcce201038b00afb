// Where one types: a draft that the core keeps, Enter sends, Shift+Enter begins a line, text files are taken as text.

import { post, put } from "./api.js";
import { nameOf } from "./avatar.js";
import { fill, h, later } from "./dom.js";
import { t } from "./i18n.js";
import { more } from "./more.js";
import { iconButton, mistake } from "./parts.js";
import { line, said } from "./plain_text.js";
import { announce, complain, sentence } from "./say.js";
import { on, store } from "./store.js";

const MOST_BYTES = 512 * 1024;
const SAVE_AFTER = 500;
const encoder = new TextEncoder();
/** What was typed and the core does not have yet, by chat: it is there when one comes back. */
const typed = new Map();

export class Composer {
  #uin;
  #reply = null;
  #saved;
  #changes = 0;
  #last = Promise.resolve();
  #save = later(() => this.#keep(), SAVE_AFTER);

  /** `onUp` is called when one goes up from an empty line. */
  constructor(contact, { onUp, author }, signal) {
    this.#uin = contact.uin;
    this.#saved = contact.draft ?? "";
    this.author = author;
    this.input = h("textarea", {
      rows: "1", class: "composer-input", dir: "auto", "aria-label": t("composer.label", { name: nameOf(contact) }), placeholder: t("composer.placeholder"),
      value: typed.get(contact.uin) ?? this.#saved, oninput: () => this.#typed(), onkeydown: (event) => this.#press(event, onUp), "aria-describedby": "composer-hint",
    });
    this.wrong = mistake();
    this.quote = h("div", { class: "reply", hidden: true });
    const file = h("input", { type: "file", class: "sr", tabindex: "-1", "aria-hidden": "true", onchange: () => this.#take(file.files) });
    this.node = h("form", { class: "composer", onsubmit: (event) => this.#send(event) },
      this.quote, this.wrong,
      h("div", { class: "composer-row" },
        iconButton("file", t("composer.file"), () => {
          file.value = ""; // the same one again is chosen anew
          file.click();
        }), file, this.input,
        iconButton("send", t("composer.send"), null, { type: "submit", class: "icon-button send" })),
      h("p", { id: "composer-hint", class: "sr" }, t("composer.hint")));
    this.#drop();
    signal.addEventListener("abort", () => this.#save.now());
    on("link", () => store.link.up && this.#keep(), signal);
    this.#keep();
    window.addEventListener("pagehide", () => this.#save.now(), { signal });
    queueMicrotask(() => this.#fit());
  }

  focus() {
    this.input.focus();
    this.input.setSelectionRange(this.input.value.length, this.input.value.length);
  }

  /** The draft as another device left it, which `ask` tells; what is typed here goes before, and so does a later answer. */
  async adopt(ask) {
    const change = ++this.#changes;
    const draft = await ask();
    if (change !== this.#changes || this.input.value !== this.#saved || draft === this.#saved) return;
    this.#saved = draft;
    this.input.value = draft;
    this.#fit();
  }

  /** That text is gone, or with null all of them: it is not answered. */
  forget(number = null) {
    if (this.#reply && (number === null || this.#reply.number === number)) this.replyTo(null);
  }

  replyTo(record) {
    this.#reply = record;
    this.quote.hidden = record === null;
    const drop = () => {
      this.replyTo(null);
      this.focus();
    };
    fill(this.quote, record && [
      h("span", { class: "quote-who" }, this.author(record)), said(line(record.text, 160), "reply-text"), iconButton("close", t("composer.noreply"), drop)]);
    if (record) this.focus();
  }

  /** One after the other, for the core to have it in the order of typing. */
  #inTurn(call) {
    const done = this.#last.then(call);
    this.#last = done.catch(() => {});
    return done;
  }

  #keep() {
    return this.#inTurn(() => this.#put());
  }

  async #put() {
    const draft = this.input.value;
    if (draft === this.#saved || encoder.encode(draft).length > MOST_BYTES) return;
    const before = this.#saved;
    this.#saved = draft;
    this.#changes += 1;
    try {
      await put(`/v1/chats/${this.#uin}/draft`, { draft });
      if (typed.get(this.#uin) === draft) typed.delete(this.#uin);
    } catch {
      this.#saved = before;
    }
  }

  #typed() {
    this.#fit();
    typed.set(this.#uin, this.input.value);
    this.wrong.say(this.#tooLong() ? t("composer.long") : null);
    this.#save();
  }

  #tooLong() {
    const { value } = this.input;
    return value.length > MOST_BYTES / 3 && encoder.encode(value).length > MOST_BYTES;
  }

  #fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
  }

  #press(event, onUp) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this.node.requestSubmit();
    } else if (event.key === "ArrowUp" && this.input.value === "" && !event.altKey) {
      event.preventDefault();
      onUp();
    } else if (event.key === "Escape" && this.#reply) {
      event.preventDefault();
      this.replyTo(null);
    }
  }

  async #send(event) {
    event.preventDefault();
    const text = this.input.value;
    if (text.trim() === "" || this.#tooLong()) return;
    const reply = this.#reply;
    this.input.value = "";
    this.replyTo(null);
    this.#typed();
    try {
      await this.#inTurn(() => post("/v1/texts", { to: this.#uin, text, ...(reply ? { reply: reply.id } : {}) }));
      announce(t("composer.queued"));
      await this.#save.now();
    } catch (problem) {
      this.input.value = text + (this.input.value ? `\n${this.input.value}` : "");
      if (reply) this.replyTo(reply);
      this.#typed();
      this.wrong.say(sentence(problem));
      if (!this.node.isConnected) complain(problem);
    }
  }

  #drop() {
    this.node.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.node.classList.add("over");
    });
    this.node.addEventListener("dragleave", () => this.node.classList.remove("over"));
    this.node.addEventListener("drop", (event) => {
      this.node.classList.remove("over");
      if (event.dataTransfer.files.length === 0) return;
      event.preventDefault();
      this.#take(event.dataTransfer.files);
    });
  }

  /** Text files become text; anything else is refused in words. */
  async #take(files) {
    try {
      const { text, wrong } = await (await more("text_files")).read([...files], MOST_BYTES);
      this.input.setRangeText(text, this.input.selectionStart, this.input.selectionEnd, "end");
      this.#typed();
      if (wrong) this.wrong.say(wrong);
      else this.focus();
    } catch (problem) {
      complain(problem);
    }
  }
}
