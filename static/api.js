/** The REST API of the server. */

import { text } from "./text.js";

/** An answer that is not a success, or none at all (status 0). `fields` names what is wrong in a form. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {{code?: string, fields?: {field: string, message: string}[]}} [more] */
  constructor(status, message, { code = "", fields = [] } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

/** Where requests go to. */
let send = (path, options) => fetch(path, options);

/** From now on, ask this instead of the server. @param {(path: string, options: any) => Promise<Response>} answer */
export function answerFrom(answer) {
  send = answer;
}

/** How far the server's clock is ahead of this one, from its Date headers. */
let aheadMs = 0;

/** When the server was heard last, while it cannot be; else null. @type {number | null} */
let heldAt = null;

/** The server's time in milliseconds, so that elapsed times are right where the two clocks differ. */
export function serverNow() {
  return heldAt ?? Date.now() + aheadMs;
}

/** While the server cannot be heard nobody knows how its runs go on: their time stands still. @param {boolean} isHeld */
export function holdTime(isHeld) {
  heldAt = isHeld ? serverNow() : null;
}

let locked = () => {};

/** @param {() => void} callback called whenever the server wants a token that this browser has not, or no more */
export function onLocked(callback) {
  locked = callback;
}

/** @param {string} path @param {{method?: string, body?: any, headers?: Record<string, string>, signal?: AbortSignal}} [options] */
async function request(path, { method = "GET", body, headers = {}, signal } = {}) {
  let response;
  try {
    response = await send(path, {
      method,
      signal,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, text.errors.network);
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  // The header has whole seconds: a difference below two says nothing.
  if (!Number.isNaN(date)) aheadMs = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  if (response.status === 401 && path !== LOGIN) locked();
  if (!response.ok) throw await problem(response);
  return response;
}

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  const message = body.detail || body.title || text.errors.unexpected(response.status);
  return new ApiError(response.status, message, { code: body.code, fields: body.errors });
}

const LOGIN = "/api/login";
const json = async (path, options) => (await request(path, options)).json();
/** A query without what is not set. */
function parameters(query) {
  const set = Object.entries(query).filter(([, value]) => value);
  return new URLSearchParams(set.map(([name, value]) => [name, String(value)]));
}

const task = (id) => `/api/tasks/${encodeURIComponent(id)}`;

export const fileUrl = (id, path, version) =>
  `${task(id)}/artifacts/${path.split("/").map(encodeURIComponent).join("/")}${version ? `?version=${version}` : ""}`;
export const archiveUrl = (id) => `${task(id)}/artifacts.zip`;
export const pageUrl = (id) => `${task(id)}/export.html`;
export const logUrl = (id) => `${task(id)}/export.jsonl`;
export const eventUrl = (id, eventId) => `${task(id)}/events?since_event_id=${eventId - 1}&limit=1`;

export const api = {
  /** As whom this browser comes. */
  login: () => json(LOGIN),
  logIn: (token) => json(LOGIN, { method: "POST", body: { token } }),
  logOut: () => request(LOGIN, { method: "DELETE" }),

  health: () => json("/healthz"),
  /** The API in its own words, as an OpenAPI document. */
  description: () => json("/openapi.json"),

  /** @param {{status?: string, q?: string, limit?: number, cursor?: string}} query */
  tasks(query, signal) {
    return json(`/api/tasks?${parameters(query)}`, { signal });
  },

  /** Creating twice with one key creates once. */
  createTask: (body, key) => json("/api/tasks", { method: "POST", body, headers: { "Idempotency-Key": key } }),

  /** Takes in a run of elsewhere. @param {Blob} log as it was exported */
  importLog: (log) => json("/api/tasks/import", { method: "POST", body: log, headers: { "Content-Type": "application/jsonl" } }),

  /** @param {"checkpoint" | "start"} from where a task that has run already goes on */
  runTask: (id, from = "checkpoint") => json(`${task(id)}/run`, { method: "POST", body: { from } }),
  stopTask: (id) => json(`${task(id)}/stop`, { method: "POST" }),
  deleteTask: (id) => request(task(id), { method: "DELETE" }),
  task: (id, signal) => json(task(id), { signal }),
  answer: (id, requestId, answer) => json(`${task(id)}/input`, { method: "POST", body: { request_id: requestId, answer } }),
  say: (id, content, sendTo) =>
    json(`${task(id)}/messages`, { method: "POST", body: sendTo ? { content, send_to: sendTo } : { content } }),

  /** The last events, below `before` if given, that have the words of `q`. */
  search(id, query, signal) {
    return json(`${task(id)}/search?${parameters(query)}`, { signal });
  },

  /** A page of events; waits on the server up to `wait` seconds when there are none yet. */
  events: (id, { since, limit, wait }, signal) =>
    json(`${task(id)}/events?since_event_id=${since}&limit=${limit}&wait=${wait}`, { signal }),

  /** The files of a task, with all their versions. @param {number | null} [through] as they were after this event */
  files: (id, through = null, signal = undefined) => json(`${task(id)}/artifacts?${parameters({ through })}`, { signal }),
  /** How its time was spent, and how the team stood after an event. */
  metrics: (id, through) => json(`${task(id)}/metrics?${parameters({ through })}`),
  /** From one version to another, as a unified diff. @param {string} from 0 for no file @param {string} to */
  fileDiff: async (id, path, from, to, signal) =>
    (await request(`${fileUrl(id, path)}/diff?${new URLSearchParams({ from, to })}`, { signal })).text(),
  fileBytes: async (id, path, version, signal) => (await request(fileUrl(id, path, version), { signal })).arrayBuffer(),
  fileText: async (id, path, version, signal) => (await request(fileUrl(id, path, version), { signal })).text(),
};

/** A key for an idempotent request. crypto.randomUUID is missing on plain-http hosts other than localhost. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
