/** The form that starts a team: an idea, and how it is to be worked on. */

import { api, newKey } from "./api.js";
import { el, setText } from "./dom.js";
import { icon } from "./icons.js";
import { ROLES } from "./model.js";
import { roleName, text } from "./text.js";

const PROMPT_MAX = 100_000;
const TITLE_MAX = 200;

export class TaskForm {
  #onStarted;
  #fields = new Map();
  /** One key for one attempt to create: pressing again after a lost answer creates no second task. */
  #key = newKey();
  #idea = el("textarea", { class: "input idea-field", rows: 4, dir: "auto", maxLength: PROMPT_MAX, placeholder: text.form.placeholder, required: true });
  #submit = el("button", { class: "button primary big" }, icon("play"), el("span", {}, text.form.submit));
  #error = el("p", { class: "field-error", role: "alert" });
  #demo = el("p", { class: "demo-note", hidden: true }, text.demoNote);
  #file = el("input", { type: "file", accept: ".jsonl", hidden: true, on: { change: () => this.#import() } });
  #choose = el("button", { type: "button", class: "link", on: { click: () => this.#file.click() } }, text.form.import);
  #options;

  /** @param {{onStarted: (taskId: string) => void}} options */
  constructor({ onStarted }) {
    this.#onStarted = onStarted;
    this.#options = this.#optionFields();
    const form = el(
      "form",
      { class: "start acts", noValidate: true, on: { submit: (event) => this.#start(event), input: () => (this.#key = newKey()), keydown: (event) => this.#shortcut(event) } },
      el("h1", {}, text.form.heading),
      el("p", { class: "lead" }, text.form.lead),
      this.#field("input_prompt", { label: text.form.idea, control: this.#idea, isHidden: true }),
      this.#examples(),
      this.#options,
      this.#error,
      el("div", { class: "start-line" }, this.#submit, el("kbd", {}, text.form.shortcut), this.#demo),
      el("p", { class: "hint" }, this.#choose, ` ${text.form.importHint}`, this.#file),
    );
    this.node = form;
  }

  focus() {
    this.#idea.focus();
  }

  /** Says whether the server runs its demo model. */
  showModel({ demo }) {
    this.#demo.hidden = !demo;
  }

  #examples() {
    const use = (example) => {
      this.#idea.value = example;
      this.#key = newKey();
      this.#idea.focus();
    };
    const chips = text.form.examples.map((example) => el("button", { type: "button", class: "chip example", on: { click: () => use(example) } }, example));
    return el("p", { class: "examples" }, el("span", {}, text.form.examplesLabel), ...chips);
  }

  #optionFields() {
    const number = (attributes) => el("input", { type: "number", class: "input", inputMode: "decimal", ...attributes });
    const { form } = text;
    return el(
      "details",
      { class: "options" },
      el("summary", {}, form.options),
      el(
        "div",
        { class: "option-grid" },
        this.#field("title", { label: form.title, hint: form.titleHint, control: el("input", { class: "input", maxLength: TITLE_MAX, dir: "auto", autocomplete: "off" }) }),
        this.#field("priority", { label: form.priority, hint: form.priorityHint, control: number({ min: -5, max: 5, step: 1, inputMode: "text", placeholder: form.byDefault("0") }) }),
        this.#field("n_round", { label: form.rounds, hint: form.roundsHint, control: number({ min: 1, max: 100, step: 1, placeholder: form.byDefault("12") }) }),
        this.#field("budget_usd", { label: form.budget, hint: form.budgetHint, control: number({ min: 0, step: "any", placeholder: form.byDefault("10") }) }),
        this.#field("budget_tokens", { label: form.tokens, hint: form.tokensHint, control: number({ min: 1, step: 1, placeholder: form.unlimited }) }),
        this.#field("timeout_s", { label: form.minutes, hint: form.minutesHint, control: number({ min: 0, step: "any", placeholder: form.byDefault("60") }) }),
        this.#field("answer_timeout_s", { label: form.hours, hint: form.hoursHint, control: number({ min: 0, step: "any", placeholder: form.byDefault("24") }) }),
      ),
      this.#switch("code_review", form.codeReview, form.codeReviewHint),
      this.#switch("run_tests", form.runTests, form.runTestsHint),
      this.#reviewers(),
    );
  }

  #field(name, { label, hint, control, isHidden = false }) {
    const id = `field-${name}`;
    const error = el("p", { class: "field-error", id: `${id}-error` });
    control.id = id;
    control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
    this.#fields.set(name, { control, error });
    return el(
      "div",
      { class: "field" },
      el("label", { htmlFor: id, class: isHidden ? "visually-hidden" : "" }, label),
      control,
      hint && el("p", { class: "hint", id: `${id}-hint` }, hint),
      error,
    );
  }

  #switch(name, label, hint) {
    const control = el("input", { type: "checkbox", id: `field-${name}` });
    const error = el("p", { class: "field-error" });
    this.#fields.set(name, { control, error });
    return el("label", { class: "switch" }, control, el("span", {}, label, el("span", { class: "hint" }, hint)), error);
  }

  #reviewers() {
    const boxes = ROLES.map((role) => el("input", { type: "checkbox", value: role }));
    const error = el("p", { class: "field-error" });
    this.#fields.set("review", { control: boxes[0], error, boxes });
    return el(
      "fieldset",
      {},
      el("legend", {}, text.form.review),
      el("div", { class: "reviewers" }, ...boxes.map((box) => el("label", { class: "switch" }, box, el("span", {}, roleName(box.value))))),
      error,
    );
  }

  #shortcut(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.node.requestSubmit();
  }

  async #start(event) {
    event.preventDefault();
    if (this.#submit.disabled) return;
    this.#clearErrors();
    const body = this.#body();
    if (!body) return;
    this.#busy(true);
    try {
      const task = await api.createTask(body, this.#key);
      await api.runTask(task.id).catch((error) => {
        // A second press after a lost answer finds it running already.
        if (error.status !== 409) throw error;
      });
      this.#reset();
      this.#onStarted(task.id);
    } catch (error) {
      this.#showProblem(error);
    } finally {
      this.#busy(false);
    }
  }

  /** Shows a run of elsewhere, from the file that was chosen. */
  async #import() {
    const [log] = this.#file.files;
    this.#file.value = "";
    if (!log) return;
    this.#clearErrors();
    this.#choose.disabled = true;
    try {
      this.#onStarted((await api.importLog(log)).id);
    } catch (error) {
      setText(this.#error, error.message);
    } finally {
      this.#choose.disabled = false;
    }
  }

  /** What is to be sent, or null when something is wrong already here. */
  #body() {
    const prompt = this.#idea.value.trim();
    if (!prompt) return this.#showError("input_prompt", text.form.noIdea);
    const options = { code_review: this.#control("code_review").checked, run_tests: this.#control("run_tests").checked };
    const review = this.#fields.get("review").boxes.filter((box) => box.checked).map((box) => box.value);
    if (review.length) options.review = review;
    for (const [name, factor] of [["n_round", 1], ["budget_usd", 1], ["budget_tokens", 1], ["timeout_s", 60], ["answer_timeout_s", 3600]]) {
      const control = this.#control(name);
      if (control.validity.badInput) return this.#showError(name, text.form.notANumber);
      if (control.value !== "") options[name] = control.valueAsNumber * factor;
    }
    const [title, priority] = [this.#control("title").value.trim(), this.#control("priority")];
    if (priority.validity.badInput) return this.#showError("priority", text.form.notANumber);
    return { input_prompt: prompt, options, ...(title && { title }), ...(priority.value && { priority: priority.valueAsNumber }) };
  }

  #control(name) {
    return this.#fields.get(name).control;
  }

  #showProblem(error) {
    const unplaced = error.fields.filter(({ field, message }) => {
      const name = field.split(/[.[]/).findLast((part) => this.#fields.has(part));
      if (name) this.#showError(name, message);
      return !name;
    });
    if (unplaced.length || !error.fields.length) setText(this.#error, error.message);
  }

  #showError(name, message) {
    const { control, error } = this.#fields.get(name);
    setText(error, message);
    control.setAttribute("aria-invalid", "true");
    if (this.#options.contains(control)) this.#options.open = true;
    control.focus();
    return null;
  }

  #clearErrors() {
    setText(this.#error, "");
    for (const { control, error } of this.#fields.values()) {
      setText(error, "");
      control.removeAttribute("aria-invalid");
    }
  }

  #busy(isBusy) {
    this.#submit.disabled = isBusy;
    setText(this.#submit.lastElementChild, isBusy ? text.form.submitting : text.form.submit);
  }

  #reset() {
    this.node.reset();
    this.#key = newKey();
  }
}
