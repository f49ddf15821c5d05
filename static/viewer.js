/** Shows a file of the team, in any version or while it is written, or what has changed between two versions. */

import { hashOf } from "./address.js";
import { api, fileUrl } from "./api.js";
import { copied } from "./clipboard.js";
import { el, pathWords, setText, visible } from "./dom.js";
import { codeIn, keptOf } from "./drafts.js";
import { bytes, time } from "./format.js";
import { icon } from "./icons.js";
import { imageType, isDocument, reading, source } from "./reading.js";
import { Segments } from "./segments.js";
import { roleName, text } from "./text.js";

const SHOWN_CHARS = 200_000;
const NO_FILE = "0"; // the version before the first
const WIDE = "(min-width: 64rem)";
/** Below this width two sides have no room beside each other. */
const NARROW = "(max-width: 40rem)";
/** How near the end of what is written counts as being there, in pixels. */
const NEAR_END = 40;

export class Viewer {
  #taskId;
  #diagrams;
  #onShow;
  #abort = new AbortController();
  #path = "";
  /** The newest version that is known of, by the server or by the task that is shown; null: none yet. @type {number | null} */
  #newest = null;
  #told = 0;
  #versions = [];
  /** The step that writes what is shown. @type {number | null} */
  #draft = null;
  #narrow = matchMedia(NARROW);
  #onWidth = () => this.#draft === null && this.#load();
  #name = el("h2", { dir: "ltr", id: "viewer-name" });
  #version = this.#select(text.files.versionLabel);
  #against = this.#select(text.files.compare);
  #layout = new Segments({ label: text.files.layout, names: text.files.layouts, value: matchMedia(WIDE).matches ? "split" : "unified", onChange: () => this.#load() });
  #view = new Segments({ label: text.files.view, names: text.files.views, value: "document", onChange: () => this.#load() });
  #about = el("p", { class: "about" });
  #body = el("div", { class: "viewer-body", tabIndex: 0, role: "region", "aria-label": text.files.content });
  #note = el("p", { class: "note", hidden: true });
  #link = el("a", { class: "button quiet", on: { click: (event) => this.#copy(event) } }, icon("link"), el("span", { "aria-live": "polite" }, text.files.link));
  #download = el("a", { class: "button quiet", download: "" }, icon("download"), el("span", {}, text.files.download));
  #close = el("button", { type: "button", class: "button quiet", "aria-label": text.close, on: { click: () => this.close() } }, icon("close"));
  #tools = el("div", { class: "viewer-tools" }, this.#version.label, this.#against.label, this.#layout.node, this.#view.node, this.#about);
  node = el(
    "dialog",
    { class: "viewer", "aria-labelledby": "viewer-name", on: { close: () => this.#closed() } },
    el("header", {}, this.#name, this.#link, this.#download, this.#close),
    this.#tools,
    this.#body,
    this.#note,
  );

  /**
   * @param {{taskId: string, diagrams: import("./diagrams.js").Diagrams, onShow: (file: import("./address.js").FilePlace | null) => void}} options
   *   onShow: another file, version or comparison is shown, or none any more
   */
  constructor({ taskId, diagrams, onShow }) {
    this.#taskId = taskId;
    this.#diagrams = diagrams;
    this.#onShow = onShow;
  }

  /** @param {import("./address.js").FilePlace} place @param {number | null} [newest] the newest version, where it is known */
  open(place, newest = null) {
    this.#begin(place.path);
    this.#show(el("p", { class: "blank small" }, text.files.loading));
    this.#turnTo(place, newest);
  }

  /** Shows a file while it is written, and then as it is kept. @param {any} step of the feed */
  openDraft(step) {
    this.#begin(step.file);
    this.#path = "";
    this.#draft = step.key;
    this.#onShow(null);
    this.#show(el("pre", { class: "code", dir: "ltr" }, el("code", {}, "")));
    this.#write(step);
  }

  close() {
    this.node.close();
  }

  /** The task has changed: whoever looks at the newest version sees the new one. @param {import("./model.js").TaskModel} model */
  update({ artifacts, feed }) {
    if (!this.node.open) return;
    if (this.#draft !== null) return this.#follow(feed, artifacts);
    const version = artifacts.get(this.#path)?.version;
    if (version === undefined || version === this.#told) return;
    const follows = this.#version.input.value === String(this.#told);
    this.#told = version;
    this.#newest = Math.max(this.#newest ?? 0, version);
    this.#offer(follows ? version : this.#version.input.value, this.#against.input.value);
    if (follows) this.#load();
  }

  /** Loads a file in place of what is shown, which stays until it is there. */
  #turnTo({ path, version, from }, newest) {
    this.#path = path;
    this.#newest = newest;
    this.#told = newest ?? 0;
    this.#versions = [];
    this.#offer(version ?? newest ?? "", from ?? "");
    this.#load();
  }

  #begin(name) {
    this.#abort.abort();
    this.#draft = null;
    this.#name.replaceChildren(pathWords(name));
    setText(this.#about, "");
    this.#link.hidden = this.#download.hidden = this.#tools.hidden = true;
    if (this.node.open) return;
    this.#narrow.addEventListener("change", this.#onWidth);
    this.node.showModal();
  }

  /** Stops what goes on: the page shows another task. */
  destroy() {
    this.#abort.abort();
    this.#narrow.removeEventListener("change", this.#onWidth);
  }

  #closed() {
    this.destroy();
    this.#draft = null;
    this.#onShow(null);
  }

  #follow(feed, artifacts) {
    const step = feed.entryOf(this.#draft);
    if (step?.key !== this.#draft) return;
    const kept = keptOf(step);
    if (!kept) return this.#write(step);
    this.#begin(kept.path);
    this.#turnTo({ ...kept, from: null }, artifacts.get(kept.path)?.version ?? kept.version);
  }

  /** Adds what was written since, and stays at its end while the reader is there. */
  #write({ text: said, state, role }) {
    const code = this.#body.querySelector("code");
    const written = visible(codeIn(said));
    if (code.textContent !== written) {
      const isAtEnd = this.#body.scrollHeight - this.#body.scrollTop - this.#body.clientHeight < NEAR_END;
      setText(code, written);
      if (isAtEnd) this.#body.scrollTop = this.#body.scrollHeight;
    }
    setText(this.#note, state === "running" ? text.files.writing(visible(roleName(role ?? text.team))) : text.files.notKept);
    this.#note.hidden = false;
  }

  #select(name) {
    const input = el("select", { class: "input", on: { change: () => this.#load() } });
    return { input, label: el("label", {}, el("span", {}, name), input) };
  }

  /** Fills the two pickers, with these values chosen. */
  #offer(version, against) {
    const named = [this.#newest, version, against].map(Number).filter(Boolean);
    const numbers = [...new Set([...this.#versions.map((known) => known.version), ...named])].sort((a, b) => b - a);
    const option = (number) => el("option", { value: String(number) }, number === this.#newest ? text.files.now(number) : text.files.version(number));
    this.#version.input.replaceChildren(...numbers.map(option));
    this.#version.input.value = String(version);
    this.#against.input.replaceChildren(
      el("option", { value: "" }, text.files.compareNone),
      ...numbers.map(option),
      el("option", { value: NO_FILE }, text.files.noFile),
    );
    this.#against.input.value = String(against);
  }

  async #load() {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      if (this.#version.input.value === "") await this.#learn(signal);
      const [version, against] = [this.#version.input.value, this.#against.input.value];
      this.#place(version, against);
      const [shown] = await Promise.all([this.#content(version, against, signal), this.#learn(signal)]);
      this.#show(...shown);
    } catch (error) {
      if (signal.aborted) return;
      this.#download.hidden = true;
      // What is not there will not be there; the server may be back.
      const retry = error.status === 0 && el("button", { type: "button", class: "button quiet", on: { click: () => this.#load() } }, text.retry);
      this.#show(el("div", { class: "blank small" }, el("p", {}, `${text.files.failed} ${error.message}`), retry));
    }
  }

  /** Has the address, and what can be taken home, be those of what is shown. */
  #place(version, against) {
    const number = (value) => (value === "" ? null : Number(value));
    const file = { path: this.#path, version: number(version), from: number(against) };
    this.#download.href = fileUrl(this.#taskId, this.#path, version);
    this.#link.href = hashOf(this.#taskId, { file });
    this.#link.hidden = this.#download.hidden = this.#tools.hidden = false;
    setText(this.#link.lastChild, text.files.link);
    this.#layout.node.hidden = against === "" || against === NO_FILE || this.#narrow.matches || imageType(this.#path) !== undefined;
    this.#view.node.hidden = against !== "" || !isDocument(this.#path);
    this.#onShow(file);
  }

  /** @returns {Promise<[Node, string]>} what is to be shown, and what is to be said below */
  async #content(version, against, signal) {
    if (imageType(this.#path)) return [await this.#pictures([against, version].filter(Boolean), signal), ""];
    if (against) return changes(await api.fileDiff(this.#taskId, this.#path, against, version, signal), this.#layoutOf(against));
    const content = await api.fileText(this.#taskId, this.#path, version, signal);
    if (content === "") return [el("p", { class: "blank small" }, text.files.nothing), ""];
    const hidden = content.length - SHOWN_CHARS;
    const shown = content.slice(0, SHOWN_CHARS);
    const node = this.#view.value === "source" ? source(this.#path, shown) : reading(this.#path, shown, this.#diagrams);
    return [node, hidden > 0 ? text.files.tooLong(hidden) : ""];
  }

  #layoutOf(against) {
    if (this.#narrow.matches) return "narrow";
    return against === NO_FILE ? "unified" : this.#layout.value;
  }

  async #pictures(versions, signal) {
    const shown = versions.filter((version) => version !== NO_FILE).map(async (version) => {
      const content = await api.fileBytes(this.#taskId, this.#path, version, signal);
      const { picture } = await import("./images.js");
      return picture(this.#path, imageType(this.#path), content, text.files.version(version));
    });
    return el("div", { class: "pictures" }, ...(await Promise.all(shown)));
  }

  /** Which versions there are, and who wrote the one that is shown. */
  async #learn(signal) {
    const { artifacts } = await api.files(this.#taskId, null, signal);
    const file = artifacts.find((known) => known.path === this.#path);
    if (!file) return;
    this.#versions = file.versions;
    this.#newest = Math.max(this.#newest ?? 0, file.version);
    this.#offer(this.#version.input.value || file.version, this.#against.input.value);
    const shown = file.versions.find((known) => String(known.version) === this.#version.input.value);
    setText(this.#about, shown ? about(shown) : "");
  }

  /** Copies the address; who wants to open it elsewhere can still press it as a link. */
  async #copy(event) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const isCopied = await copied(this.#link.href, this.node);
    setText(this.#link.lastChild, isCopied ? text.files.linkCopied : text.files.linkNotCopied);
  }

  #show(node, note = "") {
    this.#body.replaceChildren(node);
    this.#note.hidden = note === "";
    setText(this.#note, note);
  }
}

/** @returns {Promise<[Node, string]>} */
async function changes(unified, layout) {
  const { diffTable } = await import("./diff-view.js");
  if (unified === "") return [el("p", { class: "blank small" }, text.files.noChanges), ""];
  const { node, hidden } = diffTable(unified, layout);
  return [node, hidden > 0 ? text.files.tooManyRows(hidden) : ""];
}

/** "Engineer · WriteCode · 12:04:31 · 2.1 kB", as far as it is known. */
function about({ agent_role: role, action, timestamp, size }) {
  return [role && visible(roleName(role)), action && visible(action), timestamp && time(timestamp), bytes(size)].filter(Boolean).join(" · ");
}
