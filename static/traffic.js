/** Who told whom how much: a fold over the messages of a run, for the graph of the team. No DOM here. */

/** Who is neither a role nor the system. */
export const PERSON = "Human";
const EDGES_MAX = 100;

/**
 * A message to one role has passed when it was sent. One to everyone has passed to those who begin to work with it as
 * the last that reached them; that all others may read it too would only say that everyone hears everyone.
 */
export class Traffic {
  /** By "from>to", in the order in which they came up. @type {Map<string, {from: string, to: string, count: number, last: number}>} */
  edges = new Map();
  /** Changes with every message. */
  version = 0;
  /** The last message to everyone, for those who have not begun a turn since. @type {{from: string, eventId: number} | null} */
  #everyone = null;
  /** The last message to everyone that each role does not begin with any more. */
  #heard = new Map();

  /** As the server tells of it (runner/measures.py). */
  static of({ roles, exchanges }) {
    const traffic = new Traffic();
    for (const { sender, receiver, count } of exchanges) traffic.edges.set(`${sender}>${receiver}`, { from: sender, to: receiver, count, last: 0 });
    const from = roles.find((role) => role.begins_with !== null)?.begins_with;
    if (from) traffic.#everyone = { from, eventId: 0 };
    for (const { agent_role: role, begins_with: sender } of roles) if (sender === null) traffic.#heard.set(role, 0);
    return traffic;
  }

  message({ event_id: eventId, agent_role: role, payload }) {
    const from = senderOf(role, payload.sent_from);
    for (const name of payload.send_to ?? []) {
      if (name === "<all>") this.#everyone = { from, eventId };
      else if (name !== "<none>") this.#address(from, lastPart(name), eventId);
    }
  }

  begin({ agent_role: role, event_id: eventId }) {
    const message = this.#everyone;
    if (!message || this.#heard.get(role) === message.eventId) return;
    this.#heard.set(role, message.eventId);
    this.#pass(message.from, role, eventId);
  }

  ask({ event_id: eventId, agent_role: role, payload }) {
    if (payload.role ?? role) this.#pass(payload.role ?? role, PERSON, eventId);
  }

  answer({ event_id: eventId }, role) {
    if (role) this.#pass(PERSON, role, eventId);
  }

  /** A copy that what is folded into this one does not change. */
  clone() {
    const copy = Object.assign(new Traffic(), this, { edges: new Map([...this.edges].map(([key, edge]) => [key, { ...edge }])) });
    copy.#everyone = this.#everyone;
    copy.#heard = new Map(this.#heard);
    return copy;
  }

  #address(from, to, eventId) {
    // What everyone was told before is not what it begins with.
    this.#heard.set(to, this.#everyone?.eventId);
    this.#pass(from, to, eventId);
  }

  #pass(from, to, eventId) {
    if (from === to) return;
    const key = `${from}>${to}`;
    const edge = this.edges.get(key);
    if (!edge && this.edges.size >= EDGES_MAX) return;
    this.edges.set(key, { from, to, count: (edge?.count ?? 0) + 1, last: eventId });
    this.version += 1;
  }
}

/** @param {string | null} role whose event it is @param {string} name as MetaGPT gives it, maybe with modules before it */
export function senderOf(role, name) {
  return role ?? (lastPart(name) || PERSON);
}

/** Whether a message is addressed to a role: by its name, or to everyone else. */
export function reaches(to, role, sender) {
  return (to ?? []).some((name) => (name === "<all>" ? role !== sender : lastPart(name) === role));
}

/** Whether an entry of the feed is something that one said to the other, from an event on. */
export function isBetween(entry, { from, to, since }) {
  if (entry.key < since) return false;
  if (entry.kind === "message") return senderOf(entry.role, entry.from) === from && reaches(entry.to, to, from);
  return entry.kind === "question" && ((to === PERSON && entry.role === from) || (from === PERSON && entry.role === to));
}

const lastPart = (name) => (name ?? "").split(".").at(-1);
