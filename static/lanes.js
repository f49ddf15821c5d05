/**
 * The lanes: one row per role over time, with a bar for each action, a mark for each message and error, and a line where
 * the role waits, in the colour of whom it waits for. What would be too small to see is drawn as one, so that the page
 * holds no more elements than there is room for, whatever the length of the run.
 */

import { serverNow } from "./api.js";
import { arrange, el, perFrame, place, setText, svg } from "./dom.js";
import { Early } from "./early.js";
import { clockMoment, duration, moment, stopwatch } from "./format.js";
import { icon } from "./icons.js";
import { Row } from "./lane-row.js";
import { describe } from "./lane-words.js";
import { ACTIVE } from "./model.js";
import { text } from "./text.js";
import { Timescale } from "./timescale.js";
import { Tip } from "./tip.js";
import { PERSON } from "./traffic.js";

const ZOOM_STEP = 2;
/** A wheel turned by this zooms by a step; some browsers count it in lines. In pixels. */
const NOTCH = 100;
const LINE = 33;
/** At the highest zoom a pixel is this many milliseconds. */
const FINEST_MS_PER_PIXEL = 2;
/** In pixels. */
const TICKS_APART = 84;
const TICK_WORDS = 52;
/** How near the right end counts as being there, in pixels. */
const NEAR_END = 12;
/** Drawn beyond what is seen on either side, so that scrolling shows no hole, in pixels. */
const MARGIN = 200;
const LINKS_MAX = 200;
/** Room for the marks at either end (lanes.css), in pixels. */
const INSET = 8;

export class Lanes {
  #timeline;
  #onSelect;
  #onSeek;
  #task = new Row(null);
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #zoom = 1;
  #selected = null;
  /** @type {import("./model.js").TaskModel | null} */
  #model = null;
  /** @type {Timescale | null} */
  #scale = null;
  #isFollowing = true;
  #tip = new Tip();
  #names = el("div", { class: "lane-names", "aria-hidden": "true" });
  #ticks = el("div", { class: "lane-ticks", "aria-hidden": "true" });
  #links = svg("svg", { class: "lane-links", "aria-hidden": "true" });
  #playhead = el("div", { class: "playhead", hidden: true, "aria-hidden": "true" });
  #plot = el("div", { class: "lane-plot" });
  #scroller = el("div", { class: "lane-scroll", role: "group", "aria-label": text.lanes.label }, this.#plot);
  #length = el("span", { class: "count" });
  #table = el("div", { class: "lane-table" }, this.#names, this.#scroller);
  #expired = el("p", { class: "note", hidden: true });
  #early = new Early();
  #tools = {
    out: tool("minus", text.lanes.zoomOut, () => this.zoomBy(1 / ZOOM_STEP)),
    fit: tool("fit", text.lanes.fit, () => this.zoomBy(0)),
    in: tool("plus", text.lanes.zoomIn, () => this.zoomBy(ZOOM_STEP)),
  };
  node = el(
    "details",
    { class: "panel lanes", open: true },
    el("summary", {}, el("h2", {}, text.lanes.heading), this.#length),
    el("div", { class: "lane-tools", role: "group", "aria-label": text.lanes.zoom }, ...Object.values(this.#tools)),
    this.#table,
    this.#expired,
    this.#early.node,
    this.#tip.node,
  );
  /** What was measured last, since measuring while all else changes makes the browser lay out the page. @type {{seen: number, axis: number, row: number} | null} */
  #size = null;
  #redraw = perFrame(() => this.#draw());
  #onResize = new ResizeObserver(() => {
    this.#size = null;
    this.#redraw();
  });

  /**
   * @param {{timeline: import("./timeline.js").Timeline, onSelect: (eventId: number) => void, onSeek: (eventId: number) => void}} options
   *   onSeek: a place on the time axis was pressed
   */
  constructor({ timeline, onSelect, onSeek }) {
    this.#timeline = timeline;
    this.#onSelect = onSelect;
    this.#onSeek = onSeek;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#scroller.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#plot.addEventListener("click", (event) => this.#click(event));
    this.#plot.addEventListener("keydown", (event) => this.#press(event));
    this.#plot.addEventListener("focusin", ({ target }) => this.#rove(target));
    this.#tip.over(this.#plot, (button) => describe(button.cluster));
    this.node.addEventListener("toggle", this.#redraw);
    this.#onResize.observe(this.#scroller);
  }

  /** Has the keyboard go on in the lanes. */
  focus() {
    this.node.open = true;
    this.#size = null;
    this.#draw();
    this.#plot.querySelector(".item[tabindex='0']")?.focus();
  }

  destroy() {
    this.#onResize.disconnect();
  }

  /** Shows another timeline. @param {import("./timeline.js").Timeline} timeline */
  show(timeline) {
    this.#timeline = timeline;
    this.#early.show(timeline);
  }

  /** Says that the run is not shown from its start. */
  startsLate(onFromStart) {
    this.#early.begin(this.#timeline, onFromStart);
  }

  /** Marks the item of an event and brings it into view, or marks none. @param {number | null} eventId */
  select(eventId) {
    this.#selected = eventId;
    const item = eventId === null ? null : this.#timeline.itemOf(eventId);
    if (item && this.#scale) this.#reveal(this.#scale.x(item.from));
    this.#redraw();
  }

  /** @param {import("./model.js").TaskModel} model where it is of the past, what came later is veiled */
  render(model) {
    this.#model = model;
    this.#table.hidden = model.isExpired;
    this.#expired.hidden = model.expired === 0;
    setText(this.#expired, model.isExpired ? text.lanes.expired : text.lanes.partlyExpired);
    if (model.isExpired) for (const tool of Object.values(this.#tools)) tool.disabled = true;
    this.#redraw();
  }

  #draw() {
    const timeline = this.#timeline;
    const { seen } = this.#measured;
    if (!this.#model || timeline.start === null || seen <= 0) return;
    const { status, asOf, completedAt } = this.#model;
    const isGoingOn = ACTIVE.has(timeline.status) && ACTIVE.has(status) && asOf === null && completedAt === null;
    const end = isGoingOn ? Math.max(timeline.end, serverNow()) : timeline.end;
    const width = Math.round(seen * this.#zoom);
    const scale = new Timescale({ start: timeline.keptFrom ?? timeline.start, end, pauses: timeline.pauses(), width });
    this.#scale = scale;
    this.#plot.style.setProperty("--width", `${width}px`);
    if (this.#isFollowing && this.#zoom > 1) this.#scroller.scrollLeft = width - seen;
    const left = this.#zoom > 1 ? this.#scroller.scrollLeft : 0;
    const view = { scale, end, width, from: left - MARGIN, to: left + seen + MARGIN, selected: this.#selected };
    this.#drawRows(view);
    this.#drawTicks(view);
    this.#drawLinks(view);
    this.#playhead.hidden = this.#model.asOf === null;
    if (this.#model.asOf !== null) place(this.#playhead, scale.x(this.#model.asOf));
    const length = stopwatch(end - timeline.start);
    setText(this.#length, this.#isPart ? text.lanes.last(length) : length);
    this.#tools.out.disabled = this.#tools.fit.disabled = this.#zoom === 1;
    this.#tools.in.disabled = scale.msPerPixel <= FINEST_MS_PER_PIXEL;
    this.#tip.refresh();
  }

  #drawRows(view) {
    const { lanes, task } = this.#timeline;
    const hadFocus = this.#plot.contains(document.activeElement) ? document.activeElement.cluster : null;
    this.#task.draw({ bars: [task.bands], marks: task.marks }, view);
    const rows = [this.#task];
    for (const lane of lanes.values()) {
      if (!this.#rows.has(lane.role)) this.#rows.set(lane.role, new Row(lane.role));
      const row = this.#rows.get(lane.role);
      const { turns, waits, actions, marks } = lane;
      row.draw({ turns, bars: [[...waits, ...this.#timeline.openWait(lane)], actions], marks }, view);
      rows.push(row);
    }
    arrange(this.#names, rows.map((row) => row.name));
    arrange(this.#plot, [this.#ticks, ...rows.map((row) => row.node), this.#links, this.#playhead]);
    if (!this.#plot.querySelector(".item[tabindex='0']")) this.#items().at(-1)?.setAttribute("tabindex", "0");
    if (hadFocus && !this.#plot.contains(document.activeElement)) this.#buttonOf(hadFocus.first.key)?.focus({ preventScroll: true });
  }

  #drawTicks({ scale, width, from, to }) {
    const start = this.#isPart ? 0 : this.#timeline.start;
    const ticks = scale.ticks(TICKS_APART, start).filter(({ x }) => x >= from && x <= Math.min(to, width - TICK_WORDS));
    const sinceStart = ticks.every(({ at }) => (at - start) % 1000 === 0) ? stopwatch : moment;
    const words = this.#isPart ? clockMoment : (at) => sinceStart(at - start);
    this.#ticks.replaceChildren(
      ...ticks.map(({ at, x }) => place(el("span", { class: "tick" }, words(at)), x)),
      ...scale.breaks.map(({ from, to, x }) => place(el("span", { class: "tick pause", title: text.lanes.pause(duration(to - from)) }, `⋯ ${duration(to - from)}`), x)),
    );
  }

  /** Whether nobody knows here when the run began: then its times are those of the day. */
  get #isPart() {
    return this.#early.isSaid || this.#model.expired > 0;
  }

  /** From each message to the turn that began with it. */
  #drawLinks({ scale, from, to }) {
    const order = [...this.#timeline.lanes.keys()];
    const { axis, row } = this.#measured;
    const y = (role) => axis + (order.indexOf(role) + 1.5) * row;
    const isSeen = (link) => link.role !== link.sender && (order.includes(link.sender) || link.sender === PERSON) && scale.x(link.to) >= from && scale.x(link.from) <= to;
    const paths = this.#timeline.links.filter(isSeen).slice(-LINKS_MAX).map((link) => {
      const [x1, y1, x2, y2] = [scale.x(link.from), y(link.sender), scale.x(link.to), y(link.role)];
      const bend = Math.max(10, (x2 - x1) / 2);
      return svg("path", { d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, "data-role": link.sender });
    });
    this.#links.replaceChildren(...paths);
  }

  /** @param {number} factor 0 fits the whole run */
  zoomBy(factor) {
    this.#zoomAround(this.#isFollowing ? null : this.#measured.seen / 2, factor);
  }

  /** @param {number | null} held the place in view whose time stays there, in pixels; null: the end is followed */
  #zoomAround(held, factor) {
    if (!this.#scale) return;
    const time = held === null ? null : this.#scale.time(this.#scroller.scrollLeft + held);
    const most = Math.max(1, (this.#scale.msPerPixel * this.#zoom) / FINEST_MS_PER_PIXEL);
    this.#zoom = factor ? Math.min(most, Math.max(1, this.#zoom * factor)) : 1;
    this.#isFollowing = time === null || this.#zoom === 1;
    this.#draw();
    if (this.#isFollowing) return;
    this.#scroller.scrollLeft = this.#scale.x(time) - held;
    this.#redraw();
  }

  /** The pixels of the plot that are seen at once, and the heights of the axis and of a row. */
  get #measured() {
    return (this.#size ??= { seen: this.#scroller.clientWidth - 2 * INSET, axis: this.#ticks.offsetHeight, row: this.#task.node.offsetHeight });
  }

  #reveal(x) {
    const { scrollLeft } = this.#scroller;
    const { seen } = this.#measured;
    if (x >= scrollLeft && x <= scrollLeft + seen) return;
    this.#isFollowing = false;
    this.#scroller.scrollLeft = x - seen / 3;
  }

  #click(event) {
    const button = event.target.closest("button");
    if (button) return this.#choose(button);
    const { left, top } = this.#plot.getBoundingClientRect();
    if (event.clientY - top > this.#ticks.offsetHeight) return;
    const eventId = this.#timeline.eventAt(this.#scale.time(event.clientX - left));
    if (eventId !== null) this.#onSeek(eventId);
  }

  #choose({ cluster }) {
    if (cluster.first.key !== null) this.#onSelect(cluster.first.key);
  }

  /** Arrows go along a row and from row to row, to what is nearest in time. */
  #press(event) {
    const button = event.target.closest(".item");
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    const jump = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!button || (!step && !jump)) return;
    event.preventDefault();
    const next = step ? along(button, step) : across(button, jump);
    next?.focus({ preventScroll: true });
    if (next) this.#reveal(next.cluster.x);
  }

  /** Only what was reached last is in the order of Tab. */
  #rove(target) {
    if (!target.matches(".item")) return;
    for (const button of this.#plot.querySelectorAll(".item[tabindex='0']")) button.tabIndex = -1;
    target.tabIndex = 0;
  }

  #items() {
    return [...this.#plot.querySelectorAll(".item")];
  }

  #buttonOf(key) {
    return this.#items().find(({ cluster }) => cluster.keys.includes(key));
  }

  #scrolled() {
    const { scrollLeft, scrollWidth, clientWidth } = this.#scroller;
    this.#isFollowing = scrollWidth - scrollLeft - clientWidth < NEAR_END;
    this.#redraw();
  }

  /** Zooms about the pointer; a pinch comes as many small turns of the wheel. */
  #wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const turned = (event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1)) / NOTCH;
    this.#zoomAround(event.clientX - this.#scroller.getBoundingClientRect().left - INSET, ZOOM_STEP ** Math.min(1, Math.max(-1, -turned)));
  }
}

function tool(symbol, label, press) {
  return el("button", { type: "button", class: "tool", title: label, "aria-label": label, on: { click: press } }, icon(symbol));
}

const inOrder = (row) => [...row.querySelectorAll(".item")].sort((a, b) => a.cluster.x - b.cluster.x);

function along(button, step) {
  const items = inOrder(button.parentElement);
  return items[Math.min(items.length - 1, Math.max(0, items.indexOf(button) + step))];
}

function across(button, step) {
  const rows = [...button.closest(".lane-plot").querySelectorAll(".lane")].filter((row) => row.querySelector(".item"));
  const row = rows[rows.indexOf(button.parentElement) + step];
  const distance = ({ cluster: { x, width } }) => Math.max(0, x - button.cluster.x, button.cluster.x - x - width);
  return row && inOrder(row).reduce((nearest, item) => (distance(item) < distance(nearest) ? item : nearest));
}
