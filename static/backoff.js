/** How long to wait before the next attempt: doubling, capped, jittered so that many pages do not return at once. */

const FIRST_MS = 400;

export class Backoff {
  failures = 0;

  /** @param {number} capMs @returns {number} milliseconds */
  next(capMs) {
    const full = Math.min(capMs, FIRST_MS * 2 ** this.failures);
    this.failures += 1;
    return full * (0.5 + Math.random() / 2);
  }

  reset() {
    this.failures = 0;
  }
}
