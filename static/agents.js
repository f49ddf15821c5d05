/** The team: one card per role, with what it does now. Pressing a card shows only that role in the feed. */

import { avatar } from "./cards.js";
import { arrange, el, printable, setText, visible } from "./dom.js";
import { amount } from "./format.js";
import { roleName, text } from "./text.js";

export class Agents {
  #cards = new Map();
  #role = null;
  #onFilter;
  #note = el("p", { class: "agents-note note", hidden: true });
  #list = el("div", { class: "agent-cards" });
  node = el("section", { class: "agents", "aria-label": text.agents.heading }, this.#note, this.#list);

  /** @param {{onFilter: (role: string | null) => void}} options */
  constructor({ onFilter }) {
    this.#onFilter = onFilter;
  }

  /** Shows only one role in the feed, or all when null. */
  choose(role) {
    if (role !== this.#role) this.#filter(role ?? this.#role);
  }

  /** Shows only one role, by its place from 0 on; the same again shows all. */
  chooseAt(index) {
    const role = [...this.#cards.keys()][index];
    if (role) this.#filter(role);
  }

  /** @param {import("./model.js").TaskModel} model */
  render(model) {
    const note = text.agents.past[model.past] || (model.attempt > 1 ? text.agents.attempt(model.attempt) : "");
    this.#note.hidden = note === "";
    setText(this.#note, note);
    const nodes = [];
    for (const agent of model.agents.values()) {
      if (!this.#cards.has(agent.role)) this.#cards.set(agent.role, this.#card(agent.role));
      const card = this.#cards.get(agent.role);
      card.update(agent, model.usage.by_role[agent.role]);
      nodes.push(card.node);
    }
    arrange(this.#list, nodes);
  }

  #card(role) {
    const state = el("span", { class: "agent-state" });
    const action = el("span", { class: "agent-action" });
    const file = el("bdi", { class: "agent-file" });
    const tail = el("span", { class: "agent-tail", dir: "auto", "aria-hidden": "true" });
    const tokens = el("span", { class: "agent-tokens" });
    const node = el(
      "button",
      { type: "button", class: "agent", title: text.agents.only(roleName(role)), "aria-pressed": "false", data: { role }, on: { click: () => this.#filter(role) } },
      el("span", { class: "agent-head" }, avatar(role), el("span", { class: "agent-name" }, roleName(role)), state),
      el("span", { class: "agent-now" }, action, " ", file),
      tail,
      tokens,
    );
    return {
      node,
      update(agent, usage) {
        const used = usage ? usage.prompt_tokens + usage.completion_tokens : 0;
        node.dataset.state = agent.state;
        setText(state, text.agents.states[agent.state]);
        setText(action, visible(agent.action ?? ""));
        setText(file, visible(agent.file ?? ""));
        setText(tail, printable(agent.tail || agent.summary || ""));
        setText(tokens, used ? text.agents.tokens(amount(used), used) : "");
      },
    };
  }

  #filter(role) {
    this.#role = this.#role === role ? null : role;
    for (const [known, { node }] of this.#cards) node.setAttribute("aria-pressed", String(known === this.#role));
    this.#onFilter(this.#role);
  }
}
