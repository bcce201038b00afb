// The texts of a conversation, by window: a contiguous run of them is in the document, and no more.
//
// Older ones are fetched when one scrolls up, newer ones when one comes back down; at the other end as many leave. What
// one looks at stays where it is. At the end new texts come in and the view follows; elsewhere they are counted.

import { Texts, become } from "./answers.js";
import { del, post } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { row, stateOf } from "./message.js";
import { Quotes } from "./quotes.js";
import { complain } from "./say.js";
import { on } from "./store.js";
import { clock } from "./time.js";

const PAGE = 40;
const MOST = 180;
const NEAR = 700;
const AT_END = 48;

export class Log {
  #uin;
  #texts = [];
  #rows = new Map();
  #quotes;
  #atStart = false;
  #atEnd = true;
  #busy = false;
  #arrived = [];
  #core;
  #fresh = 0;
  #wishes = 0;
  #stuck = true;
  #readTo = 0;
  #signal;
  #about;

  /** `who`: { author(record), onMore(record, anchor), onArrived(record), onChanged() }. */
  constructor(uin, who, signal) {
    this.#uin = uin;
    this.#signal = signal;
    this.#core = new Texts(uin, signal);
    this.#quotes = new Quotes(uin, signal);
    this.who = who;
    this.loaded = false;
    this.inner = h("div", { class: "log-rows" });
    this.lastState = h("p", { class: "last-state" });
    this.scroller = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": t("log"), onkeydown: (event) => this.#walk(event) },
      h("div", { class: "log-width" }, this.inner, this.lastState));
    this.count = h("span", { class: "badge", hidden: true });
    this.jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.openLatest().catch(complain) }, icon("down", 18), t("log.latest"), this.count);
    this.node = h("div", { class: "log-frame" }, this.scroller, this.jump);
    this.#about = {
      firstUnread: null, authorOf: who.author, quotes: this.#quotes, onMore: who.onMore,
      onFound: (change) => (this.#stuck ? change() : this.#keep(change)),
      onQuote: (record) => this.openAround(record.number).catch(complain),
      onRetry: (record) => post(`/v1/texts/${record.number}/retry`).catch(complain),
    };
    this.#listen();
  }

  #listen() {
    const signal = this.#signal;
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const size = new ResizeObserver(() => this.#stuck && this.#toEnd());
    size.observe(this.scroller);
    size.observe(this.inner);
    signal.addEventListener("abort", () => size.disconnect());
    const here = (call) => (detail) => detail.chat === undefined || detail.chat === this.#uin ? call(detail) : undefined;
    on("text", here((record) => this.#arrives(record)), signal);
    on("state", here((state) => this.#changes(state)), signal);
    on("gate", ({ uin }) => uin === this.#uin && this.#waiting(), signal);
    on("removed", here((gone) => this.#removes(gone.number)), signal);
    on("deleted", here(() => this.#anew()), signal);
    on("anew", () => this.#anew(), signal);
    on("link", () => this.#seen(), signal);
    for (const kind of ["focus", "visibilitychange"]) window.addEventListener(kind, () => this.#seen(), { signal });
  }

  #anew() {
    this.#quotes.clear();
    this.#arrived = [];
    this.openLatest().catch(complain);
  }

  get empty() {
    return this.#texts.length === 0;
  }

  get last() {
    return this.#atEnd ? this.#texts.at(-1) : undefined;
  }

  /** The answer, or null when another place was wished for meanwhile. */
  async #wish(asking) {
    const wish = ++this.#wishes;
    const answer = await asking;
    return wish === this.#wishes ? answer : null;
  }

  /** Show the end. */
  async openLatest() {
    const last = await this.#wish(this.#core.page("", PAGE));
    if (!last) return;
    this.#end(last);
    this.#fresh = 0;
    this.#stuck = true;
    this.#toEnd();
    this.#settle();
  }

  /** Show where what was not read begins, with a line above it; else the end. */
  async openUnread() {
    const last = await this.#wish(this.#core.page("", PAGE));
    if (!last) return;
    const first = [...last.texts, ...last.came].find((each) => each.unread);
    this.#about.firstUnread = first?.number ?? null;
    this.#end(last);
    this.#toEnd();
    if (first) this.#rows.get(first.number).querySelector(".unread-line").scrollIntoView({ block: "center" });
    this.#scrolled();
  }

  /** Show a place in it, and the text there. */
  async openAround(number) {
    if (!this.#rows.has(number)) {
      const place = await this.#wish(this.#core.around(number, PAGE));
      if (!place) return;
      const { texts, came, older, newer } = place;
      const atEnd = newer.length === 0;
      this.#replace(atEnd ? [...texts, ...came] : texts, { atStart: older.length === 0, atEnd });
    }
    this.#stuck = false;
    const found = this.#rows.get(number);
    if (!found) return;
    found.scrollIntoView({ block: "center" });
    found.classList.add("found");
    setTimeout(() => found.classList.remove("found"), 2500);
    this.#point(found);
    found.querySelector(".more").focus({ preventScroll: true });
    this.#settle();
  }

  /** Give the keyboard to the last text. */
  enter() {
    this.inner.lastElementChild?.querySelector(".more").focus();
  }

  async remove(record) {
    await del(`/v1/texts/${record.number}`);
  }

  #end({ texts, came, more }) {
    this.#replace([...texts, ...came], { atStart: !more, atEnd: true });
  }

  #replace(texts, where) {
    this.loaded = true;
    this.#texts = texts;
    this.#atStart = where.atStart;
    this.#atEnd = where.atEnd;
    this.#quotes.learn(texts);
    this.#rows.clear();
    fill(this.inner, texts.map((each, index) => this.#row(each, texts[index - 1])));
    this.#point(this.inner.lastElementChild);
  }

  #row(record, previous) {
    const made = row(record, { ...this.#about, previous, author: this.who.author(record) });
    this.#rows.set(record.number, made);
    return made;
  }

  async #older() {
    if (this.#atStart || this.#busy || this.empty) return;
    await this.#while(async () => {
      const at = this.#texts[0];
      const { texts, more } = await this.#core.page(`before=${at.number}&`, PAGE);
      if (this.#texts[0] !== at) return; // the chat was deleted meanwhile, or another place of it is shown
      this.#atStart = !more;
      this.#keep(() => {
        this.#quotes.learn(texts);
        this.inner.prepend(...texts.map((each, index) => this.#row(each, texts[index - 1])));
        const first = this.#texts[0];
        this.#texts.unshift(...texts);
        this.#redraw(first.number);
        this.#trim(-1);
      });
    });
  }

  async #newer() {
    if (this.#atEnd || this.#busy || this.empty) return;
    await this.#while(async () => {
      const at = this.#texts.at(-1);
      const { texts, came, more } = await this.#core.page(`after=${at.number}&`, PAGE);
      if (this.#texts.at(-1) !== at) return;
      this.#atEnd = !more;
      this.#keep(() => this.#append(more ? texts : [...texts, ...came]));
    });
  }

  async #while(work) {
    this.#busy = true;
    try {
      await work();
    } catch (problem) {
      complain(problem);
    } finally {
      this.#busy = false;
    }
    this.#settle();
  }

  #append(texts) {
    this.#quotes.learn(texts);
    for (const each of texts) {
      if (this.#rows.has(each.number)) continue;
      this.inner.append(this.#row(each, this.#texts.at(-1)));
      this.#texts.push(each);
    }
    this.#trim(0);
  }

  /** So many are enough: the rest leaves, at the start (0) or the end (-1). */
  #trim(side) {
    while (this.#texts.length > MOST) {
      const [gone] = this.#texts.splice(side, 1);
      this.#rows.get(gone.number).remove();
      this.#rows.delete(gone.number);
      if (side === 0) this.#atStart = false;
      else this.#atEnd = false;
    }
    if (!this.inner.querySelector(".more[tabindex='0']")) this.#point(this.inner.lastElementChild);
  }

  /** Change the rows, and leave what one looks at where it is. */
  #keep(change) {
    const top = this.scroller.getBoundingClientRect().top;
    const seen = [...this.inner.children].find((each) => each.getBoundingClientRect().bottom > top);
    const number = Number(seen?.dataset.number);
    const at = () => this.#rows.get(number)?.querySelector("article").getBoundingClientRect().top;
    const before = at();
    change();
    const after = at();
    if (before !== undefined && after !== undefined) this.scroller.scrollTop += after - before;
  }

  #arrives(record) {
    this.#core.came(record);
    this.#arrived.push(record);
    if (this.#arrived.length === 1) requestAnimationFrame(() => this.#take());
  }

  #take() {
    const arrived = this.#arrived.splice(0);
    if (this.#signal.aborted || !arrived.length) return;
    arrived.forEach(this.who.onArrived);
    if (!this.loaded) return; // they come with the first answer; alone they would be read, and all before them with them
    if (this.#atEnd) {
      const last = this.#texts.at(-1)?.number ?? 0;
      const change = () => this.#append(arrived.filter((each) => each.number > last));
      if (this.#stuck) change();
      else this.#keep(change);
    }
    if (arrived.at(-1).outgoing && arrived.at(-1).state === "queued") this.#follow(arrived.at(-1));
    else if (!this.#stuck) this.#fresh += arrived.filter((each) => !each.outgoing).length;
    if (this.#stuck) this.#toEnd();
    this.#settle();
  }

  /** One's own new text is shown wherever one was. */
  #follow(record) {
    this.#fresh = 0;
    this.#wishes += 1;
    if (!this.#atEnd && !this.#rows.has(record.number)) this.openLatest().catch(complain);
    else {
      this.#stuck = true;
      this.#toEnd();
    }
  }

  #changes(state) {
    this.#core.changed(state);
    const record = this.#texts.find((each) => each.number === state.number) ?? this.#arrived.find((each) => each.number === state.number);
    if (!record) return;
    become(record, state);
    this.#redraw(state.number);
    this.#settle();
  }

  /** What is said of texts that wait is another thing now. */
  #waiting() {
    for (const each of this.#texts) if (each.state === "queued" || each.state === "sending") this.#redraw(each.number);
    this.#settle();
  }

  #redraw(number) {
    const index = this.#texts.findIndex((each) => each.number === number);
    const old = this.#rows.get(number);
    if (index < 0 || !old) return;
    const made = this.#row(this.#texts[index], this.#texts[index - 1]);
    const focused = old.contains(document.activeElement);
    const more = old.querySelector(".more");
    made.querySelector(".more").replaceWith(more); // its menu may be open
    old.replaceWith(made);
    if (focused) more.focus({ preventScroll: true });
  }

  #removes(number) {
    this.#core.gone(number);
    this.#arrived = this.#arrived.filter((each) => each.number !== number);
    const ids = this.#quotes.forget(number);
    for (const each of this.#texts) if (ids.includes(each.reply)) this.#redraw(each.number);
    const index = this.#texts.findIndex((each) => each.number === number);
    if (index < 0) return;
    this.#texts.splice(index, 1);
    const focused = this.#rows.get(number).contains(document.activeElement);
    this.#keep(() => {
      this.#rows.get(number).remove();
      this.#rows.delete(number);
      if (this.#texts[index]) this.#redraw(this.#texts[index].number);
    });
    this.#point(this.inner.lastElementChild);
    if (focused) this.enter();
    this.#settle();
  }

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    this.#stuck = this.#atEnd && below < AT_END;
    if (this.#stuck) this.#fresh = 0;
    if (scrollTop < NEAR) this.#older();
    if (below < NEAR) this.#newer();
    this.#settle();
  }

  /** What follows from where one is: the button, the state of the last text, what counts as read. */
  #settle() {
    this.jump.hidden = this.#stuck || this.empty;
    this.count.hidden = this.#fresh === 0;
    this.count.textContent = this.#fresh ? String(this.#fresh) : "";
    const { last } = this;
    const words = last?.outgoing ? stateOf(last) : "";
    const shown = last?.state === "delivered" ? t("state.delivered.at", { time: clock(last.changed_at) }) : words;
    if (this.lastState.textContent !== shown) this.lastState.textContent = shown;
    this.who.onChanged();
    this.#seen();
  }

  /** What is in view of somebody who looks is read. */
  #seen() {
    if (document.visibilityState !== "visible" || !document.hasFocus() || this.#signal.aborted) return;
    const bottom = this.scroller.getBoundingClientRect().bottom + 8;
    const shown = this.#texts.findLast((each) => each.unread && this.#rows.get(each.number).getBoundingClientRect().bottom <= bottom);
    if (!shown || shown.number <= this.#readTo) return;
    this.#readTo = shown.number;
    const read = this.#texts.filter((each) => each.unread && each.number <= shown.number);
    const mark = (unread) => read.forEach((each) => Object.assign(each, { unread }));
    mark(false);
    post(`/v1/chats/${this.#uin}/read`, { up_to: shown.number }).catch(() => {
      this.#readTo = 0;
      mark(true);
    });
  }

  #point(chosen) {
    for (const each of this.inner.querySelectorAll(".more[tabindex='0']")) each.tabIndex = -1;
    const more = chosen?.querySelector(".more");
    if (more) more.tabIndex = 0;
  }

  #walk(event) {
    const here = event.target.closest(".row-of-log");
    if (!here || !event.target.classList.contains("more")) return;
    const to = {
      ArrowUp: here.previousElementSibling, ArrowDown: here.nextElementSibling,
      Home: this.inner.firstElementChild, End: this.inner.lastElementChild,
    }[event.key];
    if (!to) return;
    event.preventDefault();
    this.#point(to);
    to.querySelector(".more").focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
  }
}
