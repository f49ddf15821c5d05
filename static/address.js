/**
 * What the address of the page says: `/tasks/{id}` for a task, `#/tasks/{id}/events/{n}` for one event of it, and
 * `#/tasks/{id}/files/{path}?version={n}&from={n}` for a file of it, in a version and compared with another. No DOM here.
 */

const TASK = /^\/tasks\/([^/]+)\/?$/;
const IN_HASH = /^#\/tasks\/([^/?]+)(?:\/events\/([1-9]\d*)|\/files\/([^?]+))?\/?(?:\?(.*))?$/;
const NUMBER = /^\d{1,9}$/;
const NO_NAMES = new Set(["", ".", ".."]);

/**
 * @typedef {object} FilePlace a file as it is shown
 * @property {string} path
 * @property {number | null} version null: as it is now
 * @property {number | null} from the version that it is compared with, 0 for no file at all; null: with none
 */

/** @param {{pathname: string, hash: string}} address @returns {{taskId: string | null, eventId: number | null, file: FilePlace | null}} */
export function parseAddress({ pathname, hash }) {
  const [, inHash, eventId, path, query] = IN_HASH.exec(hash) ?? [];
  const taskId = inHash ?? TASK.exec(pathname)?.[1] ?? null;
  return { taskId, eventId: eventId ? Number(eventId) : null, file: path ? fileOf(path, new URLSearchParams(query)) : null };
}

/** @param {string} taskId @param {{eventId?: number | null, file?: FilePlace | null}} [place] in the task */
export function addressOf(taskId, place = {}) {
  return place.file || place.eventId ? `/${hashOf(taskId, place)}` : `/tasks/${taskId}`;
}

/** The part of the address that says all of it, for a page that has no server. */
export function hashOf(taskId, { eventId = null, file = null } = {}) {
  const task = `#/tasks/${taskId}`;
  if (file) return `${task}/files/${file.path.split("/").map(encodeURIComponent).join("/")}${queryOf(file)}`;
  return eventId === null ? task : `${task}/events/${eventId}`;
}

function fileOf(path, query) {
  const number = (name) => (NUMBER.test(query.get(name) ?? "") ? Number(query.get(name)) : null);
  const parts = path.split("/").map(decoded);
  // No address that was ever given out, but one that leads elsewhere.
  if (parts.some((part) => NO_NAMES.has(part))) return null;
  return { path: parts.join("/"), version: number("version") || null, from: number("from") };
}

function queryOf({ version, from }) {
  const query = new URLSearchParams(Object.entries({ version, from }).filter(([, number]) => number !== null));
  return String(query) ? `?${query}` : "";
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return ""; // a percent sign that means nothing
  }
}
