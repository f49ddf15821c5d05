/** Which tasks the list shows, by status: one button for each status that there is, with how many are in it. */

import { arrange, el, setText } from "./dom.js";
import { text } from "./text.js";

export class StatusFilter {
  /** The status that is shown; empty: all. */
  value = "";
  #onChange;
  #buttons = new Map();
  node = el("div", { class: "status-filter", role: "group", "aria-label": text.list.filter, hidden: true });

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    for (const status of ["", ...Object.keys(text.statuses)]) this.#buttons.set(status, this.#button(status));
  }

  /** @param {Record<string, number>} counts how many tasks there are of each status, of those that are looked for */
  show(counts) {
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
    for (const [status, { count }] of this.#buttons) setText(count, (status === "" ? all : (counts[status] ?? 0)).toLocaleString(text.locale));
    const shown = [...this.#buttons].filter(([status]) => status === "" || counts[status] || status === this.value);
    arrange(this.node, shown.map(([, { node }]) => node));
    this.node.hidden = all === 0 && this.value === "";
  }

  #button(status) {
    const count = el("span", { class: "count" });
    const words = text.statuses[status] ?? text.list.all;
    const node = el("button", { type: "button", data: { status }, "aria-pressed": String(status === this.value), on: { click: () => this.#choose(status) } }, words, count);
    return { node, count };
  }

  /** Shows one status; the same again shows all. */
  #choose(status) {
    this.value = this.value === status ? "" : status;
    for (const [known, { node }] of this.#buttons) node.setAttribute("aria-pressed", String(known === this.value));
    this.#onChange();
  }
}
