/** The keys of the page, and the sheet that tells of them. */

import { el } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./text.js";

/** By what they are about: the key as the browser names it, and the command that it gives. */
const KEYS = {
  page: [
    ["?", "help"],
    ["n", "newTask"],
    ["/", "search"],
  ],
  replay: [
    ["p", "play"],
    [",", "back"],
    [".", "forth"],
    ["<", "slower"],
    [">", "faster"],
    ["l", "live"],
  ],
  task: [
    ["j", "next"],
    ["k", "previous"],
    ["o", "unfold"],
    ["Escape", "clear"],
    ["t", "timeline"],
    ["g", "graph"],
    ["f", "files"],
    ["m", "message"],
    ["a", "answer"],
    ["+", "zoomIn"],
    ["-", "zoomOut"],
    ["=", "fit"],
    ["0", "everyone"],
    ["1", "role"],
  ],
};
const COMMANDS = new Map(Object.values(KEYS).flat());
/** The digits from 1 on choose a role. */
const ROLE = /^[1-9]$/;
const TYPES_TEXT = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable]";
const OFF = "metagpt-live.keys-off";

export class Keyboard {
  #commands;
  /** Shows the sheet. */
  node = el("button", { type: "button", class: "tool help", title: text.keys.heading, "aria-label": text.keys.heading, on: { click: () => this.#help() } }, icon("keyboard"));

  /** @param {() => Record<string, (digit?: number) => void>} commands what can be done just now, by name */
  constructor(commands) {
    this.#commands = commands;
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  #help() {
    const close = el("button", { type: "button", class: "button quiet", autofocus: true, on: { click: () => dialog.close() } }, icon("close"), text.close);
    // People who speak to their computer, or touch keys unwillingly, may want none of them.
    const on = el("input", { type: "checkbox", checked: areOn(), on: { change: () => turn(on.checked) } });
    const dialog = el(
      "dialog",
      { class: "keys", "aria-label": text.keys.heading, on: { close: () => dialog.remove() } },
      el("header", {}, el("h2", {}, text.keys.heading), close),
      el("div", { class: "key-groups" }, ...Object.entries(KEYS).map(group), section(text.keys.groups.timeline, text.keys.timeline)),
      el("label", { class: "switch" }, on, el("span", {}, text.keys.on)),
    );
    document.body.append(dialog);
    dialog.showModal();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.(TYPES_TEXT) || document.querySelector("dialog[open]") || !areOn()) return;
    const name = ROLE.test(event.key) ? "role" : COMMANDS.get(event.key);
    const command = name === "help" ? () => this.#help() : this.#commands()[name];
    if (!command) return;
    event.preventDefault();
    command(Number(event.key));
  }
}

/** Where nothing may be stored, they are on. */
function areOn() {
  try {
    return localStorage.getItem(OFF) === null;
  } catch {
    return true;
  }
}

function turn(on) {
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "1");
}

function group([name, keys]) {
  return section(text.keys.groups[name], keys.map(([key, command]) => [text.keys.names[key] ?? key, text.keys.commands[command]]));
}

function section(heading, rows) {
  return el("section", {}, el("h3", {}, heading), el("dl", {}, ...rows.map(([key, words]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)))));
}
