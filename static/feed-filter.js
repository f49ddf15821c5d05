/** Which entries of the feed are shown: by role, by kind, by words. */

import { el, setText, visible } from "./dom.js";
import { roleName, text } from "./text.js";
import { isBetween, PERSON } from "./traffic.js";

const TYPING_MS = 150;

/** The choices, each with the kinds of entries that it shows. */
const KINDS = {
  messages: ["message"],
  work: ["step"],
  files: ["files"],
  questions: ["question"],
  problems: ["error", "gap"],
  status: ["status", "result"],
};

export class FeedFilter {
  #role = null;
  /** Only what one said to the other. @type {{from: string, to: string} | null} */
  #edge = null;
  #words = "";
  #onRole;
  #onEdge;
  #onChange;
  #typing = 0;
  /** What was found of each entry, with the version of it that was looked at. */
  #known = new WeakMap();
  #roles = el("select", { class: "input", "aria-label": text.filter.role }, el("option", { value: "" }, text.filter.everyone));
  #kinds = el(
    "select",
    { class: "input", "aria-label": text.filter.kind },
    el("option", { value: "" }, text.filter.everything),
    ...Object.keys(KINDS).map((kind) => el("option", { value: kind }, text.filter.kinds[kind])),
  );
  #search = el("input", { type: "search", class: "input", placeholder: text.filter.words, "aria-label": text.filter.words, autocomplete: "off" });
  #between = el("span", { class: "filter-between", hidden: true });
  #count = el("span", { class: "filter-count" });
  #clear = el("button", { type: "button", class: "link", hidden: true, on: { click: () => this.reset() } }, text.filter.clear);
  node = el("div", { class: "feed-filter", role: "search", "aria-label": text.filter.heading }, this.#search, this.#roles, this.#kinds, this.#between, this.#count, this.#clear);

  /**
   * @param {{onRole: (role: string | null) => void, onEdge: (edge: null) => void, onChange: () => void}} options
   *   onRole: a person chose one, or all when null; onEdge: no longer only what one said to the other
   */
  constructor({ onRole, onEdge, onChange }) {
    this.#onRole = onRole;
    this.#onEdge = onEdge;
    this.#onChange = onChange;
    this.#roles.addEventListener("change", () => onRole(this.#roles.value || null));
    this.#kinds.addEventListener("change", () => this.#changed());
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#changed(), TYPING_MS);
    });
  }

  /** Shows the entries of one role, or of all when null. */
  only(role) {
    this.#role = role;
    this.#roles.value = role ?? "";
    this.#changed();
  }

  /** Shows only what one said to the other, or everything when null. */
  between(edge) {
    this.#edge = edge;
    this.#between.hidden = edge === null;
    if (edge !== null) setText(this.#between, text.graph.between(nameOf(edge.from), nameOf(edge.to)));
    this.#changed();
  }

  /** Shows everything again. */
  reset() {
    this.#kinds.value = this.#search.value = "";
    if (this.#role !== null) this.#onRole(null);
    if (this.#edge !== null) this.#onEdge(null);
    this.#changed();
  }

  /** @param {import("./model.js").TaskModel} model @param {number} shown how many entries are */
  render(model, shown) {
    const known = this.#roles.options.length - 1;
    for (const role of [...model.agents.keys()].slice(known)) this.#roles.append(el("option", { value: role }, roleName(role)));
    this.#roles.value = this.#role ?? "";
    this.#clear.hidden = !this.isActive;
    setText(this.#count, this.isActive ? text.filter.count(shown, model.feed.entries.length) : "");
  }

  get isActive() {
    return this.#role !== null || this.#edge !== null || this.#kinds.value !== "" || this.#words !== "";
  }

  /** @param {import("./feed-model.js").Entry[]} entries @returns {readonly import("./feed-model.js").Entry[]} the same array when all are shown */
  of(entries) {
    return this.isActive ? entries.filter((entry) => this.#shows(entry)) : entries;
  }

  #changed() {
    this.#words = this.#search.value.trim().toLowerCase();
    this.#known = new WeakMap();
    this.#onChange();
  }

  #shows(entry) {
    if (this.#edge !== null && !isBetween(entry, this.#edge)) return false;
    if (this.#role !== null && entry.role !== this.#role && entry.role !== null) return false;
    if (this.#kinds.value && !KINDS[this.#kinds.value].includes(entry.kind) && !(this.#kinds.value === "files" && entry.files?.length)) return false;
    if (!this.#words) return true;
    let known = this.#known.get(entry);
    if (known?.version !== entry.version) this.#known.set(entry, (known = { version: entry.version, found: this.#isSaid(entry) }));
    return known.found;
  }

  #isSaid({ text: words, lead, action, file, files, cause, type, project, answer, role }) {
    const paths = files?.map(({ path }) => path) ?? [];
    return [words, lead, action, file, cause, type, project, answer, role && roleName(role), ...paths].some((said) => said?.toLowerCase().includes(this.#words));
  }
}

const nameOf = (name) => visible(name === PERSON ? text.human : roleName(name));
