/** A field to say something to the team while it works. */

import { api } from "./api.js";
import { el, once, setText } from "./dom.js";
import { icon } from "./icons.js";
import { roleName, text } from "./text.js";
import { wordsField } from "./words-field.js";

/** The statuses in which a message reaches the team. */
const LISTENING = new Set(["RUNNING", "WAITING"]);

export class Composer {
  #taskId;
  #field = wordsField({ placeholder: text.composer.placeholder, "aria-label": text.composer.label, maxLength: 20_000 });
  #to = el("select", { class: "input", "aria-label": text.composer.to }, el("option", { value: "" }, text.composer.everyone));
  #send = el("button", { class: "button primary", title: text.composer.send, "aria-label": text.composer.send }, icon("send"));
  #said = el("p", { class: "composer-said", role: "status" });
  node = el("form", { class: "composer acts", hidden: true, on: { submit: (event) => this.#submit(event), input: () => this.#said.dataset.kind === "good" && this.#tell("") } }, this.#to, this.#field, this.#send, this.#said);

  /** @param {string} taskId */
  constructor(taskId) {
    this.#taskId = taskId;
  }

  /** Has the next key go into the message. */
  focus() {
    this.#field.focus();
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    this.node.hidden = !LISTENING.has(model.status);
    const known = this.#to.options.length - 1;
    for (const role of [...model.agents.keys()].slice(known)) this.#to.append(el("option", { value: role }, roleName(role)));
  }

  #tell(message, kind = "good") {
    this.#said.dataset.kind = kind;
    setText(this.#said, message);
  }

  #submit(event) {
    event.preventDefault();
    const content = this.#field.value.trim();
    if (content) once(this.#send, () => this.#say(content));
  }

  async #say(content) {
    try {
      await api.say(this.#taskId, content, this.#to.value || null);
      this.#field.value = "";
      this.#tell(text.composer.sent);
    } catch (error) {
      this.#tell(error.message, "bad");
    } finally {
      this.#field.focus();
    }
  }
}
