// What the page knows of the core, kept true by the live events. Views read it and ask to be told of changes.
//
// Kinds of news: `chats` (the list, or a line of it), `text`, `state`, `removed`, `read`, `draft`, `contact`,
// `gate` (whether they let one in), `deleted` (a chat's texts), `device`, `requests`, `presence`, `link` (page to core), `profile`, `preferences`
// (which of them were changed elsewhere), and `anew` (everything was fetched again, since something was missed).

import { inTurn } from "./answers.js";
import { get, patch, put } from "./api.js";
import { soon } from "./dom.js";
import { Stream } from "./stream.js";

const MOST_CHATS = 1000;
const SOON = 60;
const AGAIN = 2000;
const told = new EventTarget();
const asking = new Set();

export const store = {
  me: null,
  device: null,
  profile: null,
  status: null,
  chats: new Map(),
  gates: new Map(),
  requests: [],
  preferences: { language: "auto", theme: "auto", notifications: false, retention_default_ms: null },
  link: { up: true, retryAt: null },
  stream: null,
};

/** Be told of one kind of news, until the signal says that nobody listens any more. */
export const on = (kind, call, signal) => told.addEventListener(kind, (event) => call(event.detail), { signal });
const tell = (kind, detail) => told.dispatchEvent(new CustomEvent(kind, { detail }));

/** Fetch everything, then follow. */
export async function open() {
  const after = await fetchAll();
  store.stream = new Stream(after, { onEvent: take, onLink: linked });
  store.stream.run();
}

async function fetchAll() {
  await fetchStatus();
  const after = store.status.last_event;
  const all = [get("/session"), get("/v1/preferences"), fetchMine(), fetchRequests(), fetchChats()];
  const [{ device }, preferences] = await Promise.all(all);
  store.device = device;
  want(preferences);
  return after;
}

const fetchChats = inTurn(askChats, ({ chats, changes }) => {
  store.chats = new Map(chats.map((chat) => [chat.uin, chat]));
  for (const each of changes) each();
  tell("chats");
});

/** The list, and what was told of it while it was asked for: the answer may be older. */
async function askChats() {
  const changes = [];
  asking.add(changes);
  try {
    return { changes, ...await get(`/v1/chats?limit=${MOST_CHATS}`) };
  } finally {
    asking.delete(changes);
  }
}

/** Change a line of the list, and do so again in an answer that may be older. */
function change(uin, what) {
  const now = () => store.chats.has(uin) && what(store.chats.get(uin));
  for (const changes of asking) changes.push(now);
  now();
}

const fetchRequests = inTurn(() => get("/v1/requests"), ({ requests }) => {
  store.requests = requests;
  tell("requests");
});

const fetchMine = inTurn(() => Promise.all([get("/v1/profile"), get("/v1/me")]), ([profile, me]) => {
  Object.assign(store, { profile, me });
  tell("profile");
});

const fetchStatus = inTurn(() => get("/v1/status"), (status) => {
  store.status = status;
  tell("presence");
});

const quietly = (call) => soon(() => call().catch(() => {}), SOON);
export const refreshChats = quietly(fetchChats);
const refreshRequests = quietly(fetchRequests);
const refreshStatus = quietly(fetchStatus);
const refreshMine = quietly(fetchMine);

function linked(link) {
  const was = store.link.up;
  store.link = link;
  if (was && link.up) return;
  if (was) lose();
  tell("link");
  if (!link.up) return;
  store.gates.clear(); // the core may have begun anew: it says again what it knows
  for (const refresh of [refreshStatus, refreshChats, refreshRequests, refreshMine]) refresh(); // an answer may have been lost
}

/** Of nobody it is known any more that they are there. */
function lose() {
  for (const chat of store.chats.values()) converse(chat, false);
  tell("chats");
}

function converse(chat, connected) {
  if (chat.connected && !connected) chat.last_seen = new Date().toISOString();
  chat.connected = connected;
}

const TAKE = {
  text(text) {
    if (!store.chats.has(text.chat)) refreshChats();
    change(text.chat, (chat) => {
      if (chat.last && chat.last.number >= text.number) return; // it is counted already
      if (text.unread) chat.unread += 1;
      if (text.outgoing) chat.waiting += 1;
      chat.last = text;
    });
    tell("chats");
    tell("text", text);
  },
  state(state) {
    change(state.chat, ({ last }) => last?.number === state.number && Object.assign(last, { state: state.state, reason: state.reason }));
    refreshChats();
    tell("state", state);
  },
  removed(gone) {
    refreshChats();
    tell("removed", gone);
  },
  read(mark) {
    const all = ({ last }) => last && last.number <= mark.up_to;
    change(mark.chat, (chat) => all(chat) && (chat.unread = 0));
    if (!all(store.chats.get(mark.chat) ?? {})) refreshChats();
    tell("chats");
    tell("read", mark);
  },
  draft: (draft) => {
    refreshChats();
    tell("draft", draft);
  },
  retention: (change) => tell("contact", { uin: change.chat, change: "retention" }),
  chat_deleted(gone) {
    refreshChats();
    tell("deleted", gone);
  },
  contact(change) {
    refreshChats();
    refreshRequests();
    tell("contact", change);
  },
  request: () => refreshRequests(),
  device: (change) => tell("device", change),
  profile: () => refreshMine(),
  preferences: (wanted) => want(wanted),
  presence(presence) {
    Object.assign(store.status, presence);
    tell("presence");
    refreshStatus();
  },
  conversation(talk) {
    change(talk.uin, (chat) => converse(chat, talk.connected));
    const news = store.gates.get(talk.uin) !== talk.gate;
    store.gates.set(talk.uin, talk.gate);
    if (news) tell("gate", { uin: talk.uin });
    tell("chats");
    tell("contact", { uin: talk.uin, change: "conversation" });
  },
  /** Tried until it is made up for: it is not said again. */
  async missed() {
    try {
      await fetchAll();
      tell("anew");
    } catch {
      setTimeout(TAKE.missed, AGAIN);
    }
  },
};

/** What the core says is wanted; views are told of what is news here. */
function want(wanted) {
  const changed = Object.keys(store.preferences).filter((name) => name in wanted && wanted[name] !== store.preferences[name]);
  for (const name of changed) store.preferences[name] = wanted[name];
  if (changed.length) tell("preferences", changed);
}

function take(kind, data) {
  TAKE[kind]?.(data);
}

/** The chats as they are listed: unread ones first, then the latest. */
export function listed() {
  const when = (chat) => chat.last?.number ?? 0;
  const first = (chat) => (chat.unread > 0 && !chat.blocked ? 0 : 1);
  return [...store.chats.values()].sort((a, b) => first(a) - first(b) || when(b) - when(a) || a.name.localeCompare(b.name));
}

/** Texts that were not read, of all chats. */
export const unread = () => [...store.chats.values()].reduce((sum, chat) => sum + (chat.blocked ? 0 : chat.unread), 0);

/** Choose it here; other windows are told by the core. */
export async function prefer(change) {
  const before = { ...store.preferences };
  Object.assign(store.preferences, change);
  try {
    await put("/v1/preferences", store.preferences);
  } catch (problem) {
    store.preferences = before;
    throw problem;
  }
}

export async function changeProfile(change) {
  await patch("/v1/profile", change);
  await fetchMine();
}

export { fetchMine as refreshProfile, fetchRequests as refreshRequests };
