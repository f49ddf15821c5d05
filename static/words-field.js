/** A field for what a person says to the team. */

import { el } from "./dom.js";

const COMPOSING = 229;

/** As high as what is in it; Enter sends it, Shift + Enter begins a line. @param {Record<string, any>} props of the field */
export function wordsField(props) {
  return el("textarea", { class: "input words", rows: 1, autocomplete: "off", dir: "auto", enterKeyHint: "send", on: { keydown: send }, ...props });
}

function send(event) {
  // Enter also ends the composing of a character, of which Safari tells only by the code.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === COMPOSING) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}
