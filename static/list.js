/** The task list, live: rows change in place as the tasks do. */

import { api, serverNow } from "./api.js";
import { arrange, el, once, perFrame, setText, visible } from "./dom.js";
import { age, cost, stopwatch } from "./format.js";
import { Listing } from "./listing.js";
import { ACTIVE } from "./model.js";
import { snippet } from "./snippet.js";
import { StatusFilter } from "./status-filter.js";
import { text } from "./text.js";

const PAGE = 50;
const TYPING_MS = 200;
const AGES_MS = 30_000;
const COUNTS_MS = 1_000;
const CLOCK_MS = 1_000;
/** When more tasks than this have come in beside the pages, the list is folded back to the first one. */
const GROWN_MAX = 400;

export class TaskList {
  #press;
  #listing = new Listing();
  /** @type {Map<string, ReturnType<typeof newRow>>} */
  #rows = new Map();
  #selected = null;
  #typing = 0;
  #counting = 0;
  #countedAt = -COUNTS_MS;
  /** Whether the first page is to be read again, and whether somebody sees to that. */
  #isStale = false;
  #isRefreshing = false;
  #isFailed = false;
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
  #show = () => this.#draw();
  #update = perFrame(() => this.#press.whenReleased(this.#show));

  /** @param {import("./press.js").Press} press */
  constructor(press) {
    this.#press = press;
    this.#blank.append(...skeleton());
    setInterval(() => this.#tick(() => true), AGES_MS);
    setInterval(() => this.#tick(({ status }) => ACTIVE.has(status)), CLOCK_MS);
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
    const isNew = !this.#listing.has(taskId);
    const { counts } = this.#listing;
    if (!this.#listing.tell(taskId, task) || this.#isFailed) this.#refreshSoon();
    if (isNew || counts !== this.#listing.counts) this.#countSoon();
    if (this.#listing.grown > GROWN_MAX) this.#again();
    this.#update();
  }

  /** However many tasks change, the first page is read again only so often, and once after the last of them. */
  async #refreshSoon() {
    this.#isStale = true;
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    while (this.#isStale) {
      await new Promise((done) => setTimeout(done, COUNTS_MS));
      this.#isStale = false;
      await this.reload().catch(() => {}); // without an answer the next change asks again
    }
    this.#isRefreshing = false;
  }

  /** However many tasks change, they are counted once a second at most. */
  #countSoon() {
    this.#counting ||= setTimeout(async () => {
      this.#counting = 0;
      this.#countedAt = performance.now();
      const { query } = this.#listing;
      const page = await api.tasks({ q: query.q, limit: 1 }).catch(() => null); // without an answer the next change asks again
      if (!page || query !== this.#listing.query) return;
      this.#listing.counts = page.counts;
      this.#update();
    }, Math.max(0, this.#countedAt + COUNTS_MS - performance.now()));
  }

  /** Reads the first page again: what changed in between is unknown. */
  async reload() {
    const { query } = this.#listing;
    try {
      const { reading, page } = await this.#read();
      this.#listing.take(reading, page);
    } catch (error) {
      if (query === this.#listing.query && !this.#listing.isRead) this.#fail(error);
      throw error;
    }
    setText(this.#error, "");
    this.#update();
  }

  async #loadMore() {
    setText(this.#error, "");
    const { next: cursor } = this.#listing;
    const found = await this.#read({ cursor }).catch((error) => setText(this.#error, error.message));
    if (!found) return;
    const readsOn = document.activeElement === this.#more;
    const first = this.#listing.append(found.reading, found.page);
    this.#draw();
    if (readsOn) this.#rows.get(first)?.node.firstElementChild.focus();
  }

  async #read(from = {}) {
    const reading = this.#listing.open();
    try {
      return { reading, page: await api.tasks({ ...reading.query, limit: PAGE, ...from }) };
    } finally {
      this.#listing.close(reading);
    }
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#again(), TYPING_MS);
  }

  /** Another query: what is shown stays until it is answered. */
  #again() {
    setText(this.#error, "");
    this.#listing.begin({ q: this.#search.value.trim(), status: this.#status.value });
    this.reload().catch(() => {}); // which has shown it
  }

  #draw() {
    if (!this.#listing.isRead) return;
    this.#isFailed = false;
    const { tasks, query, counts, next } = this.#listing;
    this.#rows = new Map(tasks.map(({ id }) => [id, this.#rows.get(id) ?? newRow(id)]));
    for (const task of tasks) this.#rows.get(task.id).show(task);
    arrange(this.#list, [...this.#rows.values()].map((row) => row.node));
    this.select(this.#selected);
    this.#status.show(counts);
    this.#list.setAttribute("aria-busy", "false");
    this.#more.hidden = !next;
    this.#blank.hidden = tasks.length > 0;
    if (tasks.length) return;
    this.#blank.replaceChildren(
      ...(query.q || query.status ? [el("p", {}, text.list.noMatch)] : [el("p", {}, text.list.empty), el("p", { class: "hint" }, text.list.emptyHint)]),
    );
  }

  /** Time has gone by. @param {(task: any) => boolean} isMeant */
  #tick(isMeant) {
    if (this.#press.isDown) return; // another tick follows
    for (const row of this.#rows.values()) if (isMeant(row.task)) row.update();
  }

  #fail(error) {
    this.#isFailed = true;
    this.#list.setAttribute("aria-busy", "false");
    this.#more.hidden = true;
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
    /** What is shown. @type {any} */
    task: null,
    node: el("li", {}, link),
    show(task) {
      if (task === this.task) return;
      if (String(task.snippet) !== String(this.task?.snippet)) showFound(found, task);
      this.task = task;
      this.update();
    },
    update() {
      const { task } = this;
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
