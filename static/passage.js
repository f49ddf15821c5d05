/** What may be long in a card of the feed: a part of it until it is asked for. */

import { eventUrl, fileUrl } from "./api.js";
import { el, setText } from "./dom.js";
import { icon } from "./icons.js";
import { Prose } from "./prose.js";
import { text } from "./text.js";

/** A text longer than this, in characters or lines, is folded until it is asked for. */
const LONG_CHARS = 700;
const LONG_LINES = 9;
const FOLDED_CHARS = 3000;

/**
 * @typedef {object} Context
 * @property {string} taskId
 * @property {import("./diagrams.js").Diagrams} diagrams
 * @property {WeakMap<any, Record<string, boolean>>} folds what a reader has unfolded of each entry, for when its card comes into view again
 * @property {() => void} onAnswer goes to where the open question is answered
 * @property {(inside: Element, turn: () => void) => void} turning has a reader who folds or unfolds something stay where it is
 */

/** A text: the end of it while it is written, its start when it is done, all of it when asked. */
export class Passage {
  #entry;
  #prose;
  #fold;
  #turning;
  #isWriting = false;
  #box;
  #words = el("span");
  #size = el("span", { class: "hint" });
  #toggle = el("button", { type: "button", class: "fold", hidden: true, "aria-expanded": "false", on: { click: () => this.#turn() } }, icon("unfold"), this.#words, this.#size);
  #rest;

  /** @param {any} entry of the feed, with a text @param {Context} context */
  constructor(entry, { taskId, diagrams, folds, turning }) {
    this.#entry = entry;
    this.#fold = foldOf(entry, folds);
    this.#turning = turning;
    this.#prose = new Prose(diagrams);
    this.#box = el("div", { class: "passage" }, this.#prose.node);
    this.#rest = el("a", { class: "rest", href: eventUrl(taskId, entry.key), target: "_blank", rel: "noopener", hidden: true });
    const whole = entry.whole && el("a", { class: "rest", href: fileUrl(taskId, entry.whole), download: "" }, text.feed.whole);
    this.node = el("div", { class: "passage-frame" }, this.#box, this.#toggle, this.#rest, whole);
  }

  update(isWriting) {
    this.#isWriting = isWriting;
    const { text: words, cut } = this.#entry;
    const lines = lineCount(words, isWriting ? LONG_LINES + 1 : Infinity);
    const isLong = words.length > LONG_CHARS || lines > LONG_LINES;
    const isFolded = isLong && !this.#fold.all;
    if (isWriting) this.#prose.write(words);
    else this.#prose.show(words, isFolded ? FOLDED_CHARS : Infinity);
    this.#box.classList.toggle("folded", isFolded && !isWriting);
    this.#box.classList.toggle("writing", isFolded && isWriting);
    this.#toggle.hidden = !isLong;
    setText(this.#words, this.#fold.all ? text.feed.less : text.feed.all);
    setText(this.#size, isFolded && !isWriting ? text.feed.size(lines, words.length) : "");
    this.#toggle.setAttribute("aria-expanded", String(Boolean(this.#fold.all)));
    this.#rest.hidden = !cut || isFolded;
    if (cut) setText(this.#rest, text.feed.rest(cut));
    if (isFolded) this.#box.scrollTop = isWriting ? this.#box.scrollHeight : 0;
  }

  #turn() {
    this.#turning(this.node, () => {
      this.#fold.all = !this.#fold.all;
      this.update(this.#isWriting);
    });
  }
}

/** Something that is shown when asked, and stays so when the card is made again. @param {any} entry @param {Context} context */
export function folding(entry, { folds, turning }, name, content) {
  const fold = foldOf(entry, folds);
  const turn = (event) => {
    event.preventDefault();
    turning(node, () => (node.open = fold[name] = !node.open));
  };
  const node = el("details", { open: fold[name] ?? false }, el("summary", { on: { click: turn } }, name), content);
  return node;
}

function foldOf(entry, folds) {
  if (!folds.has(entry)) folds.set(entry, {});
  return folds.get(entry);
}

/** Lines, counted no further than matters. */
function lineCount(words, most) {
  let lines = 1;
  for (let at = words.indexOf("\n"); at >= 0 && lines < most; at = words.indexOf("\n", at + 1)) lines += 1;
  return lines;
}
