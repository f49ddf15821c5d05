/** Shows the run that is in this page, without a server. */

import { hashOf, parseAddress } from "./address.js";
import { answerFrom } from "./api.js";
import { frameFrom } from "./diagrams.js";
import { announce, el } from "./dom.js";
import { icon } from "./icons.js";
import { Keyboard } from "./keyboard.js";
import { OfflineRun } from "./offline-run.js";
import { diagramFrame } from "./offline-diagrams.js";
import { Press } from "./press.js";
import { TaskView } from "./task.js";
import { text } from "./text.js";

/** How long a browser may take to begin to save a file. */
const SAVING_MS = 10_000;

const run = new OfflineRun();
answerFrom(async (path, options) => run.answer(path, options));
frameFrom(diagramFrame);

document.getElementById("skip").textContent = text.skip;
document.getElementById("tasks").remove();
document.getElementById("shell").dataset.page = "offline";
document
  .getElementById("topbar")
  .append(
    el("span", { class: "brand" }, icon("pulse"), el("span", {}, text.brand)),
    el("span", { class: "connection", title: text.offline.hint }, text.offline.name),
    new Keyboard(() => view.commands).node,
  );
document.addEventListener("click", follow);

const view = new TaskView({
  taskId: run.taskId,
  press: new Press(),
  place: parseAddress(location),
  connection: run,
  onStarted() {},
  onDeleted() {},
  onPlace: (shown) => history.replaceState(null, "", hashOf(run.taskId, shown)),
});
addEventListener("popstate", () => view.show(parseAddress(location)));
document.getElementById("main").replaceChildren(view.node);

/** Saves a file that came along where a link would download it; other links lead to the server, which is not there. */
async function follow(event) {
  const link = event.target.closest('a[href^="/"]');
  if (!link) return;
  event.preventDefault();
  const answer = run.answer(link.getAttribute("href"));
  if (!answer.ok) return announce(text.offline.absent);
  const name = decodeURIComponent(link.getAttribute("href").split("?")[0].split("/").at(-1));
  const url = URL.createObjectURL(await answer.blob());
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), SAVING_MS);
}
