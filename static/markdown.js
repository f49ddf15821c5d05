/**
 * Markdown as DOM. markdown-it reads it; every node is made here, and text only ever becomes a text node: what a model
 * wrote is never parsed as HTML, and HTML in it is shown as it was written.
 */

import { Blocks } from "./blocks.js";
import { codeBlock } from "./code.js";
import { isDiagram } from "./diagrams.js";
import { el, printable, visible } from "./dom.js";
import MarkdownIt from "./vendor/markdown-it/markdown-it.esm.min.mjs";

const READER = new MarkdownIt({ html: false, linkify: false, typographer: false });
/** Longer blocks are shown as plain text: reading Markdown can take time that grows with the square of its length. */
const BLOCK_MAX = 10_000;
/** Headings start below those of the page. */
const HEADINGS = { h1: "h3", h2: "h4", h3: "h5", h4: "h6", h5: "h6", h6: "h6" };
const LINKS = new Set(["http:", "https:", "mailto:"]);
const DIRECTED = new Set(["p", "li", "td", "th", "h3", "h4", "h5", "h6"]);

/**
 * A whole text.
 * @param {string} text
 * @param {import("./diagrams.js").Diagrams} diagrams
 * @returns {DocumentFragment}
 */
export function markdown(text, diagrams) {
  const whole = document.createDocumentFragment();
  const blocks = new Blocks();
  blocks.read(text, (from, to) => whole.append(block(text.slice(from, to), diagrams)));
  whole.append(block(text.slice(blocks.start), diagrams));
  return whole;
}

/** One block of a text, as Blocks cuts it. */
export function block(text, diagrams) {
  const fence = /^(`{3,}|~{3,})/.test(text);
  if (text.length > BLOCK_MAX && !fence) return plain(text);
  const builder = new Builder(diagrams);
  builder.add(READER.parse(text, {}));
  return builder.fragment;
}

/** Text as it is, line ends included. @param {string | Text} text */
export function plain(text) {
  return el("div", { class: "plain", dir: "auto" }, typeof text === "string" ? printable(text) : text);
}

class Builder {
  fragment = document.createDocumentFragment();
  #path = [this.fragment];
  #diagrams;

  constructor(diagrams) {
    this.#diagrams = diagrams;
  }

  add(tokens) {
    for (const token of tokens) {
      if (token.type === "inline") this.add(token.children);
      else if (token.nesting === 1) this.#open(token);
      else if (token.nesting === -1) this.#path.pop();
      else this.#put(LEAVES[token.type]?.(token, this.#diagrams) ?? printable(token.content));
    }
  }

  #open(token) {
    const here = this.#path.at(-1);
    // The paragraphs of a tight list are there for the reader only.
    if (token.hidden) return this.#path.push(here);
    const node = element(token);
    this.#put(token.tag === "table" ? el("div", { class: "table", tabIndex: 0, role: "group" }, node) : node);
    this.#path.push(node);
  }

  #put(node) {
    this.#path.at(-1).append(node);
  }
}

function element(token) {
  if (token.type === "link_open") return link(token.attrGet("href"), token.attrGet("title"));
  const tag = HEADINGS[token.tag] ?? token.tag;
  const node = el(tag, DIRECTED.has(tag) && { dir: "auto" });
  if (tag === "ol") node.start = Number(token.attrGet("start") ?? 1);
  return node;
}

/** A link out of the page, or only its words where it leads nowhere safe. */
function link(href, title = null) {
  const url = URL.canParse(href) ? new URL(href) : null;
  if (!url || !LINKS.has(url.protocol)) return el("span", { title: visible(title ?? href) });
  return el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", title: visible(title ?? url.href) });
}

/** Tokens without content between two of them. */
const LEAVES = {
  text: ({ content }) => printable(content),
  softbreak: () => el("br"),
  hardbreak: () => el("br"),
  hr: () => el("hr"),
  code_inline: ({ content }) => el("code", {}, visible(content)),
  code_block: ({ content }) => codeBlock(content, ""),
  fence: ({ content, info }, diagrams) => fenced(content, info, diagrams),
  // Nothing is loaded from elsewhere: an image is a link to it.
  image(token) {
    const node = link(token.attrGet("src"));
    node.append(printable(token.content || token.attrGet("src")));
    return node;
  },
};

function fenced(content, info, diagrams) {
  const [language] = info.trim().split(/\s/);
  return isDiagram(content, language) ? diagrams.figure(content) : codeBlock(content, language);
}
