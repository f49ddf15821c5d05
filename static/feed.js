/**
 * The live feed. Of its cards only those near the view are there; the others are empty space of their height. It
 * follows the end while the reader is there, and otherwise holds still what the reader looks at, whatever grows above.
 */

import { card } from "./cards.js";
import { arrange, el, perFrame, setText } from "./dom.js";
import { FeedFilter } from "./feed-filter.js";
import { Layout } from "./feed-layout.js";
import { icon } from "./icons.js";
import { text } from "./text.js";

/** Where the feed has a height of its own (feed.css). */
const WIDE = matchMedia("(min-width: 75rem) and (min-height: 40rem)");
/** How near the end counts as being there, in pixels. */
const NEAR_END = 120;
/** How far beyond the view cards are there, in pixels. */
const OVERSCAN = 700;

export class Feed {
  #press;
  #context;
  /** The cards that are there. @type {Map<import("./feed-model.js").Entry, any>} */
  #cards = new Map();
  #layout = new Layout();
  /** The first entry that has a card, and the one after the last. */
  #range = [0, 0];
  /** The key of the entry that is marked. @type {number | null} */
  #selected = null;
  /** What is held still: a card, and where it stood. @type {{node: Element, top: number} | null} */
  #anchor = null;
  #model = null;
  /** What was drawn last, and in which version. */
  #drawnFeed = null;
  #drawn = -1;
  /** What scrolled last, and to where. */
  #scrolledIn = null;
  #scrolledTo = 0;
  /** Unknown until the first drawing: a page that scrolls as a whole begins at its top. @type {boolean | null} */
  #isFollowing = null;
  /** Whether something waits for words that are marked. */
  #isHeldBack = false;
  #filter;
  #before = el("li", { class: "space", "aria-hidden": "true" });
  #after = el("li", { class: "space", "aria-hidden": "true" });
  #list = el("ol", { class: "cards", "aria-label": text.feed.heading }, this.#before, this.#after);
  #dropped = el("p", { class: "note", hidden: true });
  #started = el("p", { class: "note", hidden: true });
  #nothing = el("p");
  #blank = el("div", { class: "blank", hidden: true }, icon("pulse"), this.#nothing);
  #latest = el("button", { type: "button", class: "latest", hidden: true, on: { click: () => this.follow() } }, icon("down"), text.feed.latest);
  #scroller = el("div", { class: "feed-scroll", tabIndex: 0, role: "region", "aria-label": text.feed.heading }, this.#started, this.#dropped, this.#blank, this.#list);
  node;
  #onScroll = () => this.#scrolled();
  #onScheme = () => this.#anew();
  #onMark = () => this.#unmarked();
  #scheme = matchMedia("(prefers-color-scheme: dark)");
  #sizes = new ResizeObserver((sizes) => this.#resized(sizes));
  /** While a card is pressed only the view moves, and what it needs is put there. */
  #redraw = perFrame(() => this.#model && (this.#press.isIn(this.#list) ? this.#place() : this.render(this.#model)));

  /**
   * @param {{taskId: string, press: import("./press.js").Press, diagrams: import("./diagrams.js").Diagrams, onRole: (role: string | null) => void, onEdge: (edge: null) => void,
   *          onAnswer: () => void}} options
   *   onRole: the reader wants to see one role, or all when null; onEdge: no longer only what one said to the other;
   *   onAnswer: they want to answer what the team asks
   */
  constructor({ taskId, press, diagrams, onRole, onEdge, onAnswer }) {
    this.#press = press;
    this.#context = { taskId, diagrams, onAnswer, folds: new WeakMap(), turning: (inside, turn) => this.#turn(inside, turn) };
    this.#filter = new FeedFilter({ onRole, onEdge, onChange: () => this.#filtered() });
    this.node = el("section", { class: "feed" }, this.#filter.node, this.#scroller, this.#latest);
    this.#scroller.addEventListener("scroll", this.#onScroll, { passive: true });
    addEventListener("scroll", this.#onScroll, { passive: true });
    this.#scheme.addEventListener("change", this.#onScheme);
    document.addEventListener("selectionchange", this.#onMark);
    this.#sizes.observe(this.#scroller);
  }

  destroy() {
    this.#model = null;
    removeEventListener("scroll", this.#onScroll);
    this.#scheme.removeEventListener("change", this.#onScheme);
    document.removeEventListener("selectionchange", this.#onMark);
    this.#sizes.disconnect();
  }

  /** Says that the log is not shown from its start. */
  startsLate(eventId, onFromStart) {
    this.#started.hidden = false;
    const button = el("button", { type: "button", class: "link", on: { click: onFromStart } }, text.feed.fromStart);
    this.#started.replaceChildren(text.feed.started(eventId), " ", button);
  }

  /** Shows the cards of one role, or of all when null. */
  only(role) {
    this.#filter.only(role);
  }

  /** Shows only what one said to the other, or everything when null. @param {{from: string, to: string} | null} edge */
  between(edge) {
    this.#filter.between(edge);
  }

  showAll() {
    this.#filter.reset();
  }

  /** The event of the card that is so many cards away from the marked one, of those that are shown; the last one's if none is marked. */
  neighbour(by) {
    const { entries } = this.#layout;
    const at = entries.findIndex(({ key }) => key === this.#selected);
    return entries[at < 0 ? entries.length - 1 : Math.min(entries.length - 1, Math.max(0, at + by))]?.key ?? null;
  }

  /**
   * Marks the card of an entry and brings it into view, or marks none.
   * @param {import("./feed-model.js").Entry | null} entry
   */
  select(entry) {
    this.#selected = entry?.key ?? null;
    if (entry && !this.#layout.entries.includes(entry)) this.#filter.reset();
    if (this.#model) this.render(this.#model);
    const index = entry ? this.#layout.entries.indexOf(entry) : -1;
    if (index < 0) return;
    this.#isFollowing = false;
    this.#anchor = null;
    this.#box().scrollTop += this.#layout.top(index) - this.#view().from;
    this.#place();
    // Its height, and of those before it, is known only now.
    const edges = this.#edges();
    const { top, height } = this.#cards.get(entry).node.getBoundingClientRect();
    this.#box().scrollTop += top - edges.top - Math.max(0, edges.bottom - edges.top - height) / 2;
    this.#drop();
  }

  /** Unfolds what is folded in the marked card, and folds it again. */
  turn() {
    const marked = this.#list.querySelector("[aria-current]");
    marked?.querySelector(".fold:not([hidden]), summary")?.click();
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    const { feed } = (this.#model = model);
    const isChanged = feed !== this.#drawnFeed || feed.version !== this.#drawn;
    this.#drawnFeed = feed;
    this.#drawn = feed.version;
    if (isChanged) this.#layout.set(this.#filter.of(feed.entries));
    const shown = this.#layout.entries.length;
    this.#filter.render(model, shown);
    this.#blank.hidden = shown > 0;
    setText(this.#nothing, feed.entries.length ? text.filter.none : (text.feed.empty[model.status] ?? text.feed.empty.other));
    this.#dropped.hidden = feed.dropped === 0;
    setText(this.#dropped, text.feed.dropped(feed.dropped));
    this.#isFollowing ??= this.#box() === this.#scroller;
    this.#place();
    if (isChanged) this.#latest.hidden = this.#isFollowing && this.#isNearEnd();
  }

  /** Has the cards there that the view needs, at their places. */
  #place() {
    const { from, to } = this.#view();
    const total = this.#layout.total;
    const [start, end] = this.#goesToEnd() ? [total - (to - from), total] : [from, to];
    this.#range = this.#layout.range(start - OVERSCAN, end + OVERSCAN);
    this.#putCards();
    this.#before.style.height = `${this.#layout.top(this.#range[0])}px`;
    this.#after.style.height = `${total - this.#layout.top(this.#range[1])}px`;
    this.#hold();
  }

  #putCards() {
    const [first, end] = this.#range;
    const cards = new Map();
    const { entries } = this.#layout;
    for (let index = first; index < end; index += 1) cards.set(entries[index], this.#card(entries[index], index));
    for (const [entry, { node }] of this.#cards) {
      if (cards.has(entry)) continue;
      this.#sizes.unobserve(node);
      // Whoever reads on with the keyboard is not thrown out of the feed.
      if (node.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
    }
    this.#cards = cards;
    arrange(this.#list, [this.#before, ...[...cards.values()].map(({ node }) => node), this.#after]);
  }

  #card(entry, index) {
    let known = this.#cards.get(entry);
    if (!known) {
      known = { ...card(entry, this.#context), version: -1, index };
      this.#sizes.observe(known.node);
    }
    if (known.version !== entry.version && !this.#isKept(known)) {
      known.version = entry.version;
      known.update();
    }
    known.index = index;
    known.node.ariaCurrent = entry.key === this.#selected ? "true" : null;
    known.node.ariaPosInSet = String(index + 1);
    known.node.ariaSetSize = String(this.#layout.entries.length);
    return known;
  }

  /** Whether a card that was drawn stays as it is: while anything in the list is pressed, or words in this card are marked. */
  #isKept({ node, version }) {
    return version >= 0 && (this.#press.isIn(this.#list) || this.#heldByMarking(node));
  }

  /** Cards, or the view, have another size: by code that was coloured, a diagram that was drawn, a text that was unfolded. */
  #resized(sizes) {
    const heights = new Map(sizes.map(({ target, borderBoxSize: [{ blockSize }] }) => [target, blockSize]));
    let isOther = heights.has(this.#scroller);
    for (const { node, index } of this.#cards.values()) {
      const height = heights.get(node);
      if (height && this.#layout.measure(index, height + gap(node))) isOther = true;
    }
    this.#hold();
    if (isOther) this.#redraw();
  }

  /** Whether the end is to be seen now: what is pressed, or marked to be copied, is not taken away by the following. */
  #goesToEnd() {
    if (!this.#isFollowing || this.#heldByMarking(this.#list)) return false;
    const isPressed = this.#press.isIn(this.#list);
    if (isPressed) this.#press.whenReleased(this.#redraw);
    return !isPressed;
  }

  /** Whether words are marked in a part of the feed, to be copied. What would take that away is to wait then, until they are not. */
  #heldByMarking(part) {
    const marked = getSelection();
    const isMarked = [marked.anchorNode, marked.focusNode].some((node) => this.#list.contains(node)) && marked.containsNode(part, true) && marked.toString().trim() !== "";
    this.#isHeldBack ||= isMarked;
    return isMarked;
  }

  #unmarked() {
    if (!this.#isHeldBack || this.#heldByMarking(this.#list)) return;
    this.#isHeldBack = false;
    this.#press.whenReleased(this.#redraw);
  }

  /** Stays at the end, or has what the reader looks at stand where it stood. */
  #hold() {
    const box = this.#box();
    if (this.#goesToEnd()) box.scrollTop = box.scrollHeight;
    else if (this.#anchor?.node.isConnected && box.scrollTop > 0) {
      const moved = this.#anchor.node.getBoundingClientRect().top - this.#anchor.top;
      if (Math.abs(moved) >= 1) box.scrollTop += moved;
    }
    this.#note(box);
  }

  /** Holds the card still in which something is unfolded or folded, whose beginning is seen then. */
  #turn(inside, turn) {
    const node = inside.closest("li");
    const { top, height } = node.getBoundingClientRect();
    turn();
    const isSmaller = node.getBoundingClientRect().height < height;
    this.#isFollowing = false;
    this.#anchor = { node, top: isSmaller ? Math.max(top, this.#edges().top) : top };
    this.#hold();
    this.#latest.hidden = this.#isNearEnd();
  }

  #note(box) {
    this.#scrolledIn = box;
    this.#scrolledTo = box.scrollTop;
    this.#drop();
  }

  /** Drops anchor: the first card in view is the one to hold. */
  #drop() {
    const edge = this.#edges().top;
    for (const { node } of this.#cards.values()) {
      const { top, bottom } = node.getBoundingClientRect();
      if (bottom > edge) return (this.#anchor = { node, top });
    }
    this.#anchor = null;
  }

  /** Shows the end, and goes on with it. */
  follow() {
    this.#isFollowing = true;
    this.#latest.hidden = true;
    if (this.#heldByMarking(this.#list)) getSelection().empty();
    this.#place();
  }

  #filtered() {
    this.#drawn = -1;
    this.#anchor = null;
    if (this.#isFollowing !== null) this.#isFollowing = this.#box() === this.#scroller;
    this.#redraw();
  }

  /** Every card is made again, for the colours of its diagrams. */
  #anew() {
    for (const { node } of this.#cards.values()) this.#sizes.unobserve(node);
    this.#cards = new Map();
    this.#redraw();
  }

  #scrolled() {
    const box = this.#box();
    const isNearEnd = this.#isNearEnd();
    // What grows below does not end the following, nor does a window of another size; only who scrolls up does.
    const isUp = box === this.#scrolledIn && box.scrollTop < this.#scrolledTo - 1;
    if (isNearEnd || isUp) this.#isFollowing = isNearEnd;
    this.#latest.hidden = isNearEnd;
    this.#note(box);
    this.#redraw();
  }

  #isNearEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#box();
    return scrollHeight - scrollTop - clientHeight < NEAR_END;
  }

  /** What scrolls: the feed itself or the page. */
  #box() {
    return WIDE.matches ? this.#scroller : document.scrollingElement;
  }

  /** Where the view begins and ends in the window. */
  #edges() {
    return WIDE.matches ? this.#scroller.getBoundingClientRect() : { top: 0, bottom: innerHeight };
  }

  /** What of the list is in view, counted from its top. */
  #view() {
    const { top } = this.#list.getBoundingClientRect();
    const edges = this.#edges();
    return { from: edges.top - top, to: edges.bottom - top };
  }
}

const gap = (node) => parseFloat(getComputedStyle(node).marginBottom);
