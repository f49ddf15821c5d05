/** Where each entry of the feed stands, from heights that were measured or, until then, are guessed. No DOM here. */

/** Pixels, with the gap below. */
const GUESSES = { step: 150, message: 150, files: 70, error: 110, status: 40, question: 130, result: 110, gap: 40 };

export class Layout {
  /** The entries that are shown, oldest first. @type {readonly import("./feed-model.js").Entry[]} */
  entries = [];
  /** The first entry when the places were counted: without it in front they all count anew. */
  #first = null;
  #heights = new WeakMap();
  /** #tops[i] is where entry i begins; good up to and with #counted. */
  #tops = [0];
  #counted = 0;

  /** @param {readonly import("./feed-model.js").Entry[]} entries the same array as before only if it has merely grown, or lost its first ones */
  set(entries) {
    if (entries !== this.entries || entries[0] !== this.#first || entries.length < this.#counted) this.#counted = 0;
    this.entries = entries;
    this.#first = entries[0] ?? null;
  }

  /** @param {number} index @param {number} height pixels, with the gap below @returns {boolean} whether it is another one than before */
  measure(index, height) {
    const entry = this.entries[index];
    if (this.#heights.get(entry) === height) return false;
    this.#heights.set(entry, height);
    this.#counted = Math.min(this.#counted, index);
    return true;
  }

  /** Where an entry begins; of the one after the last, where all end. */
  top(index) {
    for (; this.#counted < index; this.#counted += 1) this.#tops[this.#counted + 1] = this.#tops[this.#counted] + this.#height(this.#counted);
    return this.#tops[index];
  }

  get total() {
    return this.top(this.entries.length);
  }

  /** The entries that touch a stretch. @returns {[number, number]} the first, and the one after the last */
  range(from, to) {
    const first = this.#at(from);
    let end = first;
    while (end < this.entries.length && this.top(end) < to) end += 1;
    return [first, end];
  }

  /** The last entry that begins at or before a place, found by halving. */
  #at(place) {
    let [low, high] = [0, Math.max(0, this.entries.length - 1)];
    this.top(high);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#tops[middle] <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #height(index) {
    const entry = this.entries[index];
    return this.#heights.get(entry) ?? GUESSES[entry.kind];
  }
}
