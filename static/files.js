/** The files that the team wrote. */

import { archiveUrl } from "./api.js";
import { arrange, el, pathWords, setText, visible } from "./dom.js";
import { drafts } from "./drafts.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { TERMINAL } from "./model.js";
import { roleName, text } from "./text.js";
import { Viewer } from "./viewer.js";

const LISTED_MAX = 200;

export class Files {
  #rows = new Map();
  #folders = new Map();
  /** Rows of files that are being written, by the step that does it. */
  #drafts = new Map();
  #newest = new Map();
  #count = el("span", { class: "count" });
  #list = el("ul", { class: "file-list" });
  #blank = el("p", { class: "blank small" }, text.files.empty.active);
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

  /** Stands beside the list, which may be folded. */
  viewer;

  /**
   * @param {{taskId: string, diagrams: import("./diagrams.js").Diagrams, onShow: (file: import("./address.js").FilePlace | null) => void}} options
   *   onShow: what the viewer shows is another
   */
  constructor(options) {
    this.viewer = new Viewer(options);
    this.#archive.href = archiveUrl(options.taskId);
  }

  /** Shows a file in the viewer. @param {import("./address.js").FilePlace} place */
  open(place) {
    this.viewer.open(place, this.#newest.get(place.path)?.version ?? null);
  }

  close() {
    this.viewer.close();
  }

  /** Has the keyboard go on in the list. */
  focus() {
    this.node.open = true;
    (this.#list.querySelector("button") ?? this.node.firstElementChild).focus();
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.#newest = model.artifacts;
    const files = [...model.artifacts.values()].sort(byFolder);
    const nodes = this.#writing(model);
    let folder = null;
    for (const file of files.slice(0, LISTED_MAX)) {
      if (folderOf(file.path) !== folder) nodes.push(this.#folder((folder = folderOf(file.path))));
      nodes.push(this.#row(file));
    }
    arrange(this.#list, nodes);
    this.#blank.hidden = nodes.length > 0;
    setText(this.#blank, TERMINAL.has(model.status) ? text.files.empty.ended : text.files.empty.active);
    this.#archive.hidden = Boolean(model.importedAt) || !files.some(({ current }) => current);
    setText(this.#count, files.length ? String(files.length) : "");
    this.#more.hidden = files.length <= LISTED_MAX;
    setText(this.#more, text.files.more(files.length - LISTED_MAX));
    this.viewer.update(model);
  }

  #writing({ feed }) {
    const known = this.#drafts;
    this.#drafts = new Map(drafts(feed).map((step) => [step.key, known.get(step.key) ?? this.#draft(step)]));
    return [...this.#drafts.values()];
  }

  #draft(step) {
    const state = el("span", { class: "file-writing" }, text.feed.writing);
    const open = () => this.viewer.openDraft(step);
    return el("li", { data: { role: step.role ?? "" } }, el("button", { type: "button", class: "file draft", title: text.files.writing(visible(roleName(step.role ?? text.team))), on: { click: open } }, icon("file"), pathWords(step.file, { class: "file-name" }), state));
  }

  #folder(path) {
    if (!this.#folders.has(path)) this.#folders.set(path, el("li", { class: "folder" }, pathWords(path || "/")));
    return this.#folders.get(path);
  }

  #row(file) {
    let row = this.#rows.get(file.path);
    if (!row) {
      const former = el("span", { class: "file-former", title: text.files.formerHint, hidden: true }, text.files.former);
      const version = el("span", { class: "file-version" });
      const size = el("span", { class: "file-size" });
      const button = el("button", { type: "button", class: "file", title: visible(file.path) }, icon("file"), pathWords(nameOf(file.path), { class: "file-name" }), former, version, size);
      row = { node: el("li", {}, button), button, former, version, size };
      this.#rows.set(file.path, row);
    }
    row.button.onclick = () => this.open({ path: file.path, version: file.version, from: null });
    row.former.hidden = file.current;
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
