/** A run that stands in the page itself, in blocks of JSON. It answers what is asked of the server, and is followed as a connection is. */

import { unifiedDiff } from "./offline-diff.js";
import { find } from "./offline-search.js";
import { text } from "./text.js";

const PAGE = 500;
/** How long events are handed on without a pause, in which the browser may draw. */
const BUSY_MS = 50;

export class OfflineRun {
  /** All that there is can be read at once. */
  isWhole = true;
  #task;
  /** The event_id before the first event that is kept. */
  #start;
  #events;
  #files;
  /** The versions that came along, as text or as bytes, by path and version. @type {Map<string, string | Uint8Array>} */
  #contents = new Map();

  constructor() {
    const blocks = [...document.querySelectorAll('script[type="application/json"]')];
    const of = (kind) => blocks.filter(({ dataset }) => dataset.kind === kind);
    const [{ task, start }, files] = ["header", "files"].map((kind) => JSON.parse(of(kind)[0].textContent));
    for (const { textContent } of of("file")) {
      const { path, version, content, base64 } = JSON.parse(textContent);
      this.#contents.set(key(path, version), content ?? Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
    }
    this.#task = { ...task, queue: null };
    this.#start = start.count;
    this.#files = files;
    this.#events = of("events");
    // The time stands still: it does not go on for a run that was not over.
    if (this.#events.length) this.#task.completed_at ??= JSON.parse(this.#events.at(-1).textContent).at(-1).timestamp;
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
    await null; // whoever asks has the answer to be told of first
    if (signal.aborted) return;
    if (since < this.#start) handlers.gap({ from: since + 1, to: this.#start, reason: "retention" });
    let begun = performance.now();
    for (const events of this.#after(since)) {
      handlers.events(events, this.#task.head);
      if (performance.now() - begun >= BUSY_MS) {
        await new Promise((resolve) => setTimeout(resolve));
        begun = performance.now();
      }
      if (signal.aborted) return;
    }
    handlers.caughtUp();
  }

  *#after(since) {
    for (const block of this.#events) {
      if (Number(block.dataset.last) <= since) continue;
      const events = JSON.parse(block.textContent).filter((event) => event.event_id > since);
      for (let at = 0; at < events.length; at += PAGE) yield events.slice(at, at + PAGE);
    }
  }

  /** Answers a request as the server would; what is not in the page is not found. @param {string} path @param {{method?: string}} [options] */
  answer(path, { method = "GET" } = {}) {
    const url = new URL(path, "http://offline");
    const base = `/api/tasks/${this.taskId}`;
    const found = method === "GET" && url.pathname.startsWith(base) ? this.#find(url.pathname.slice(base.length), url.searchParams) : undefined;
    if (found === undefined) return json({ title: text.offline.absent, detail: text.offline.absent, status: 404, code: "not_found" }, 404);
    return typeof found === "string" || found instanceof Uint8Array ? new Response(found) : json(found);
  }

  /** Text, bytes, or what is to become JSON; undefined for what is not here. */
  #find(path, query) {
    if (path === "") return this.#task;
    if (path === "/events") return this.#page(Number(query.get("since_event_id") ?? 0), Number(query.get("limit") ?? PAGE));
    if (path === "/search") return find(this.#after(0), { q: query.get("q"), limit: Number(query.get("limit")), before: Number(query.get("before") ?? Infinity) });
    if (path === "/artifacts") return this.#files;
    const [, name, diff] = /^\/artifacts\/(.+?)(\/diff)?$/.exec(path) ?? [];
    if (!name) return undefined;
    const content = (version) => (version === "0" ? "" : this.#contents.get(key(name.split("/").map(decodeURIComponent).join("/"), version)));
    if (!diff) return content(query.get("version"));
    const [before, after] = ["from", "to"].map((end) => content(query.get(end)));
    return typeof before === "string" && typeof after === "string" ? unifiedDiff(before, after) : undefined;
  }

  #page(since, limit) {
    const events = [];
    for (const page of this.#after(since)) {
      events.push(...page.slice(0, limit - events.length));
      if (events.length >= limit) break;
    }
    const gap = since < this.#start ? { from: since + 1, to: this.#start, reason: "retention" } : null;
    return { events, total: events.length, cursor: events.at(-1)?.event_id ?? this.#task.head, head: this.#task.head, terminal: true, gap };
  }
}

const key = (path, version) => `${version} ${path}`;
const json = (value, status = 200) => new Response(JSON.stringify(value), { status, headers: { "Content-Type": "application/json" } });
