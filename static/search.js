/** Search in the events of a task. */

import { api, eventUrl } from "./api.js";
import { avatar } from "./cards.js";
import { el, setText } from "./dom.js";
import { time } from "./format.js";
import { snippet } from "./snippet.js";
import { roleName, text } from "./text.js";

const PAGE = 20;
const TYPING_MS = 250;

export class Search {
  #taskId;
  #onSelect;
  #abort = new AbortController();
  #typing = 0;
  #next = null;
  #field = el("input", { type: "search", class: "input", placeholder: text.search.placeholder, "aria-label": text.search.label, maxLength: 200, autocomplete: "off", on: { input: () => this.#typed() } });
  #said = el("p", { class: "note", role: "status" });
  #list = el("ol", { class: "findings" });
  #more = el("button", { type: "button", class: "button quiet more", hidden: true, on: { click: () => this.#ask(this.#next) } }, text.list.more);
  node = el(
    "details",
    { class: "panel search", on: { toggle: () => this.node.open && this.#field.focus() } },
    el("summary", {}, el("h2", {}, text.search.heading)),
    el("form", { role: "search", on: { submit: (event) => this.#submit(event) } }, this.#field),
    this.#said,
    this.#list,
    this.#more,
  );

  /** @param {{taskId: string, onSelect: (eventId: number) => void}} options onSelect: an event is to be shown */
  constructor({ taskId, onSelect }) {
    this.#taskId = taskId;
    this.#onSelect = onSelect;
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.node.hidden = model.head === 0;
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#ask(null), TYPING_MS);
  }

  #submit(event) {
    event.preventDefault();
    clearTimeout(this.#typing);
    this.#ask(null);
  }

  /** Asks for a page of findings before an event, or for the first one; what was asked before does not count any more. */
  async #ask(before) {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const query = this.#field.value.trim();
    if (!query) return this.#show([], null, "");
    this.#list.setAttribute("aria-busy", "true");
    try {
      const { results, next_before: next } = await api.search(this.#taskId, { q: query, limit: PAGE, before }, signal);
      const earlier = before ? [...this.#list.children] : [];
      const rows = [...earlier, ...results.map((result) => this.#row(result))];
      const readsOn = document.activeElement === this.#more;
      this.#show(rows, next, text.search.found(rows.length, next !== null));
      if (readsOn) rows[earlier.length]?.firstElementChild.focus();
    } catch (error) {
      if (signal.aborted) return;
      if (error.code !== "search_unfinished") return this.#show([], null, error.message);
      setText(this.#said, error.message);
      this.#ask(before); // the server has worked on it for a while, and goes on from there
    }
  }

  #show(rows, next, said) {
    this.#next = next;
    this.#list.replaceChildren(...rows);
    this.#list.setAttribute("aria-busy", "false");
    this.#more.hidden = next === null;
    setText(this.#said, said);
  }

  #row({ event_id: id, event_type: type, agent_role: role, timestamp, snippet: parts }) {
    const who = role ? roleName(role) : text.team;
    const jump = el(
      "button",
      { type: "button", class: "finding", on: { click: () => this.#onSelect(id) } },
      avatar(role),
      el("span", { class: "finding-head" }, `${who} · ${text.search.types[type] ?? type}`),
      snippet(parts),
    );
    const whole = el("a", { href: eventUrl(this.#taskId, id), target: "_blank", rel: "noopener", title: text.search.whole }, el("time", { dateTime: timestamp }, time(timestamp)));
    return el("li", { data: { event: id } }, jump, whole);
  }
}
