/** The replay of a run: a bar to play it, to scrub through it, and to return to where it is now. */

import { el, setText } from "./dom.js";
import { time } from "./format.js";
import { icon } from "./icons.js";
import { ACTIVE } from "./model.js";
import { Playback } from "./playback.js";
import { Recording } from "./recording.js";
import { text } from "./text.js";

const SPEEDS = [1, 2, 5, 10, 20, 50];
/** A seek that takes longer than this says how far it is, in milliseconds. */
const SLOW_MS = 300;

export class Replay {
  #live;
  #newModel;
  #begin;
  #onChange;
  #recording;
  /** @type {Playback | null} null: what is shown is now */
  #playback = null;
  #isPlaying = false;
  /** The event that a seek is on its way to. @type {number | null} */
  #wanted = null;
  /** Why the last moment that was wanted could not be shown. @type {string | null} */
  #trouble = null;
  #frame = 0;
  #play = this.#button("play", text.replay.play, () => this.toggle(), "replay-play");
  #back = this.#button("before", text.replay.back, () => this.step(-1));
  #forth = this.#button("after", text.replay.forth, () => this.step(1));
  #range = el("input", { type: "range", class: "replay-range", min: "1", step: "1", "aria-label": text.replay.position, on: { input: () => this.seek(Number(this.#range.value)) } });
  #where = el("span", { class: "replay-where" });
  #speed = el(
    "select",
    { class: "replay-speed", "aria-label": text.replay.speed, title: text.replay.speed },
    ...SPEEDS.map((speed) => el("option", { value: String(speed) }, text.replay.times(speed))),
  );
  #now = el("button", { type: "button", class: "replay-now", on: { click: () => this.live() } }, el("span", { class: "dot", "aria-hidden": "true" }), el("span"));
  node = el("section", { class: "replay-bar", "aria-label": text.replay.heading }, this.#play, this.#back, this.#forth, this.#range, this.#where, this.#speed, this.#now);

  /**
   * @param {{taskId: string, live: () => import("./model.js").TaskModel, newModel: () => import("./model.js").TaskModel,
   *          begin: () => number | null, onChange: (isJump: boolean) => void}} options
   *   live: the task as it is now; newModel: as it was before its first event; begin: the event to play from, null for the first;
   *   onChange: another moment is to be shown
   */
  constructor({ taskId, live, newModel, begin, onChange }) {
    this.#live = live;
    this.#newModel = newModel;
    this.#begin = begin;
    this.#onChange = onChange;
    this.#recording = new Recording(taskId);
  }

  /** The task as it was, while it is replayed; else null. */
  get model() {
    return this.#playback?.model ?? null;
  }

  /** What each role did when up to there, and as far as it was seen in this replay. */
  get timeline() {
    return this.#playback?.timeline ?? null;
  }

  destroy() {
    this.#wanted = this.#playback = null;
    this.#pause();
  }

  /** Shows the task as it was after an event. @param {number} eventId */
  async seek(eventId) {
    if (this.#live().isExpired) return;
    this.#trouble = null;
    const wanted = (this.#wanted = Math.min(Math.max(this.#live().expired + 1, eventId), this.#live().head));
    const playback = this.#playback ?? new Playback({ recording: this.#recording, newModel: this.#newModel });
    const asked = performance.now();
    const onProgress = (at) => performance.now() - asked > SLOW_MS && setText(this.#where, text.task.replaying(at, wanted));
    try {
      // Only the last of several seeks gets there.
      if (!(await playback.seek(wanted, onProgress)) || wanted !== this.#wanted) return;
      this.#wanted = null;
      this.#playback ??= playback;
      this.#onChange(true);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {number} by events */
  step(by) {
    this.#pause();
    return this.seek((this.#wanted ?? (this.model ?? this.#live()).head) + by);
  }

  /** @param {number} by places in the list of speeds */
  faster(by) {
    const { length } = SPEEDS;
    this.#speed.selectedIndex = Math.min(length - 1, Math.max(0, this.#speed.selectedIndex + by));
  }

  /** Plays or pauses. */
  async toggle() {
    if (this.#live().isExpired) return;
    if (this.#isPlaying) return this.#pause();
    if (!this.#playback) await this.seek(this.#begin() ?? 1);
    if (!this.#playback) return;
    this.#isPlaying = true;
    this.#onChange(true);
    this.#run(performance.now());
  }

  /** Returns to the task as it is now. */
  live() {
    this.#wanted = this.#trouble = null;
    if (!this.#playback) return this.#onChange(false);
    this.#pause();
    this.#playback = null;
    this.#onChange(true);
  }

  render() {
    const live = this.#live();
    const model = this.model ?? live;
    this.node.hidden = live.head < 2;
    this.node.toggleAttribute("data-replaying", this.model !== null);
    this.#range.min = String(Math.min(live.expired + 1, live.head));
    this.#range.max = String(live.head);
    this.#range.value = String(this.#wanted ?? model.head);
    const where = text.replay.at(model.head, live.head);
    const words = this.#trouble ?? (model.asOf === null ? where : `${time(model.asOf)} · ${where}`);
    this.#where.classList.toggle("bad", this.#trouble !== null);
    setText(this.#where, words);
    this.#range.setAttribute("aria-valuetext", words);
    this.#renderPlay(this.#isPlaying ? "pause" : "play");
    for (const control of [this.#play, this.#back, this.#forth, this.#range, this.#speed]) control.disabled = live.isExpired;
    this.#now.disabled = this.model === null;
    this.#now.toggleAttribute("data-active", ACTIVE.has(live.status));
    setText(this.#now.lastChild, ACTIVE.has(live.status) ? text.replay.live : text.replay.end);
  }

  /** It has played to the end of the log, which nobody has asked to jump to. */
  #end() {
    this.#isPlaying = false;
    this.#playback = null;
    this.#onChange(false);
  }

  /** @param {"pause" | "play"} symbol what a press would do */
  #renderPlay(symbol) {
    if (this.#play.title === text.replay[symbol]) return;
    this.#play.replaceChildren(icon(symbol));
    this.#play.title = text.replay[symbol];
    this.#play.setAttribute("aria-label", text.replay[symbol]);
  }

  #pause() {
    this.#isPlaying = false;
    cancelAnimationFrame(this.#frame);
    if (this.#playback) this.#onChange(false);
  }

  #run(before) {
    this.#frame = requestAnimationFrame(async (now) => {
      const playback = this.#playback;
      try {
        const goesOn = await playback.advance((now - before) * Number(this.#speed.value));
        if (!this.#isPlaying || playback !== this.#playback) return;
        // The end of the log is now.
        if (!goesOn) return this.#end();
        this.#onChange(false);
        this.#run(now);
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  #fail(error) {
    this.#wanted = null;
    this.#trouble = error.message;
    this.#pause();
    this.#onChange(false);
  }

  #button(symbol, label, press, kind = "") {
    return el("button", { type: "button", class: `tool ${kind}`, title: label, "aria-label": label, on: { click: press } }, icon(symbol));
  }
}
