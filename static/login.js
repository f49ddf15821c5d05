/** The login: a token is changed for a cookie that scripts cannot read. */

import { api } from "./api.js";
import { el, once, setText } from "./dom.js";
import { text } from "./text.js";

export class Login {
  #onDone;
  // A password field, so that the browser offers to keep the token.
  #token = el("input", { class: "input", id: "token", type: "password", autocomplete: "current-password", required: true, maxLength: 200, "aria-describedby": "token-error" });
  #submit = el("button", { class: "button primary big" }, text.login.submit);
  #error = el("p", { class: "field-error", id: "token-error", role: "alert" });

  /** @param {{onDone: () => void}} options */
  constructor({ onDone }) {
    this.#onDone = onDone;
    this.node = el(
      "form",
      { class: "start login", noValidate: true, on: { submit: (event) => this.#logIn(event) } },
      el("h1", {}, text.login.heading),
      el("p", { class: "lead" }, text.login.lead),
      el("div", { class: "field" }, el("label", { htmlFor: "token" }, text.login.token), this.#token, this.#error),
      el("div", { class: "start-line" }, this.#submit),
    );
  }

  focus() {
    this.#token.focus();
  }

  #logIn(event) {
    event.preventDefault();
    const token = this.#token.value.trim();
    if (!token) return setText(this.#error, text.login.none);
    once(this.#submit, () => this.#comeIn(token));
  }

  async #comeIn(token) {
    setText(this.#error, "");
    try {
      await api.logIn(token);
      this.#onDone();
    } catch (error) {
      setText(this.#error, error.message);
      this.focus();
    }
  }
}
