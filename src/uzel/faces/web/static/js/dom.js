// Elements, built one by one: whatever is text stays text, whoever wrote it. Nothing here reads markup.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);
const SVG = "http://www.w3.org/2000/svg";

/** An element. `on…` are listeners, null and false leave an attribute out, children are nodes, texts or lists of them. */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  made.append(...flat(children));
  return made;
}

function set(element, name, value) {
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (PROPERTIES.has(name)) element[name] = value;
  else if (value === true) element.setAttribute(name, "");
  else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

/** Give an element other children. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** A drawing made of paths, 24 units wide; the words beside it say what it means. */
export function drawing(paths, size = 20, name = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", width: size, height: size, class: name })) {
    svg.setAttribute(key, value);
  }
  svg.setAttribute("aria-hidden", "true");
  for (const path of paths) {
    const part = document.createElementNS(SVG, "path");
    part.setAttribute("d", path);
    svg.append(part);
  }
  return svg;
}

/** Call it once things are quiet for so many milliseconds. `now` calls what waits, at once. */
export function later(call, ms) {
  let timer = 0;
  let waiting = null;
  const now = () => {
    clearTimeout(timer);
    const args = waiting;
    waiting = null;
    return args ? call(...args) : undefined;
  };
  const wait = (...args) => {
    waiting = args;
    clearTimeout(timer);
    timer = setTimeout(now, ms);
  };
  wait.now = now;
  return wait;
}

/** Call it so much after the first of many wishes, once for all of them. */
export function soon(call, ms) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      call();
    }, ms);
  };
}

let ids = 0;
/** An id for a label and what it belongs to. */
export const fresh = (name = "f") => `${name}-${++ids}`;
