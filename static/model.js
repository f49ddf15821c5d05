/**
 * A task as the page sees it: a fold over its events, cheap enough for a replay of a whole log. No DOM here.
 *
 * It may be seeded with the task's state, which is the sum of the log up to `state.head`. Then events up to there still
 * build the feed, the agents and the files, but the figures in the header are taken from the state and only go on from
 * newer events: they are right at once, and also where a long log is not read from its start.
 */

import { Consumption } from "./consumption.js";
import { unescaped } from "./drafts.js";
import { FeedModel, STRUCTURED } from "./feed-model.js";
import { Traffic } from "./traffic.js";

export const ROLES = ["ProductManager", "Architect", "ProjectManager", "Engineer", "QaEngineer"];
export const ACTIVE = new Set(["QUEUED", "RUNNING", "WAITING", "STOPPING"]);
export const TERMINAL = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);

const LOG_MAX = 200;
const AGENTS_MAX = 12;
const NOTHING_USED = { llm_calls: 0, prompt_tokens: 0, completion_tokens: 0, cost_usd: 0, unpriced_calls: 0 };
/** The end of what a role is writing, shown on its card. */
const TAIL_CHARS = 60;

export class TaskModel {
  title = "";
  prompt = "";
  options = {};
  /** The id of the task whose project this one goes on with. */
  continues = null;
  /** When it was taken in from a file; such a task only shows a run of elsewhere. */
  importedAt = null;
  status = null;
  reason = null;
  attempt = 0;
  demo = false;
  model = null;
  startedAt = null;
  completedAt = null;
  progress = null;
  usage = { ...NOTHING_USED, by_role: {} };
  /** What a person has raised budgets to. */
  raised = {};
  waiting = null;
  /** Where it stands while it is queued; of this no event tells. */
  queue = null;
  resources = null;
  head = 0;
  /** What is known of events that were not folded. @type {"known" | "asked" | "unknown"} */
  past = "known";
  /** The last event that retention has deleted; 0: none. */
  expired = 0;
  /** The time, in milliseconds, that this is a picture of; null: now. */
  asOf = null;
  /** @type {Map<string, ReturnType<typeof newAgent>>} */
  agents = new Map();
  /** current: the last attempt has it. @type {Map<string, {path: string, version: number, size: number, current: boolean}>} */
  artifacts = new Map();
  /** @type {{key: number, at: string, level: string, message: string}[]} */
  log = [];
  feed = new FeedModel();
  traffic = new Traffic();
  consumption = new Consumption();
  /** The attempt that the folded events are in, of which the agents, the traffic and the current files tell. */
  foldedAttempt = 0;
  /** The event with which it began, if it was folded. */
  attemptBegan = 0;
  #seededTo = 0;

  /** @param {string} taskId */
  constructor(taskId) {
    this.taskId = taskId;
  }

  /** @param {any} task the task as REST or a `state` frame gives it */
  seed(task) {
    this.describe(task);
    if (task.head < this.#seededTo) return;
    this.#seededTo = this.head = task.head;
    this.status = task.status;
    this.reason = task.reason;
    this.attempt = task.attempt;
    this.demo = task.demo;
    this.model = task.model;
    this.startedAt = task.started_at;
    this.completedAt = task.completed_at;
    this.progress = task.progress;
    this.usage = { ...this.usage, ...task.usage };
    this.raised = task.raised ?? {};
    this.waiting = task.waiting;
    this.queue = task.queue;
  }

  /** Takes over what of a task no event tells, because it was so before the first one. @param {any} task */
  describe(task) {
    this.title = task.title || this.title;
    this.prompt = task.input_prompt ?? this.prompt;
    this.options = task.options ?? this.options;
    this.continues = task.continues ?? this.continues;
    this.importedAt = task.imported_at ?? this.importedAt;
    this.status ??= "PENDING";
    if (!this.agents.size) for (const role of ROLES) if (role !== "QaEngineer" || task.options?.run_tests) this.agent(role);
    return this;
  }

  /** A copy that what is folded into this one does not change. */
  clone() {
    return Object.assign(new TaskModel(this.taskId), this, {
      agents: new Map([...this.agents].map(([role, agent]) => [role, { ...agent }])),
      artifacts: new Map(this.artifacts),
      log: [...this.log],
      feed: this.feed.clone(),
      traffic: this.traffic.clone(),
      consumption: this.consumption.clone(),
    });
  }

  /** @param {import("./cursor.js").Event} event */
  fold(event) {
    if (event.event_id > this.head) this.head = event.event_id;
    FOLDS[event.event_type]?.(this, event, event.event_id > this.#seededTo);
  }

  /** Events that retention deleted, so that they are not silently missing. */
  gap({ from, to }) {
    this.expired = to;
    this.feed.add({ event_id: from, agent_role: null, timestamp: null }, "gap", { from, to });
  }

  /**
   * Goes on from after an event, where those up to it are not folded.
   * @param {number} eventId
   * @param {{team: any, files: any[]}} told how the team stood, as the server's metrics have it, or null; and its list of files
   */
  startAfter(eventId, { team, files }) {
    this.head = eventId;
    this.foldedAttempt = team?.attempt ?? 0;
    for (const { agent_role: role, state, before, turns, action, file, summary } of team?.roles ?? []) Object.assign(this.agent(role), { state, before, turns, action, file, summary });
    if (team) this.traffic = Traffic.of(team);
    for (const { path, version, size, current } of files) this.artifacts.set(path, { path, version, size, current });
  }

  /** Takes over what another model of this task knows of the team and its files. @param {TaskModel} other */
  takeTeam({ agents, artifacts, traffic, foldedAttempt, attemptBegan }) {
    Object.assign(this, { agents, artifacts, traffic, foldedAttempt, attemptBegan });
  }

  /** Whether calls are not counted, since in a replay only the events tell of them, and some are no more. */
  get countsLess() {
    return this.asOf !== null && this.expired > 0;
  }

  /** Whether of its log nothing is left. */
  get isExpired() {
    return this.head > 0 && this.expired >= this.head;
  }

  /** What an earlier attempt has done is not what this one does. */
  beginAttempt(attempt, eventId) {
    this.foldedAttempt = attempt;
    this.attemptBegan = eventId;
    for (const agent of this.agents.values()) Object.assign(agent, newAgent(agent.role));
    for (const file of this.artifacts.values()) this.artifacts.set(file.path, { ...file, current: false });
    this.traffic = new Traffic();
  }

  agent(role) {
    let agent = this.agents.get(role);
    if (!agent && this.agents.size < AGENTS_MAX) this.agents.set(role, (agent = newAgent(role)));
    return agent ?? newAgent(role);
  }
}

/** Of what a role writes: its end as it is read, an escape that has come in part, and whether it is JSON. */
const UNWRITTEN = { tail: "", part: "", isJson: false };
const newAgent = (role) => ({ role, state: "idle", action: null, file: null, ...UNWRITTEN, summary: null, turns: 0, before: "idle" });

/** What each type of event does to a model; `news`: it is not yet in the state that the model was seeded with. */
const FOLDS = {
  STATUS(model, event, news) {
    const { status, attempt, reason, message } = event.payload;
    const begins = status === "QUEUED" || (status === "RUNNING" && attempt !== model.foldedAttempt);
    if (begins) model.beginAttempt(attempt, event.event_id);
    if (news) {
      if (status === "QUEUED") Object.assign(model, { startedAt: null, completedAt: null, progress: null });
      if (status === "RUNNING" && (model.startedAt === null || attempt !== model.attempt)) Object.assign(model, { startedAt: event.timestamp, completedAt: null, progress: null });
      Object.assign(model, { status, attempt: attempt ?? model.attempt, reason: reason ?? null });
      if (status !== "WAITING") model.waiting = null;
      if (status === "SUCCEEDED") model.progress = 1;
      if (TERMINAL.has(status)) model.completedAt = event.timestamp;
    }
    if (TERMINAL.has(status)) for (const agent of model.agents.values()) rest(agent, isDone(agent, status) ? "done" : "idle");
    if (TERMINAL.has(status) || begins) {
      model.feed.endAttempt();
      model.resources = null;
    }
    // What is waited for is the question, which has a card of its own.
    model.feed.add(event, "status", { status, attempt, text: status === "WAITING" ? "" : reason || message });
  },

  AGENT_START(model, event) {
    model.traffic.begin(event);
    const agent = model.agent(event.agent_role);
    rest(agent, "working");
    agent.turns += 1;
  },

  AGENT_COMPLETE(model, event) {
    const agent = model.agent(event.agent_role);
    const { failed, cancelled, summary } = event.payload;
    rest(agent, failed || cancelled ? "idle" : "done");
    agent.summary = summary || agent.summary;  // of a turn that changed no files there is none
  },

  ACTION_START(model, event) {
    if (event.agent_role) {
      const agent = model.agent(event.agent_role);
      Object.assign(agent, { state: "working", action: event.payload.action, file: event.payload.file, ...UNWRITTEN });
    }
    model.feed.startStep(event);
  },

  ACTION_COMPLETE(model, event, news) {
    if (event.agent_role) Object.assign(model.agent(event.agent_role), UNWRITTEN);
    const progress = event.payload.progress ?? null;
    if (news && progress !== null) model.progress = Math.max(model.progress ?? 0, progress);
    model.feed.endStep(event);
  },

  MESSAGE(model, event) {
    model.traffic.message(event);
    model.feed.message(event);
  },

  TOKEN(model, event) {
    if (event.agent_role) write(model.agent(event.agent_role), event.payload.delta);
    model.feed.token(event);
  },

  LLM_CALL(model, event, news) {
    model.consumption.call(event);
    if (news) {
      model.demo = event.payload.demo;
      model.model = event.payload.model;
      const { by_role: byRole } = model.usage;
      const role = event.agent_role;
      model.usage = { ...withCall(model.usage, event.payload), by_role: role ? { ...byRole, [role]: withCall(byRole[role] ?? NOTHING_USED, event.payload) } : byRole };
    }
    model.feed.endCall(event);
  },

  ARTIFACT(model, event) {
    const { path, version, size } = event.payload;
    model.artifacts.set(path, { path, version, size, current: true });
    model.feed.file(event);
  },

  LOG(model, event) {
    model.log.push({ key: event.event_id, at: event.timestamp, level: event.payload.level, message: event.payload.message });
    if (model.log.length > LOG_MAX * 1.25) model.log.splice(0, model.log.length - LOG_MAX);
  },

  RESOURCE(model, event) {
    model.resources = { cpu: event.payload.cpu_percent, memory: event.payload.rss_bytes };
    model.consumption.process(event);
  },

  INPUT_REQUEST(model, event, news) {
    const { request_id, question, choices, deadline, role } = event.payload;
    if (news) model.waiting = { request_id, question, choices, deadline, role: role ?? event.agent_role };
    for (const agent of model.agents.values())
      if (agent.role === (role ?? event.agent_role)) Object.assign(agent, { state: "waiting", before: agent.state });
    model.traffic.ask(event);
    model.feed.question(event);
  },

  INPUT_RESPONSE(model, event, news) {
    if (news && model.waiting?.request_id === event.payload.request_id) model.waiting = null;
    for (const agent of model.agents.values()) {
      if (agent.state !== "waiting") continue;
      agent.state = agent.before;
      model.traffic.answer(event, agent.role);
    }
    model.feed.answer(event);
  },

  ERROR(model, event) {
    const { message, error_type: type, traceback, fatal } = event.payload;
    const entry = model.feed.add(event, "error", { type, traceback, fatal, text: "", cut: 0 });
    model.feed.append(entry, message);
  },

  RESULT(model, event) {
    const { artifacts = [], project } = event.payload.final_result ?? {};
    for (const file of model.artifacts.values()) model.artifacts.set(file.path, { ...file, current: false });
    for (const { path, version, size } of artifacts) model.artifacts.set(path, { path, version, size, current: true });
    model.feed.add(event, "result", { project, fileCount: artifacts.length, text: event.payload.message, cut: 0 });
  },
};

/** A usage, and one call of the model more. */
function withCall(usage, { prompt_tokens: prompt = 0, completion_tokens: completion = 0, cost_usd: cost, replayed }) {
  const isPriced = cost !== null && cost !== undefined;
  return {
    llm_calls: usage.llm_calls + (replayed ? 0 : 1),
    prompt_tokens: usage.prompt_tokens + prompt,
    completion_tokens: usage.completion_tokens + completion,
    cost_usd: isPriced ? (usage.cost_usd ?? 0) + cost : usage.cost_usd,
    unpriced_calls: usage.unpriced_calls + (isPriced ? 0 : 1),
  };
}

/** Whether a role has done its work when the attempt ends in a status. */
function isDone({ state, before, turns }, status) {
  return (state === "waiting" ? before : state) === "done" || (status === "SUCCEEDED" && turns > 0);
}

/** Adds to what a role writes; that it is JSON is told by its beginning. */
function write(agent, delta) {
  const source = agent.part + delta;
  if (agent.tail.length < TAIL_CHARS) agent.isJson = STRUCTURED.test(agent.tail + source);
  const { words, taken } = agent.isJson ? unescaped(source) : { words: source, taken: source.length };
  agent.part = source.slice(taken);
  agent.tail = (agent.tail + words).slice(-TAIL_CHARS);
}

function rest(agent, state) {
  Object.assign(agent, { state, action: null, file: null, ...UNWRITTEN });
}
