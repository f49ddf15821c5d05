/** All that is shown of a task that is loaded: its parts, what they tell each other, and what is selected in them. */

import { Agents } from "./agents.js";
import { Charts } from "./charts.js";
import { Diagrams } from "./diagrams.js";
import { el, perFrame, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { Files } from "./files.js";
import { Graph } from "./graph.js";
import { Lanes } from "./lanes.js";
import { Log } from "./log.js";
import { Replay } from "./replay.js";
import { Search } from "./search.js";
import { Summary } from "./summary.js";
import { text } from "./text.js";

/** From this width on the panels stand beside the feed. */
const WIDE = "(min-width: 75rem)";

/** @typedef {{eventId: number | null, file: import("./address.js").FilePlace | null}} Place what is selected: an event, and a file */

export class Board {
  /** In the order in which they stand. @type {Element[]} */
  nodes;
  #model;
  #press;
  /** @type {Place} */
  #place;
  #onPlace;
  #onDraw;
  #parts;
  #diagrams = new Diagrams();
  #loading = el("p", { class: "note", hidden: true });
  #timeline;
  /** Whether the log is read from near its end. */
  #isLate = false;
  /** Whether what was there when the page was opened is there now. */
  #isCaughtUp = false;
  #isGone = false;
  #show = () => this.#draw();
  /** For what a person has done. */
  #redraw = perFrame(this.#show);
  /** For what comes of itself. */
  #update = perFrame(() => this.#press.whenReleased(this.#show));

  /**
   * @param {{taskId: string, press: import("./press.js").Press, model: import("./model.js").TaskModel, newModel: () => import("./model.js").TaskModel,
   *          timeline: import("./timeline.js").Timeline, place: Place, actions: Record<"stop" | "run" | "anew" | "remove", () => Promise<string | void>>,
   *          words: Record<"question" | "composer" | "followUp", any>, onPlace: (place: Place) => void, onDraw: () => void}} options
   *   newModel: the task as it was before its first event; words: the parts in which a person writes, which outlive this;
   *   onPlace: something else is selected; onDraw: called with every drawing
   */
  constructor({ taskId, press, model, newModel, timeline, place, actions, words, onPlace, onDraw }) {
    this.#press = press;
    this.#model = model;
    this.#timeline = timeline;
    this.#place = place;
    this.#onPlace = onPlace;
    this.#onDraw = onDraw;
    const diagrams = this.#diagrams;
    const select = (eventId) => this.select(eventId);
    const agents = new Agents({ onFilter: (role) => this.#filter(role) });
    const graph = new Graph({ onChoose: (edge) => this.#between(edge) });
    const replay = new Replay({ taskId, live: () => model, newModel, begin: () => this.#place.eventId, onChange: (isJump) => this.#moved(isJump) });
    this.#parts = {
      summary: new Summary({ taskId, actions }),
      agents,
      lanes: new Lanes({ timeline, onSelect: select, onSeek: (eventId) => replay.seek(eventId) }),
      replay,
      graph,
      charts: new Charts(timeline),
      feed: new Feed({ taskId, press, diagrams, onRole: (role) => agents.choose(role), onEdge: (edge) => graph.choose(edge), onAnswer: () => words.question.focus() }),
      search: new Search({ taskId, onSelect: select }),
      files: new Files({ taskId, diagrams, onShow: (file) => this.#placed({ ...this.#place, file }) }),
      log: new Log(() => this.#redraw()),
      ...words,
    };
    this.nodes = this.#arranged();
  }

  /** It stands in the page now, where a dialog can be opened. */
  attached() {
    if (this.#place.file) this.#parts.files.open(this.#place.file);
  }

  /** What the keyboard can do, by name. */
  get commands() {
    const { agents, composer, feed, files, graph, lanes, question, replay } = this.#parts;
    const { eventId } = this.#place;
    const choose = (by) => this.select(feed.neighbour(by) ?? eventId);
    return {
      next: () => choose(1),
      previous: () => choose(-1),
      unfold: () => feed.turn(),
      clear: () => (eventId === null ? replay.live() : this.select(null)),
      timeline: () => lanes.focus(),
      graph: () => graph.focus(),
      files: () => files.focus(),
      message: () => composer.focus(),
      answer: () => question.focus(),
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

  destroy() {
    this.#isGone = true;
    const { feed, lanes, replay, files } = this.#parts;
    for (const part of [feed, lanes, replay, files.viewer, this.#diagrams]) part.destroy();
  }

  /** The task has changed: draws it with the next frame, or once nothing is pressed any more. */
  changed() {
    this.#update();
  }

  /** Time has gone by. */
  tick() {
    if (this.#press.isDown) return; // the next tick is near
    const { summary, question, lanes } = this.#parts;
    summary.renderFigures(this.#shown);
    question.renderClock();
    lanes.render(this.#shown);
  }

  /** Says that the log is not shown from its start. @param {number} eventId @param {() => void} onFromStart */
  startsLate(eventId, onFromStart) {
    this.#isLate = true;
    const { charts, feed, lanes } = this.#parts;
    feed.startsLate(eventId, onFromStart);
    for (const part of [lanes, charts]) part.startsLate(onFromStart);
  }

  /** How far the log is read, in words; nothing when there is no need to say. @param {string} words */
  progress(words) {
    this.#loading.hidden = words === "";
    setText(this.#loading, words);
  }

  /** All is there that was there when the page was opened: what is selected can be shown. */
  caughtUp() {
    this.#isCaughtUp = true;
    this.progress("");
    if (this.#place.eventId === null) return this.changed();
    this.#draw();
    this.#showSelected();
  }

  /** Shows what an address says. @param {Place} place */
  show({ eventId, file }) {
    if (file) return this.#parts.files.open(file);
    this.#parts.files.close();
    this.select(eventId);
  }

  /** Marks an event everywhere, or none. @param {number | null} eventId */
  select(eventId) {
    this.#placed({ eventId, file: null });
    this.#draw();
    this.#showSelected();
  }

  #placed(place) {
    this.#place = place;
    if (!this.#isGone) this.#onPlace(place);
  }

  #arranged() {
    const { summary, question, agents, lanes, replay, search, files, graph, charts, log, feed, composer, followUp } = this.#parts;
    // On a phone these stand above the feed, which is long: folded, so that the feed is near.
    for (const { node } of [files, graph, charts]) node.open = matchMedia(WIDE).matches;
    const side = el("div", { class: "side" }, search.node, files.node, graph.node, charts.node, log.node);
    const live = el("div", { class: "live" }, feed.node, composer.node, followUp.node);
    return [
      summary.node,
      question.node,
      agents.node,
      el("div", { class: "stage" }, lanes.node, replay.node),
      this.#loading,
      el("div", { class: "columns" }, side, live),
      files.viewer.node,
    ];
  }

  #draw() {
    if (this.#isGone) return;
    const { replay, lanes, charts } = this.#parts;
    // A replay reads what is not read else.
    const timeline = (this.#isLate ? replay.timeline : null) ?? this.#timeline;
    lanes.show(timeline);
    charts.show(timeline);
    const held = this.#held();
    for (const part of Object.values(this.#parts)) part.render(this.#shown);
    // What was pressed may be there no more, and whoever uses the keyboard is not thrown out of the task.
    if (held?.checkVisibility({ visibilityProperty: true }) === false) this.#parts.summary.focus();
    this.#onDraw();
  }

  /** What has the focus, among the parts in which a person acts. @returns {Element | null} */
  #held() {
    const { summary, question, composer, followUp } = this.#parts;
    const { activeElement } = document;
    return [summary, question, composer, followUp].some(({ node }) => node.contains(activeElement)) ? activeElement : null;
  }

  /** Whether the task is shown as it was, not as it is. */
  get isReplaying() {
    return this.#parts.replay.model !== null;
  }

  /** The task as it is to be seen: now, or as it was. */
  get #shown() {
    return this.#parts.replay.model ?? this.#model;
  }

  #showSelected() {
    if (!this.#isCaughtUp || this.#isGone) return;
    const { eventId } = this.#place;
    this.#parts.lanes.select(eventId);
    const entry = eventId === null ? null : this.#entryOf(eventId);
    this.#parts.feed.select(entry);
    // What the feed does not hold, before it or after it, is seen at its own time.
    if (eventId !== null && !entry) this.#parts.replay.seek(eventId);
  }

  #entryOf(eventId) {
    const { feed, head } = this.#shown;
    return eventId <= head ? feed.entryOf(eventId) : null;
  }

  /** Another moment is to be shown; after a jump its end is what one looks for. */
  #moved(isJump) {
    if (this.#isGone) return;
    if (!isJump) return this.changed();
    this.#draw();
    const { eventId } = this.#place;
    if (eventId === this.#shown.head) this.#parts.feed.select(this.#entryOf(eventId));
    else this.#parts.feed.follow();
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
}
