/** A file as it is meant to be read: Markdown and diagrams as such, anything else as code in its colours. */

import { codeBlock } from "./code.js";
import { el } from "./dom.js";
import { markdown } from "./markdown.js";

const IMAGES = new Map(Object.entries({ gif: "image/gif", jpeg: "image/jpeg", jpg: "image/jpeg", png: "image/png", svg: "image/svg+xml", webp: "image/webp" }));

/** The media type of a picture, by the ending of its name; undefined for any other file. @param {string} path */
export function imageType(path) {
  return IMAGES.get(endingOf(path));
}

/**
 * @param {string} path
 * @param {string} content
 * @param {import("./diagrams.js").Diagrams} diagrams
 * @returns {Node}
 */
export function reading(path, content, diagrams) {
  const ending = endingOf(path);
  if (ending === "md") return el("div", { class: "prose page" }, markdown(content, diagrams));
  if (ending === "mmd") return el("div", { class: "prose page" }, diagrams.figure(content));
  return codeBlock(content, ending);
}

const endingOf = (path) => path.slice(path.lastIndexOf(".") + 1).toLowerCase();
