/** The icons, drawn with strokes in the colour of the text around them. */

import { svg } from "./dom.js";

const PATHS = {
  plus: ["M12 5v14", "M5 12h14"],
  minus: ["M5 12h14"],
  fit: ["M4 12h16", "M8 8l-4 4 4 4", "M16 8l4 4-4 4"],
  back: ["M15 5l-7 7 7 7"],
  stop: ["M6 6h12v12H6z"],
  play: ["M8 5.5v13l10.500-6.500z"],
  pause: ["M8.500 6v12", "M15.500 6v12"],
  before: ["M7 6v12", "M17 6.500v11l-7-5.500z"],
  after: ["M17 6v12", "M7 6.500v11l7-5.500z"],
  trash: ["M5 7h14", "M10 7V4.500h4V7", "M7 7l.8 12.500h8.400L17 7", "M10.500 10.500v5.500", "M13.500 10.500v5.500"],
  download: ["M12 4.500v10", "M7.500 10.500l4.500 4.500 4.500-4.500", "M5 19.500h14"],
  file: ["M7 3.500h6.500L18 8v12.500H7z", "M13.500 3.500V8H18"],
  send: ["M4.500 12h14", "M12.500 6l6 6-6 6"],
  down: ["M12 5v14", "M6 13l6 6 6-6"],
  check: ["M5 12.500l4.500 4.500L19 7.500"],
  alert: ["M12 4l9 15.500H3z", "M12 10v4", "M12 16.800v.2"],
  question: ["M9 9.200a3 3 0 1 1 4.300 2.700c-.9.450-1.300 1-1.300 2.100", "M12 17.300v.2", "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z"],
  keyboard: ["M3.500 7h17v10.500h-17z", "M7 10.500v.1", "M10.500 10.500v.1", "M14 10.500v.1", "M17.500 10.500v.1", "M8 14h8"],
  pulse: ["M3 12.500h4.500l2.500-8 4.500 15 2.500-7h4"],
  person: ["M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z", "M4.500 20.500c1-4 3.800-5.500 7.500-5.500s6.500 1.500 7.500 5.500"],
  close: ["M6 6l12 12", "M18 6L6 18"],
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, ...PATHS[name].map((d) => svg("path", { d })));
}
