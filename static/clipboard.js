/** Text for the clipboard. */

import { el } from "./dom.js";

/** @param {string} words @param {Element} beside where nothing else hinders the browser from selecting text @returns {Promise<boolean>} whether it is there */
export async function copied(words, beside) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    return copiedTheOldWay(words, beside);
  }
}

/** Without HTTPS there is no other way, but on the machine itself. */
function copiedTheOldWay(words, beside) {
  const field = el("textarea", { class: "visually-hidden", readOnly: true, value: words });
  const { activeElement } = document;
  beside.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  activeElement?.focus();
  return isCopied;
}
