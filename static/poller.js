/** The same reads over plain HTTP, for where WebSocket is not possible. Long polls: the server answers when there is news. */

import { api } from "./api.js";
import { Backoff } from "./backoff.js";

const PAGE = 1000;
const WAIT_S = 20;
const TASKS_MS = 2500;
const EMPTY_MS = 1000;
const RETRY_CAP_MS = 8000;

export class Poller {
  #abort = new AbortController();
  #handlers;

  /**
   * @param {{page: (watch: any, page: any) => void, tasks: () => Promise<void>, gone: (watch: any) => void,
   *          ahead: (watch: any) => void, up: () => void, down: (error: Error) => void}} handlers
   */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#repeat(async (signal) => {
      await this.#handlers.tasks();
      await pause(TASKS_MS, signal);
    });
  }

  /** Reads a task's events from its cursor until `watch.signal` or this poller is stopped. */
  add(watch) {
    this.#repeat(async (signal) => {
      const asked = performance.now();
      const page = await api.events(watch.taskId, { since: watch.cursor.at, limit: PAGE, wait: WAIT_S }, signal);
      if (signal.aborted) return;
      this.#handlers.page(watch, page);
      // A finished task is answered at once: do not ask it again and again.
      if (!page.events.length && performance.now() - asked < EMPTY_MS) await pause(EMPTY_MS, signal);
    }, watch);
  }

  stop() {
    this.#abort.abort();
  }

  async #repeat(step, watch) {
    const signal = watch ? AbortSignal.any([this.#abort.signal, watch.signal]) : this.#abort.signal;
    const backoff = new Backoff();
    while (!signal.aborted) {
      try {
        await step(signal);
        if (signal.aborted) return;
        backoff.reset();
        this.#handlers.up();
      } catch (error) {
        if (signal.aborted) return;
        if (watch && error.status === 404) return this.#handlers.gone(watch);
        if (watch && error.code === "cursor_ahead") return this.#handlers.ahead(watch);
        this.#handlers.down(error);
        await pause(backoff.next(RETRY_CAP_MS), signal);
      }
    }
  }
}

/** Waits; ends early when `signal` is aborted. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
