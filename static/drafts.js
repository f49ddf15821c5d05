/** What is still being written: files, as the code in what a role says about them, and JSON, to be read along. No DOM here. */

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

/** What JSON can escape with a letter, and a backslash in the place of any other. */
const ESCAPES = { n: "\n", t: "\t", r: "", b: "", f: "" };
const ESCAPE = /\\(?:u([\da-f]{4})|([^u]))/gi;
const PART = /\\(?:u[\da-f]{0,3})?$/i;

/**
 * JSON that still grows, to be read along: its escapes as what they stand for.
 * @param {string} source
 * @returns {{words: string, taken: number}} taken: the characters that were read; an escape at the end may be there in part
 */
export function unescaped(source) {
  const taken = wholeTo(source);
  const words = source.slice(0, taken).replace(ESCAPE, (_, code, letter) => (code ? String.fromCharCode(parseInt(code, 16)) : (ESCAPES[letter] ?? letter)));
  return { words, taken };
}

/** Where an escape begins that is there in part, or the end. */
function wholeTo(source) {
  const part = source.search(PART);
  if (part < 0) return source.length;
  let before = part;
  while (source[before - 1] === "\\") before -= 1;
  // Behind an odd number of them it is escaped itself.
  return (part - before) % 2 ? source.length : part;
}
