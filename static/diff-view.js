/** A diff as a table: line by line, or the two versions side by side. */

import { paired, parse, pieces } from "./diff.js";
import { el, visible } from "./dom.js";
import { text } from "./text.js";

const ROWS_MAX = 4000;
const LINE_CHARS = 5000;
const COMPARED_MAX = 4_000_000; // pairs of words in all rows, some tens of milliseconds
const SIGNS = { old: "−", now: "+" };
const COLUMNS = {
  unified: ["number", "number", "sign", "line"],
  narrow: ["number", "sign", "line"],
  split: ["number", "sign", "line", "number", "sign", "line"],
};
/** Line by line: which numbers stand before a line. */
const NUMBERS = {
  unified: ({ old, now }) => [old, now],
  narrow: ({ old, now }) => [now ?? old],
};

/**
 * @param {string} unified
 * @param {"unified" | "narrow" | "split"} layout narrow: line by line, where there is little room
 * @returns {{node: Element, hidden: number}} and how many rows are too many to be shown
 */
export function diffTable(unified, layout) {
  const pairs = paired(parse(unified));
  const shown = withPieces(pairs.slice(0, ROWS_MAX));
  const node = el(
    "table",
    { class: `diff ${layout}`, dir: "ltr" },
    el("caption", { class: "visually-hidden" }, text.files.changes),
    el("colgroup", {}, ...COLUMNS[layout].map((name) => el("col", { class: name }))),
    el("tbody", {}, ...(layout === "split" ? shown.map(splitRow) : unifiedRows(shown, layout))),
  );
  return { node, hidden: pairs.length - shown.length };
}

/** Lines that have become others, with what differs in them. */
function withPieces(pairs) {
  let left = COMPARED_MAX;
  return pairs.map(([before, after]) => {
    if (!before || !after || before === after) return [before, after];
    const found = pieces(before.text.slice(0, LINE_CHARS), after.text.slice(0, LINE_CHARS), left);
    left -= found.spent;
    return [{ ...before, pieces: found.before }, { ...after, pieces: found.after }];
  });
}

/** What was removed stands before what was added, as in the text of the diff. */
function unifiedRows(pairs, layout) {
  const rows = [];
  let added = [];
  for (const [before, after] of pairs) {
    if (before === after) {
      rows.push(...added, before.kind === "hunk" ? hunkRow(before, layout) : unifiedRow(before, layout));
      added = [];
      continue;
    }
    if (before) rows.push(unifiedRow(before, layout));
    if (after) added.push(unifiedRow(after, layout));
  }
  return [...rows, ...added];
}

const unifiedRow = (line, layout) => el("tr", {}, ...NUMBERS[layout](line).map(number), ...side(line));

function splitRow([before, after]) {
  if (before?.kind === "hunk") return hunkRow(before, "split");
  return el("tr", {}, number(before?.old), ...side(before), number(after?.now), ...side(after));
}

const hunkRow = (hunk, layout) => el("tr", { class: "hunk" }, el("td", { colSpan: COLUMNS[layout].length }, hunk.text));
const number = (line) => el("td", { class: "number" }, line === undefined ? "" : String(line));

/** The sign of a line, and its text. */
function side(line) {
  if (!line) return [el("td", { class: "sign" }), el("td", { class: "line none" })];
  const data = { kind: line.kind };
  return [el("td", { class: "sign", data }, SIGNS[line.kind] ?? ""), el("td", { class: "line", data }, ...content(line))];
}

function content(line) {
  const found = line.pieces ?? [{ text: line.text.slice(0, LINE_CHARS), changed: false }];
  const nodes = found.map((piece) => (piece.changed ? el("mark", {}, shown(piece.text)) : shown(piece.text)));
  if (line.text.length > LINE_CHARS) nodes.push(el("span", { class: "cut" }, text.files.lineTooLong(line.text.length - LINE_CHARS)));
  if (line.bare) nodes.push(el("span", { class: "cut" }, text.files.noNewline));
  return nodes;
}

const shown = (words) => visible(words).replace(/\r$/, "␍");
