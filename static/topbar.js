/** The bar at the top: where one is, and how the events come in. */

import { el, setText } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./text.js";

export class Topbar {
  #pill = el("span", { class: "connection" });
  #label = el("span", {}, text.connection.modes.connecting);
  #strip;
  #words = el("span", { role: "status" });
  #new = el("a", { class: "button primary new acts", href: "/", data: { link: "new" } }, icon("plus"), el("span", {}, text.newTask));
  #logOut;
  #help;

  /** @param {{bar: HTMLElement, strip: HTMLElement, onRetry: () => void, help: HTMLElement, onLogOut: () => void}} options */
  constructor({ bar, strip, onRetry, help, onLogOut }) {
    this.#logOut = el("button", { type: "button", class: "button quiet log-out", hidden: true, on: { click: onLogOut } }, text.login.out);
    this.#strip = strip;
    this.#help = help;
    this.#pill.append(el("span", { class: "dot", "aria-hidden": "true" }), this.#label);
    bar.append(
      el("a", { class: "brand", href: "/", "aria-label": text.home, data: { link: "" } }, icon("pulse"), el("span", {}, text.brand)),
      this.#pill,
      help,
      this.#logOut,
      this.#new,
    );
    strip.append(this.#words, el("button", { type: "button", class: "link", on: { click: onRetry } }, text.connection.retry));
    this.show("connecting", null);
  }

  /** @param {{by_cookie: boolean}} login as whom this browser comes */
  showLogin({ by_cookie: byCookie }) {
    this.#logOut.hidden = !byCookie;
  }

  /** Leaves the name alone, for who may not come in. */
  hideAll() {
    for (const part of [this.#pill, this.#strip, this.#help, this.#logOut, this.#new]) part.hidden = true;
  }

  /** @param {import("./connection.js").Mode} mode @param {string | null} reason a key of text.connection.reasons */
  show(mode, reason) {
    this.#pill.dataset.mode = mode;
    setText(this.#label, text.connection.modes[mode]);
    const why = text.connection.reasons[reason] ?? "";
    const how = text.connection[mode] ?? "";
    this.#pill.title = [why, how].filter(Boolean).join(" ");
    this.#strip.hidden = mode === "live" || mode === "connecting";
    this.#strip.dataset.mode = mode;
    setText(this.#words, [`${text.connection.modes[mode]}.`, why, mode === "polling" ? how : ""].filter(Boolean).join(" "));
  }
}
