/** The head of a task: what it is, how it stands, what it used, and what can be done with it. */

import { serverNow } from "./api.js";
import { Downloads } from "./downloads.js";
import { el, once, printable, setText, visible } from "./dom.js";
import { amount, bytes, cost, stopwatch } from "./format.js";
import { icon } from "./icons.js";
import { ACTIVE } from "./model.js";
import { Notice } from "./notice.js";
import { text } from "./text.js";

export class Summary {
  #title = el("h1", { class: "task-title", dir: "auto", tabIndex: -1 });
  #status = el("span", { class: "status" });
  #demo = el("span", { class: "demo", hidden: true, title: text.demoNote }, text.demo);
  #attempt = el("span", { class: "attempt" });
  #imported = el("span", { class: "imported", hidden: true, title: text.task.importedHint }, text.task.imported);
  #continues = el("a", { hidden: true, data: { link: "" } }, text.task.continues);
  #reason = el("p", { class: "reason", dir: "auto" });
  #notice = new Notice();
  #bar = el("div", { class: "bar", role: "progressbar", "aria-label": text.task.progress, "aria-valuemin": "0", "aria-valuemax": "100" }, el("div", { class: "bar-fill" }));
  #percent = el("span", { class: "percent" });
  #idea = el("p", { class: "idea-text", dir: "auto" });
  #figures = new Map();
  #buttons;
  #downloads;

  /**
   * @param {{taskId: string, actions: Record<"stop" | "run" | "anew" | "remove", () => Promise<string | void>>}} options
   *   actions: each may answer how it went, in words
   */
  constructor({ taskId, actions }) {
    this.#buttons = {
      stop: this.#button("stop", "stop acts", text.task.stop, actions.stop),
      run: this.#button("play", "primary acts", text.task.run, actions.run),
      anew: this.#button("play", "quiet acts", text.task.runAgain, actions.anew),
      remove: this.#button("trash", "quiet acts", text.task.remove, actions.remove),
    };
    this.#downloads = new Downloads(taskId);
    const figures = el("dl", { class: "figures", "aria-label": text.task.stats });
    for (const name of ["elapsed", "tokens", "cost", "calls", "events", "resources"]) {
      const value = el("dd");
      const pair = el("div", { data: { figure: name } }, el("dt", {}, text.task[name]), value);
      this.#figures.set(name, { pair, value });
      figures.append(pair);
    }
    this.node = el(
      "header",
      { class: "summary" },
      el("a", { class: "back", href: "/", data: { link: "" } }, icon("back"), text.back),
      el(
        "div",
        { class: "summary-top" },
        el("div", { class: "summary-name" }, this.#title, el("p", { class: "badges" }, this.#status, this.#demo, this.#attempt, this.#imported, this.#continues)),
        el(
          "div",
          { class: "controls" },
          el("div", { class: "buttons" }, this.#buttons.stop.node, this.#buttons.run.node, this.#buttons.anew.node, this.#downloads.node, this.#buttons.remove.node),
          this.#notice.node,
        ),
      ),
      this.#reason,
      el("div", { class: "progress-line" }, this.#bar, this.#percent),
      figures,
      el("details", { class: "idea" }, el("summary", {}, text.task.idea), this.#idea),
    );
  }

  /** Has the keyboard go on from the head of the task. */
  focus() {
    this.#title.focus({ preventScroll: true });
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    const isActive = ACTIVE.has(model.status);
    setText(this.#title, visible(model.title || text.list.untitled));
    this.#status.dataset.status = model.status;
    setText(this.#status, text.statuses[model.status] ?? model.status);
    this.#demo.hidden = !model.demo;
    setText(this.#attempt, model.attempt > 1 ? text.task.attempt(model.attempt) : "");
    this.#imported.hidden = !model.importedAt;
    this.#continues.hidden = !model.continues;
    this.#continues.href = `/tasks/${model.continues}`;
    setText(this.#reason, printable(reason(model)));
    setText(this.#idea, printable(model.prompt));
    this.#renderProgress(model, isActive);
    this.#renderButtons(model, isActive);
    this.renderFigures(model);
  }

  /** The figures alone, for the clock. */
  renderFigures(model) {
    const end = model.completedAt ? Date.parse(model.completedAt) : (model.asOf ?? serverNow());
    const { llm_calls: calls, prompt_tokens: prompt, completion_tokens: completion, unpriced_calls: unpriced } = model.usage;
    this.#figure("elapsed", model.startedAt ? stopwatch(end - Date.parse(model.startedAt)) : "–");
    const used = (shown) => (model.countsLess ? text.task.atLeast(shown) : shown);
    this.#figure("tokens", used(amount(prompt + completion)), text.task.tokensHint(prompt, completion));
    this.#figure("cost", cost(model.usage, model.countsLess), unpriced ? text.task.costHint(unpriced) : "");
    this.#figure("calls", used(amount(calls)));
    this.#figure("events", amount(model.head));
    const process = model.resources;
    this.#figure("resources", process ? `${Math.round(process.cpu)} % · ${bytes(process.memory)}` : null);
  }

  #figure(name, shown, hint = "") {
    const { pair, value } = this.#figures.get(name);
    pair.hidden = shown === null;
    if (hint) pair.title = hint;
    setText(value, shown ?? "");
  }

  #renderProgress(model, isActive) {
    const isUnknown = isActive && model.progress === null;
    const share = Math.round((model.progress ?? 0) * 100);
    this.#bar.dataset.status = model.status;
    this.#bar.classList.toggle("unknown", isUnknown);
    this.#bar.style.setProperty("--share", String(share / 100));
    if (isUnknown) {
      this.#bar.removeAttribute("aria-valuenow");
      this.#bar.setAttribute("aria-valuetext", text.task.working);
    } else {
      this.#bar.setAttribute("aria-valuenow", String(share));
      this.#bar.removeAttribute("aria-valuetext");
    }
    setText(this.#percent, isUnknown ? "" : text.task.percent(model.progress ?? 0));
    this.#bar.title = isUnknown ? text.task.working : "";
  }

  #renderButtons(model, isActive) {
    const canRun = !model.importedAt && ["PENDING", "FAILED", "CANCELLED"].includes(model.status);
    this.#buttons.stop.node.hidden = !isActive;
    this.#buttons.stop.label(model.status === "STOPPING" ? text.task.stopping : text.task.stop);
    this.#buttons.run.node.hidden = !canRun;
    const isFirst = model.status === "PENDING";
    this.#buttons.run.label(isFirst ? text.task.run : text.task.goOn);
    this.#buttons.run.node.title = isFirst ? "" : text.task.goOnHint;
    this.#buttons.anew.node.hidden = !canRun || isFirst;
    this.#buttons.remove.node.hidden = isActive;
    this.#downloads.render(model);
  }

  /** A button that cannot be pressed twice and says what went wrong. */
  #button(symbol, kind, words, action) {
    const label = el("span", {}, words);
    const press = async () => {
      this.#notice.clear();
      try {
        const told = await action();
        if (told) this.#notice.tell(told);
      } catch (error) {
        this.#notice.fail(error.message);
      }
    };
    const node = el("button", { type: "button", class: `button ${kind}`, on: { click: () => once(node, press) } }, icon(symbol), label);
    return { node, label: (shown) => setText(label, shown) };
  }
}

/** Why a task is as it is. What is waited for of a person has a place of its own. */
function reason({ status, queue, waiting, reason }) {
  if (status === "QUEUED" && queue) return text.task.place(queue.position, queue.reason);
  return waiting ? "" : (reason ?? "");
}
