/** A question of the team to the person who watches: its choices as buttons, and a field for words. */

import { api, serverNow } from "./api.js";
import { el, setText, words } from "./dom.js";
import { stopwatch } from "./format.js";
import { icon } from "./icons.js";
import { roleName, text } from "./text.js";

export class Question {
  #taskId;
  #shown = null;
  #waiting = null;
  #until = el("span", { class: "until" });
  #error = el("p", { class: "field-error", role: "alert" });
  node = el("section", { class: "question-panel", hidden: true, "aria-label": text.question.heading });

  /** @param {string} taskId */
  constructor(taskId) {
    this.#taskId = taskId;
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.#waiting = model.waiting;
    this.node.hidden = !model.waiting;
    if (!model.waiting) return;
    if (this.#shown !== model.waiting.request_id) {
      this.#shown = model.waiting.request_id;
      this.#build(model.waiting);
    }
    this.renderClock();
  }

  /** The time that is left to answer. */
  renderClock() {
    const deadline = this.#waiting?.deadline;
    if (!deadline) return setText(this.#until, "");
    const left = Date.parse(deadline) - serverNow();
    setText(this.#until, left > 0 ? text.question.until(stopwatch(left)) : text.question.overdue);
  }

  #build({ question, choices, role }) {
    setText(this.#error, "");
    const field = el("input", { class: "input", "aria-label": text.question.words, placeholder: text.question.words, maxLength: 20_000, autocomplete: "off" });
    const submit = (event) => {
      event.preventDefault();
      if (field.value.trim()) this.#answer(field.value.trim());
    };
    this.node.replaceChildren(
      el("p", { class: "question-head" }, icon("question"), el("strong", {}, role ? text.question.from(roleName(role)) : text.question.heading), this.#until),
      el("p", { class: "question-text", dir: "auto" }, question),
      el(
        "div",
        { class: "choices acts" },
        ...(choices ?? []).map((choice) => el("button", { type: "button", class: "button choice", on: { click: () => this.#answer(choice) } }, words(choice))),
      ),
      el("form", { class: "answer-form acts", on: { submit } }, field, el("button", { class: "button primary" }, text.question.send)),
      this.#error,
      el("p", { class: "viewer-note hint" }, text.viewer.question),
    );
  }

  async #answer(answer) {
    const controls = this.node.querySelectorAll("button, input");
    for (const control of controls) control.disabled = true;
    setText(this.#error, "");
    try {
      await api.answer(this.#taskId, this.#shown, answer);
    } catch (error) {
      setText(this.#error, error.message);
      for (const control of controls) control.disabled = false;
    }
  }
}
