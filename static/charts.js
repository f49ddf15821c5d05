/** Money and machine: what the run has used of its budgets, who used it, and small charts over the time of the lanes. */

import { avatar } from "./cards.js";
import { arrange, el, setText, svg, visible } from "./dom.js";
import { Early } from "./early.js";
import { amount, bytes, cost, time } from "./format.js";
import { roleName, text } from "./text.js";
import { Timescale } from "./timescale.js";

/** Of a chart, in its own units; it is stretched to the room there is. */
const WIDTH = 200;
const HEIGHT = 40;
/** From this share of a budget on it is said in colour. */
const NEARLY = 0.8;

export class Charts {
  #timeline;
  #model = null;
  #meters = { tokens: new Meter(text.charts.tokens), cost: new Meter(text.charts.cost) };
  #roles = new Map();
  #table = el("ul", { class: "usage-roles", "aria-label": text.charts.byRole });
  #charts = {
    tokens: new Chart(text.charts.tokens, amount),
    cost: new Chart(text.charts.cost, (usd) => cost({ cost_usd: usd })),
    cpu: new Chart(text.charts.cpu, (percent) => text.charts.percent(percent)),
    memory: new Chart(text.charts.memory, bytes),
  };
  #less = el("p", { class: "note", hidden: true }, text.charts.less);
  #early = new Early();
  #grid = el("div", { class: "chart-grid" }, ...Object.values(this.#charts).map(({ node }) => node));
  node = el(
    "details",
    { class: "panel charts", open: true },
    el("summary", {}, el("h2", {}, text.charts.heading)),
    this.#less,
    ...Object.values(this.#meters).map(({ node }) => node),
    this.#table,
    this.#grid,
    this.#early.node,
  );

  /** @param {import("./timeline.js").Timeline} timeline for the axis */
  constructor(timeline) {
    this.#timeline = timeline;
    this.node.addEventListener("toggle", () => this.#draw());
    this.#grid.addEventListener("pointermove", (event) => this.#point(event));
    this.#grid.addEventListener("pointerleave", () => this.#look(null));
  }

  /** Says that the lines do not begin with the run. */
  startsLate(onFromStart) {
    this.#early.begin(this.#timeline, onFromStart);
  }

  /** From now on, has the axis of another timeline. @param {import("./timeline.js").Timeline} timeline */
  show(timeline) {
    this.#timeline = timeline;
    this.#early.show(timeline);
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.#model = model;
    this.#draw();
  }

  #draw() {
    if (!this.#model || !this.node.open) return;
    const { usage, options, raised, consumption, countsLess } = this.#model;
    this.#less.hidden = !countsLess;
    const tokens = usage.prompt_tokens + usage.completion_tokens;
    this.#meters.tokens.show(tokens, raised.budget_tokens ?? options.budget_tokens, amount(tokens), amount);
    this.#meters.cost.show(usage.cost_usd ?? 0, raised.budget_usd ?? options.budget_usd, cost(usage), (usd) => cost({ cost_usd: usd }));
    this.#drawRoles(usage);
    // What is not loaded lies below the line.
    const totals = { tokens, cost: usage.cost_usd };
    const scale = this.#scale();
    for (const [name, chart] of Object.entries(this.#charts)) {
      const { points, last } = consumption[name];
      chart.show(points, scale, last === null || !(name in totals) ? 0 : (totals[name] ?? last) - last);
    }
  }

  #point({ target, clientX }) {
    const drawing = target.closest(".chart-drawing");
    if (!drawing) return this.#look(null);
    const { left, width } = drawing.getBoundingClientRect();
    this.#look(((clientX - left) / width) * WIDTH);
  }

  /** Tells in all charts what it was at a place on their common axis, or what it is now. @param {number | null} x */
  #look(x) {
    for (const chart of Object.values(this.#charts)) chart.look(x);
  }

  #drawRoles({ by_role: byRole }) {
    const used = ({ prompt_tokens: prompt, completion_tokens: completion }) => prompt + completion;
    const most = Math.max(1, ...Object.values(byRole).map(used));
    const nodes = [];
    for (const role of this.#model.agents.keys()) {
      if (!byRole[role]) continue;
      if (!this.#roles.has(role)) this.#roles.set(role, new RoleUsage(role));
      const row = this.#roles.get(role);
      row.show(used(byRole[role]), used(byRole[role]) / most, cost(byRole[role]));
      nodes.push(row.node);
    }
    arrange(this.#table, nodes);
  }

  #scale() {
    const { start, end } = this.#timeline;
    return start === null ? null : new Timescale({ start, end, pauses: this.#timeline.pauses(), width: WIDTH });
  }
}

/** How much of a budget is used; without a budget only how much. */
class Meter {
  #value = el("span", { class: "meter-value" });
  #fill = el("div", { class: "bar-fill" });
  #bar;

  constructor(label) {
    this.#bar = el("div", { class: "bar", role: "meter", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100" }, this.#fill);
    this.node = el("div", { class: "meter" }, el("span", { class: "meter-label" }, label), this.#value, this.#bar);
  }

  show(used, budget, words, inWords) {
    const has = budget !== null && budget !== undefined;
    const share = has && budget > 0 ? Math.min(1, used / budget) : has ? 1 : 0;
    const said = has ? text.charts.ofBudget(words, inWords(budget)) : words;
    setText(this.#value, said);
    this.#bar.hidden = !has;
    this.#bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    this.#bar.setAttribute("aria-valuetext", said);
    this.#bar.style.setProperty("--share", String(share));
    this.#bar.dataset.status = share >= 1 ? "FAILED" : share >= NEARLY ? "WAITING" : "";
  }
}

class RoleUsage {
  #tokens = el("span", { class: "usage-tokens" });
  #cost = el("span", { class: "usage-cost" });
  #bar = el("span", { class: "usage-bar", "aria-hidden": "true" });

  constructor(role) {
    const name = el("span", { class: "usage-name" }, visible(roleName(role)));
    this.node = el("li", { data: { role } }, avatar(role), name, this.#bar, this.#tokens, this.#cost);
  }

  show(tokens, share, spent) {
    setText(this.#tokens, text.agents.tokens(amount(tokens), tokens));
    setText(this.#cost, spent);
    this.#bar.style.setProperty("--share", share.toFixed(3));
  }
}

/** A line with its last and its highest value in words, and the one that is looked at. */
class Chart {
  #inWords;
  #label;
  #name = el("span", { class: "chart-label" });
  #value = el("span", { class: "chart-value" });
  #area = svg("path", { class: "chart-area" });
  #line = svg("path", { class: "chart-line" });
  #here = svg("path", { class: "chart-here" });
  /** What is drawn. @type {{at: number, value: number}[]} */
  #points = [];
  /** @type {Timescale | null} */
  #scale = null;
  /** The place that is looked at. @type {number | null} */
  #looked = null;
  #drawing = svg("svg", { class: "chart-drawing", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, this.#area, this.#line, this.#here);

  /** @param {string} label @param {(value: number) => string} inWords */
  constructor(label, inWords) {
    this.#label = label;
    this.#inWords = inWords;
    this.node = el("div", { class: "chart" }, this.#name, this.#value, this.#drawing);
  }

  /** @param {{at: number, value: number}[]} points @param {Timescale | null} scale @param {number} offset added to every value */
  show(points, scale, offset) {
    this.#points = points.map(({ at, value }) => ({ at, value: value + offset }));
    this.#scale = scale;
    const most = Math.max(0, ...this.#points.map(({ value }) => value));
    // A model that is free has no line to show.
    this.node.hidden = most === 0 || !scale;
    if (this.node.hidden) return;
    const [last, highest] = [this.#inWords(this.#points.at(-1).value), this.#inWords(most)];
    this.look(this.#looked);
    this.#drawing.setAttribute("aria-label", text.charts.line(this.#label, last, highest));
    this.node.title = text.charts.most(highest);
    const y = (value) => HEIGHT - 2 - (value / most) * (HEIGHT - 4);
    const spots = this.#points.map(({ at, value }) => `${scale.x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    const [first, end] = [scale.x(points[0].at).toFixed(1), scale.x(points.at(-1).at).toFixed(1)];
    this.#line.setAttribute("d", `M${spots.join("L")}`);
    this.#area.setAttribute("d", `M${first} ${HEIGHT}L${spots.join("L")}L${end} ${HEIGHT}z`);
  }

  /** @param {number | null} x the place that is looked at; null: none, the last value counts */
  look(x) {
    this.#looked = x;
    const points = this.#points;
    if (!points.length || !this.#scale) return;
    const at = x === null ? Infinity : this.#scale.time(x);
    const found = points.findLast((point) => point.at <= at) ?? points[0];
    setText(this.#name, x === null ? this.#label : time(found.at));
    setText(this.#value, this.#inWords(found.value));
    this.#here.setAttribute("d", x === null ? "" : `M${this.#scale.x(found.at).toFixed(1)} 0V${HEIGHT}`);
  }
}
