/** The task list, live: rows change in place as the tasks do. */

import { api, serverNow } from "./api.js";
import { arrange, el, once, setText, visible } from "./dom.js";
import { age, cost, stopwatch } from "./format.js";
import { ACTIVE } from "./model.js";
import { snippet } from "./snippet.js";
import { StatusFilter } from "./status-filter.js";
import { text } from "./text.js";

const PAGE = 50;
const TYPING_MS = 200;
const AGES_MS = 30_000;
const COUNTS_MS = 1_000;
const CLOCK_MS = 1_000;
/** Rows beyond this are folded back to the first page. */
const ROWS_MAX = 400;

export class TaskList {
  /** @type {Map<string, {task: any, heardAt: number, node: HTMLElement, update: (task: any) => void}>} */
  #rows = new Map();
  #selected = null;
  #next = null;
  #request = 0;
  #isLoaded = false;
  #typing = 0;
  #counting = 0;
  #countedAt = -COUNTS_MS;
  #search = el("input", { type: "search", class: "input", placeholder: text.list.search, "aria-label": text.list.search, on: { input: () => this.#typed() } });
  #status = new StatusFilter(() => this.#again());
  #list = el("ul", { class: "task-list", "aria-busy": "true" });
  #blank = el("div", { class: "blank" });
  #more = el("button", { type: "button", class: "button quiet more", hidden: true, on: { click: () => once(this.#more, () => this.#loadMore()) } }, text.list.more);
  #error = el("p", { class: "field-error", role: "alert" });
  node = el(
    "nav",
    { class: "list", "aria-label": text.list.heading },
    el("h2", {}, text.list.heading),
    this.#search,
    this.#status.node,
    this.#blank,
    this.#list,
    this.#more,
    this.#error,
  );

  constructor() {
    this.#blank.append(...skeleton());
    setInterval(() => this.#rows.forEach((row) => row.update(row.task)), AGES_MS);
    setInterval(() => this.#rows.forEach((row) => ACTIVE.has(row.task.status) && row.update(row.task)), CLOCK_MS);
  }

  /** Has the next key go into the search. */
  focus() {
    this.#search.focus();
  }

  /** Marks the row of the task that is open, or none. */
  select(taskId) {
    this.#rows.get(this.#selected)?.node.firstElementChild.removeAttribute("aria-current");
    this.#selected = taskId;
    this.#rows.get(taskId)?.node.firstElementChild.setAttribute("aria-current", "page");
  }

  /** A task changed, or was deleted when `task` is null. */
  state(taskId, task) {
    const known = this.#rows.get(taskId)?.task.status;
    if (known && known !== task?.status) this.#status.move(known, task?.status);
    if (known !== task?.status) this.#countSoon();
    if (task === null) {
      this.#rows.delete(taskId);
      return this.#draw();
    }
    const isFiltered = this.#search.value || this.#status.value;
    // Whether it belongs among the found ones is for the server to say.
    if (isFiltered && (!this.#rows.has(taskId) || (this.#status.value && task.status !== this.#status.value))) return this.#typed();
    if (this.#rows.size >= ROWS_MAX && !this.#rows.has(taskId)) return this.#again();
    this.#put(task);
    this.#draw();
  }

  /** However many tasks change, they are counted once a second at most. */
  #countSoon() {
    this.#counting ||= setTimeout(async () => {
      this.#counting = 0;
      this.#countedAt = performance.now();
      const { q } = this.#query();
      const page = await api.tasks({ q, limit: 1 }).catch(() => null); // without an answer the next change asks again
      if (page && q === this.#query().q) this.#status.show(page.counts);
    }, Math.max(0, this.#countedAt + COUNTS_MS - performance.now()));
  }

  /** Reads the first page again: what changed in between is unknown. */
  async reload() {
    const asked = performance.now();
    const request = ++this.#request;
    let page;
    try {
      page = await api.tasks({ ...this.#query(), limit: PAGE });
    } catch (error) {
      if (request === this.#request && !this.#isLoaded) this.#fail(error);
      throw error;
    }
    if (request !== this.#request) return;
    this.#merge(page, asked);
    this.#status.show(page.counts);
    this.#isLoaded = true;
    this.#draw();
  }

  #merge(page, asked) {
    const found = new Set(page.tasks.map((task) => task.id));
    const oldest = page.next_cursor ? page.tasks.at(-1).created_at : "";
    // Rows that were heard of since are newer than this page; those below it were not asked for.
    for (const [id, row] of this.#rows)
      if (!found.has(id) && row.heardAt < asked && row.task.created_at >= oldest) this.#rows.delete(id);
    for (const task of page.tasks) if (!(this.#rows.get(task.id)?.heardAt >= asked)) this.#put(task);
    if (this.#rows.size <= page.tasks.length) this.#next = page.next_cursor;
  }

  async #loadMore() {
    const request = this.#request;
    setText(this.#error, "");
    let page;
    try {
      page = await api.tasks({ ...this.#query(), limit: PAGE, cursor: this.#next });
    } catch (error) {
      return setText(this.#error, error.message);
    }
    if (request !== this.#request) return;
    const readsOn = document.activeElement === this.#more;
    const more = page.tasks.filter(({ id }) => !this.#rows.has(id));
    for (const task of more) this.#put(task);
    this.#next = page.next_cursor;
    this.#draw();
    if (readsOn) this.#rows.get(more[0]?.id)?.node.firstElementChild.focus();
  }

  #query() {
    return { q: this.#search.value.trim(), status: this.#status.value };
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#again(), TYPING_MS);
  }

  /** Another query: nothing that is shown counts any more. */
  #again() {
    this.#rows.clear();
    this.reload().catch((error) => this.#fail(error));
  }

  #put(task) {
    let row = this.#rows.get(task.id);
    if (!row) this.#rows.set(task.id, (row = newRow(task.id)));
    row.task = task;
    row.heardAt = performance.now();
    row.update(task);
  }

  #draw() {
    const rows = [...this.#rows.values()].sort((a, b) => (a.task.created_at < b.task.created_at ? 1 : -1));
    arrange(this.#list, rows.map((row) => row.node));
    this.select(this.#selected);
    this.#list.setAttribute("aria-busy", "false");
    this.#more.hidden = !this.#next;
    this.#blank.hidden = rows.length > 0;
    if (rows.length) return;
    const isFiltered = this.#search.value || this.#status.value;
    this.#blank.replaceChildren(
      ...(isFiltered ? [el("p", {}, text.list.noMatch)] : [el("p", {}, text.list.empty), el("p", { class: "hint" }, text.list.emptyHint)]),
    );
  }

  #fail(error) {
    arrange(this.#list, []);
    this.#blank.hidden = false;
    this.#blank.replaceChildren(
      el("p", {}, text.list.failed),
      el("p", { class: "hint" }, error.message),
      el("button", { type: "button", class: "button quiet", on: { click: () => this.#again() } }, text.retry),
    );
  }
}

function newRow(taskId) {
  const title = el("bdi", { class: "row-title", dir: "auto" });
  const status = el("span", { class: "status small" });
  const demo = el("span", { class: "demo small", hidden: true }, text.demo);
  const imported = el("span", { class: "imported small", hidden: true, title: text.task.importedHint }, text.task.imported);
  const priority = el("span", { class: "row-priority" });
  const spent = el("span", { class: "row-cost" });
  const took = el("span", { class: "row-took", title: text.task.elapsed });
  const when = el("time", { class: "row-age" });
  const bar = el("div", { class: "bar thin", "aria-hidden": "true" }, el("div", { class: "bar-fill" }));
  const found = el("span", { hidden: true });
  const head = el("span", { class: "row-head" }, title, when);
  const line = el("span", { class: "row-line" }, status, priority, took, spent, demo, imported);
  const link = el("a", { class: "row", href: `/tasks/${taskId}`, data: { link: "" } }, head, found, line, bar);
  return {
    task: null,
    heardAt: 0,
    node: el("li", {}, link),
    update(task) {
      const isActive = ACTIVE.has(task.status);
      setText(title, visible(task.title || text.list.untitled));
      status.dataset.status = task.status;
      const words = text.statuses[task.status] ?? task.status;
      setText(status, task.queue ? text.list.place(words, task.queue.position) : words);
      demo.hidden = !task.demo;
      imported.hidden = !task.imported_at;
      setText(priority, task.priority ? text.list.priority(task.priority) : "");
      setText(took, task.started_at ? stopwatch(endOf(task) - Date.parse(task.started_at)) : "");
      // What is free needs no figure.
      setText(spent, task.usage.llm_calls && !task.demo ? cost(task.usage) : "");
      when.dateTime = task.created_at;
      setText(when, age(task.created_at, serverNow()));
      bar.hidden = !isActive;
      bar.classList.toggle("unknown", isActive && task.progress === null);
      bar.style.setProperty("--share", String(task.progress ?? 0));
      // A task that is told of live does not say where the words stand: it is known already.
      if (task.snippet !== undefined) showFound(found, task);
    },
  };
}

const endOf = ({ completed_at: completed }) => (completed ? Date.parse(completed) : serverNow());

/** Where a task has the words that are looked for, unless that is all of its title. */
function showFound(node, { title, snippet: parts }) {
  node.hidden = !parts || parts.join("") === title;
  node.replaceChildren(...(node.hidden ? [] : [snippet(parts)]));
}

function skeleton() {
  return [1, 2, 3].map(() => el("div", { class: "skeleton row", "aria-hidden": "true" }));
}
