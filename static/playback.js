/** A task as it was: the same fold as the live one, up to a cursor that goes forth and back. No DOM here. */

import { PAGE } from "./recording.js";
import { Timeline } from "./timeline.js";

/** Beyond this many pictures every second one is dropped. */
const PICTURES_MAX = 32;
/** Longer silences are played as this one, in milliseconds. */
const SILENCE_MAX_MS = 3000;
/** While nobody works, only what ends that takes time. */
const PAUSE_MAX_MS = 1000;
const WORKING = new Set(["RUNNING", "STOPPING"]);
const TURNS = new Set(["STATUS", "INPUT_REQUEST", "INPUT_RESPONSE", "MESSAGE"]);

export class Playback {
  #recording;
  #newModel;
  /** Models at the ends of pages, from which one goes on instead of from the start. @type {Map<number, import("./model.js").TaskModel>} */
  #pictures = new Map();
  /** Of all that was folded, also after the moment that is shown. */
  timeline = new Timeline();
  #timelineTo = 0;
  #seeks = 0;
  #ahead = [];
  #owedMs = 0;

  /** @param {{recording: import("./recording.js").Recording, newModel: () => import("./model.js").TaskModel}} options newModel: before the first event */
  constructor({ recording, newModel }) {
    this.#recording = recording;
    this.#newModel = newModel;
    this.model = newModel();
    for (const role of this.model.agents.keys()) this.timeline.lane(role);
  }

  /**
   * Brings the model to where it was after an event.
   * @param {number} eventId
   * @param {(at: number) => void} onProgress
   * @returns {Promise<boolean>} whether it is there: not if another seek came in between
   */
  async seek(eventId, onProgress = () => {}) {
    const seek = ++this.#seeks;
    this.#owedMs = 0;
    const model = this.#nearest(eventId);
    while (model.head < eventId) {
      const events = await this.#recording.after(model.head);
      if (seek !== this.#seeks) return false;
      if (!events.length) break;
      if (events[0].event_id > eventId) break;
      for (const event of events) if (event.event_id <= eventId) this.#fold(model, event);
      onProgress(model.head);
    }
    this.model = model;
    return true;
  }

  /**
   * Lets time go by.
   * @param {number} ms of the run's time
   * @returns {Promise<boolean>} false at the end of the log
   */
  async advance(ms) {
    const seek = this.#seeks;
    this.#owedMs += ms;
    for (;;) {
      if (this.#ahead[0]?.event_id !== this.model.head + 1) {
        const ahead = await this.#recording.after(this.model.head);
        if (seek !== this.#seeks) return true;
        this.#ahead = ahead;
      }
      if (!this.#ahead.length) return false;
      while (this.#ahead.length) {
        const silence = silenceBefore(this.#ahead[0], this.model);
        if (silence > this.#owedMs) return true;
        this.#owedMs -= silence;
        this.#fold(this.model, this.#ahead.shift());
      }
    }
  }

  /** From where the way to an event is the shortest. */
  #nearest(eventId) {
    const pages = [...this.#pictures.keys()].filter((page) => page * PAGE <= eventId);
    const page = pages.length ? Math.max(...pages) : null;
    const here = this.model.head <= eventId ? this.model.head : -1;
    if (here >= (page ?? 0) * PAGE) return this.model;
    return page === null ? this.#newModel() : this.#pictures.get(page).clone();
  }

  #fold(model, event) {
    // A seek and the time that goes by may have read the same.
    if (event.event_id <= model.head) return;
    model.fold(event);
    model.asOf = Date.parse(event.timestamp);
    if (event.event_id > this.#timelineTo) {
      this.#timelineTo = event.event_id;
      this.timeline.fold(event);
    }
    if (event.event_id % PAGE) return;
    this.#pictures.set(event.event_id / PAGE, model.clone());
    if (this.#pictures.size <= PICTURES_MAX) return;
    const pages = [...this.#pictures.keys()].sort((a, b) => a - b);
    for (const page of pages.filter((_, index) => index % 2)) this.#pictures.delete(page);
  }
}

/** How long one waits for an event, in milliseconds. */
function silenceBefore(event, model) {
  if (model.asOf === null) return 0;
  const silence = Math.max(0, Date.parse(event.timestamp) - model.asOf);
  if (WORKING.has(model.status)) return Math.min(silence, SILENCE_MAX_MS);
  return TURNS.has(event.event_type) ? Math.min(silence, PAUSE_MAX_MS) : 0;
}
