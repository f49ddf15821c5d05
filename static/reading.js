/** A file as it is meant to be read: Markdown and diagrams as such, anything else as code in its colours. */

import { codeBlock } from "./code.js";
import { el } from "./dom.js";
import { markdown } from "./markdown.js";

/**
 * @param {string} path
 * @param {string} content
 * @param {import("./diagrams.js").Diagrams} diagrams
 * @returns {Node}
 */
export function reading(path, content, diagrams) {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (ending === "md") return el("div", { class: "prose page" }, markdown(content, diagrams));
  if (ending === "mmd") return el("div", { class: "prose page" }, diagrams.figure(content));
  return codeBlock(content, ending);
}
