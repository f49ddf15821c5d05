/** The documents that roles hand on as JSON, shown as documents: a heading per key, lists, tables, diagrams. */

import { codeBlock } from "./code.js";
import { isDiagram } from "./diagrams.js";
import { el, words } from "./dom.js";
import { STRUCTURED } from "./feed-model.js";
import { markdown } from "./markdown.js";
import { text } from "./text.js";

const START = "[CONTENT]";
const END = "[/CONTENT]";
const DEPTH_MAX = 4;
/** Of a list or an object, and of all together. */
const ITEMS_MAX = 200;
const NODES_MAX = 1_500;
/** Values up to this length stand beside their names. */
const SHORT_CHARS = 60;

/**
 * @param {string} source
 * @param {import("./diagrams.js").Diagrams} diagrams
 * @returns {Node} the document, or the text as code where it is no whole JSON
 */
export function structured(source, diagrams) {
  const values = source
    .split(END)
    .map((part) => part.replace(START, "").trim())
    .filter(Boolean)
    .map(parsed);
  if (values.some((value) => value === undefined)) return codeBlock(source, "json");
  const writer = new Writer(diagrams);
  return el("div", { class: "document" }, ...values.map((value) => writer.value(value, 0)));
}

/** The value of a JSON text that holds a list or an object; undefined for any other text. */
function parsed(source) {
  if (!STRUCTURED.test(source)) return undefined;
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}

class Writer {
  #diagrams;
  #nodes = 0;

  constructor(diagrams) {
    this.#diagrams = diagrams;
  }

  /** @returns {Node} */
  value(value, depth) {
    if (isEmpty(value)) return el("span", { class: "hint" }, text.feed.nothing);
    if (typeof value === "string") return this.#text(value, depth);
    if (typeof value !== "object") return el("code", {}, String(value));
    if (depth >= DEPTH_MAX || this.#nodes > NODES_MAX) return codeBlock(JSON.stringify(value, null, 2), "json");
    return Array.isArray(value) ? this.#list(value, depth) : this.#object(value, depth);
  }

  #text(value, depth) {
    if (isDiagram(value)) return this.#diagrams.figure(value);
    const inner = depth < DEPTH_MAX ? parsed(value) : undefined;
    return inner === undefined ? markdown(value, this.#diagrams) : this.value(inner, depth + 1);
  }

  #object(value, depth) {
    const docs = documents(value);
    if (docs) return this.#documents(docs, depth);
    const parts = this.#bounded(Object.entries(value), ([name, item]) => {
      const isShort = isEmpty(item) || (typeof item !== "object" && String(item).length <= SHORT_CHARS && !isDiagram(String(item)));
      return el("div", { class: isShort ? "part short" : "part" }, el("dt", { dir: "auto" }, words(name)), el("dd", {}, this.value(item, depth + 1)));
    });
    return el("dl", { class: "parts" }, ...parts);
  }

  #documents(docs, depth) {
    const shown = this.#bounded(docs, ({ path, content }) => el("div", { class: "part" }, el("p", { class: "part-file" }, words(path)), this.value(content, depth)));
    return el("div", { class: "parts" }, ...shown);
  }

  #list(items, depth) {
    const width = items[0]?.length;
    const isTable = width > 0 && items.every((item) => Array.isArray(item) && item.length === width && item.every((cell) => typeof cell !== "object"));
    if (isTable) return this.#table(items, depth);
    return el("ul", {}, ...this.#bounded(items, (item) => el("li", { dir: "auto" }, this.value(item, depth + 1))));
  }

  #table(rows, depth) {
    const body = this.#bounded(rows, (row) => el("tr", {}, ...row.map((cell) => el("td", { dir: "auto" }, this.value(cell, depth + 1)))));
    return el("div", { class: "table", tabIndex: 0, role: "group" }, el("table", {}, el("tbody", {}, ...body)));
  }

  #bounded(items, shown) {
    this.#nodes += items.length;
    const nodes = items.slice(0, ITEMS_MAX).map(shown);
    if (items.length > ITEMS_MAX) nodes.push(el("li", { class: "hint" }, text.feed.more(items.length - ITEMS_MAX)));
    return nodes;
  }
}

const isEmpty = (value) => value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);

/** MetaGPT's own wrapping of documents: {"docs": {name: {root_path, filename, content}}}. */
function documents(value) {
  const docs = Object.keys(value).length === 1 && value.docs && typeof value.docs === "object" ? Object.values(value.docs) : [];
  if (!docs.length || !docs.every((doc) => typeof doc?.content === "string" && typeof doc.filename === "string")) return null;
  return docs.map(({ root_path: folder, filename, content }) => ({ path: folder ? `${folder}/${filename}` : filename, content }));
}
