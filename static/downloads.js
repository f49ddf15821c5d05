/** What can be taken home of a task, in a menu. */

import { archiveUrl, logUrl, pageUrl } from "./api.js";
import { el } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./text.js";

export class Downloads {
  #files;
  #onPress = (event) => this.node.contains(event.target) || (this.node.open = false);
  node;

  /** @param {string} taskId */
  constructor(taskId) {
    const { downloads: words } = text;
    this.#files = entry(archiveUrl(taskId), words.files, words.filesHint);
    this.node = el(
      "details",
      {
        class: "menu",
        on: { toggle: () => this.#watch(), keydown: (event) => this.#key(event), focusout: (event) => this.#left(event), click: (event) => this.#chosen(event) },
      },
      el("summary", { class: "button quiet" }, icon("download"), words.heading),
      el("ul", {}, this.#files, entry(pageUrl(taskId), words.page, words.pageHint), entry(logUrl(taskId), words.log, words.logHint)),
    );
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.#files.hidden = model.artifacts.size === 0 || Boolean(model.importedAt);
    this.node.hidden = model.head === 0;
  }

  /** While it is open, a press anywhere else closes it. */
  #watch() {
    if (this.node.open) document.addEventListener("pointerdown", this.#onPress);
    else document.removeEventListener("pointerdown", this.#onPress);
  }

  #key(event) {
    if (event.key !== "Escape" || !this.node.open) return;
    this.node.open = false;
    this.node.firstElementChild.focus();
  }

  #left({ relatedTarget }) {
    if (relatedTarget && !this.node.contains(relatedTarget)) this.node.open = false;
  }

  #chosen(event) {
    if (event.target.closest("a")) this.node.open = false;
  }
}

function entry(href, name, hint) {
  return el("li", {}, el("a", { href, download: "" }, el("span", {}, name), el("span", { class: "hint" }, hint)));
}
