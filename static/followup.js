/** A field to say what a team that has finished should change or add: a new task that goes on with its project. */

import { api, newKey } from "./api.js";
import { el, once, setText } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./text.js";
import { wordsField } from "./words-field.js";

export class FollowUp {
  #taskId;
  #onStarted;
  #options = {};
  /** One key for one requirement: pressing again after a lost answer creates no second task. */
  #key = newKey();
  #field = wordsField({ placeholder: text.followUp.placeholder, "aria-label": text.followUp.label, maxLength: 100_000 });
  #start = el("button", { class: "button primary" }, icon("play"), el("span", {}, text.followUp.start));
  #error = el("p", { class: "field-error", role: "alert" });
  node = el("form", { class: "follow-up acts", hidden: true, on: { submit: (event) => this.#submit(event), input: () => (this.#key = newKey()) } }, this.#field, this.#start, this.#error);

  /** @param {{taskId: string, onStarted: (taskId: string) => void}} options */
  constructor({ taskId, onStarted }) {
    this.#taskId = taskId;
    this.#onStarted = onStarted;
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.node.hidden = model.status !== "SUCCEEDED" || Boolean(model.importedAt);
    this.#options = model.options;
  }

  #submit(event) {
    event.preventDefault();
    const requirement = this.#field.value.trim();
    if (requirement) once(this.#start, () => this.#go(requirement));
  }

  async #go(requirement) {
    setText(this.#error, "");
    try {
      const task = await api.createTask({ input_prompt: requirement, continues: this.#taskId, options: this.#options }, this.#key);
      await api.runTask(task.id).catch((error) => {
        // A second press after a lost answer finds it running already.
        if (error.status !== 409) throw error;
      });
      this.#onStarted(task.id);
    } catch (error) {
      setText(this.#error, error.message);
    }
  }
}
