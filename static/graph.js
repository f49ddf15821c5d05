/** The team as a graph: who told whom how much. Pressing an arrow shows in the feed what passed along it. */

import { arrange, el, setText, svg, visible } from "./dom.js";
import { roleName, roleShort, text } from "./text.js";
import { PERSON } from "./traffic.js";

/** Of the drawing, in its own units. */
const SIZE = { width: 280, height: 224 };
const RADIUS = { x: 108, y: 82, node: 19, count: 8, digit: 2 };
/** How far an arrow bends, as a share of its length, so that two that go to and fro do not lie on each other. */
const BEND = 0.16;
const FRESH_MS = 1600;
/** The id of the arrows' tip; only one graph is on the page. */
const TIP = "edge-tip";

/** since: the event with which the attempt began of which the arrow tells. @typedef {{from: string, to: string, since: number}} Edge */

export class Graph {
  #onChoose;
  #chosen = null;
  #model = null;
  #drawn = "";
  #edges = new Map();
  #arrows = svg("g");
  #nodes = svg("g");
  #drawing = svg(
    "svg",
    { class: "graph-drawing", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "group", "aria-label": text.graph.label },
    svg("defs", {}, svg("marker", { id: TIP, viewBox: "0 0 8 8", refX: "6", refY: "4", markerWidth: "5", markerHeight: "5", orient: "auto" }, svg("path", { d: "M0 0L8 4L0 8z", fill: "context-stroke" }))),
    this.#arrows,
    this.#nodes,
  );
  #blank = el("p", { class: "blank small" }, text.graph.empty);
  #clear = el("button", { type: "button", class: "link", hidden: true, on: { click: () => this.choose(null) } }, text.filter.clear);
  #attempt = el("span", { class: "count" });
  node = el("details", { class: "panel graph", open: true }, el("summary", {}, el("h2", {}, text.graph.heading), this.#attempt), this.#blank, this.#drawing, this.#clear);

  /** @param {{onChoose: (edge: Edge | null) => void}} options */
  constructor({ onChoose }) {
    this.#onChoose = onChoose;
    this.#drawing.addEventListener("click", (event) => this.#press(event.target.closest(".edge")));
    this.#drawing.addEventListener("keydown", (event) => this.#key(event));
    this.node.addEventListener("toggle", () => this.#draw());
  }

  /** Has the keyboard go on in the graph. */
  focus() {
    this.node.open = true;
    this.#draw();
    this.#arrows.querySelector(".edge")?.focus();
  }

  /** @param {Edge | null} edge */
  choose(edge) {
    this.#chosen = edge && `${edge.from}>${edge.to}`;
    this.#clear.hidden = edge === null;
    for (const [key, { node }] of this.#edges) node.setAttribute("aria-pressed", String(key === this.#chosen));
    this.#onChoose(edge);
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.#model = model;
    setText(this.#attempt, model.attempt > 1 ? text.task.attempt(model.attempt) : "");
    this.#draw();
  }

  #draw() {
    if (!this.#model || !this.node.open) return;
    const { agents, traffic } = this.#model;
    const working = [...agents.values()].filter(({ state }) => state === "working" || state === "waiting").map(({ role }) => role);
    const drawn = `${[...agents.keys()]} ${working} ${[...traffic.edges.values()].map(({ from, to, count }) => `${from}>${to}:${count}`)}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#blank.hidden = traffic.edges.size > 0;
    const names = [PERSON, ...agents.keys()];
    const places = new Map(names.map((name, index) => [name, placeOf(index, names.length)]));
    this.#nodes.replaceChildren(...names.map((name) => person(name, places.get(name), working.includes(name))));
    this.#drawArrows(traffic, places);
  }

  #drawArrows(traffic, places) {
    const edges = new Map();
    for (const [key, edge] of traffic.edges) {
      if (!places.has(edge.from) || !places.has(edge.to)) continue;
      const known = this.#edges.get(key) ?? arrow(edge);
      known.update(edge, places.get(edge.from), places.get(edge.to));
      known.node.setAttribute("aria-pressed", String(key === this.#chosen));
      edges.set(key, known);
    }
    this.#edges = edges;
    arrange(this.#arrows, [...edges.values()].map(({ node }) => node));
  }

  #press(node) {
    if (node) this.choose(node.getAttribute("aria-pressed") === "true" ? null : { from: node.dataset.from, to: node.dataset.to, since: this.#model.attemptBegan });
  }

  #key(event) {
    const node = event.target.closest(".edge");
    if (!node || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    this.#press(node);
  }
}

/** On an ellipse, the person at the top, the roles clockwise. */
function placeOf(index, count) {
  const angle = (index / count) * 2 * Math.PI - Math.PI / 2;
  return { x: SIZE.width / 2 + RADIUS.x * Math.cos(angle), y: SIZE.height / 2 + RADIUS.y * Math.sin(angle) };
}

function person(name, { x, y }, isWorking) {
  const label = name === PERSON ? text.graph.person : roleShort(name);
  const node = svg(
    "g",
    { class: "graph-node", "data-role": name, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` },
    svg("title", {}, visible(name === PERSON ? text.human : roleName(name))),
    svg("circle", { r: RADIUS.node }),
    svg("text", { dy: "0.35em" }, visible(label)),
  );
  if (isWorking) node.setAttribute("data-working", "");
  return node;
}

function arrow(edge) {
  const path = svg("path", { class: "edge-line", "marker-end": `url(#${TIP})` });
  const grip = svg("path", { class: "edge-grip" });
  const badge = svg("circle", { class: "edge-badge" });
  const count = svg("text", { class: "edge-count", dy: "0.35em" });
  const node = svg("g", { class: "edge", role: "button", tabindex: "0", "data-role": edge.from, "data-from": edge.from, "data-to": edge.to }, grip, path, badge, count);
  let shown = 0;
  return {
    node,
    update({ count: number, from, to }, start, end) {
      const line = curve(start, end);
      path.setAttribute("d", line.d);
      grip.setAttribute("d", line.d);
      for (const mark of [badge, count]) mark.setAttribute("transform", `translate(${line.middle.x.toFixed(1)} ${line.middle.y.toFixed(1)})`);
      count.textContent = number > 99 ? "99+" : String(number);
      badge.setAttribute("r", String(RADIUS.count + RADIUS.digit * (count.textContent.length - 1)));
      node.setAttribute("aria-label", text.graph.edge(nameOf(from), nameOf(to), number));
      if (shown && number > shown) freshen(node);
      shown = number;
    },
  };
}

const nameOf = (name) => visible(name === PERSON ? text.human : roleName(name));

/** A message has just passed. */
function freshen(node) {
  node.setAttribute("data-fresh", "");
  setTimeout(() => node.removeAttribute("data-fresh"), FRESH_MS);
}

function curve(start, end) {
  const [dx, dy] = [end.x - start.x, end.y - start.y];
  const bend = { x: (start.x + end.x) / 2 - dy * BEND, y: (start.y + end.y) / 2 + dx * BEND };
  const from = towards(start, bend, RADIUS.node + 2);
  const to = towards(end, bend, RADIUS.node + 4);
  const middle = { x: from.x / 4 + bend.x / 2 + to.x / 4, y: from.y / 4 + bend.y / 2 + to.y / 4 };
  return { d: `M${from.x.toFixed(1)} ${from.y.toFixed(1)}Q${bend.x.toFixed(1)} ${bend.y.toFixed(1)} ${to.x.toFixed(1)} ${to.y.toFixed(1)}`, middle };
}

function towards(from, to, distance) {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  return { x: from.x + ((to.x - from.x) * distance) / length, y: from.y + ((to.y - from.y) * distance) / length };
}
