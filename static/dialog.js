/** A question that must be answered before something is lost. */

import { el } from "./dom.js";
import { text } from "./text.js";

/** @param {{question: string, hint: string, action: string}} words @returns {Promise<boolean>} */
export function confirmed({ question, hint, action }) {
  return new Promise((resolve) => {
    const dialog = el(
      "dialog",
      { class: "confirm", "aria-label": question },
      el("h2", {}, question),
      el("p", {}, hint),
      el(
        "form",
        { class: "buttons", method: "dialog" },
        el("button", { class: "button quiet", value: "no" }, text.cancel),
        el("button", { class: "button danger", value: "yes" }, action),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
