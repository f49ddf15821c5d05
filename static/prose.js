/**
 * Text that a model or a person wrote, as it grows: plain paragraphs, and monospace where a code fence opens.
 * Only text nodes are made, and only what is new is appended, so that streaming costs what arrives.
 */

import { el, visible } from "./dom.js";
import { STRUCTURED } from "./feed-model.js";

const FENCE = /^ {0,3}(```|~~~)[^`]*$/;
/** The start of a line that may yet become a fence. */
const MAYBE_FENCE = /^ {0,3}(`{0,2}|~{0,2}|(```|~~~)[^`\n]*)$/;

export class Prose {
  node = el("div", { class: "prose" });
  #shown = 0;
  #inCode = false;
  #atLineStart = true;
  #held = "";
  /** @type {Text | null} */
  #block = null;
  #buffer = "";

  /**
   * Shows the first `limit` characters of a text that only ever grows.
   * @param {string} text
   * @param {number} limit
   */
  show(text, limit) {
    const end = Math.min(text.length, limit);
    if (end === this.#shown) return;
    if (end < this.#shown) this.#clear();
    if (this.#shown === 0) this.#inCode = STRUCTURED.test(text);
    this.#take(text.slice(this.#shown, end));
    this.#shown = end;
  }

  #clear() {
    this.node.replaceChildren();
    this.#shown = 0;
    this.#inCode = false;
    this.#atLineStart = true;
    this.#held = "";
    this.#block = null;
  }

  #take(addition) {
    const lines = (this.#held + addition).split("\n");
    const rest = lines.pop();
    for (const line of lines) {
      if (this.#atLineStart && FENCE.test(line)) this.#toggle();
      else this.#buffer += `${line}\n`;
      this.#atLineStart = true;
    }
    this.#held = this.#atLineStart && MAYBE_FENCE.test(rest) ? rest : "";
    if (rest && !this.#held) {
      this.#buffer += rest;
      this.#atLineStart = false;
    }
    this.#flush();
  }

  #toggle() {
    this.#flush();
    this.#inCode = !this.#inCode;
    this.#block = null;
  }

  #flush() {
    if (!this.#buffer) return;
    const addition = this.#inCode ? visible(this.#buffer) : this.#buffer;
    this.#buffer = "";
    if (this.#block) return this.#block.appendData(addition);
    this.#block = document.createTextNode(addition);
    const block = this.#inCode
      ? el("pre", { class: "code", dir: "ltr" }, el("code", {}, this.#block))
      : el("div", { class: "plain", dir: "auto" }, this.#block);
    this.node.append(block);
  }
}
