/** A question of the team to the person who watches: its choices as buttons, and a field for words. */

import { api, serverNow } from "./api.js";
import { Chips } from "./chips.js";
import { el, pathWords, setText, words } from "./dom.js";
import { stopwatch } from "./format.js";
import { icon } from "./icons.js";
import { roleName, text } from "./text.js";
import { wordsField } from "./words-field.js";

/** Choices that are more than a word of the server: the one that takes words along, and the one that ends the run. */
const REVISE = "revise";
const STOP = "stop";

export class Question {
  #taskId;
  #shown = null;
  #waiting = null;
  /** Whether it is answered here, and only the team has not heard it yet. */
  #isAnswered = false;
  /** What is to be judged. */
  #files = new Chips("");
  #until = el("span", { class: "until hint" });
  #error = el("p", { class: "field-error", role: "alert" });
  node = el("section", { class: "question-panel", hidden: true, "aria-label": text.question.heading });

  /** @param {string} taskId */
  constructor(taskId) {
    this.#taskId = taskId;
  }

  /** Has the keyboard go on in the answer. */
  focus() {
    this.node.scrollIntoView({ block: "center" });
    this.node.querySelector("button, textarea")?.focus({ preventScroll: true });
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.#waiting = model.waiting;
    this.node.hidden = !model.waiting;
    if (!model.waiting) return;
    if (this.#shown !== model.waiting.request_id) {
      this.#shown = model.waiting.request_id;
      this.#files = new Chips(this.#taskId);
      this.#build(model.waiting);
    }
    this.#files.show(model.feed.filesOf(this.#shown));
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
    this.#isAnswered = false;
    setText(this.#error, "");
    const revises = choices?.includes(REVISE);
    const hint = revises ? text.question.revision : text.question.words;
    const field = wordsField({ "aria-label": text.question.words, placeholder: hint, maxLength: 20_000 });
    const submit = (event) => {
      event.preventDefault();
      const said = field.value.trim() || (revises ? REVISE : "");
      if (said) this.#answer(said);
      else field.focus();
    };
    const buttons = (choices ?? []).filter((choice) => choice !== REVISE).map((choice, index) => this.#choice(choice, index === 0));
    this.node.replaceChildren(
      el(
        "p",
        { class: "question-text", dir: "auto" },
        icon("question"),
        el("strong", {}, role ? text.question.from(roleName(role)) : text.question.heading, " "),
        pathWords(question), // it names files
      ),
      this.#until,
      this.#files.node,
      el("div", { class: "choices acts" }, ...buttons),
      el("form", { class: "answer-form acts", on: { submit } }, field, el("button", { class: "button" }, revises ? text.question.choices.revise : text.question.send)),
      this.#error,
      el("p", { class: "viewer-note hint" }, text.viewer.question),
    );
  }

  #choice(choice, isFirst) {
    const kind = choice === STOP ? "stop" : isFirst ? "primary" : "";
    return el("button", { type: "button", class: `button choice ${kind}`, on: { click: () => this.#answer(choice) } }, words(text.question.choices[choice] ?? choice));
  }

  async #answer(answer) {
    if (this.#isAnswered) return;
    const asked = this.#shown;
    this.#answered(true);
    setText(this.#error, "");
    try {
      await api.answer(this.#taskId, asked, answer);
    } catch (error) {
      if (this.#shown !== asked) return;
      setText(this.#error, error.message);
      this.#answered(false);
    }
  }

  /** One answer is enough. Controls that are disabled would lose the focus, so this is only said of them. */
  #answered(isAnswered) {
    this.#isAnswered = isAnswered;
    for (const control of this.node.querySelectorAll(".acts :is(button, textarea)")) control.ariaDisabled = isAnswered ? "true" : null;
  }
}
