/**
 * What each role did when: a fold over the events of a run, for the lanes. Bounded, and no DOM here.
 *
 * Times are milliseconds since the epoch; `to` is null while something goes on. What a role waits for is read from what
 * ends the wait: the last message that reached it before it began its turn.
 */

import { TERMINAL } from "./model.js";
import { PERSON, reaches, senderOf } from "./traffic.js";

/** Beyond this many items of a kind in a lane the oldest are dropped; some at once, so that it costs little per event. */
const ITEMS_MAX = 2000;
const DROP_AT_ONCE = 500;
/** Samples that tell which event came when; halved when there are more. */
const SAMPLES_MAX = 1024;

/**
 * @typedef {object} Item
 * @property {number} key the event that a click selects
 * @property {"action" | "turn" | "wait" | "message" | "error" | "status"} kind
 * @property {string | null} role
 * @property {number} from
 * @property {number | null} to the same as `from` for what has no length
 */

export class Timeline {
  /** @type {Map<string, ReturnType<typeof newLane>>} */
  lanes = new Map();
  /** The task itself: its statuses one after another, what persons say, errors of nobody. */
  task = { bands: [], marks: [] };
  /** Messages that a role then began to work on. @type {{key: number, sender: string, role: string, from: number, to: number}[]} */
  links = [];
  start = null;
  end = null;
  /** What lies before is not kept any more. */
  keptFrom = null;
  version = 0;

  /** Null: not known, in a log that is not read from its start. */
  #attempt = 0;
  /** Whether the attempt has begun, and nothing was heard of its team yet. */
  #isSettingUp = false;
  #samples = [];
  #sampleEvery = 1;
  #folded = 0;

  /** @param {string} role */
  lane(role) {
    if (!this.lanes.has(role)) this.lanes.set(role, newLane(role));
    return this.lanes.get(role);
  }

  /** @param {import("./cursor.js").Event} event */
  fold(event) {
    const at = Date.parse(event.timestamp);
    this.start ??= at;
    this.end = Math.max(this.end ?? at, at);
    this.#sample(at, event.event_id);
    if (!this.task.bands.length && event.event_type !== "STATUS") this.#presume(event, at);
    const fold = FOLDS[event.event_type];
    if (!fold) return;
    fold(this, event, at);
    this.version += 1;
  }

  /** The event that was there at a time, about. */
  eventAt(at) {
    const index = this.#samples.findLastIndex((sample) => sample.at <= at);
    if (index < 0) return this.#samples[0]?.id ?? null;
    const [before, after] = [this.#samples[index], this.#samples[index + 1]];
    if (!after || after.at === before.at) return before.id;
    return before.id + Math.floor(((after.id - before.id) * (at - before.at)) / (after.at - before.at));
  }

  /** @returns {Item | null} */
  itemOf(eventId) {
    const lanes = [...this.lanes.values()];
    for (const items of [this.task.bands, this.task.marks, ...lanes.flatMap(({ actions, marks, waits }) => [actions, marks, waits])]) {
      const found = items.find(({ key }) => key === eventId);
      if (found) return found;
    }
    return null;
  }

  /**
   * The wait that a role is in before its first turn: for the one who asks a person, or else is at work, if it is one.
   * Whether a role that has had its turn will have another is known only once it begins.
   * @returns {Item[]}
   */
  openWait({ role, idleSince, hasWorked }) {
    if (idleSince === null || hasWorked) return [];
    const lanes = [...this.lanes.values()];
    const asking = lanes.filter((lane) => lane.asking);
    const busy = asking.length ? asking : lanes.filter((lane) => lane.turn);
    const waitsFor = busy.length === 1 ? busy[0].role : null;
    return [{ key: null, kind: "wait", role, waitsFor, from: idleSince, to: null }];
  }

  /** When nobody worked, because the task was in another status than RUNNING. */
  pauses() {
    return this.task.bands.filter((band) => !WORKING.has(band.status)).map(({ from, to }) => ({ from, to: to ?? Infinity }));
  }

  get status() {
    return this.task.bands.at(-1)?.status ?? null;
  }

  put(items, item) {
    items.push(item);
    if (items.length < ITEMS_MAX + DROP_AT_ONCE) return item;
    items.splice(0, DROP_AT_ONCE);
    this.keptFrom = Math.max(this.keptFrom ?? 0, items[0].from);
    return item;
  }

  begin(attempt, at) {
    this.goOn(attempt);
    if (attempt === this.#attempt) return;
    this.#attempt = attempt;
    this.endAttempt(at);
    this.#isSettingUp = true;
  }

  /** A status other than QUEUED is of the attempt that is under way. */
  goOn(attempt) {
    this.#attempt ??= attempt;
  }

  /** The team is there: who does not work from now on waits. */
  gather(at) {
    if (!this.#isSettingUp) return;
    this.#isSettingUp = false;
    for (const lane of this.lanes.values()) lane.idleSince = at;
  }

  /** The team ends before it is done: who waited did so until now. The event is the one that ends it. */
  breakOff(key, at) {
    const waits = [...this.lanes.values()].flatMap((lane) => this.openWait(lane));
    for (const wait of waits) if (at > wait.from) this.put(this.lane(wait.role).waits, { ...wait, key, to: at });
  }

  /** What is still open will not go on. */
  endAttempt(at) {
    this.#attempt ??= 0;
    for (const lane of this.lanes.values()) {
      for (const span of lane.open) Object.assign(span, { to: at, state: "interrupted" });
      if (lane.turn) lane.turn.to = at;
      if (lane.asking) lane.asking.to = at;
      Object.assign(lane, { open: [], turn: null, asking: null, inbox: null, idleSince: null, hasWorked: false });
    }
  }

  /** The log is not read from its start, and where something happens the team is at work. */
  #presume(event, at) {
    this.#attempt = null;
    this.put(this.task.bands, { key: event.event_id, kind: "status", role: null, status: "RUNNING", attempt: null, words: null, from: at, to: null });
  }

  #sample(at, id) {
    if (this.#folded++ % this.#sampleEvery) return;
    this.#samples.push({ at, id });
    if (this.#samples.length < SAMPLES_MAX) return;
    this.#samples = this.#samples.filter((_, index) => index % 2 === 0);
    this.#sampleEvery *= 2;
  }
}

const WORKING = new Set(["RUNNING", "STOPPING"]);

const newLane = (role) => ({
  role,
  /** @type {Item[]} */
  actions: [],
  turns: [],
  waits: [],
  marks: [],
  /** Actions that go on, innermost last. */
  open: [],
  turn: null,
  /** The wait for a person's answer, while there is one. */
  asking: null,
  /** The last message that reached the role since it began its turn. */
  inbox: null,
  /** Since when it has no turn; null: it is in one, or nobody knows. */
  idleSince: null,
  /** Whether it has had a turn in this attempt. */
  hasWorked: false,
});

const FOLDS = {
  STATUS(timeline, event, at) {
    const { status, attempt, message, reason } = event.payload;
    const { bands } = timeline.task;
    if (bands.length) bands.at(-1).to = at;
    timeline.put(bands, { key: event.event_id, kind: "status", role: null, status, attempt, words: reason || message, from: at, to: TERMINAL.has(status) ? at : null });
    if (status === "FAILED" || status === "CANCELLED") timeline.breakOff(event.event_id, at);
    if (TERMINAL.has(status) || status === "QUEUED") timeline.endAttempt(at);
    else if (status === "RUNNING") timeline.begin(attempt, at);
    else timeline.goOn(attempt);
  },

  AGENT_START(timeline, event, at) {
    timeline.gather(at);
    const lane = timeline.lane(event.agent_role);
    const { inbox, idleSince } = lane;
    // What a role tells itself it has at once: nobody knows what kept it from that.
    const waitsFor = inbox && inbox.sender !== lane.role ? inbox.sender : null;
    if (idleSince !== null && at > idleSince)
      timeline.put(lane.waits, { key: event.event_id, kind: "wait", role: lane.role, waitsFor, from: idleSince, to: at });
    if (inbox) timeline.put(timeline.links, { key: inbox.key, sender: inbox.sender, role: lane.role, from: inbox.at, to: at });
    lane.turn = timeline.put(lane.turns, { key: event.event_id, kind: "turn", role: lane.role, from: at, to: null });
    lane.inbox = lane.idleSince = null;
    lane.hasWorked = true;
  },

  AGENT_COMPLETE(timeline, event, at) {
    const lane = timeline.lane(event.agent_role);
    if (lane.turn) lane.turn.to = at;
    lane.turn = null;
    lane.idleSince = at;
  },

  ACTION_START(timeline, event, at) {
    if (!event.agent_role) return;
    const { action, file, message } = event.payload;
    const lane = timeline.lane(event.agent_role);
    const span = { key: event.event_id, kind: "action", role: lane.role, action, file, words: message, state: "running", tokens: 0, files: 0, from: at, to: null };
    lane.open.push(timeline.put(lane.actions, span));
  },

  ACTION_COMPLETE(timeline, event, at) {
    if (!event.agent_role) return;
    const { action, file, failed, cancelled } = event.payload;
    const { open } = timeline.lane(event.agent_role);
    const index = open.findLastIndex((span) => span.action === action && (!file || !span.file || span.file === file));
    if (index < 0) return;
    const [span] = open.splice(index, 1);
    Object.assign(span, { to: at, state: cancelled ? "interrupted" : failed ? "failed" : "done", file: file ?? span.file });
  },

  MESSAGE(timeline, event, at) {
    timeline.gather(at);
    const { sent_from: from, send_to: to, message } = event.payload;
    const role = event.agent_role;
    const sender = senderOf(role, from);
    const marks = role ? timeline.lane(role).marks : timeline.task.marks;
    timeline.put(marks, { key: event.event_id, kind: "message", role, words: message, from: at, to: at });
    for (const lane of timeline.lanes.values())
      if (reaches(to, lane.role, sender)) lane.inbox = { key: event.event_id, sender, at };
  },

  LLM_CALL(timeline, event) {
    const span = timeline.lanes.get(event.agent_role)?.open.at(-1);
    if (span) span.tokens += (event.payload.prompt_tokens ?? 0) + (event.payload.completion_tokens ?? 0);
  },

  ARTIFACT(timeline, event) {
    const span = timeline.lanes.get(event.agent_role)?.open.at(-1);
    if (span) span.files += 1;
  },

  INPUT_REQUEST(timeline, event, at) {
    const role = event.payload.role ?? event.agent_role;
    if (!role) return;
    const lane = timeline.lane(role);
    lane.asking = timeline.put(lane.waits, { key: event.event_id, kind: "wait", role, state: "asked", waitsFor: PERSON, from: at, to: null });
  },

  INPUT_RESPONSE(timeline, event, at) {
    for (const lane of timeline.lanes.values()) {
      if (!lane.asking) continue;
      lane.asking.to = at;
      lane.asking = null;
      // It waited for the person, and not for what it will begin with.
      if (lane.idleSince !== null) lane.idleSince = at;
    }
  },

  ERROR(timeline, event, at) {
    const role = event.agent_role;
    const marks = role ? timeline.lane(role).marks : timeline.task.marks;
    timeline.put(marks, { key: event.event_id, kind: "error", role, words: event.payload.message, from: at, to: at });
  },
};
