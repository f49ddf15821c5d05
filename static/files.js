/** The files that the team wrote. */

import { archiveUrl } from "./api.js";
import { arrange, el, setText, visible, words } from "./dom.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { text } from "./text.js";
import { Viewer } from "./viewer.js";

const LISTED_MAX = 200;

export class Files {
  #taskId;
  #rows = new Map();
  #folders = new Map();
  #viewer;
  #count = el("span", { class: "count" });
  #list = el("ul", { class: "file-list" });
  #blank = el("p", { class: "blank small" }, text.files.empty);
  #more = el("p", { class: "note", hidden: true });
  #archive = el("a", { class: "file-archive", download: "", hidden: true }, icon("download"), text.files.archive);
  node = el(
    "details",
    { class: "panel", open: true },
    el("summary", {}, el("h2", {}, text.files.heading), this.#count),
    this.#blank,
    this.#list,
    this.#more,
    this.#archive,
  );

  /** @param {string} taskId @param {import("./diagrams.js").Diagrams} diagrams */
  constructor(taskId, diagrams) {
    this.#taskId = taskId;
    this.#viewer = new Viewer(taskId, diagrams);
    this.#archive.href = archiveUrl(taskId);
    this.node.append(this.#viewer.node);
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    const files = [...model.artifacts.values()].sort(byFolder);
    const nodes = [];
    let folder = null;
    for (const file of files.slice(0, LISTED_MAX)) {
      if (folderOf(file.path) !== folder) nodes.push(this.#folder((folder = folderOf(file.path))));
      nodes.push(this.#row(file));
    }
    arrange(this.#list, nodes);
    this.#blank.hidden = files.length > 0;
    this.#archive.hidden = files.length === 0;
    setText(this.#count, files.length ? String(files.length) : "");
    this.#more.hidden = files.length <= LISTED_MAX;
    setText(this.#more, text.files.more(files.length - LISTED_MAX));
    this.#viewer.update(model.artifacts);
  }

  #folder(path) {
    if (!this.#folders.has(path)) this.#folders.set(path, el("li", { class: "folder" }, words(path || "/")));
    return this.#folders.get(path);
  }

  #row(file) {
    let row = this.#rows.get(file.path);
    if (!row) {
      const version = el("span", { class: "file-version" });
      const size = el("span", { class: "file-size" });
      const button = el("button", { type: "button", class: "file", title: visible(file.path) }, icon("file"), words(nameOf(file.path), { class: "file-name" }), version, size);
      row = { node: el("li", {}, button), button, version, size };
      this.#rows.set(file.path, row);
    }
    row.button.onclick = () => this.#viewer.open(file);
    setText(row.version, text.files.version(file.version));
    setText(row.size, bytes(file.size));
    return row.node;
  }
}

const folderOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);
const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);

function byFolder(a, b) {
  const [left, right] = [folderOf(a.path), folderOf(b.path)];
  if (left !== right) return left < right ? -1 : 1;
  return a.path < b.path ? -1 : 1;
}
