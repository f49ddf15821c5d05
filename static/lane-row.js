/** One row of the lanes: a button for each item, or one for many that stand too close together to be told apart. */

import { avatar } from "./cards.js";
import { arrange, el, place, setText, visible } from "./dom.js";
import { describe, shortWords } from "./lane-words.js";
import { roleName, text } from "./text.js";

/** Narrower bars are drawn this wide, and joined with narrow ones beside them up to JOINED_MAX, in pixels. */
const BAR_MIN = 4;
const JOINED_MAX = 12;
/** Marks nearer to each other than this are one. */
const MARK = 9;
/** Narrower ones carry no words; those of a wait begin with what is the same in all. */
const WORDS_MIN = { action: 36, status: 36, wait: 96 };

/**
 * @typedef {object} View what of the lanes is drawn
 * @property {import("./timescale.js").Timescale} scale
 * @property {number} end the right end, in milliseconds since the epoch
 * @property {number} from
 * @property {number} to the pixels between which something is drawn
 * @property {number | null} selected an event_id
 */

export class Row {
  #buttons = new Map();
  #turns = el("div", { class: "lane-turns" });

  /** @param {string | null} role null: the row of the task itself */
  constructor(role) {
    const name = role === null ? text.lanes.task : roleName(role);
    this.node = el("div", { class: "lane", role: "group", "aria-label": visible(name), data: { role: role ?? "" } }, this.#turns);
    this.name = el("div", { class: "lane-name", data: { role: role ?? "" } }, avatar(role), el("span", {}, visible(name)));
  }

  /**
   * @param {{bars: import("./timeline.js").Item[][], marks: import("./timeline.js").Item[], turns?: import("./timeline.js").Item[]}} items
   *   each list in the order of time
   * @param {View} view
   */
  draw({ bars, marks, turns = [] }, view) {
    const kept = new Map();
    for (const cluster of [...bars.flatMap((items) => joinBars(items, view)), ...joinMarks(marks, view)]) {
      const id = `${cluster.first.kind} ${cluster.first.key}`;
      const button = this.#buttons.get(id) ?? el("button", { type: "button", class: `item ${cluster.first.kind}`, tabIndex: -1 }, el("span"));
      bringUpToDate(button, cluster, view);
      kept.set(id, button);
    }
    this.#buttons = kept;
    this.#turns.replaceChildren(...joinBars(turns, view).map(({ x, width }) => place(el("span", { class: "turn" }), x, width)));
    arrange(this.node, [this.#turns, ...kept.values()]);
  }
}

function bringUpToDate(button, cluster, view) {
  const { first, x, width } = cluster;
  button.cluster = cluster;
  place(button, x, width);
  const words = !(width >= WORDS_MIN[first.kind]) || cluster.count > 1 ? "" : shortWords(first);
  setText(button.firstChild, words);
  button.dataset.key = first.key ?? "";
  button.dataset.state = cluster.count > 1 ? "many" : (first.state ?? "");
  button.dataset.status = first.status ?? "";
  // What is waited for gives its colour to the wait.
  if (first.kind === "wait") button.dataset.role = first.waitsFor ?? "";
  button.toggleAttribute("data-open", first.to === null);
  const isSelected = view.selected !== null && cluster.keys.includes(view.selected);
  if (isSelected) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  const { title, more } = describe(cluster);
  const label = `${title} · ${more}`;
  if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
}

function joinBars(items, { scale, end, from, to }) {
  const joined = [];
  for (const item of items) {
    const x = scale.x(item.from);
    const right = scale.x(item.to ?? end);
    if (right < from || x > to) continue;
    const isNarrow = right - x < BAR_MIN;
    if (isNarrow && item.kind === "wait") continue;
    const last = joined.at(-1);
    if (isNarrow && last?.isNarrow && x - last.x < JOINED_MAX) join(last, item, Math.max(BAR_MIN, right - last.x));
    else joined.push(cluster(item, x, Math.max(BAR_MIN, right - x), isNarrow));
  }
  return joined;
}

function joinMarks(items, { scale, from, to }) {
  const joined = [];
  for (const item of items) {
    const x = scale.x(item.from);
    if (x < from || x > to) continue;
    const last = joined.at(-1);
    if (last && x - last.x < MARK) join(last, item, MARK);
    else joined.push(cluster(item, x, MARK, true));
  }
  return joined;
}

const cluster = (item, x, width, isNarrow) => ({ first: item, count: 1, keys: [item.key], from: item.from, to: item.to, x, width, isNarrow });

function join(cluster, item, width) {
  cluster.count += 1;
  cluster.keys.push(item.key);
  cluster.to = item.to;
  cluster.width = width;
}
