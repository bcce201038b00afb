// Which view is shown: what stands behind # in the address, so that back, forward and links work by themselves.
//
// A route is a path such as /chat/5/at/17; a view is a function of its parameters and of a signal that ends with it.

const routes = [];
let current = null;
let shows = () => {};

/** "/chat/:uin" and what shows it. The first that fits is taken. */
export function route(pattern, view) {
  const names = [...pattern.matchAll(/:(\w+)/g)].map((match) => match[1]);
  routes.push({ fits: new RegExp(`^${pattern.replace(/:\w+/g, "([0-9]+)")}$`), names, view });
}

export function start(show) {
  shows = show;
  window.addEventListener("hashchange", move);
  move();
}

export function stop() {
  window.removeEventListener("hashchange", move);
  current?.ended.abort();
  current = null;
}

/** Go there. The same place is shown anew. */
export function go(path) {
  if (location.hash === `#${path}`) move();
  else location.hash = path;
}

/** Show the same place again: in another language, or beside other panes. */
export const again = () => move();

/** The path that is shown. */
export const path = () => location.hash.slice(1).split("?")[0] || "/";

function move() {
  const [where, query = ""] = (location.hash.slice(1) || "/").split("?");
  const found = routes.map((each) => [each, each.fits.exec(where)]).find(([, match]) => match);
  if (!found) {
    go("/");
    return;
  }
  const [{ names, view }, match] = found;
  const values = names.map((name, index) => [name, Number(match[index + 1])]);
  const parameters = { ...Object.fromEntries(values), query: new URLSearchParams(query) };
  current?.ended.abort();
  current = { ended: new AbortController() };
  shows(view, parameters, current.ended.signal, where);
}
