/** The form that starts a team: an idea, and how it is to be worked on. */

import { api, newKey } from "./api.js";
import { el, once, setText } from "./dom.js";
import { Field, NumberField, Roles, Switch } from "./fields.js";
import { icon } from "./icons.js";
import { ROLES } from "./model.js";
import { text } from "./text.js";

export class TaskForm {
  #onStarted;
  #idea = new Idea();
  /** Every field, in the order in which they stand. @type {any[]} */
  #fields = [this.#idea];
  /** What they may be, once the server has said so. @type {Map<string, import("./limits.js").Limits> | null} */
  #limits = null;
  /** One key for one attempt to create: pressing again after a lost answer creates no second task. */
  #key = newKey();
  #submit = el("button", { class: "button primary big" }, icon("play"), el("span", {}, text.form.submit));
  #error = el("p", { class: "field-error", role: "alert" });
  #demo = el("p", { class: "demo-note", hidden: true }, text.demoNote);
  #file = el("input", { type: "file", accept: ".jsonl", hidden: true, on: { change: () => this.#chosen() } });
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
      this.#idea.node,
      this.#examples(),
      this.#options,
      this.#error,
      el("div", { class: "start-line" }, this.#submit, el("kbd", {}, text.form.shortcut), this.#demo),
      el("p", { class: "hint" }, this.#choose, ` ${text.form.importHint}`, this.#file),
    );
    this.node = form;
  }

  focus() {
    this.#idea.control.focus();
  }

  /** Says whether the server runs its demo model. */
  showModel({ demo }) {
    this.#demo.hidden = !demo;
  }

  #examples() {
    const use = (example) => {
      this.#idea.control.value = example;
      this.#key = newKey();
      this.#idea.control.focus();
    };
    const chips = text.form.examples.map((example) => el("button", { type: "button", class: "chip example", on: { click: () => use(example) } }, example));
    return el("p", { class: "examples" }, el("span", {}, text.form.examplesLabel), ...chips);
  }

  #optionFields() {
    const { form } = text;
    const hour = 3600;
    const grid = [
      new Field({ name: "title", label: form.title, hint: form.titleHint, control: el("input", { class: "input", dir: "auto", autocomplete: "off" }) }),
      new NumberField({ name: "priority", label: form.priority, hint: form.priorityHint }),
      new NumberField({ name: "n_round", label: form.rounds, hint: form.roundsHint }),
      new NumberField({ name: "timeout_s", label: form.minutes, hint: form.minutesHint, unit: 60 }),
      new NumberField({ name: "budget_usd", label: form.budget, hint: form.budgetHint }),
      new NumberField({ name: "budget_tokens", label: form.tokens, hint: form.tokensHint }),
      new NumberField({ name: "answer_timeout_s", label: form.hours, hint: form.hoursHint, unit: hour }),
      new NumberField({ name: "llm_timeout_s", label: form.callMinutes, hint: form.callMinutesHint, unit: 60, none: form.asConfigured }),
    ];
    const rest = [
      new Switch({ name: "code_review", label: form.codeReview, hint: form.codeReviewHint }),
      new Switch({ name: "run_tests", label: form.runTests, hint: form.runTestsHint }),
      new Roles({ name: "review", label: form.review, roles: ROLES }),
    ];
    this.#fields.push(...grid, ...rest);
    return el(
      "details",
      { class: "options", on: { toggle: () => this.#options.open && this.#learn() } },
      el("summary", {}, form.options),
      el("div", { class: "option-grid" }, ...nodesOf(grid)),
      ...nodesOf(rest),
    );
  }

  /** Asks the server what the options may be. Until it has said so, what is wrong with them is said by its answer. */
  async #learn() {
    if (this.#limits) return;
    this.#limits = await import("./limits.js").then(({ readLimits }) => readLimits()).catch(() => null);
    for (const field of this.#fields) if (this.#limits?.has(field.name)) field.limit?.(this.#limits.get(field.name));
  }

  #shortcut(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.node.requestSubmit();
  }

  #start(event) {
    event.preventDefault();
    once(this.#submit, async () => {
      this.#clearErrors();
      if (!this.#hasProblems()) await this.#create();
    });
  }

  async #create() {
    setText(this.#submit.lastElementChild, text.form.submitting);
    try {
      const task = await api.createTask(this.#body(), this.#key);
      await api.runTask(task.id).catch((error) => {
        // A second press after a lost answer finds it running already.
        if (error.status !== 409) throw error;
      });
      this.#reset();
      this.#onStarted(task.id);
    } catch (error) {
      this.#showProblem(error);
    } finally {
      setText(this.#submit.lastElementChild, text.form.submit);
    }
  }

  /** Shows a run of elsewhere, from the file that was chosen. */
  #chosen() {
    const [log] = this.#file.files;
    this.#file.value = "";
    if (log) once(this.#choose, () => this.#import(log));
  }

  async #import(log) {
    this.#clearErrors();
    try {
      this.#onStarted((await api.importLog(log)).id);
    } catch (error) {
      setText(this.#error, error.message);
    }
  }

  /** Says of every field what is wrong with it already here. */
  #hasProblems() {
    const wrong = this.#fields.filter((field) => field.problem !== null);
    for (const field of wrong) field.fail(field.problem);
    this.#goTo(wrong[0]);
    return wrong.length > 0;
  }

  #body() {
    const values = Object.fromEntries(this.#fields.map((field) => [field.name, field.value]));
    const { input_prompt, title, priority, ...options } = values;
    return { input_prompt, title, priority, options };
  }

  /** Has the server's words stand at the field that they are about. */
  #showProblem(error) {
    const [unplaced, placed] = [[], []];
    for (const { field: path, message } of error.fields) {
      const names = path.split(/[.[]/);
      const field = this.#fields.find(({ name }) => names.includes(name));
      field?.fail(message.replace(path, field.label));
      (field ? placed : unplaced).push(field);
    }
    this.#goTo(placed[0]);
    if (unplaced.length || !placed.length) setText(this.#error, error.message);
  }

  #goTo(field) {
    if (!field) return;
    if (this.#options.contains(field.node)) this.#options.open = true;
    field.control.focus();
  }

  #clearErrors() {
    setText(this.#error, "");
    for (const field of this.#fields) field.clear();
  }

  #reset() {
    this.node.reset();
    this.#key = newKey();
  }
}

/** What the team is to build: without it nothing can begin. */
class Idea extends Field {
  constructor() {
    const control = el("textarea", { class: "input idea-field", rows: 4, dir: "auto", placeholder: text.form.placeholder, required: true });
    super({ name: "input_prompt", label: text.form.idea, control, isHidden: true });
  }

  get problem() {
    return this.value ? null : text.form.noIdea;
  }
}

const nodesOf = (fields) => fields.map(({ node }) => node);
