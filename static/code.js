/** Code, with its syntax coloured. The highlighter is loaded with the first code that is shown, a language with its own. */

import { el, visible } from "./dom.js";

/** Longer code, or code with longer lines, stays in one colour: it would take too long. */
const CODE_MAX = 60_000;
const LINE_MAX = 2_000;

/** The languages that are there, each with its other names. */
const LANGUAGES = {
  bash: ["sh", "shell", "zsh", "console"],
  c: ["h"],
  cpp: ["c++", "cc", "hpp"],
  css: [],
  diff: ["patch"],
  go: ["golang"],
  ini: ["toml", "cfg", "conf"],
  java: [],
  javascript: ["js", "jsx", "mjs", "cjs"],
  json: ["jsonc"],
  python: ["py", "python3"],
  rust: ["rs"],
  sql: [],
  typescript: ["ts", "tsx"],
  xml: ["html", "svg", "xhtml"],
  yaml: ["yml"],
};
const NAMES = new Map(Object.entries(LANGUAGES).flatMap(([name, others]) => [name, ...others].map((other) => [other, name])));

/**
 * A block of code: plain at once, coloured as soon as its language is there.
 * @param {string} source
 * @param {string} language a name or an ending of a file; one that is not known leaves the code plain
 * @returns {HTMLElement}
 */
export function codeBlock(source, language) {
  const shown = visible(source.replace(/\n$/, ""));
  const code = el("code", {}, shown);
  const name = NAMES.get(language.toLowerCase());
  if (name && isShort(shown)) colour(code, shown, name);
  return el("pre", { class: "code", dir: "ltr" }, code);
}

function isShort(source) {
  return source.length <= CODE_MAX && !source.split("\n").some((line) => line.length > LINE_MAX);
}

async function colour(code, source, name) {
  const highlighter = await load(name);
  await idle();
  if (!highlighter || !code.isConnected) return;
  const { _emitter: found, errorRaised: failed } = highlighter.highlight(source, { language: name, ignoreIllegals: true });
  if (!failed) code.replaceChildren(...found.rootNode.children.map(node));
}

/** The highlighter with a language, or null when they cannot be loaded just now: then the code stays in one colour. */
async function load(name) {
  try {
    const { default: highlighter } = await import("./vendor/highlight/core.min.js");
    if (!highlighter.getLanguage(name)) highlighter.registerLanguage(name, (await import(`./vendor/highlight/languages/${name}.min.js`)).default);
    return highlighter;
  } catch {
    return null;
  }
}

/** Many blocks at once are coloured one after another, between the frames. */
function idle() {
  return new Promise((resolve) => (globalThis.requestIdleCallback ? requestIdleCallback(resolve) : setTimeout(resolve)));
}

/** What the highlighter found, as a node; its own rendering would be HTML. */
function node(found) {
  if (typeof found === "string") return found;
  return el("span", { class: `hl-${found.scope?.split(/[.:]/)[0] ?? "plain"}` }, ...found.children.map(node));
}
