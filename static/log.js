/** The last log lines of a run. */

import { arrange, el, setText } from "./dom.js";
import { time } from "./format.js";
import { text } from "./text.js";

export class Log {
  #lines = new Map();
  #count = el("span", { class: "count" });
  #list = el("ol", { class: "log-lines" });
  #blank = el("p", { class: "blank small" }, text.log.empty);
  node = el("details", { class: "panel log" }, el("summary", {}, el("h2", {}, text.log.heading), this.#count), this.#blank, this.#list);

  /** Draws when it is opened, and from then on with every change. @param {() => void} redraw */
  constructor(redraw) {
    this.node.addEventListener("toggle", redraw);
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    setText(this.#count, model.log.length ? String(model.log.length) : "");
    if (!this.node.open) return;
    this.#blank.hidden = model.log.length > 0;
    const lines = new Map();
    for (const line of model.log) lines.set(line.key, this.#lines.get(line.key) ?? logLine(line));
    this.#lines = lines;
    arrange(this.#list, [...lines.values()]);
  }
}

function logLine({ at, level, message }) {
  return el("li", { data: { level } }, el("time", { dateTime: at }, time(at)), " ", el("span", { class: "level" }, level), " ", el("span", { dir: "auto" }, message));
}
