/** Where words were found: text, with what matched marked. */

import { el, visible } from "./dom.js";

/** What stands before the first match is no longer than this, so that the match is among the lines that are shown. */
const BEFORE_CHARS = 60;

/** @param {string[]} parts of a text; every second one matched @param {Record<string, any>} [props] */
export function snippet(parts, props = {}) {
  const [first, ...rest] = parts;
  const shown = [rest.length ? endOf(first) : first, ...rest];
  return el("bdi", { class: "snippet", dir: "auto", ...props }, ...shown.map((part, at) => (at % 2 ? el("mark", {}, visible(part)) : visible(part))));
}

function endOf(part) {
  const characters = [...part];
  return characters.length > BEFORE_CHARS ? `…${characters.slice(-BEFORE_CHARS).join("")}` : part;
}
