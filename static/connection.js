/**
 * Everything live that the page reads, over WebSocket where that works and over REST polling where it does not.
 *
 * A watch has one cursor, whatever carries it. Both transports hand in what they have; the cursor lets through each
 * event once and in order. So a switch needs no handshake: the new transport starts from the cursor, and what the old
 * one still delivers falls away.
 */

import { Backoff } from "./backoff.js";
import { Cursor } from "./cursor.js";
import { Poller } from "./poller.js";
import { Socket } from "./socket.js";

/** @typedef {"connecting" | "live" | "polling" | "reconnecting" | "offline"} Mode */

const RETRY_CAP_MS = 5_000;
const RETRY_WHILE_POLLING_CAP_MS = 30_000;

export class Connection {
  /** A log is as long as it is, and far away. */
  isWhole = false;
  /** @type {Mode} */
  mode = "connecting";
  /** A key of text.connection.reasons, or null. */
  reason = null;

  #url;
  #onMode;
  #socket = null;
  #poller = null;
  #retry = 0;
  #backoff = new Backoff();
  #epoch = null;
  #watches = new Map();
  #tasks = null;
  #isClosed = false;

  /** @param {{url: string, onMode: (mode: Mode, reason: string | null) => void}} options */
  constructor({ url, onMode }) {
    this.#url = url;
    this.#onMode = onMode;
    addEventListener("online", () => this.open());
    addEventListener("offline", () => this.#lost("browser", true));
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.open());
  }

  /** Opens the WebSocket now, without waiting for the time of the next attempt. */
  open() {
    if (this.#socket || this.#isClosed) return;
    clearTimeout(this.#retry);
    this.#backoff.reset();
    this.#dial();
  }

  /** Reads nothing any more, for good. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#socket?.close();
    this.#socket = null;
    this.#poller?.stop();
    this.#poller = null;
  }

  /**
   * Follows every task. `state` is null when a task was deleted.
   * @param {{state: (taskId: string, state: any) => void, reload: () => Promise<any>}} handlers
   *   reload: what was missed is unknown, so read the list again
   */
  watchTasks(handlers) {
    this.#tasks = handlers;
  }

  /**
   * Follows one task's log from `since`.
   * @param {string} taskId
   * @param {number} since
   * @param {{events: (events: import("./cursor.js").Event[], head: number) => void, caughtUp: () => void,
   *          gap: (gap: {from: number, to: number, reason: string}) => void, reset: () => void, gone: () => void}} handlers
   *   reset: the cursor counts in a log that is no more (a new epoch), so end this watch and start again
   * @returns {() => void} stops following
   */
  watchTask(taskId, since, handlers) {
    const abort = new AbortController();
    const watch = { taskId, cursor: new Cursor(since), handlers, signal: abort.signal, asking: false };
    this.#watches.set(taskId, watch);
    if (this.mode === "live") this.#subscribe(watch);
    else this.#poller?.add(watch);
    return () => {
      abort.abort();
      if (this.#watches.get(taskId) !== watch) return;
      this.#watches.delete(taskId);
      this.#socket?.send({ op: "unsubscribe", task_id: taskId });
    };
  }

  #dial() {
    this.#socket = new Socket(this.#url, {
      frame: (frame) => this.#frame(frame),
      closed: ({ reason, greeted }) => this.#lost(greeted || reason !== "lost" ? reason : "refused", greeted),
    });
  }

  /** The WebSocket is gone: try again later, and from the second failure on read over HTTP meanwhile. */
  #lost(reason, greeted) {
    this.#socket?.close();
    this.#socket = null;
    clearTimeout(this.#retry);
    if (this.#isClosed) return;
    if (!navigator.onLine) return this.#rest("browser");
    if (greeted) this.#setMode("reconnecting", reason);
    else this.#poll(reason);
    const cap = this.mode === "polling" ? RETRY_WHILE_POLLING_CAP_MS : RETRY_CAP_MS;
    this.#retry = setTimeout(() => this.#dial(), this.#backoff.next(cap));
  }

  /** Nothing to try until the browser is online again. */
  #rest(reason) {
    this.#poller?.stop();
    this.#poller = null;
    this.#setMode("offline", reason);
  }

  #poll(reason) {
    if (this.#poller) return;
    this.#poller = new Poller({
      page: (watch, page) => this.#page(watch, page),
      tasks: () => this.#tasks.reload(),
      gone: (watch) => this.#gone(watch),
      ahead: (watch) => watch.handlers.reset(),
      up: () => {
        if (this.mode === "offline") this.open();
        if (this.mode !== "live") this.#setMode("polling", reason);
      },
      down: (error) => this.#setMode("offline", error.status ? "refused" : "server"),
    });
    for (const watch of this.#watches.values()) this.#poller.add(watch);
  }

  #page(watch, page) {
    this.#greet(page.epoch);
    if (watch.signal.aborted) return; // it has started again
    if (page.gap) {
      watch.cursor.skip(page.gap.to);
      watch.handlers.gap(page.gap);
    }
    this.#take(watch, page.events, page.head);
    if (watch.cursor.at >= page.head) watch.handlers.caughtUp();
  }

  #frame(frame) {
    const watch = this.#watches.get(frame.task_id);
    switch (frame.op) {
      case "hello":
        return this.#live(frame.epoch);
      case "state":
        return this.#tasks.state(frame.task_id, frame.state);
      case "events":
        if (watch) this.#take(watch, frame.events, frame.head);
        return;
      case "caught_up":
        if (watch && watch.cursor.at >= frame.event_id) watch.handlers.caughtUp();
        return;
      case "gap":
        if (!watch) return;
        watch.cursor.skip(frame.to);
        return watch.handlers.gap(frame);
      case "error":
        if (watch && frame.code === "task_not_found") this.#gone(watch);
        if (watch && frame.code === "cursor_ahead") watch.handlers.reset();
    }
  }

  #live(epoch) {
    this.#poller?.stop();
    this.#poller = null;
    this.#backoff.reset();
    this.#greet(epoch);
    this.#setMode("live", null);
    this.#socket.send({ op: "subscribe_tasks" });
    // What changed while nobody listened; a failure shows in the list itself.
    this.#tasks.reload().catch(() => {});
    for (const watch of this.#watches.values()) this.#subscribe(watch);
  }

  #subscribe(watch) {
    watch.asking = false;
    this.#socket.send({ op: "subscribe", task_id: watch.taskId, since_event_id: watch.cursor.at });
  }

  #take(watch, events, head) {
    const { fresh, missing } = watch.cursor.accept(events);
    if (fresh.length) {
      watch.asking = false;
      watch.handlers.events(fresh, head);
    }
    // Frames already under way would each show the same hole: ask once.
    if (!missing || watch.asking || this.mode !== "live") return;
    this.#socket.send({ op: "unsubscribe", task_id: watch.taskId });
    this.#subscribe(watch);
    watch.asking = true;
  }

  #greet(epoch) {
    const known = this.#epoch;
    this.#epoch = epoch;
    if (known !== null && known !== epoch) for (const watch of this.#watches.values()) watch.handlers.reset();
  }

  #gone(watch) {
    this.#watches.delete(watch.taskId);
    watch.handlers.gone();
  }

  #setMode(mode, reason) {
    if (mode === this.mode && reason === this.reason) return;
    this.mode = mode;
    this.reason = reason;
    this.#onMode(mode, reason);
  }
}
