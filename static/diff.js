/** A unified diff, taken apart. No DOM here. */

/**
 * A row of a diff. old, now: line numbers, from 1.
 * @typedef {{kind: "hunk" | "same" | "old" | "now", text: string, old?: number, now?: number, bare?: boolean}} Row
 */

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;
const KINDS = { " ": "same", "-": "old", "+": "now" };

/** @param {string} unified what the server answers; empty if nothing has changed @returns {Row[]} */
export function parse(unified) {
  const rows = [];
  let [old, now] = [0, 0];
  for (const line of unified.split("\n").slice(2)) {
    const hunk = HUNK.exec(line);
    const kind = KINDS[line[0]];
    if (hunk) {
      [old, now] = [Number(hunk[1]), Number(hunk[2])];
      rows.push({ kind: "hunk", text: line });
    } else if (kind) {
      const row = { kind, text: line.slice(1) };
      if (kind !== "now") row.old = old++;
      if (kind !== "old") row.now = now++;
      rows.push(row);
    } else if (line[0] === "\\") {
      rows.at(-1).bare = true; // it ends without a newline
    }
  }
  return rows;
}

/** Rows beside each other: what was, and what has become of it; null where there is nothing. @param {Row[]} rows */
export function paired(rows) {
  const pairs = [];
  let at = 0;
  while (at < rows.length) {
    const row = rows[at];
    if (row.kind === "hunk" || row.kind === "same") {
      pairs.push([row, row]);
      at += 1;
      continue;
    }
    const [before, after] = [[], []];
    for (; at < rows.length && rows[at].kind === "old"; at++) before.push(rows[at]);
    for (; at < rows.length && rows[at].kind === "now"; at++) after.push(rows[at]);
    for (let n = 0; n < Math.max(before.length, after.length); n++) pairs.push([before[n] ?? null, after[n] ?? null]);
  }
  return pairs;
}

/** A piece of a line: whether the other line does not have it. @typedef {{text: string, changed: boolean}} Piece */

/**
 * What two lines have in common, word by word.
 * @param {string} before
 * @param {string} after
 * @param {number} budget how many pairs of words may be compared; where they are more, all between the first and the last difference is changed
 * @returns {{before: Piece[], after: Piece[], spent: number}}
 */
export function pieces(before, after, budget) {
  const [left, right] = [wordsOf(before), wordsOf(after)];
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let [leftEnd, rightEnd] = [left.length, right.length];
  while (leftEnd > start && rightEnd > start && left[leftEnd - 1] === right[rightEnd - 1]) [leftEnd, rightEnd] = [leftEnd - 1, rightEnd - 1];
  const spent = (leftEnd - start) * (rightEnd - start);
  const kept = spent <= budget ? inCommon(left.slice(start, leftEnd), right.slice(start, rightEnd)) : { left: new Set(), right: new Set() };
  return {
    before: joined(left, (at) => at >= start && at < leftEnd && !kept.left.has(at - start)),
    after: joined(right, (at) => at >= start && at < rightEnd && !kept.right.has(at - start)),
    spent: spent <= budget ? spent : 0,
  };
}

const wordsOf = (line) => line.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? [];

/** The places of a longest common subsequence in both lists. */
function inCommon(left, right) {
  const width = right.length + 1;
  const lengths = new Uint32Array((left.length + 1) * width); // of the rest from there
  for (let i = left.length - 1; i >= 0; i--)
    for (let j = right.length - 1; j >= 0; j--)
      lengths[i * width + j] =
        left[i] === right[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
  const kept = { left: new Set(), right: new Set() };
  for (let [i, j] = [0, 0]; i < left.length && j < right.length; ) {
    if (left[i] === right[j]) {
      kept.left.add(i++);
      kept.right.add(j++);
    } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return kept;
}

function joined(list, isChanged) {
  const found = [];
  for (const [at, word] of list.entries()) {
    const changed = isChanged(at);
    if (found.at(-1)?.changed === changed) found.at(-1).text += word;
    else found.push({ text: word, changed });
  }
  return found;
}
