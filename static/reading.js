/** A file as it is meant to be read: Markdown, diagrams and JSON as documents, anything else as code in its colours. */

import { codeBlock } from "./code.js";
import { el } from "./dom.js";
import { markdown } from "./markdown.js";
import { structured } from "./structured.js";

const IMAGES = new Map(Object.entries({ gif: "image/gif", jpeg: "image/jpeg", jpg: "image/jpeg", png: "image/png", svg: "image/svg+xml", webp: "image/webp" }));

/** The media type of a picture, by the ending of its name; undefined for any other file. @param {string} path */
export function imageType(path) {
  return IMAGES.get(endingOf(path));
}

/** How documents are shown, by the ending of their names. */
const DOCUMENTS = new Map(
  Object.entries({
    md: (content, diagrams) => markdown(content, diagrams),
    mmd: (content, diagrams) => diagrams.figure(content),
    json: (content, diagrams) => structured(content, diagrams),
  }),
);

/** Whether a file is read as something else than it is written as. @param {string} path */
export function isDocument(path) {
  return DOCUMENTS.has(endingOf(path));
}

/** A file as it is written. @param {string} path @param {string} content */
export function source(path, content) {
  return codeBlock(content, endingOf(path));
}

/**
 * @param {string} path
 * @param {string} content
 * @param {import("./diagrams.js").Diagrams} diagrams
 * @returns {Node}
 */
export function reading(path, content, diagrams) {
  const document = DOCUMENTS.get(endingOf(path));
  return document ? el("div", { class: "prose page" }, document(content, diagrams)) : source(path, content);
}

const endingOf = (path) => path.slice(path.lastIndexOf(".") + 1).toLowerCase();
