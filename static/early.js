/** The note under what has a time axis when the log is not read from its start, with the way to have it all. */

import { el } from "./dom.js";
import { text } from "./text.js";

export class Early {
  /** The timeline that does not go back to the start of the run, if one does not. */
  #late = null;
  node = el("p", { class: "note", hidden: true });

  /** @param {import("./timeline.js").Timeline} timeline @param {() => void} onFromStart */
  begin(timeline, onFromStart) {
    this.#late = timeline;
    this.node.replaceChildren(text.lanes.early, " ", el("button", { type: "button", class: "link", on: { click: onFromStart } }, text.lanes.load));
    this.show(timeline);
  }

  /** Whether it applies to what is shown. */
  get isSaid() {
    return !this.node.hidden;
  }

  /** @param {import("./timeline.js").Timeline} timeline what is shown from now on */
  show(timeline) {
    this.node.hidden = timeline !== this.#late;
  }
}
