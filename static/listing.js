/** The tasks that are in the list: pages that were read, and what was told since. No DOM here. */

/** @typedef {{q: string, status: string}} Query words to be found, and a status; each empty for any */
/** @typedef {{query: Query, next: string | null, askedAt: number, left: Set<string>}} Reading a page that is on its way; left: the tasks that have left the list meanwhile */

export class Listing {
  /** @type {Query} */
  query = { q: "", status: "" };
  /** How many tasks there are of each status, of those that are searched for. @type {Record<string, number>} */
  counts = {};
  /** Where the next page begins; null: there is none. @type {string | null} */
  next = null;
  /** How many tasks came with pages that follow each other. */
  #loaded = 0;
  /** When the newest page that is here was asked for; null: none is. @type {number | null} */
  #askedAt = null;
  /** @type {Map<string, {task: any, heardAt: number}>} */
  #entries = new Map();
  /** @type {Set<Reading>} */
  #readings = new Set();

  /** Asks for other tasks: those that are here do not count any more. @param {Query} query */
  begin(query) {
    this.query = query;
    this.next = null;
    this.#askedAt = null;
    this.#loaded = 0;
    this.#entries.clear();
  }

  /** Whether there was an answer to what is asked for. */
  get isRead() {
    return this.#askedAt !== null;
  }

  /** How many tasks there are beside those of the pages that were asked for. */
  get grown() {
    return this.#entries.size - this.#loaded;
  }

  /** @param {string} taskId */
  has(taskId) {
    return this.#entries.has(taskId);
  }

  /** The one that came last is the first, as in the pages. */
  get tasks() {
    return [...this.#entries.values()].map(({ task }) => task).sort((a, b) => (cameAt(a) < cameAt(b) ? 1 : cameAt(a) > cameAt(b) ? -1 : 0));
  }

  /**
   * A task has changed, or was deleted.
   * @param {string} taskId
   * @param {any} task null: it was deleted
   * @returns {boolean} false where only the server can say whether the task is among those that are searched for
   */
  tell(taskId, task) {
    const known = this.#entries.get(taskId)?.task;
    const isWanted = task !== null && (!this.query.status || task.status === this.query.status);
    if (!isWanted) for (const { left } of this.#readings) left.add(taskId);
    if (known) this.#recount(known.status, task?.status);
    if (!isWanted) this.#entries.delete(taskId);
    else if (!known && this.query.q) return false;
    // What is told does not say where the words stand.
    else if (known || !this.#isFurther(task)) this.#put({ ...task, snippet: known?.snippet }, performance.now());
    return true;
  }

  /** To be called when a page is asked for. @returns {Reading} */
  open() {
    const reading = { query: this.query, next: this.next, askedAt: performance.now(), left: new Set() };
    this.#readings.add(reading);
    return reading;
  }

  /** To be called when it has come, or will not. @param {Reading} reading */
  close(reading) {
    this.#readings.delete(reading);
  }

  /** Takes a first page. What was told since it was asked for is newer. @param {Reading} reading @param {any} page */
  take(reading, { tasks, next_cursor: next, counts }) {
    if (reading.query !== this.query || reading.askedAt < this.#askedAt) return;
    const found = new Set(tasks.map(({ id }) => id));
    const oldest = next ? cameAt(tasks.at(-1)) : "";
    // Where its last task was here already, what follows is as well. Else it would be behind a hole.
    const goesOn = this.isRead && next !== null && this.#entries.has(tasks.at(-1).id);
    for (const [id, { task, heardAt }] of this.#entries) {
      const isWithin = cameAt(task) >= oldest;
      if (!found.has(id) && (isWithin ? heardAt < reading.askedAt : !goesOn)) this.#entries.delete(id);
    }
    this.#add(reading, tasks);
    this.counts = counts;
    this.#askedAt = reading.askedAt;
    if (goesOn) return;
    this.next = next;
    this.#loaded = tasks.length;
  }

  /** Takes the page that follows, unless another one does by now. @param {Reading} reading @param {any} page @returns {string | null} the first task that was not here */
  append(reading, { tasks, next_cursor: next }) {
    if (reading.query !== this.query || reading.next !== this.next) return null;
    const first = tasks.find(({ id }) => !this.#entries.has(id) && !reading.left.has(id));
    this.#add(reading, tasks);
    this.next = next;
    this.#loaded += tasks.length;
    return first?.id ?? null;
  }

  #add({ askedAt, left }, tasks) {
    for (const task of tasks) if (!left.has(task.id) && !(this.#entries.get(task.id)?.heardAt >= askedAt)) this.#put(task, askedAt);
  }

  /** Whether a task belongs to a page that was not read yet. */
  #isFurther(task) {
    return this.next !== null && this.#entries.size > 0 && [...this.#entries.values()].every((entry) => cameAt(task) < cameAt(entry.task));
  }

  #put(task, heardAt) {
    this.#entries.set(task.id, { task, heardAt });
  }

  #recount(from, to) {
    if (from === to) return;
    this.counts = { ...this.counts, [from]: Math.max(0, (this.counts[from] ?? 0) - 1) };
    if (to) this.counts[to] = (this.counts[to] ?? 0) + 1;
  }
}

/** When a task came to this server; one that was taken in from a file had begun elsewhere. */
const cameAt = ({ created_at: created, imported_at: imported }) => imported ?? created;
