/** Ways to show something, as buttons in a row of which one is pressed. */

import { el } from "./dom.js";

export class Segments {
  value;
  #onChange;
  #buttons;
  node;

  /** @param {{label: string, names: Record<string, string>, value: string, onChange: () => void}} options names: in words, by the value that each stands for */
  constructor({ label, names, value, onChange }) {
    this.value = value;
    this.#onChange = onChange;
    this.#buttons = Object.entries(names).map(([name, words]) =>
      el("button", { type: "button", class: "button quiet", value: name, "aria-pressed": String(name === value), on: { click: () => this.#choose(name) } }, words),
    );
    this.node = el("div", { class: "segments", role: "group", "aria-label": label, hidden: true }, ...this.#buttons);
  }

  #choose(value) {
    this.value = value;
    for (const button of this.#buttons) button.ariaPressed = String(button.value === value);
    this.#onChange();
  }
}
