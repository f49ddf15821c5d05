/** What an item of the lanes is, in words. No DOM here. */

import { visible } from "./dom.js";
import { amount, duration, time } from "./format.js";
import { roleName, text } from "./text.js";
import { PERSON } from "./traffic.js";

const WORDS_MAX = 240;

/** @returns {string} what stands in a bar */
export function shortWords(item) {
  if (item.kind === "action") return visible([item.action, item.file].filter(Boolean).join(" "));
  if (item.kind === "wait") return text.lanes.waitsFor(name(item.waitsFor));
  if (item.kind === "status") return text.statuses[item.status] ?? item.status;
  return "";
}

/**
 * @param {{first: any, count: number, from: number, to: number | null}} cluster
 * @returns {{title: string, more: string}}
 */
export function describe({ first, count, from, to }) {
  const length = to === null ? text.lanes.open : to > from ? duration(to - from) : "";
  const when = [time(from), length];
  if (count > 1) return { title: text.lanes.many[first.kind](count), more: [...when, text.lanes.zoomHint].filter(Boolean).join(" · ") };
  const { title, facts = [] } = DESCRIPTIONS[first.kind](first);
  const shown = visible(title);
  return {
    title: shown.length > WORDS_MAX ? `${shown.slice(0, WORDS_MAX)}…` : shown,
    more: [...when, ...facts].filter(Boolean).join(" · "),
  };
}

const DESCRIPTIONS = {
  action: ({ role, action, file, state, tokens, files }) => ({
    title: [roleName(role), [action, file].filter(Boolean).join(" ")].join(": "),
    facts: [
      text.lanes.states[state],
      tokens ? text.agents.tokens(amount(tokens), tokens) : "",
      files ? text.feed.resultFiles(files) : "",
    ],
  }),
  wait: ({ role, waitsFor }) => ({ title: text.lanes.roleWaits(roleName(role), name(waitsFor)) }),
  message: ({ words }) => ({ title: words || text.lanes.message }),
  error: ({ words }) => ({ title: words || text.feed.warning }),
  status: ({ status, words, attempt }) => ({
    title: [text.statuses[status] ?? status, words].filter(Boolean).join(": "),
    facts: [attempt > 1 ? text.task.attempt(attempt) : ""],
  }),
};

function name(role) {
  if (!role) return null;
  return role === PERSON ? text.lanes.person : roleName(role);
}
