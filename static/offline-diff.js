/** What has changed between two texts, as the server would say it: a unified diff, of one piece. No DOM here. */

/** Pairs of lines that may be compared; where there are more, all between the first and the last difference is changed. */
const BUDGET = 4_000_000;

/** @param {string} before @param {string} after @returns {string} empty where they are the same */
export function unifiedDiff(before, after) {
  if (before === after) return "";
  const [old, now] = [lines(before), lines(after)];
  let start = 0;
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const middle = changes(old.slice(start, old.length - end), now.slice(start, now.length - end));
  const same = (part) => part.map((line) => ` ${line}`);
  const body = [...same(old.slice(0, start)), ...middle, ...same(old.slice(old.length - end))];
  return ["--- before", "+++ after", `@@ -1,${old.length} +1,${now.length} @@`, ...body, ""].join("\n");
}

/** The lines of a text; a last one without an end says so, as diffs do. */
function lines(content) {
  const all = content.split("\n");
  const last = all.pop();
  return last === "" ? all : [...all, `${last}\n\\ No newline at end of file`];
}

/** The longest common subsequence, and what is beside it. */
function changes(old, now) {
  const gone = (part) => part.map((line) => `-${line}`);
  const come = (part) => part.map((line) => `+${line}`);
  if (old.length * now.length > BUDGET) return [...gone(old), ...come(now)];
  const width = now.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1)
      common[i * width + j] = old[i] === now[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  const rows = [];
  let [i, j] = [0, 0];
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) {
      rows.push(` ${old[i]}`);
      i += 1;
      j += 1;
    } else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) rows.push(`-${old[i++]}`);
    else rows.push(`+${now[j++]}`);
  }
  return [...rows, ...gone(old.slice(i)), ...come(now.slice(j))];
}
