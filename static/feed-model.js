/** The story of a run as a bounded list of entries, oldest first. No DOM here. */

/** Beyond this many entries, or characters in them, the oldest are dropped; some at once, so that it costs little per event. */
const ENTRIES_MAX = 25_000;
const CHARS_MAX = 20_000_000;
const DROP_AT_ONCE = 500;
/** Characters kept per entry; the log on the server has all. */
const TEXT_MAX = 100_000;
const FILES_MAX = 50;
/** The error of a call of the model that nobody waits for any more. */
const CANCELLED = "cancelled";
/** MetaGPT's structured answers, and other JSON. */
export const STRUCTURED = /^\s*(?:\[CONTENT\]|\{|\[\s*(?:[[{"\]\d-]|$))/;

/**
 * @typedef {object} Entry
 * @property {number} key the event_id that began it
 * @property {string} kind step | message | files | error | status | question | result | gap
 * @property {string | null} role
 * @property {string} at timestamp
 * @property {number} version grows with every change
 * @property {string | null} whole the file that holds all of it, when the log has an excerpt
 * @property {string} [text]
 * @property {number} [cut] characters of the text that were not kept
 */

export class FeedModel {
  /** @type {Entry[]} */
  entries = [];
  dropped = 0;
  version = 0;

  #chars = 0;
  /** The steps that each role has open, innermost last. @type {Map<string | null, Entry[]>} */
  #open = new Map();
  #calls = new Map();
  #questions = new Map();

  /** @param {import("./cursor.js").Event} event */
  add(event, kind, fields = {}) {
    const whole = event.payload?.whole?.path ?? null;
    const entry = { key: event.event_id, kind, role: event.agent_role, at: event.timestamp, version: 0, whole, ...fields };
    this.entries.push(entry);
    if (this.entries.length > ENTRIES_MAX || this.#chars > CHARS_MAX) this.#drop();
    this.version += 1;
    return entry;
  }

  #drop() {
    const gone = this.entries.splice(0, Math.min(DROP_AT_ONCE, this.entries.length - 1));
    this.dropped += gone.length;
    for (const { text } of gone) this.#chars -= text?.length ?? 0;
  }

  /** Adds to an entry's text, which is bounded. */
  append(entry, addition) {
    const room = Math.max(0, TEXT_MAX - entry.text.length);
    const taken = addition.length > room ? addition.slice(0, room) : addition;
    entry.text += taken;
    entry.cut += addition.length - taken.length;
    this.#chars += taken.length;
  }

  /** The entry that an event is told in, or the one before it; null when it is not kept. */
  entryOf(eventId) {
    return this.entries.findLast(({ key }) => key <= eventId) ?? null;
  }

  /** The steps that go on. */
  get running() {
    return [...this.#open.values()].flat();
  }

  message(event) {
    const { message, content, cause_by: cause, sent_from: from, send_to: to } = event.payload;
    // What one role hands to the next is often JSON: then the sentence about it is what a person reads.
    const lead = !content || STRUCTURED.test(content) ? message : null;
    const entry = this.add(event, "message", { cause, from, to, lead, text: "", cut: 0 });
    this.append(entry, content ?? "");
  }

  startStep(event) {
    const { action, file } = event.payload;
    const entry = this.add(event, "step", { ...newStep(), action, file });
    const steps = this.#open.get(event.agent_role);
    if (steps) steps.push(entry);
    else this.#open.set(event.agent_role, [entry]);
  }

  endStep(event) {
    const { action, file, duration_ms: durationMs } = event.payload;
    const steps = this.#open.get(event.agent_role) ?? [];
    const at = steps.findLastIndex((step) => step.action === action && (!file || !step.file || step.file === file));
    if (at < 0) return;
    const [entry] = steps.splice(at, 1);
    this.#change(entry, { state: "done", durationMs, file: file ?? entry.file });
  }

  token(event) {
    const { call, delta } = event.payload;
    let entry = this.#calls.get(call);
    if (!entry) {
      entry = this.#openStep(event.agent_role) ?? this.add(event, "step", { ...newStep(), alone: true });
      if (entry.text) this.append(entry, "\n\n");
      this.#calls.set(call, entry);
    }
    this.append(entry, delta);
    this.#change(entry);
  }

  endCall(event) {
    const { call, error, prompt_tokens: prompt = 0, completion_tokens: completion = 0, cost_usd: cost } = event.payload;
    const entry = this.#calls.get(call) ?? this.#openStep(event.agent_role);
    this.#calls.delete(call);
    if (entry) this.#change(entry, { prompt: entry.prompt + prompt, completion: entry.completion + completion, cost: entry.cost + (cost ?? 0) });
    if (entry?.alone) this.#change(entry, { state: "done", durationMs: event.payload.duration_ms });
    // What was stopped on request is told by the status.
    if (error && error !== CANCELLED) this.add(event, "error", { text: error, cut: 0, fatal: false });
  }

  file(event) {
    const { path, version } = event.payload;
    const last = this.entries.at(-1);
    const entry =
      this.#openStep(event.agent_role) ??
      (last?.files && last.role === event.agent_role ? last : this.add(event, "files", { files: [] }));
    if (entry.files.length < FILES_MAX) entry.files.push({ path, version });
    this.#change(entry);
  }

  question(event) {
    const role = event.payload.role ?? event.agent_role;
    const entry = this.add(event, "question", { role, text: "", cut: 0, answer: null, isOpen: true, files: this.#writtenBy(role) });
    this.append(entry, event.payload.question);
    this.#questions.set(event.payload.request_id, entry);
  }

  /** What the open question is about: the files that the role has written since it asked last. @param {string} requestId */
  filesOf(requestId) {
    return this.#questions.get(requestId)?.files ?? [];
  }

  answer(event) {
    const entry = this.#questions.get(event.payload.request_id);
    this.#questions.delete(event.payload.request_id);
    if (entry) this.#change(entry, { answer: event.payload.answer ?? event.payload.message, isOpen: false });
  }

  /** The attempt is over: what is still open will not go on. */
  endAttempt() {
    for (const entry of [...[...this.#open.values()].flat(), ...this.#calls.values()])
      if (entry.state === "running") this.#change(entry, { state: "interrupted" });
    for (const entry of this.#questions.values()) this.#change(entry, { isOpen: false });
    this.#open.clear();
    this.#calls.clear();
    this.#questions.clear();
  }

  /** A copy that what is added to this one does not change. */
  clone() {
    const copies = new Map();
    const copied = (entry) => {
      if (!copies.has(entry)) copies.set(entry, { ...entry, ...(entry.files && { files: [...entry.files] }) });
      return copies.get(entry);
    };
    const copy = Object.assign(new FeedModel(), this, { entries: this.entries.map(copied) });
    copy.#chars = this.#chars;
    copy.#open = new Map([...this.#open].map(([role, steps]) => [role, steps.map(copied)]));
    copy.#calls = new Map([...this.#calls].map(([call, entry]) => [call, copied(entry)]));
    copy.#questions = new Map([...this.#questions].map(([id, entry]) => [id, copied(entry)]));
    return copy;
  }

  /** The files that a role has written since it asked last, or since the attempt began, each once in its last version. */
  #writtenBy(role) {
    const written = new Map();
    for (let at = this.entries.length - 1; at >= 0; at -= 1) {
      const entry = this.entries[at];
      if (entry.status === "QUEUED" || (entry.kind === "question" && entry.role === role)) break;
      if (entry.role !== role) continue;
      for (const file of entry.files?.toReversed() ?? []) if (!written.has(file.path)) written.set(file.path, file);
    }
    return [...written.values()].toReversed().slice(0, FILES_MAX);
  }

  #openStep(role) {
    return this.#open.get(role)?.at(-1);
  }

  #change(entry, fields = {}) {
    Object.assign(entry, fields);
    entry.version += 1;
    this.version += 1;
  }
}

const newStep = () => ({ state: "running", action: null, file: null, text: "", cut: 0, files: [], durationMs: null, prompt: 0, completion: 0, cost: 0 });
