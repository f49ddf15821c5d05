/**
 * Text that a model or a person wrote, as it grows. While it is being written only what is new costs anything: a block of
 * Markdown is read once, when it is complete, and the one that still grows is plain text until then.
 */

import { Blocks } from "./blocks.js";
import { isDiagram } from "./diagrams.js";
import { el, printable, visible } from "./dom.js";
import { unescaped } from "./drafts.js";
import { STRUCTURED } from "./feed-model.js";
import { block, markdown, plain } from "./markdown.js";
import { structured } from "./structured.js";

export class Prose {
  node = el("div", { class: "prose" });
  #diagrams;
  /** How much is shown for good, or null while it grows. @type {number | null} */
  #whole = null;
  #blocks = new Blocks();
  /** The end of the text, that still grows. @type {{node: Element, words: Text, from: number, form: typeof FORMS.json} | null} */
  #tail = null;
  #written = 0;

  /** @param {import("./diagrams.js").Diagrams} diagrams */
  constructor(diagrams) {
    this.#diagrams = diagrams;
  }

  /** Shows a text that only ever grows between calls. @param {string} text */
  write(text) {
    if (this.#whole !== null || text.length < this.#written) this.#clear();
    if (STRUCTURED.test(text)) return this.#grow(text, 0, FORMS.json);
    this.#blocks.read(text, (from, to) => {
      this.#dropTail();
      this.node.append(block(text.slice(from, to), this.#diagrams));
    });
    const { start, fence } = this.#blocks;
    this.#grow(text, fence ? fence.code : start, fence ? FORMS.code : FORMS.plain);
  }

  /** Shows the first `limit` characters of a text that will not change. */
  show(text, limit) {
    const end = Math.min(text.length, limit);
    if (this.#whole === end) return;
    // What was written is good already, but for its end.
    if (this.#whole === null && this.#written > 0 && end === text.length && !STRUCTURED.test(text) && !isDiagram(text)) {
      this.write(text);
      this.#dropTail();
      this.node.append(block(text.slice(this.#blocks.start), this.#diagrams));
    } else {
      this.#clear();
      this.node.append(this.#read(text, end));
    }
    this.#whole = end;
  }

  #read(text, end) {
    if (STRUCTURED.test(text)) return structured(text, this.#diagrams);
    return isDiagram(text) ? this.#diagrams.figure(text) : markdown(text.slice(0, end), this.#diagrams);
  }

  #grow(text, from, form) {
    if (this.#tail?.from !== from || this.#tail.form !== form) {
      this.#dropTail();
      const words = document.createTextNode("");
      const node = form.box(words);
      this.#tail = { node, words, from, form };
      this.#written = from;
      this.node.append(node);
    }
    const { words, taken } = form.read(text.slice(this.#written));
    if (words) this.#tail.words.appendData(words);
    this.#written += taken;
  }

  #dropTail() {
    this.#tail?.node.remove();
    this.#tail = null;
  }

  #clear() {
    this.node.replaceChildren();
    this.#whole = this.#tail = null;
    this.#blocks = new Blocks();
    this.#written = 0;
  }
}

const codeBox = (words) => el("pre", { class: "code", dir: "ltr" }, el("code", {}, words));

/** How text that still grows is shown; each reads what is new, and tells how much of it. */
const FORMS = {
  plain: { box: plain, read: (source) => ({ words: printable(source), taken: source.length }) },
  code: { box: codeBox, read: (source) => ({ words: visible(source), taken: source.length }) },
  json: {
    box: codeBox,
    read(source) {
      const { words, taken } = unescaped(source);
      return { words: visible(words), taken };
    },
  },
};
