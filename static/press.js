/**
 * Whether something is being pressed, with the main button of a mouse, a finger or a pen. Meanwhile nothing may move, or
 * be replaced, of itself: what is let go on something else than it was pressed on is no click.
 */

/** The click of a finger comes a frame after it was lifted; in milliseconds. */
const CLICK_MS = 50;
/** What a press may turn into: scrolling, dragging, a menu, another window. Its release is not always told then. */
const TURNS = ["pointercancel", "dragstart", "contextmenu", "blur"];

export class Press {
  /** @type {number | null} */
  #pointer = null;
  /** @type {Node | null} */
  #target = null;
  #releasing = 0;
  /** @type {Set<() => void>} */
  #waiting = new Set();

  constructor() {
    addEventListener("pointerdown", (event) => this.#begin(event));
    addEventListener("pointerup", (event) => this.#lift(event));
    addEventListener("pointermove", (event) => this.#move(event));
    for (const type of TURNS) addEventListener(type, () => this.#end());
  }

  get isDown() {
    return this.#pointer !== null;
  }

  /** @param {Element} node */
  isIn(node) {
    return this.isDown && node.contains(this.#target);
  }

  /** Calls at once, or once and however often it was asked to, when nothing is pressed any more. @param {() => void} act */
  whenReleased(act) {
    if (this.isDown) this.#waiting.add(act);
    else act();
  }

  #begin({ pointerId, isPrimary, button, target }) {
    if (!isPrimary || button !== 0) return;
    clearTimeout(this.#releasing);
    this.#releasing = 0;
    this.#pointer = pointerId;
    this.#target = target;
  }

  #lift({ pointerId }) {
    if (pointerId === this.#pointer) this.#releasing = setTimeout(() => this.#end(), CLICK_MS);
  }

  /** A release that was not told, such as one outside of the window. */
  #move({ pointerId, buttons }) {
    if (pointerId === this.#pointer && buttons === 0 && !this.#releasing) this.#end();
  }

  #end() {
    clearTimeout(this.#releasing);
    this.#releasing = 0;
    this.#pointer = this.#target = null;
    for (const act of this.#waiting) queueMicrotask(act); // each for itself, should one fail
    this.#waiting.clear();
  }
}
