/**
 * Diagrams that the team wrote in mermaid's language, drawn where nothing that they hold can do harm: mermaid runs in a
 * frame without an origin (diagram-frame.js), and what it drew is shown as an image, in which no script runs and which
 * loads nothing.
 */

import { codeBlock } from "./code.js";
import { el, setText } from "./dom.js";
import { text } from "./text.js";

const KINDS =
  /^\s*(?:%%[^\n]*\n\s*)*(?:(?:classDiagram|sequenceDiagram|quadrantChart|flowchart|stateDiagram(?:-v2)?|erDiagram|gantt|pie|journey|gitGraph|timeline|requirementDiagram|C4Context)(?=\s|$)|graph\s+(?:TB|TD|BT|RL|LR)\b)/;
/** Longer ones are shown as text. */
const SOURCE_MAX = 30_000;
/** How long one may take before it is given up, loading mermaid included. */
const DRAW_MS = 20_000;
/** Pictures kept, for when their cards come into view again. */
const KEPT_MAX = 40;
const THEME = ["text", "muted", "surface", "sunken", "line-strong", "accent", "accent-soft", "warn-soft"];

/** What comes of a diagram that takes too long, and of those that waited for it in the same frame. */
const LATE = { words: text.diagram.failed(text.diagram.late) };
const CLOSED = {};

/** Whether a text is a diagram. @param {string} source @param {string} [language] of its code fence */
export function isDiagram(source, language = "") {
  return source.length <= SOURCE_MAX && (language.toLowerCase() === "mermaid" || (!language && KINDS.test(source)));
}

/** What frames show, as attributes of theirs. @type {() => Promise<{src: string} | {srcdoc: string}>} */
let framePage = async () => ({ src: "/static/diagram-frame.html" });

/** From now on, frames show this and not a page of the server. @param {typeof framePage} page */
export function frameFrom(page) {
  framePage = page;
}

export class Diagrams {
  /** @type {Frame | null} */
  #frame = null;
  #isOver = false;
  #kept = new Map();
  #dark = matchMedia("(prefers-color-scheme: dark)");
  #seen = new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && this.#show(entry.target)), { rootMargin: "400px" });
  #sources = new WeakMap();

  /** A diagram with its source below; drawn when it comes near the view. @param {string} source */
  figure(source) {
    const picture = el("div", { class: "diagram-picture" }, el("p", { class: "hint" }, text.diagram.drawing));
    const figure = el(
      "figure",
      { class: "diagram" },
      picture,
      el("details", {}, el("summary", {}, text.diagram.source), codeBlock(source, "mermaid")),
    );
    this.#sources.set(picture, source.trim());
    const kept = this.#kept.get(this.#key(source.trim()));
    if (kept) put(picture, kept, source);
    else this.#seen.observe(picture);
    return figure;
  }

  destroy() {
    this.#isOver = true;
    this.#seen.disconnect();
    this.#frame?.close();
  }

  async #show(picture) {
    this.#seen.unobserve(picture);
    const source = this.#sources.get(picture);
    const frame = (this.#frame ??= new Frame());
    const drawn = await frame.draw(source, theme(), this.#dark.matches);
    if (this.#isOver) return;
    if (drawn === CLOSED) return this.#show(picture);
    if (drawn === LATE) {
      frame.close();
      this.#frame = null;
    } else this.#keep(this.#key(source), drawn);
    put(picture, drawn, source);
  }

  #key(source) {
    return `${this.#dark.matches} ${source}`;
  }

  #keep(key, outcome) {
    this.#kept.set(key, outcome);
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value);
  }
}

/** @param {{svg?: string, width?: number, height?: number, words?: string}} drawn the picture, or why there is none */
function put(picture, { svg, width, height, words }, source) {
  if (!svg) {
    setText(picture.firstElementChild, words);
    picture.nextElementSibling.open = true;
    return;
  }
  const kind = /^\s*([A-Za-z][\w-]*)/m.exec(source)?.[1] ?? "";
  const image = el("img", { alt: text.diagram.alt(kind), width, height, src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}` });
  // It is made as narrow as its box, as long as it can be read then.
  image.style.setProperty("--width", `${width}px`);
  picture.replaceChildren(el("div", { class: "diagram-scroll", tabIndex: 0, role: "group", "aria-label": text.diagram.alt(kind) }, image));
}

/** The page's colours as rgb(), which is what mermaid understands. */
function theme() {
  const probe = el("span", { hidden: true });
  document.body.append(probe);
  const colours = THEME.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(colours);
}

/** The frame in which mermaid runs. It answers over a port that only the two of them hold. */
class Frame {
  #port;
  #node;
  #asked = new Map();
  #count = 0;
  #isClosed = false;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#port.onmessage = ({ data: { id, error, ...picture } }) => this.#answer(id, error ? { words: text.diagram.failed(error) } : picture);
    this.#node = el("iframe", { class: "diagram-frame", sandbox: "allow-scripts", title: text.diagram.frame, tabIndex: -1, "aria-hidden": "true" });
    this.#node.addEventListener("load", () => this.#node.contentWindow.postMessage("port", "*", [port2]), { once: true });
    framePage().then((shown) => {
      if (!this.#isClosed) document.body.append(Object.assign(this.#node, shown));
    });
  }

  /** @returns {Promise<{svg?: string, width?: number, height?: number, words?: string}>} LATE or CLOSED when nothing came */
  draw(source, colours, isDark) {
    const id = ++this.#count;
    this.#port.postMessage({ id, source, colours, isDark });
    return new Promise((resolve) => {
      this.#asked.set(id, resolve);
      setTimeout(() => this.#answer(id, LATE), DRAW_MS);
    });
  }

  close() {
    this.#isClosed = true;
    this.#node.remove();
    this.#port.close();
    for (const id of [...this.#asked.keys()]) this.#answer(id, CLOSED);
  }

  #answer(id, drawn) {
    this.#asked.get(id)?.(drawn);
    this.#asked.delete(id);
  }
}
