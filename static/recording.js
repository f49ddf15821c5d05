/** A task's log, read in pages over REST when they are wanted. What was written stays as it is, so pages are kept, some of them. */

import { api } from "./api.js";

/** Events to a page. */
export const PAGE = 1000;
const PAGES_MAX = 24;

export class Recording {
  #taskId;
  /** By number, the one that was used last at the end. @type {Map<number, import("./cursor.js").Event[]>} */
  #pages = new Map();

  /** @param {string} taskId */
  constructor(taskId) {
    this.#taskId = taskId;
  }

  /**
   * Some events that follow one; none at the end of the log.
   * @param {number} eventId
   * @returns {Promise<import("./cursor.js").Event[]>}
   */
  async after(eventId) {
    const number = Math.floor(eventId / PAGE);
    const known = this.#pages.get(number) ?? [];
    const page = known.at(-1)?.event_id > eventId ? known : await this.#load(number, eventId);
    return page.filter((event) => event.event_id > eventId);
  }

  async #load(number, eventId) {
    const { events } = await api.events(this.#taskId, { since: number * PAGE, limit: PAGE, wait: 0 });
    const page = events.filter((event) => event.event_id <= (number + 1) * PAGE);
    // Where retention has deleted the whole page, what comes next follows.
    if (!(page.at(-1)?.event_id > eventId)) return events;
    this.#pages.delete(number);
    this.#pages.set(number, page);
    if (this.#pages.size > PAGES_MAX) this.#pages.delete(this.#pages.keys().next().value);
    return page;
  }
}
