// Letting this browser in: by the one-time address that `uzel web` opens, or by a code that another device shows
// (`sign_page`).

import { raw, secret } from "./api.js";

const TOKEN = /^#([A-Za-z0-9_-]{20,})$/;

// A new address in a tab that shows the page changes what is behind # and no more.
window.addEventListener("hashchange", (event) => {
  if (!TOKEN.test(location.hash)) return;
  event.stopImmediatePropagation();
  location.reload();
});

/** Be let in by a token or a code. */
export async function letIn(body) {
  const answer = await raw("POST", "/session", { body: JSON.stringify(body), type: "application/json" });
  secret.set((await answer.json()).secret);
}

/** The one-time token behind # in the address, which is taken out of it at once. */
function token() {
  const found = TOKEN.exec(location.hash)?.[1] ?? null;
  if (found) history.replaceState(null, "", location.pathname);
  return found;
}

/** Null when this browser is let in; else what went wrong. */
export async function signIn() {
  const shown = token();
  try {
    if (shown) await letIn({ token: shown });
    else await raw("GET", "/session");
    return null;
  } catch (problem) {
    if (shown && secret.get() && await raw("GET", "/session").then(() => true, () => false)) return null;
    return problem;
  }
}
