/** Details beside what the pointer is over or the keyboard has reached; Escape takes them away. */

import { el, setText } from "./dom.js";

const EDGE = 8;

export class Tip {
  #title = el("p", { class: "tip-title", dir: "auto" });
  #more = el("p", { class: "tip-more" });
  node = el("div", { class: "tip", hidden: true, "aria-hidden": "true" }, this.#title, this.#more);
  #target = null;
  #words;

  /** @param {Element} area @param {(node: any) => {title: string, more: string}} words of a button in the area */
  over(area, words) {
    this.#words = words;
    const find = ({ target }) => target.closest("button");
    area.addEventListener("pointerover", (event) => this.#show(find(event)));
    area.addEventListener("pointerleave", () => this.#show(document.activeElement?.matches(":focus-visible") && area.contains(document.activeElement) ? document.activeElement : null));
    area.addEventListener("focusin", (event) => this.#show(find(event)));
    area.addEventListener("focusout", () => this.#show(null));
    area.addEventListener("keydown", (event) => event.key === "Escape" && this.#show(null));
  }

  /** What it tells of may have changed or moved. */
  refresh() {
    if (this.#target) this.#show(this.#target.isConnected ? this.#target : null);
  }

  #show(target) {
    this.#target = target;
    this.node.hidden = !target;
    if (!target) return;
    const { title, more } = this.#words(target);
    setText(this.#title, title);
    setText(this.#more, more);
    const panel = this.node.parentElement.getBoundingClientRect();
    const at = target.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const middle = Math.max(at.left, panel.left) + Math.min(at.width, panel.right - at.left) / 2 - panel.left;
    const left = Math.min(Math.max(EDGE, middle - width / 2), panel.width - width - EDGE);
    this.node.style.setProperty("left", `${left}px`);
    this.node.style.setProperty("top", `${at.top - panel.top - height - EDGE}px`);
  }
}
