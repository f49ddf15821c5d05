/** A reader's place in a task's log: what makes switching transports lose nothing and repeat nothing. No I/O here. */

/** @typedef {{event_id: number, task_id: string, timestamp: string, agent_role: string | null, event_type: string, payload: any}} Event */

export class Cursor {
  /** The last event_id taken. */
  at;

  constructor(at = 0) {
    this.at = at;
  }

  /**
   * Takes what follows the cursor without a hole. Events that were taken before are left out.
   * @param {Event[]} events
   * @returns {{fresh: Event[], missing: boolean}} missing: there is a hole, so ask again from the cursor
   */
  accept(events) {
    let skip = 0;
    while (skip < events.length && events[skip].event_id <= this.at) skip += 1;
    let end = skip;
    while (end < events.length && events[end].event_id === this.at + 1) {
      this.at += 1;
      end += 1;
    }
    const fresh = skip === 0 && end === events.length ? events : events.slice(skip, end);
    return { fresh, missing: end < events.length };
  }

  /** Steps over events that the server says are deleted. */
  skip(to) {
    if (to > this.at) this.at = to;
  }
}
