/** The live feed: as many cards as the model keeps, new ones below, following the end while the reader is there. */

import { card } from "./cards.js";
import { Diagrams } from "./diagrams.js";
import { arrange, el, setText } from "./dom.js";
import { icon } from "./icons.js";
import { roleName, text } from "./text.js";

/** Where the feed has a height of its own (feed.css). */
const WIDE = matchMedia("(min-width: 75rem) and (min-height: 40rem)");
/** How near the end counts as being there, in pixels. */
const NEAR_END = 120;

export class Feed {
  #taskId;
  #cards = new Map();
  #diagrams = new Diagrams();
  #drawn = -1;
  #role = null;
  /** The key of the card that is marked. */
  #selected = null;
  /** Unknown until the first drawing: a page that scrolls as a whole begins at its top. @type {boolean | null} */
  #isFollowing = null;
  #onShowAll;
  #list = el("ol", { class: "cards", "aria-label": text.feed.heading });
  #dropped = el("p", { class: "note", hidden: true });
  #started = el("p", { class: "note", hidden: true });
  #blank = el("p", { class: "blank", hidden: true });
  #filter = el("button", { type: "button", class: "filter", hidden: true, on: { click: () => this.#onShowAll() } });
  #latest = el("button", { type: "button", class: "latest", hidden: true, on: { click: () => this.#follow() } }, icon("down"), text.feed.latest);
  #scroller = el("div", { class: "feed-scroll", tabIndex: 0, role: "region", "aria-label": text.feed.heading }, this.#started, this.#dropped, this.#blank, this.#list);
  node = el("section", { class: "feed" }, this.#filter, this.#scroller, this.#latest);
  #onScroll = () => this.#look();
  #onResize = new ResizeObserver(() => this.#isFollowing && this.#toEnd());

  /** @param {{taskId: string, onShowAll: () => void}} options onShowAll: the reader wants the cards of all roles */
  constructor({ taskId, onShowAll }) {
    this.#taskId = taskId;
    this.#onShowAll = onShowAll;
    this.#scroller.addEventListener("scroll", this.#onScroll, { passive: true });
    addEventListener("scroll", this.#onScroll, { passive: true });
    this.#onResize.observe(this.#scroller);
  }

  destroy() {
    removeEventListener("scroll", this.#onScroll);
    this.#onResize.disconnect();
    this.#diagrams.destroy();
  }

  /** Says that the log is not shown from its start. */
  startsLate(eventId, onFromStart) {
    this.#started.hidden = false;
    const button = el("button", { type: "button", class: "link", on: { click: onFromStart } }, text.feed.fromStart);
    this.#started.replaceChildren(text.feed.started(eventId), " ", button);
  }

  /** Shows the cards of one role, or of all when null. */
  only(role) {
    this.#role = role;
    this.#drawn = -1;
    this.#filter.hidden = role === null;
    if (role !== null) this.#filter.replaceChildren(text.feed.onlyRole(roleName(role)), el("span", {}, text.feed.showAll));
  }

  /**
   * Marks the card of an event and brings it into view, or marks none.
   * @param {import("./feed-model.js").Entry | null} entry
   */
  select(entry) {
    this.#cards.get(this.#selected)?.node.removeAttribute("aria-current");
    this.#selected = entry?.key ?? null;
    const node = this.#cards.get(this.#selected)?.node;
    if (!node) return;
    if (node.hidden) this.#onShowAll();
    this.#isFollowing = false;
    node.hidden = false;
    node.setAttribute("aria-current", "true");
    const box = this.#box();
    const ground = box === this.#scroller ? box.getBoundingClientRect() : { top: 0, height: innerHeight };
    const { top, height } = node.getBoundingClientRect();
    box.scrollTop += top - ground.top - Math.max(0, ground.height - height) / 2;
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.#blank.hidden = model.feed.entries.length > 0;
    setText(this.#blank, text.feed.empty[model.status] ?? text.feed.empty.other);
    if (model.feed.version === this.#drawn) return;
    this.#drawn = model.feed.version;
    this.#dropped.hidden = model.feed.dropped === 0;
    setText(this.#dropped, text.feed.dropped(model.feed.dropped));
    this.#isFollowing ??= this.#box() === this.#scroller;
    this.#renderCards(model.feed.entries);
    if (this.#isFollowing) this.#toEnd();
    else this.#latest.hidden = false;
  }

  #renderCards(entries) {
    const cards = new Map();
    const nodes = [];
    for (const entry of entries) {
      const known = this.#cards.get(entry.key) ?? { ...card(entry, { taskId: this.#taskId, diagrams: this.#diagrams }), version: -1 };
      if (known.version !== entry.version) {
        known.version = entry.version;
        known.update();
      }
      known.node.hidden = this.#role !== null && entry.role !== this.#role && entry.role !== null;
      cards.set(entry.key, known);
      nodes.push(known.node);
    }
    this.#cards = cards;
    arrange(this.#list, nodes);
  }

  #follow() {
    this.#isFollowing = true;
    this.#toEnd();
  }

  #toEnd() {
    this.#latest.hidden = true;
    const box = this.#box();
    box.scrollTop = box.scrollHeight;
  }

  #look() {
    const box = this.#box();
    this.#isFollowing = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
    if (this.#isFollowing) this.#latest.hidden = true;
  }

  /** What scrolls: the feed itself or the page. */
  #box() {
    return WIDE.matches ? this.#scroller : document.scrollingElement;
  }
}
