/** Where a time stands on the lanes. Pauses are drawn short, so that a night's wait for an answer hides nothing. No DOM here. */

/** A pause takes no more than this share of the time at work, nor less than this many milliseconds. */
const PAUSE_SHARE = 0.04;
const PAUSE_MIN_MS = 400;
/** Steps between ticks, in milliseconds. */
const STEPS = [100, 250, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 21600e3, 43200e3, 86400e3];

export class Timescale {
  /** Pauses that are drawn shorter than they were. @type {{from: number, to: number, x: number}[]} */
  breaks = [];
  /** Times and the places that they stand at, both rising. */
  #knots;
  #width;

  /** @param {{start: number, end: number, pauses: {from: number, to: number}[], width: number}} options width in pixels */
  constructor({ start, end, pauses, width }) {
    this.start = start;
    this.end = Math.max(end, start + 1);
    this.#width = width;
    const inside = pauses.map(({ from, to }) => ({ from: Math.max(from, start), to: Math.min(to, end) })).filter(({ from, to }) => to > from);
    const paused = inside.reduce((sum, { from, to }) => sum + to - from, 0);
    const shown = Math.max(PAUSE_MIN_MS, (this.end - start - paused) * PAUSE_SHARE);
    const knots = [{ at: start, x: 0 }];
    const put = (at, length) => knots.push({ at, x: knots.at(-1).x + length });
    const long = inside.filter(({ from, to }) => to - from > shown);
    for (const { from, to } of long) {
      put(from, from - knots.at(-1).at);
      put(to, shown);
    }
    put(this.end, this.end - knots.at(-1).at);
    const factor = width / knots.at(-1).x;
    this.#knots = knots.map(({ at, x }) => ({ at, x: x * factor }));
    this.breaks = long.map(({ from, to }) => ({ from, to, x: this.x((from + to) / 2) }));
    this.msPerPixel = 1 / factor;
  }

  /** @param {number} at milliseconds @returns {number} pixels */
  x(at) {
    return this.#between(at, "at", "x");
  }

  /** @param {number} x pixels @returns {number} milliseconds */
  time(x) {
    return this.#between(Math.min(Math.max(x, 0), this.#width), "x", "at");
  }

  /** Times at least `apart` pixels from each other, round as counted from an origin in milliseconds. */
  ticks(apart, origin = this.start) {
    const step = STEPS.find((ms) => ms / this.msPerPixel >= apart) ?? STEPS.at(-1) * Math.ceil((apart * this.msPerPixel) / STEPS.at(-1));
    const ticks = [];
    let last = -Infinity;
    for (let index = 1; index < this.#knots.length; index += 1) {
      const [from, to] = [this.#knots[index - 1], this.#knots[index]];
      const isBreak = this.breaks.some((pause) => pause.from === from.at && pause.to === to.at);
      if (isBreak) continue;
      for (let at = origin + Math.ceil((from.at - origin) / step) * step; at < to.at; at += step) {
        const x = this.x(at);
        if (x - last < apart || this.breaks.some((pause) => Math.abs(pause.x - x) < apart)) continue;
        ticks.push({ at, x });
        last = x;
      }
    }
    return ticks;
  }

  #between(value, given, wanted) {
    const knots = this.#knots;
    let index = knots.findIndex((knot) => knot[given] >= value);
    if (index < 0) index = knots.length - 1;
    const [from, to] = [knots[Math.max(0, index - 1)], knots[Math.max(1, index)]];
    const share = to[given] === from[given] ? 0 : (value - from[given]) / (to[given] - from[given]);
    return from[wanted] + Math.min(1, Math.max(0, share)) * (to[wanted] - from[wanted]);
  }
}
