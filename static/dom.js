/** Small helpers that build DOM. Text goes in as text nodes only: nothing that a model wrote is ever parsed as HTML. */

/**
 * An element with properties and children.
 * `on` holds listeners, `data` the data-attributes; a property of the element is set as one, the rest as attributes.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "class") node.className = value;
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Sets text only when it differs, so that an unchanged frame touches nothing. */
export function setText(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Puts an element on an axis: its left end and, where it has one, its length, both in pixels. */
export function place(node, x, length = null) {
  node.style.setProperty("--x", `${x.toFixed(1)}px`);
  if (length !== null) node.style.setProperty("--length", `${length.toFixed(1)}px`);
  return node;
}

/** Words from outside (a title, a name): isolated, so that right-to-left text cannot reorder what stands beside it. */
export function words(value, props = {}) {
  return el("bdi", { dir: "auto", ...props }, visible(value));
}

/** A path, or words with paths in them: where one is too long it breaks between its words. */
export function pathWords(path, props = {}) {
  const parts = visible(path).split(/(?<=[/_.-])/);
  return el("bdi", { dir: "auto", ...props }, ...parts.flatMap((part) => [part, el("wbr")]));
}

/** They turn round what is written in any script, which no text needs. */
const BIDI_OVERRIDES = /[\u202d\u202e]/g;
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** They are not seen, so that two names could look alike; those that join letters are left, which some scripts need. */
const INVISIBLES = /[\u00ad\u200b\u2028\u2029\u2060-\u2064\ufeff\u{e0000}-\u{e007f}]/gu;
/** Of a terminal, beside tab and line ends. */
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
const EIGHT_BIT_CONTROLS = /[\u0080-\u009f]/g;

/** Control characters made visible, those of text direction and what is not seen too, for paths, names and code, where they serve only to deceive. */
export function visible(value) {
  return printable(value).replace(BIDI_CONTROLS, escaped).replace(INVISIBLES, escaped);
}

/** The control characters of terminals made visible, ESC as ␛, and those that write any script backwards. */
export function printable(value) {
  return value
    .replace(CONTROLS, (control) => String.fromCharCode(control === "\u007f" ? 0x2421 : 0x2400 + control.charCodeAt(0)))
    .replace(EIGHT_BIT_CONTROLS, escaped)
    .replace(BIDI_OVERRIDES, escaped);
}

const escaped = (control) => `\\u${control.codePointAt(0).toString(16).padStart(4, "0")}`;

/**
 * Brings the children of `parent` to the order of `nodes`, moving as few as possible.
 * @param {Element} parent
 * @param {Element[]} nodes
 */
export function arrange(parent, nodes) {
  const keep = new Set(nodes);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const node of nodes) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

/** Calls `draw` at most once per animation frame, however often the returned function is called. */
export function perFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/**
 * Has a button be pressed once at a time. One that is disabled would lose the focus, so this is only said of it.
 * @param {HTMLButtonElement} button
 * @param {() => Promise<any>} action what a press does; another one meanwhile does nothing
 */
export async function once(button, action) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  try {
    await action();
  } finally {
    button.ariaDisabled = null;
  }
}

/** Says something to screen readers, once. */
export function announce(message) {
  document.getElementById("announcer").textContent = message;
}
