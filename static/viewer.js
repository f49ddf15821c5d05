/** Shows a file of the team as text, in any version, or what has changed between two; whatever is in it. */

import { api, fileUrl } from "./api.js";
import { diffTable } from "./diff-view.js";
import { el, setText, visible } from "./dom.js";
import { bytes, time } from "./format.js";
import { icon } from "./icons.js";
import { reading } from "./reading.js";
import { roleName, text } from "./text.js";

const SHOWN_CHARS = 200_000;
const NO_FILE = "0"; // the version before the first
const WIDE = "(min-width: 64rem)";

export class Viewer {
  #taskId;
  #diagrams;
  #abort = new AbortController();
  #path = "";
  #newest = 0;
  #versions = [];
  #layout = matchMedia(WIDE).matches ? "split" : "unified";
  #name = el("h2", { dir: "ltr" });
  #version = this.#select(text.files.versionLabel);
  #against = this.#select(text.files.compare);
  #layouts = ["unified", "split"].map((layout) =>
    el("button", { type: "button", class: "button quiet", data: { layout }, on: { click: () => this.#lay(layout) } }, text.files.layouts[layout]),
  );
  #layoutGroup = el("div", { class: "layouts", role: "group", "aria-label": text.files.layout, hidden: true }, ...this.#layouts);
  #about = el("p", { class: "about" });
  #body = el("div", { class: "viewer-body", tabIndex: 0, role: "region", "aria-label": text.files.content });
  #note = el("p", { class: "note", hidden: true });
  #download = el("a", { class: "button quiet", download: "" }, icon("download"), el("span", {}, text.files.download));
  #close = el("button", { type: "button", class: "button quiet", "aria-label": text.close, on: { click: () => this.node.close() } }, icon("close"));
  node = el(
    "dialog",
    { class: "viewer", on: { close: () => this.#abort.abort() } },
    el("header", {}, this.#name, this.#download, this.#close),
    el("div", { class: "viewer-tools" }, this.#version.label, this.#against.label, this.#layoutGroup, this.#about),
    this.#body,
    this.#note,
  );

  /** @param {string} taskId @param {import("./diagrams.js").Diagrams} diagrams */
  constructor(taskId, diagrams) {
    this.#taskId = taskId;
    this.#diagrams = diagrams;
  }

  /** @param {{path: string, version: number}} file as it is now */
  open({ path, version }) {
    this.#path = path;
    this.#newest = version;
    this.#versions = [{ version }];
    this.#offer(String(version), "");
    setText(this.#name, visible(path));
    this.#body.replaceChildren(el("p", { class: "blank small" }, text.files.loading));
    if (!this.node.open) this.node.showModal();
    this.#load();
  }

  /** The files have changed: whoever looks at the newest version sees the new one. @param {Map<string, {version: number}>} artifacts */
  update(artifacts) {
    const version = artifacts.get(this.#path)?.version;
    if (!this.node.open || version === undefined || version === this.#newest) return;
    const follows = this.#version.input.value === String(this.#newest);
    this.#newest = version;
    this.#offer(follows ? String(version) : this.#version.input.value, this.#against.input.value);
    this.#load();
  }

  #select(name) {
    const input = el("select", { class: "input", on: { change: () => this.#load() } });
    return { input, label: el("label", {}, el("span", {}, name), input) };
  }

  #lay(layout) {
    this.#layout = layout;
    this.#load();
  }

  /** Fills the two pickers, with these values chosen. */
  #offer(version, against) {
    const numbers = [...new Set([...this.#versions.map((known) => known.version), this.#newest])].sort((a, b) => b - a);
    const option = (number) => el("option", { value: String(number) }, number === this.#newest ? text.files.now(number) : text.files.version(number));
    this.#version.input.replaceChildren(...numbers.map(option));
    this.#version.input.value = version;
    this.#against.input.replaceChildren(
      el("option", { value: "" }, text.files.compareNone),
      ...numbers.map(option),
      el("option", { value: NO_FILE }, text.files.noFile),
    );
    this.#against.input.value = against;
  }

  async #load() {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const [version, against] = [this.#version.input.value, this.#against.input.value];
    this.#download.href = fileUrl(this.#taskId, this.#path, version);
    this.#layoutGroup.hidden = against === "";
    for (const button of this.#layouts) button.setAttribute("aria-pressed", String(button.dataset.layout === this.#layout));
    try {
      const [content] = await Promise.all([
        against ? api.fileDiff(this.#taskId, this.#path, against, version, signal) : api.fileText(this.#taskId, this.#path, version, signal),
        this.#learn(signal),
      ]);
      if (against) this.#showDiff(content);
      else this.#showText(content);
    } catch (error) {
      if (signal.aborted) return;
      this.#show(el("p", { class: "blank small" }, `${text.files.failed} ${error.message}`));
    }
  }

  /** Which versions there are, and who wrote the one that is shown. */
  async #learn(signal) {
    const { artifacts } = await api.files(this.#taskId, signal);
    const file = artifacts.find((known) => known.path === this.#path);
    if (!file) return;
    this.#versions = file.versions;
    this.#newest = file.version;
    this.#offer(this.#version.input.value, this.#against.input.value);
    const shown = file.versions.find((known) => String(known.version) === this.#version.input.value);
    setText(this.#about, shown ? about(shown) : "");
  }

  #showText(content) {
    const hidden = content.length - SHOWN_CHARS;
    this.#show(reading(this.#path, content.slice(0, SHOWN_CHARS), this.#diagrams), hidden > 0 ? text.files.tooLong(hidden) : "");
  }

  #showDiff(unified) {
    if (unified === "") {
      this.#show(el("p", { class: "blank small" }, text.files.noChanges));
      return;
    }
    const { node, hidden } = diffTable(unified, this.#layout);
    this.#show(node, hidden > 0 ? text.files.tooManyRows(hidden) : "");
  }

  #show(node, note = "") {
    this.#body.replaceChildren(node);
    this.#note.hidden = note === "";
    setText(this.#note, note);
  }
}

/** "Engineer · WriteCode · 12:04:31 · 2.1 kB", as far as it is known. */
function about({ agent_role: role, action, timestamp, size }) {
  return [role && visible(roleName(role)), action && visible(action), timestamp && time(timestamp), bytes(size)].filter(Boolean).join(" · ");
}
