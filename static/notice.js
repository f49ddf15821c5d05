/** How an action went, beside what was pressed. It stays until it is put away, or until something is pressed again. */

import { el, setText } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./text.js";

export class Notice {
  #words = el("span", { dir: "auto" });
  // Who reads the page with a screen reader hears it when it changes.
  node = el(
    "p",
    { class: "notice", role: "alert", hidden: true },
    this.#words,
    el("button", { type: "button", class: "tool", "aria-label": text.close, title: text.close, on: { click: () => this.clear() } }, icon("close")),
  );

  /** @param {string} message */
  tell(message) {
    this.#show(message, "good");
  }

  /** @param {string} message what went wrong, and what can be done about it */
  fail(message) {
    this.#show(message, "bad");
  }

  clear() {
    this.node.hidden = true;
    setText(this.#words, "");
  }

  #show(message, kind) {
    this.node.hidden = false;
    this.node.dataset.kind = kind;
    setText(this.#words, message);
  }
}
