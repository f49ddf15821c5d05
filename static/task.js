/** The live view of one task: reads its state and follows its log. */

import { api } from "./api.js";
import { Board } from "./board.js";
import { Composer } from "./composer.js";
import { confirmed } from "./dialog.js";
import { announce, el } from "./dom.js";
import { FollowUp } from "./followup.js";
import { icon } from "./icons.js";
import { ACTIVE, TaskModel } from "./model.js";
import { Past } from "./past.js";
import { Question } from "./question.js";
import { text } from "./text.js";
import { Timeline } from "./timeline.js";

/** A log longer than this is shown from near its end, so that the first screen comes at once whatever its length. */
const LONG_LOG = 20_000;
const TAIL_EVENTS = 2_000;
const CLOCK_MS = 1000;

export class TaskView {
  node = el("article", { class: "task" });
  #taskId;
  #press;
  #connection;
  #onDeleted;
  #onPlace;
  /** What is selected, or is to be. @type {import("./board.js").Place} */
  #place;
  /** The parts in which a person writes: one for all loads, so that what is typed stays. */
  #words;
  /** The task as it is now. @type {TaskModel | null} */
  #model = null;
  /** Null until the task is loaded, and when it cannot be. @type {Board | null} */
  #board = null;
  #unwatch = () => {};
  #clock = 0;
  /** Counts loads: only the last one asked for is shown. */
  #loads = 0;
  #isCaughtUp = false;
  #isFailed = false;
  #isGone = false;
  #announced = "";

  /**
   * @param {{taskId: string, press: import("./press.js").Press, place: import("./board.js").Place, connection: import("./connection.js").Connection,
   *          onStarted: (taskId: string) => void, onDeleted: () => void, onPlace: (place: import("./board.js").Place) => void}} options
   *   place: the event or file to show at first; onPlace: another one was chosen
   */
  constructor({ taskId, press, place, connection, onStarted, onDeleted, onPlace }) {
    this.#taskId = taskId;
    this.#press = press;
    this.#place = place;
    this.#connection = connection;
    this.#onDeleted = onDeleted;
    this.#onPlace = onPlace;
    this.#words = {
      question: new Question(taskId),
      composer: new Composer(taskId),
      // A person who has gone elsewhere meanwhile is not fetched back.
      followUp: new FollowUp({ taskId, onStarted: (id) => this.#isGone || onStarted(id) }),
    };
    this.#load();
  }

  get isGone() {
    return this.#isGone;
  }

  /** What the keyboard can do, by name. */
  get commands() {
    return this.#board?.commands ?? {};
  }

  /** Shows what an address says. @param {import("./board.js").Place} place */
  show(place) {
    if (this.#board) this.#board.show(place);
    else this.#place = place;
  }

  destroy() {
    this.#isGone = true;
    this.#end();
  }

  /** The server can be reached again, maybe. */
  connectionChanged(mode) {
    if (this.#isFailed && (mode === "live" || mode === "polling")) this.#load();
  }

  /** Takes over from the task's state what no event tells: its place in the queue, and raised budgets. */
  told({ queue, raised }) {
    if (!this.#model) return;
    Object.assign(this.#model, { queue, raised: raised ?? {} });
    this.#board?.changed();
  }

  /** The place in the queue may be another by now. */
  async reload() {
    if (!this.#isGone && this.#model?.status === "QUEUED") this.told(await api.task(this.#taskId));
  }

  /** The task was deleted, by whomever. */
  gone() {
    if (this.#isGone) return;
    this.destroy();
    this.#showBlank(text.task.missing, text.task.missingHint);
  }

  /** @param {number | null} since where to start in the log; null: from its start, or near the end of a long one */
  async #load(since = null) {
    const load = ++this.#loads;
    this.#unwatch();
    if (!this.#model) this.#showLoading();
    let task;
    try {
      task = await api.task(this.#taskId);
    } catch (error) {
      return this.#isGone || load !== this.#loads || this.#fail(error);
    }
    if (this.#isGone || load !== this.#loads) return;
    this.#end();
    this.#isFailed = false;
    const model = (this.#model = new TaskModel(this.#taskId));
    model.seed(task);
    const timeline = new Timeline();
    for (const role of model.agents.keys()) timeline.lane(role);
    const past = new Past(task, model);
    this.#build(past, timeline);
    const start = since ?? (task.head > LONG_LOG && !this.#connection.isWhole ? task.head - TAIL_EVENTS : 0);
    if (start > 0) {
      this.#board.startsLate(start + 1, () => this.#load(0));
      this.#tell(past.look(start));
    }
    this.#follow(start, timeline, past);
  }

  #build(past, timeline) {
    this.#board = new Board({
      taskId: this.#taskId,
      press: this.#press,
      model: this.#model,
      newModel: past.newModel,
      timeline,
      place: this.#place,
      actions: { stop: () => this.#stop(), run: () => this.#run("checkpoint"), anew: () => this.#run("start"), remove: () => this.#remove() },
      words: this.#words,
      onPlace: (place) => this.#onPlace((this.#place = place)),
      onDraw: () => this.#drawn(),
    });
    this.node.setAttribute("aria-busy", "true");
    this.node.replaceChildren(...this.#board.nodes);
    this.#board.attached();
  }

  /** Draws again when the server has told of what is not read here. */
  async #tell(told) {
    const board = this.#board;
    await told;
    board.changed();
  }

  #follow(start, timeline, past) {
    this.#isCaughtUp = false;
    const [model, board] = [this.#model, this.#board];
    const target = model.head;
    this.#unwatch = this.#connection.watchTask(this.#taskId, start, {
      events: (events, head) => {
        for (const event of events) {
          model.fold(event);
          timeline.fold(event);
        }
        past.follow(events);
        const at = events.at(-1).event_id;
        if (!this.#isCaughtUp && head - start >= TAIL_EVENTS) board.progress(text.task.replaying(at, head));
        // Everything up to the state that the page began with is there: what comes now is news.
        if (at >= target) this.#caughtUp();
        board.changed();
      },
      caughtUp: () => this.#caughtUp(),
      gap: (gap) => {
        this.#tell(past.lose(gap));
        board.changed();
      },
      reset: () => this.#load(),
      gone: () => this.gone(),
    });
    this.#clock = setInterval(() => ACTIVE.has(model.status) && board.tick(), CLOCK_MS);
    board.changed();
  }

  #caughtUp() {
    if (this.#isCaughtUp) return;
    this.#isCaughtUp = true;
    this.node.setAttribute("aria-busy", "false");
    this.#board.caughtUp();
  }

  /** Follows the log no longer, and ends what it was shown in. */
  #end() {
    this.#unwatch();
    this.#unwatch = () => {};
    clearInterval(this.#clock);
    this.#board?.destroy();
    this.#board = null;
  }

  #drawn() {
    const { status, title, isExpired } = this.#model;
    this.node.toggleAttribute("data-replaying", this.#board.isReplaying);
    this.node.toggleAttribute("data-expired", isExpired);
    const words = text.statuses[status] ?? status;
    document.title = `${words} · ${title} · ${text.brand}`;
    this.#announce(words);
  }

  #announce(status) {
    const news = this.#model.waiting ? text.announce.question : text.announce.status(this.#model.title, status);
    if (news === this.#announced || !this.#isCaughtUp) return;
    this.#announced = news;
    announce(news);
  }

  async #stop() {
    const { how, took_ms: took } = await api.stopTask(this.#taskId);
    return how && text.task.stopped(how, took);
  }

  async #run(from) {
    await api.runTask(this.#taskId, from);
  }

  async #remove() {
    const { removeQuestion: question, removeHint: hint, remove: action } = text.task;
    if (!(await confirmed({ question, hint, action }))) return;
    this.#isGone = true;
    try {
      await api.deleteTask(this.#taskId);
    } catch (error) {
      this.#isGone = false;
      throw error;
    }
    this.#end();
    this.#onDeleted();
  }

  #showLoading() {
    this.node.replaceChildren(el("p", { class: "visually-hidden" }, text.task.loading), ...["summary", "agents", "feed"].map((part) => el("div", { class: `skeleton ${part}` })));
  }

  #fail(error) {
    if (error.status === 404) return this.gone();
    this.#end();
    this.#isFailed = true;
    const retry = el("button", { type: "button", class: "button primary", on: { click: () => this.#load() } }, text.retry);
    this.#showBlank(text.task.failed, error.message, retry);
  }

  #showBlank(heading, hint, button = null) {
    document.title = `${heading} · ${text.brand}`;
    const back = el("a", { class: "button quiet", href: "/", data: { link: "" } }, icon("back"), text.back);
    this.node.replaceChildren(el("div", { class: "blank whole" }, el("h1", {}, heading), el("p", { class: "hint" }, hint), button, back));
  }
}
