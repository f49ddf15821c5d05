/** Wires the parts together and shows what the address says: the form, a task, an event or a file of a task. */

import { addressOf, parseAddress } from "./address.js";
import { api, holdTime, onLocked } from "./api.js";
import { Connection } from "./connection.js";
import { el } from "./dom.js";
import { TaskForm } from "./form.js";
import { Keyboard } from "./keyboard.js";
import { TaskList } from "./list.js";
import { Press } from "./press.js";
import { text } from "./text.js";
import { Topbar } from "./topbar.js";

const shell = document.getElementById("shell");
const main = document.getElementById("main");

const connection = new Connection({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
  onMode: (mode, reason) => {
    topbar.show(mode, reason);
    holdTime(mode === "offline");
    shell.dataset.connection = mode;
    if (reason === "4401") enter();
    view?.connectionChanged(mode);
    if (mode === "live" || mode === "polling") {
      showModel();
      if (shownId && !view) show(); // what shows it could not be loaded
    }
  },
});
const keyboard = new Keyboard(() => ({ newTask, search: () => list.focus(), ...view?.commands }));
const topbar = new Topbar({
  bar: document.getElementById("topbar"),
  strip: document.getElementById("connection-strip"),
  onRetry: () => connection.open(),
  help: keyboard.node,
  onLogOut: () => api.logOut().finally(() => location.reload()),
});
const press = new Press();
const list = new TaskList(press);
const form = new TaskForm({ onStarted: (taskId) => go(addressOf(taskId)) });
/** @type {import("./task.js").TaskView | null} */
let view = null;
let shownId = null;
let isLocked = false;

/** The view of a task is the most of what there is to load, and nothing for whoever only looks at the list. */
const loadView = () => import("./task.js");
if (parseAddress(location).taskId) loadView().catch(() => {}); // at once, beside what comes first; `show` tells of trouble

const skip = document.getElementById("skip");
skip.textContent = text.skip;
// Its address would take the place of the one that says what is shown.
skip.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.getElementById("tasks").append(list.node);
connection.watchTasks({
  state(taskId, state) {
    list.state(taskId, state);
    if (taskId !== shownId) return;
    if (state === null) view?.gone();
    else view?.told(state);
  },
  reload: () => Promise.all([list.reload(), view?.reload()]),
});
document.addEventListener("click", follow);
addEventListener("popstate", () => show());
onLocked(lock);
if (await enter()) {
  connection.open();
  show();
}

/** Finds out as whom this browser comes, and whether it may. */
async function enter() {
  let login;
  try {
    login = await api.login();
  } catch (error) {
    if (error.status === 401) lock();
    return error.status !== 401; // whatever else is wrong shows in the parts that read
  }
  document.documentElement.dataset.access = login.role;
  topbar.showLogin(login);
  return true;
}

/** Shows nothing but the login. What comes after it begins anew. */
async function lock() {
  if (isLocked) return;
  isLocked = true;
  connection.close();
  view?.destroy();
  shell.dataset.page = "login";
  document.title = text.brand;
  topbar.hideAll();
  const { Login } = await import("./login.js");
  const login = new Login({ onDone: () => location.reload() });
  main.replaceChildren(login.node);
  login.focus();
}

/** Follows a link inside the page without loading the page again. */
function follow(event) {
  const link = event.target.closest("a[data-link]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.dataset.link === "new") newTask();
  else go(link.pathname + link.hash);
}

function newTask() {
  go("/");
  form.focus();
}

function go(address) {
  if (address === location.pathname + location.hash) return;
  history.pushState(null, "", address);
  const isOther = parseAddress(location).taskId !== shownId;
  show();
  if (!isOther) return;
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

async function show() {
  if (isLocked) return;
  const { taskId, ...place } = parseAddress(location);
  if (view && taskId === shownId && !view.isGone) return view.show(place);
  view?.destroy();
  view = null;
  shownId = taskId;
  shell.dataset.page = taskId ? "task" : "home";
  list.select(taskId);
  if (!taskId) {
    document.title = text.brand;
    return main.replaceChildren(form.node, el("p", { class: "viewer-note blank" }, text.viewer.home));
  }
  const loaded = await loadView().catch(() => null);
  if (isLocked || shownId !== taskId) return; // meanwhile something else was to be shown
  if (view) return view.show(place);
  if (!loaded) return main.replaceChildren(el("p", { class: "blank" }, text.errors.network));
  view = new loaded.TaskView({
    taskId,
    press,
    place,
    connection,
    onStarted: (started) => go(addressOf(started)),
    onDeleted: () => go("/"),
    onPlace: (shown) => history.replaceState(null, "", addressOf(taskId, shown)),
  });
  main.replaceChildren(view.node);
}

/** Which model new tasks will run with; asked again after a reconnect, for the server may have been set up anew. */
async function showModel() {
  const health = await api.health().catch(() => null);
  if (health) form.showModel(health);
}
