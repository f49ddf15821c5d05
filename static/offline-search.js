/** Search in the events of a run that is in the page, as the server does it but for accents. No DOM here. */

import { readable } from "./readable.js";

/** The types that are searched, and the fields of their payload; the same as the server's. */
const FIELDS = {
  STATUS: ["message"],
  AGENT_COMPLETE: ["message"],
  ACTION_COMPLETE: ["message"],
  MESSAGE: ["content"],
  ARTIFACT: ["path"],
  LOG: ["message"],
  INPUT_REQUEST: ["message"],
  INPUT_RESPONSE: ["answer"],
  ERROR: ["message", "traceback"],
  RESULT: ["message"],
};
const BEFORE_CHARS = 40;
const SNIPPET_CHARS = 200;

/**
 * The events in which all words and "phrases" of a query stand, the last first.
 * @param {Iterable<import("./cursor.js").Event[]>} pages of events, the first ones first
 * @param {{q: string, limit: number, before: number}} query
 */
export function find(pages, { q, limit, before }) {
  const terms = [...q.matchAll(/"([^"]*)"|([^\s"]+)/g)].map(([, phrase, word]) => phrase ?? word).filter((term) => /[\p{L}\p{N}]/u.test(term));
  const patterns = terms.map((term) => new RegExp(pattern(term), "iu"));
  const found = [];
  let through = 0;
  for (const events of pages)
    for (const event of events) {
      through = event.event_id;
      if (!terms.length || event.event_id >= before || !(event.event_type in FIELDS)) continue;
      const text = FIELDS[event.event_type].map((field) => readable(String(event.payload[field] ?? ""))).join("\n");
      if (patterns.every((each) => each.test(text))) found.push({ event, text });
    }
  const last = found.slice(-limit).reverse();
  const results = last.map(({ event: { event_id, event_type, agent_role, timestamp }, text }) => ({ event_id, event_type, agent_role, timestamp, snippet: snippet(text, terms) }));
  return { results, through, next_before: found.length > limit ? results.at(-1).event_id : null };
}

/** A term by its beginning; one in a script without spaces anywhere. */
function pattern(term) {
  const literal = term.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  return /^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u.test(term) ? literal : `(?<![\\p{L}\\p{N}])${literal}`;
}

function snippet(text, terms) {
  const every = new RegExp(`(${terms.map(pattern).join("|")})`, "giu");
  const start = Math.max(0, text.search(every) - BEFORE_CHARS);
  const shown = text.slice(start, start + SNIPPET_CHARS);
  const parts = shown.split(every);
  if (start > 0) parts[0] = `…${parts[0]}`;
  if (start + SNIPPET_CHARS < text.length) parts[parts.length - 1] += "…";
  return parts;
}
