/** The live view of one task: reads its state, follows its log, and draws at most once per frame. */

import { api } from "./api.js";
import { Agents } from "./agents.js";
import { Charts } from "./charts.js";
import { Composer } from "./composer.js";
import { Diagrams } from "./diagrams.js";
import { announce, el, perFrame, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { Files } from "./files.js";
import { FollowUp } from "./followup.js";
import { Graph } from "./graph.js";
import { icon } from "./icons.js";
import { Lanes } from "./lanes.js";
import { Log } from "./log.js";
import { ACTIVE, TaskModel } from "./model.js";
import { Question } from "./question.js";
import { Replay } from "./replay.js";
import { Search } from "./search.js";
import { Summary } from "./summary.js";
import { text } from "./text.js";
import { Timeline } from "./timeline.js";

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
  /** The task as it is now. @type {TaskModel | null} */
  #model = null;
  /** The task as it was before its first event. @type {() => TaskModel} */
  #newModel;
  #timeline = new Timeline();
  /** The event that is marked everywhere, by its event_id. */
  #selected;
  /** The file that is shown, or is to be. @type {import("./address.js").FilePlace | null} */
  #file;
  #onPlace;
  #parts = null;
  /** @type {Diagrams | null} */
  #diagrams = null;
  #unwatch = () => {};
  #clock = 0;
  /** Counts loads: only the last one asked for is shown. */
  #loads = 0;
  #isCaughtUp = false;
  #isFailed = false;
  #isGone = false;
  #announced = "";
  #redraw = perFrame(() => this.#draw());
  #loading = el("p", { class: "note", hidden: true });

  /**
   * @typedef {{eventId: number | null, file: import("./address.js").FilePlace | null}} Place
   * @param {{taskId: string, place: Place, connection: import("./connection.js").Connection, onStarted: (taskId: string) => void,
   *          onDeleted: () => void, onPlace: (place: Place) => void}} options
   *   place: the event or file to show at first; onPlace: another one was chosen
   */
  constructor({ taskId, place, connection, onStarted, onDeleted, onPlace }) {
    this.#taskId = taskId;
    this.#selected = place.eventId;
    this.#file = place.file;
    this.#onPlace = onPlace;
    this.#connection = connection;
    this.#onStarted = onStarted;
    this.#onDeleted = onDeleted;
    // A person who has gone elsewhere meanwhile is not fetched back.
    this.#followUp = new FollowUp({ taskId, onStarted: (id) => this.#isGone || this.#onStarted(id) });
    this.#load();
  }

  get isGone() {
    return this.#isGone;
  }

  /** What the keyboard can do, by name. */
  get commands() {
    if (this.#isGone || !this.#model || this.#isFailed) return {};
    const { agents, composer, feed, files, graph, lanes, replay } = this.#parts;
    const choose = (by) => this.select(feed.neighbour(by) ?? this.#selected);
    return {
      next: () => choose(1),
      previous: () => choose(-1),
      unfold: () => feed.turn(),
      clear: () => (this.#selected === null ? replay.live() : this.select(null)),
      timeline: () => lanes.focus(),
      graph: () => graph.focus(),
      files: () => files.focus(),
      message: () => composer.focus(),
      zoomIn: () => lanes.zoomBy(2),
      zoomOut: () => lanes.zoomBy(0.5),
      fit: () => lanes.zoomBy(0),
      everyone: () => feed.showAll(),
      role: (digit) => agents.chooseAt(digit - 1),
      play: () => replay.toggle(),
      back: () => replay.step(-1),
      forth: () => replay.step(1),
      slower: () => replay.faster(-1),
      faster: () => replay.faster(1),
      live: () => replay.live(),
    };
  }

  /** Shows what an address says. @param {Place} place */
  show({ eventId, file }) {
    if (!this.#parts) this.#file = file;
    else if (file) return this.#parts.files.open(file);
    else this.#parts.files.close();
    this.select(eventId);
  }

  /** Marks an event everywhere, or none. @param {number | null} eventId */
  select(eventId) {
    this.#selected = eventId;
    this.#onPlace({ eventId, file: null });
    this.#draw();
    this.#showSelected();
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
    this.#redraw();
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
    this.#newModel = () => new TaskModel(this.#taskId).describe(task);
    this.#timeline = new Timeline();
    for (const role of this.#model.agents.keys()) this.#timeline.lane(role);
    this.#build();
    const start = since ?? (task.head > LONG_LOG ? task.head - TAIL_EVENTS : 0);
    if (start > 0) {
      this.#parts.feed.startsLate(start + 1, () => this.#load(0));
      this.#parts.lanes.startsLate(() => this.#load(0));
      this.#learnFiles();
    }
    this.#follow(start);
  }

  #follow(start) {
    this.#isCaughtUp = false;
    const target = this.#model.head;
    this.#unwatch = this.#connection.watchTask(this.#taskId, start, {
      events: (events, head) => {
        for (const event of events) {
          this.#model.fold(event);
          this.#timeline.fold(event);
        }
        const at = events.at(-1).event_id;
        this.#loading.hidden = this.#isCaughtUp || head - start < TAIL_EVENTS;
        if (!this.#loading.hidden) setText(this.#loading, text.task.replaying(at, head));
        // Everything up to the state that the page began with is there: what comes now is news.
        if (at >= target) this.#caughtUp();
        this.#redraw();
      },
      caughtUp: () => this.#caughtUp(),
      gap: (gap) => {
        this.#model.gap(gap);
        this.#learnFiles();
        this.#redraw();
      },
      reset: () => this.#load(),
      gone: () => this.gone(),
    });
    this.#clock = setInterval(() => this.#tick(), CLOCK_MS);
    this.#redraw();
  }

  /** Asks for the files of which no event tells that is read here. */
  async #learnFiles() {
    const model = this.#model;
    const { artifacts } = await api.files(this.#taskId).catch(() => ({ artifacts: [] }));
    model.keep(artifacts);
    this.#redraw();
  }

  #caughtUp() {
    if (this.#isCaughtUp) return;
    this.#isCaughtUp = true;
    this.#loading.hidden = true;
    this.node.setAttribute("aria-busy", "false");
    if (this.#selected === null) return this.#redraw();
    this.#draw();
    this.#showSelected();
  }

  #showSelected() {
    if (!this.#isCaughtUp || this.#isGone) return;
    this.#parts.lanes.select(this.#selected);
    const entry = this.#selected === null ? null : this.#entryOf(this.#selected);
    this.#parts.feed.select(entry);
    // What the feed does not hold, before it or after it, is seen at its own time.
    if (this.#selected !== null && !entry) this.#parts.replay.seek(this.#selected);
  }

  #entryOf(eventId) {
    const { feed, head } = this.#shown;
    return eventId <= head ? feed.entryOf(eventId) : null;
  }

  #end() {
    this.#unwatch();
    this.#unwatch = () => {};
    clearInterval(this.#clock);
    this.#parts?.feed.destroy();
    this.#parts?.lanes.destroy();
    this.#parts?.replay.destroy();
    this.#diagrams?.destroy();
  }

  #build() {
    const taskId = this.#taskId;
    const diagrams = (this.#diagrams = new Diagrams());
    const agents = new Agents({ onFilter: (role) => this.#filter(role) });
    const replay = new Replay({ taskId, live: () => this.#model, newModel: this.#newModel, begin: () => this.#selected, onChange: (isJump) => this.#moved(isJump) });
    const graph = new Graph({ onChoose: (edge) => this.#between(edge) });
    this.#parts = {
      summary: new Summary({ taskId, actions: { stop: () => this.#stop(), run: () => this.#run("checkpoint"), anew: () => this.#run("start"), remove: () => this.#remove() } }),
      question: new Question(taskId),
      agents,
      lanes: new Lanes({ timeline: this.#timeline, onSelect: (eventId) => this.select(eventId), onSeek: (eventId) => replay.seek(eventId) }),
      replay,
      graph,
      charts: new Charts(this.#timeline),
      feed: new Feed({ taskId, diagrams, onRole: (role) => agents.choose(role), onEdge: (edge) => graph.choose(edge) }),
      composer: new Composer(taskId),
      followUp: this.#followUp,
      search: new Search({ taskId, onSelect: (eventId) => this.select(eventId) }),
      files: new Files({ taskId, diagrams, onShow: (file) => this.#showsFile(file) }),
      log: new Log(() => this.#redraw()),
    };
    const { summary, question, lanes, charts, feed, composer, followUp, search, files, log } = this.#parts;
    // On a phone these stand above the feed, which is long: folded, so that the feed is near.
    for (const { node } of [files, graph, charts]) node.open = matchMedia("(min-width: 75rem)").matches;
    this.node.setAttribute("aria-busy", "true");
    this.node.replaceChildren(
      summary.node,
      question.node,
      agents.node,
      el("div", { class: "stage" }, lanes.node, replay.node),
      this.#loading,
      el("div", { class: "columns" }, el("div", { class: "side" }, search.node, files.node, graph.node, charts.node, log.node), el("div", { class: "live" }, feed.node, composer.node, followUp.node)),
      files.viewer.node,
    );
    if (this.#file) files.open(this.#file);
  }

  #showsFile(file) {
    this.#file = file;
    if (!this.#isGone) this.#onPlace({ eventId: this.#selected, file });
  }

  #draw() {
    if (this.#isGone || !this.#model || this.#isFailed) return;
    const model = this.#model;
    this.node.toggleAttribute("data-expired", model.isExpired);
    this.node.toggleAttribute("data-replaying", this.#parts.replay.model !== null);
    for (const part of Object.values(this.#parts)) part.render(this.#shown);
    const status = text.statuses[model.status] ?? model.status;
    document.title = `${status} · ${model.title} · ${text.brand}`;
    this.#announce(status);
  }

  /** The task as it is to be seen: now, or as it was. */
  get #shown() {
    return this.#parts.replay.model ?? this.#model;
  }

  /** Another moment is to be shown; after a jump its end is what one looks for. */
  #moved(isJump) {
    if (this.#isGone) return;
    if (!isJump) return this.#redraw();
    this.#draw();
    if (this.#selected === this.#shown.head) this.#parts.feed.select(this.#entryOf(this.#selected));
    else this.#parts.feed.follow();
  }

  #announce(status) {
    const news = this.#model.waiting ? text.announce.question : text.announce.status(this.#model.title, status);
    if (news === this.#announced || !this.#isCaughtUp) return;
    this.#announced = news;
    announce(news);
  }

  #tick() {
    if (!ACTIVE.has(this.#model.status)) return;
    this.#parts.summary.renderFigures(this.#shown);
    this.#parts.question.renderClock();
    this.#parts.lanes.render(this.#shown);
  }

  #filter(role) {
    if (role !== null) this.#parts.graph.choose(null);
    this.#parts.feed.only(role);
    this.#redraw();
  }

  /** Shows in the feed only what one said to the other, or everything when null. */
  #between(edge) {
    if (edge !== null) this.#parts.agents.choose(null);
    this.#parts.feed.between(edge);
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
    const { confirmed } = await import("./dialog.js");
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
