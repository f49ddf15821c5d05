/** What a run has used in the course of time: folds LLM calls and the process's figures into short lines. No DOM here. */

/** Beyond this many points to a line two neighbours are made one, the higher one: peaks are what one looks for. */
const POINTS_MAX = 240;

export class Consumption {
  tokens = new Line();
  cost = new Line();
  cpu = new Line();
  memory = new Line();

  call({ timestamp, payload }) {
    const { prompt_tokens: prompt = 0, completion_tokens: completion = 0, cost_usd: cost } = payload;
    this.tokens.add(timestamp, (this.tokens.last ?? 0) + prompt + completion);
    if (cost !== null && cost !== undefined) this.cost.add(timestamp, (this.cost.last ?? 0) + cost);
  }

  process({ timestamp, payload: { cpu_percent: cpu, rss_bytes: memory } }) {
    this.cpu.add(timestamp, cpu);
    this.memory.add(timestamp, memory);
  }

  /** A copy that what is folded into this one does not change. */
  clone() {
    const copy = new Consumption();
    for (const [name, line] of Object.entries(this)) copy[name].points = [...line.points];
    return copy;
  }
}

class Line {
  /** @type {{at: number, value: number}[]} at: milliseconds since the epoch */
  points = [];

  get last() {
    return this.points.at(-1)?.value ?? null;
  }

  add(timestamp, value) {
    this.points.push({ at: Date.parse(timestamp), value });
    if (this.points.length <= POINTS_MAX) return;
    const joined = [];
    for (let index = 1; index < this.points.length; index += 2)
      joined.push({ at: this.points[index].at, value: Math.max(this.points[index - 1].value, this.points[index].value) });
    // The newest, if it is left over, stays as it is.
    if (this.points.length % 2) joined.push(this.points.at(-1));
    this.points = joined;
  }
}
