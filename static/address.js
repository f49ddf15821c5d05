/** What the address of the page says: `/tasks/{id}` for a task, `#/tasks/{id}/events/{n}` for one event of it. No DOM here. */

const TASK = /^\/tasks\/([^/]+)\/?$/;
const IN_HASH = /^#\/tasks\/([^/]+)(?:\/events\/([1-9]\d*))?\/?$/;

/** @param {{pathname: string, hash: string}} address @returns {{taskId: string | null, eventId: number | null}} */
export function parseAddress({ pathname, hash }) {
  const found = IN_HASH.exec(hash) ?? TASK.exec(pathname);
  return { taskId: found?.[1] ?? null, eventId: found?.[2] ? Number(found[2]) : null };
}

/** @param {string} taskId @param {number | null} [eventId] */
export function addressOf(taskId, eventId = null) {
  return eventId === null ? `/tasks/${taskId}` : `/${hashOf(taskId, eventId)}`;
}

/** The part of the address that says all of it, for a page that has no server. */
export function hashOf(taskId, eventId) {
  return eventId === null ? `#/tasks/${taskId}` : `#/tasks/${taskId}/events/${eventId}`;
}
