/** A run that stands in the page itself, in blocks of JSON. It answers what is asked of the server, and is followed as a connection is. */

import { find } from "./recorded-search.js";
import { text } from "./text.js";

const PAGE = 500;

export class Recording {
  #blocks;
  #task;
  #start;
  /** The text of the files that came along, by path and version. */
  #files = new Map();

  constructor() {
    const blocks = [...document.querySelectorAll('script[type="application/json"]')];
    const { task, start } = JSON.parse(blocks.find(({ dataset }) => dataset.kind === "header").textContent);
    this.#task = { ...task, queue: null };
    this.#start = start.count;
    for (const { dataset, textContent } of blocks) {
      if (dataset.kind !== "file") continue;
      const { path, version, content } = JSON.parse(textContent);
      this.#files.set(`${path} ${version}`, content);
    }
    this.#blocks = blocks.filter(({ dataset }) => dataset.kind === "events");
    // The time stands still: it does not go on for a run that was not over.
    if (this.#blocks.length) this.#task.completed_at ??= JSON.parse(this.#blocks.at(-1).textContent).at(-1).timestamp;
  }

  get taskId() {
    return this.#task.id;
  }

  /** As Connection.watchTask; it comes to its end, and then nothing more happens. */
  watchTask(taskId, since, handlers) {
    const abort = new AbortController();
    this.#play(since, handlers, abort.signal);
    return () => abort.abort();
  }

  async #play(since, handlers, signal) {
    const { head } = this.#task;
    await null;
    if (signal.aborted) return;
    if (since < this.#start) handlers.gap({ from: since + 1, to: this.#start, reason: "retention" });
    for (const events of this.#after(since)) {
      if (signal.aborted) return;
      handlers.events(events, head);
      // Between two pages the browser may draw.
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (!signal.aborted) handlers.caughtUp();
  }

  *#after(since) {
    for (const block of this.#blocks) {
      if (Number(block.dataset.last) <= since) continue;
      const events = JSON.parse(block.textContent).filter((event) => event.event_id > since);
      for (let at = 0; at < events.length; at += PAGE) yield events.slice(at, at + PAGE);
    }
  }

  /** Answers a request as the server would; what is not in the recording is not found. */
  answer(path, { method = "GET" } = {}) {
    const url = new URL(path, "http://recording");
    const task = `/api/tasks/${this.taskId}`;
    if (method === "GET" && url.pathname === task) return json(this.#task);
    if (method === "GET" && url.pathname === `${task}/events`) return json(this.#page(url.searchParams));
    if (method === "GET" && url.pathname === `${task}/search`) return json(this.#found(url.searchParams));
    const content = this.#files.get(fileOf(url, task));
    if (method === "GET" && content !== undefined) return new Response(content);
    return json({ title: text.recording.absent, detail: text.recording.absent, status: 404, code: "not_found" }, 404);
  }

  #page(query) {
    const since = Math.max(this.#start, Number(query.get("since_event_id") ?? 0));
    const limit = Number(query.get("limit") ?? PAGE);
    const events = [];
    for (const page of this.#after(since)) {
      events.push(...page.slice(0, limit - events.length));
      if (events.length === limit) break;
    }
    return { events, total: events.length, head: this.#task.head, terminal: true, gap: null };
  }

  #found(query) {
    const before = Number(query.get("before") ?? Infinity);
    return find(this.#after(0), { q: query.get("q"), limit: Number(query.get("limit")), before });
  }
}

/** The path and version of the file that is asked for. */
function fileOf(url, task) {
  const prefix = `${task}/artifacts/`;
  if (!url.pathname.startsWith(prefix)) return null;
  const path = url.pathname.slice(prefix.length).split("/").map(decodeURIComponent).join("/");
  return `${path} ${url.searchParams.get("version")}`;
}

const json = (value, status = 200) => new Response(JSON.stringify(value), { status, headers: { "Content-Type": "application/json" } });
