/** How each kind of entry of the feed looks. A card is built once and then brought up to date when its entry changes. */

import { hashOf } from "./address.js";
import { Chips } from "./chips.js";
import { el, printable, setText, visible, words } from "./dom.js";
import { amount, cost, duration, time } from "./format.js";
import { icon } from "./icons.js";
import { folding, Passage } from "./passage.js";
import { roleName, roleShort, text } from "./text.js";

/**
 * @param {import("./feed-model.js").Entry & Record<string, any>} entry
 * @param {import("./passage.js").Context} context
 * @returns {{node: HTMLElement, update: () => void}}
 */
export function card(entry, context) {
  return CARDS[entry.kind](entry, context);
}

const CARDS = { step, message, files, error, status, question, result, gap };

function step(entry, context) {
  const passage = new Passage(entry, context);
  const file = el("span", { class: "card-file" });
  const state = el("span", { class: "card-state" });
  const used = el("span", { class: "card-used" });
  const chips = new Chips(context.taskId);
  const node = frame(entry, context, {
    kind: "step",
    who: roleName(entry.role ?? text.team),
    what: [words(entry.action ?? text.feed.thinking, { class: "card-what" }), file, state, used],
    body: [passage.node, chips.node],
  });
  return {
    node,
    update() {
      node.dataset.state = entry.state;
      setText(file, visible(entry.file ?? ""));
      setText(state, stepState(entry));
      setText(used, usedBy(entry));
      used.title = text.task.tokensHint(entry.prompt, entry.completion);
      passage.update(entry.state === "running");
      chips.show(entry.files);
    },
  };
}

function stepState(entry) {
  if (entry.state === "running") return entry.text ? text.feed.writing : text.feed.working;
  if (entry.state === "interrupted") return text.feed.interrupted;
  return entry.durationMs === null ? "" : duration(entry.durationMs);
}

/** What the model's answers in a step took; what cost nothing has no price. */
function usedBy({ prompt, completion, cost: spent }) {
  const tokens = prompt + completion;
  return [tokens && text.agents.tokens(amount(tokens), tokens), spent && cost({ cost_usd: spent })].filter(Boolean).join(" · ");
}

function message(entry, context) {
  const passage = new Passage(entry, context);
  const to = addressees(entry);
  const isFolded = entry.lead !== null;
  const node = frame(entry, context, {
    kind: "message",
    badge: entry.role ? null : icon("person"),
    who: sender(entry),
    what: [to && el("span", { class: "card-to" }, `${text.feed.to} `, words(to)), entry.role && entry.cause && words(lastPart(entry.cause), { class: "card-what" })],
    body: isFolded
      ? [el("p", { class: "lead-line", dir: "auto" }, printable(entry.lead)), entry.text && folding(entry, context, text.feed.content, passage.node)]
      : [passage.node],
  });
  return { node, update: () => passage.update(false) };
}

function files(entry, context) {
  const chips = new Chips(context.taskId);
  const node = frame(entry, context, { kind: "files", who: roleName(entry.role ?? text.team), what: [text.feed.file], body: [chips.node] });
  return { node, update: () => chips.show(entry.files) };
}

function error(entry, context) {
  const passage = new Passage(entry, context);
  const node = frame(entry, context, {
    kind: entry.fatal ? "error fatal" : "error",
    badge: icon("alert"),
    who: entry.fatal ? text.feed.fatal : text.feed.warning,
    what: [entry.role && roleName(entry.role), entry.type && words(entry.type, { class: "card-what" })],
    body: [
      passage.node,
      entry.traceback && folding(entry, context, text.feed.traceback, el("pre", { class: "code", dir: "ltr" }, visible(entry.traceback))),
    ],
  });
  return { node, update: () => passage.update(false) };
}

function question(entry, context) {
  const passage = new Passage(entry, context);
  const answer = el("p", { class: "answer", dir: "auto" });
  const reply = el("button", { type: "button", class: "link acts", on: { click: context.onAnswer } }, text.feed.reply);
  const node = frame(entry, context, {
    kind: "question",
    badge: icon("question"),
    who: roleName(entry.role ?? text.team),
    what: [text.feed.asked],
    body: [passage.node, el("div", { class: "answer-line" }, answer, reply)],
  });
  return {
    node,
    update() {
      passage.update(false);
      const given = entry.isOpen ? text.feed.noAnswerYet : entry.answer === null ? text.feed.noAnswer : `${text.feed.answered}: ${entry.answer}`;
      setText(answer, printable(given));
      reply.hidden = !entry.isOpen;
    },
  };
}

function result(entry, context) {
  const passage = new Passage(entry, context);
  const node = frame(entry, context, {
    kind: "result",
    badge: icon("check"),
    who: text.feed.result,
    what: [entry.project && words(entry.project, { class: "card-what" }), text.feed.resultFiles(entry.fileCount)],
    body: [passage.node],
  });
  return { node, update: () => passage.update(false) };
}

function status(entry, { taskId }) {
  const label = text.statuses[entry.status] ?? entry.status;
  const attempt = entry.attempt > 1 ? text.task.attempt(entry.attempt) : null;
  const node = el(
    "li",
    { class: "milestone", data: { status: entry.status } },
    el("span", { class: "milestone-label" }, label),
    attempt && el("span", {}, attempt),
    entry.text && words(entry.text),
    when(entry, taskId),
  );
  return { node, update() {} };
}

function gap(entry) {
  const node = el("li", { class: "milestone", data: { status: "FAILED" } }, text.feed.gap(entry.from, entry.to));
  return { node, update() {} };
}

/** What all cards share: badge, head line, body. */
function frame(entry, { taskId }, { kind, badge, who, what, body }) {
  return el(
    "li",
    { class: `card ${kind}`, data: { role: entry.role ?? "" } },
    avatar(entry.role, badge),
    el(
      "div",
      { class: "card-main" },
      el("div", { class: "card-head" }, words(who, { class: "card-who" }), ...what, when(entry, taskId)),
      ...body,
    ),
  );
}

/** The time of an event, which is its address, too. */
function when({ key, at }, taskId) {
  return el("a", { class: "when", href: hashOf(taskId, { eventId: key }), title: text.feed.link, data: { link: "" } }, el("time", { dateTime: at }, time(at)));
}

export function avatar(role, badge = null) {
  return el("span", { class: "avatar", data: { role: role ?? "" }, "aria-hidden": "true" }, badge ?? (role ? roleShort(role) : icon("pulse")));
}

const lastPart = (name) => name.split(".").at(-1);

function sender(entry) {
  if (entry.role) return roleName(entry.role);
  const name = lastPart(entry.from || "");
  return text.roles[name] ? roleName(name) : text.human;
}

/** Whom a message is for, in words; a message for nobody only records something. */
function addressees(entry) {
  const names = (entry.to ?? []).filter((name) => name !== "<none>");
  return names.map((name) => (name === "<all>" ? text.everyone : name === entry.role ? text.itself : roleName(lastPart(name)))).join(", ");
}
