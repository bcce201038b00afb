// The drawings, by what they mean. Strokes of 24 units; the colour is that of the text around them.

import { drawing } from "./dom.js";

const PATHS = {
  add: ["M12 5v14", "M5 12h14"],
  alert: ["M12 8v5", "M12 16.5v.1", "M12 3 22 20H2Z"],
  back: ["M15 5l-7 7 7 7"],
  block: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z", "M6 6l12 12"],
  camera: ["M4 8h3l2-3h6l2 3h3v11H4Z", "M12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  copy: ["M9 9h11v11H9Z", "M5 15H4V4h11v1"],
  delivered: ["M2 12.5l4.5 4.5L15 8", "M10.5 16l1 1L20 8"],
  down: ["M12 5v13", "M6 12.5l6 6 6-6"],
  failed: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z", "M12 8v5", "M12 16v.1"],
  file: ["M6 3h8l5 5v13H6Z", "M14 3v5h5", "M9 13h7", "M9 17h5"],
  help: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z", "M9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7", "M12 16.5v.1"],
  info: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z", "M12 11v5", "M12 7.5v.1"],
  invite: ["M3 7h18v11H3Z", "M3 8l9 6 9-6"],
  link: ["M10 14a4 4 0 0 0 6 .3l3-3a4 4 0 0 0-5.700-5.700l-1 1", "M14 10a4 4 0 0 0-6-.3l-3 3a4 4 0 0 0 5.700 5.700l1-1"],
  lock: ["M6 11h12v9H6Z", "M8.500 11V8a3.500 3.500 0 0 1 7 0v3"],
  more: ["M5 12h.1", "M12 12h.1", "M19 12h.1"],
  qr: ["M4 4h6v6H4Z", "M14 4h6v6h-6Z", "M4 14h6v6H4Z", "M14 14h2v2", "M20 14v2", "M14 20h2", "M19 19h1v1"],
  queued: ["M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16Z", "M12 8v4.500l3 1.500"],
  reply: ["M9 7l-5 5 5 5", "M4 12h9c4 0 7 2 7 6"],
  search: ["M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13Z", "M15.500 15.500 20 20"],
  send: ["M4 12 20 4l-5 16-3.500-6.500Z", "M11.500 13.500 20 4"],
  sending: ["M5 12h13", "M13 7l5 5-5 5"],
  settings: ["M4 7h9", "M17 7h3", "M15 5v4", "M4 12h3", "M11 12h9", "M9 10v4", "M4 17h11", "M19 17h1", "M17 15v4"],
  shield: ["M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6Z", "M8.500 12l2.500 2.500 4.500-5"],
  trash: ["M5 7h14", "M10 7V4h4v3", "M7 7l1 13h8l1-13"],
  unsure: ["M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6Z", "M12 8v4.500", "M12 15.500v.1"],
  user: ["M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z", "M4 20c1-4 4-5.500 8-5.500s7 1.500 8 5.500"],
};

/** The drawing of that name. */
export const icon = (name, size = 20) => drawing(PATHS[name], size, `icon icon-${name}`);

/** The knot. */
export function knot(size = 32) {
  return Object.assign(new Image(size, size), { src: "/static/img/uzel.svg", alt: "", className: "knot" });
}
