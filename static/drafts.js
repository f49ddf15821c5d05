/** Files while they are written: the code in what a role says about them. No DOM here. */

const FENCE = /^```/gm;

/** @param {import("./feed-model.js").FeedModel} feed @returns {any[]} the steps in which code of a file is being written */
export function drafts(feed) {
  return feed.running.filter(({ file, text }) => file && text.includes("```"));
}

/** The code that was begun last in a text of Markdown. @param {string} text */
export function codeIn(text) {
  const fences = [...text.matchAll(FENCE)].map(({ index }) => index);
  if (!fences.length) return "";
  const isOpen = fences.length % 2 === 1;
  const start = text.indexOf("\n", isOpen ? fences.at(-1) : fences.at(-2)) + 1;
  if (start === 0) return "";
  return text.slice(start, isOpen ? undefined : fences.at(-1));
}

/** What a step has written of its file so far, as it is kept: the file's path and version, or null. */
export function keptOf({ file, files }) {
  return files.findLast(({ path }) => path === file || path.endsWith(`/${file}`)) ?? null;
}
