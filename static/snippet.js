/** Where words were found: text, with what matched marked. */

import { el, visible } from "./dom.js";

/** @param {string[]} parts of a text; every second one matched @param {Record<string, any>} [props] */
export function snippet(parts, props = {}) {
  return el("bdi", { class: "snippet", dir: "auto", ...props }, ...parts.map((part, at) => (at % 2 ? el("mark", {}, visible(part)) : visible(part))));
}
