// The core, asked over HTTP (docs/api.md). The cookie alone opens nothing: each request carries the second secret.
//
// Whatever goes wrong is a `Problem` with a stable `code`; what it says to a person comes from the catalogue, and from
// the core's own sentence where the catalogue has none.

import { has, t } from "./i18n.js";

const SECRET = "uzel.secret";
const hooks = { signedOut: () => {} };

/** What went wrong, with the core's code for it. */
export class Problem extends Error {
  constructor(code, status, title = "", detail = "") {
    super(title || code);
    Object.assign(this, { code, status, title, detail });
  }

  /** For a person: what happened, and what to do. */
  get sentence() {
    return has(`problem.${this.code}`) ? t(`problem.${this.code}`) : this.title || t("problem.unexpected");
  }
}

/** Called when this browser is signed in no more. */
export const onSignedOut = (call) => {
  hooks.signedOut = call;
};

export const secret = {
  get: () => localStorage.getItem(SECRET),
  set: (value) => localStorage.setItem(SECRET, value),
  forget: () => localStorage.removeItem(SECRET),
};

/** The answer to a request, once its status is good. */
export async function raw(method, path, { body, type, headers = {}, signal } = {}) {
  const sent = { "X-Uzel-Secret": secret.get() ?? "", ...headers };
  if (type) sent["Content-Type"] = type;
  let answer;
  try {
    answer = await fetch(path, { method, headers: sent, body, signal, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("core_silent", 0);
  }
  if (answer.ok) return answer;
  const problem = await read(answer);
  if (problem.status === 401 && path !== "/session") hooks.signedOut();
  throw problem;
}

async function read(answer) {
  try {
    const { code, title, detail } = await answer.json();
    return new Problem(String(code), answer.status, String(title ?? ""), String(detail ?? ""));
  } catch {
    return new Problem("unexpected", answer.status);
  }
}

async function ask(method, path, value, signal) {
  const body = value === undefined ? {} : { body: JSON.stringify(value), type: "application/json" };
  const answer = await raw(method, path, { ...body, signal });
  return answer.status === 204 || answer.status === 202 ? null : answer.json();
}

export const get = (path, signal) => ask("GET", path, undefined, signal);
export const post = (path, value) => ask("POST", path, value);
export const put = (path, value) => ask("PUT", path, value);
export const patch = (path, value) => ask("PATCH", path, value);
export const del = (path) => ask("DELETE", path);
