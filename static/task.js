/** The live view of one task: reads its state, follows its log, and draws at most once per frame. */

import { api } from "./api.js";
import { Agents } from "./agents.js";
import { Composer } from "./composer.js";
import { confirmed } from "./dialog.js";
import { announce, el, perFrame, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { Files } from "./files.js";
import { FollowUp } from "./followup.js";
import { icon } from "./icons.js";
import { Log } from "./log.js";
import { ACTIVE, TaskModel } from "./model.js";
import { Question } from "./question.js";
import { Search } from "./search.js";
import { Summary } from "./summary.js";
import { text } from "./text.js";

/** A log longer than this is shown from near its end, so that the first screen comes at once whatever its length. */
const LONG_LOG = 20_000;
const TAIL_EVENTS = 2_000;
const CLOCK_MS = 1000;

export class TaskView {
  node = el("article", { class: "task" });
  #taskId;
  #connection;
  #onStarted;
  /** One for all loads: what is typed into it stays. */
  #followUp;
  #onDeleted;
  /** @type {TaskModel | null} */
  #model = null;
  #parts = null;
  #unwatch = () => {};
  #clock = 0;
  /** Counts loads: only the last one asked for is shown. */
  #loads = 0;
  #isCaughtUp = false;
  #isFailed = false;
  #isGone = false;
  #announced = "";
  #redraw = perFrame(() => this.#draw());
  #replay = el("p", { class: "replay", hidden: true });

  /** @param {{taskId: string, connection: import("./connection.js").Connection, onStarted: (taskId: string) => void, onDeleted: () => void}} options */
  constructor({ taskId, connection, onStarted, onDeleted }) {
    this.#taskId = taskId;
    this.#connection = connection;
    this.#onStarted = onStarted;
    this.#onDeleted = onDeleted;
    // A person who has gone elsewhere meanwhile is not fetched back.
    this.#followUp = new FollowUp({ taskId, onStarted: (id) => this.#isGone || this.#onStarted(id) });
    this.#load();
  }

  /** Marks an event everywhere. @param {number} eventId */
  select(eventId) {
    this.#parts.feed.select(this.#model.feed.entryOf(eventId));
  }

  destroy() {
    this.#isGone = true;
    this.#end();
  }

  /** The server can be reached again, maybe. */
  connectionChanged(mode) {
    if (this.#isFailed && (mode === "live" || mode === "polling")) this.#load();
  }

  /** Shows where the task stands in the queue. */
  placed(queue) {
    if (!this.#model) return;
    this.#model.queue = queue;
    this.#redraw();
  }

  /** The place in the queue may be another by now. */
  async reload() {
    if (!this.#isGone && this.#model?.status === "QUEUED") this.placed((await api.task(this.#taskId)).queue);
  }

  /** The task was deleted, by whomever. */
  gone() {
    if (this.#isGone) return;
    this.destroy();
    this.#showBlank(text.task.missing, text.task.missingHint);
  }

  /** @param {number | null} since where to start in the log; null: from its start, or near the end of a long one */
  async #load(since = null) {
    this.#end();
    this.#isFailed = false;
    const load = ++this.#loads;
    if (!this.#model) this.#showLoading();
    let task;
    try {
      task = await api.task(this.#taskId);
    } catch (error) {
      return this.#isGone || load !== this.#loads || this.#fail(error);
    }
    if (this.#isGone || load !== this.#loads) return;
    this.#model = new TaskModel(this.#taskId);
    this.#model.seed(task);
    this.#build();
    const start = since ?? (task.head > LONG_LOG ? task.head - TAIL_EVENTS : 0);
    if (start > 0) this.#parts.feed.startsLate(start + 1, () => this.#load(0));
    this.#follow(start);
  }

  #follow(start) {
    this.#isCaughtUp = false;
    const target = this.#model.head;
    this.#unwatch = this.#connection.watchTask(this.#taskId, start, {
      events: (events, head) => {
        for (const event of events) this.#model.fold(event);
        const at = events.at(-1).event_id;
        this.#replay.hidden = this.#isCaughtUp || head - start < TAIL_EVENTS;
        if (!this.#replay.hidden) setText(this.#replay, text.task.replaying(at, head));
        // Everything up to the state that the page began with is there: what comes now is news.
        if (at >= target) this.#caughtUp();
        this.#redraw();
      },
      caughtUp: () => this.#caughtUp(),
      gap: (gap) => {
        this.#model.gap(gap);
        this.#redraw();
      },
      reset: () => this.#load(),
      gone: () => this.gone(),
    });
    this.#clock = setInterval(() => this.#tick(), CLOCK_MS);
    this.#redraw();
  }

  #caughtUp() {
    if (this.#isCaughtUp) return;
    this.#isCaughtUp = true;
    this.#replay.hidden = true;
    this.node.setAttribute("aria-busy", "false");
    this.#redraw();
  }

  #end() {
    this.#unwatch();
    this.#unwatch = () => {};
    clearInterval(this.#clock);
    this.#parts?.feed.destroy();
  }

  #build() {
    const taskId = this.#taskId;
    const agents = new Agents({ onFilter: (role) => this.#filter(role) });
    this.#parts = {
      summary: new Summary({ taskId, actions: { stop: () => this.#stop(), run: () => this.#run("checkpoint"), anew: () => this.#run("start"), remove: () => this.#remove() } }),
      question: new Question(taskId),
      agents,
      feed: new Feed({ taskId, onRole: (role) => agents.choose(role) }),
      composer: new Composer(taskId),
      followUp: this.#followUp,
      search: new Search({ taskId, onSelect: (eventId) => this.select(eventId) }),
      files: new Files(taskId),
      log: new Log(() => this.#redraw()),
    };
    const { summary, question, feed, composer, followUp, search, files, log } = this.#parts;
    // On a phone the files stand above the feed, which is long: folded, so that the feed is near.
    files.node.open = matchMedia("(min-width: 75rem)").matches;
    this.node.setAttribute("aria-busy", "true");
    this.node.replaceChildren(
      summary.node,
      question.node,
      agents.node,
      this.#replay,
      el("div", { class: "columns" }, el("div", { class: "side" }, search.node, files.node, log.node), el("div", { class: "live" }, feed.node, composer.node, followUp.node)),
    );
  }

  #draw() {
    if (this.#isGone || !this.#model || this.#isFailed) return;
    const model = this.#model;
    for (const part of Object.values(this.#parts)) part.render(model);
    const status = text.statuses[model.status] ?? model.status;
    document.title = `${status} · ${model.title} · ${text.brand}`;
    this.#announce(status);
  }

  #announce(status) {
    const news = this.#model.waiting ? text.announce.question : text.announce.status(this.#model.title, status);
    if (news === this.#announced || !this.#isCaughtUp) return;
    this.#announced = news;
    announce(news);
  }

  #tick() {
    if (!ACTIVE.has(this.#model.status)) return;
    this.#parts.summary.renderFigures(this.#model);
    this.#parts.question.renderClock();
  }

  #filter(role) {
    this.#parts.feed.only(role);
    this.#redraw();
  }

  async #stop() {
    const { how, took_ms: took } = await api.stopTask(this.#taskId);
    if (how) this.#parts.summary.notice(text.task.stopped(how, took));
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
