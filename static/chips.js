/** Files as small links: the name of each, with the folder that it is in. */

import { hashOf } from "./address.js";
import { el, visible, words } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./text.js";

export class Chips {
  #taskId;
  #count = 0;
  node = el("p", { class: "chips" });

  /** @param {string} taskId */
  constructor(taskId) {
    this.#taskId = taskId;
  }

  /** Adds the files that have come since. @param {{path: string, version: number}[]} files */
  show(files) {
    for (const file of files.slice(this.#count)) this.node.append(chip(file, this.#taskId));
    this.#count = files.length;
  }
}

function chip({ path, version }, taskId) {
  const href = hashOf(taskId, { file: { path, version, from: null } });
  const at = path.lastIndexOf("/") + 1;
  const folder = path.slice(path.lastIndexOf("/", at - 2) + 1, at);
  return el(
    "a",
    { class: "chip", href, title: visible(path), data: { link: "" } },
    icon("file"),
    el("span", {}, folder && words(folder, { class: "chip-folder" }), words(path.slice(at))),
    version > 1 && el("span", { class: "chip-version" }, text.files.version(version)),
  );
}
