/** Where a Markdown text that still grows can be cut: what lies before a cut will not change any more. No DOM here. */

const FENCE = /^(`{3,}|~{3,})([^`]*)$/;

export class Blocks {
  /** The start of the block that is still open, as a place in the text. */
  start = 0;
  /** The code fence that is open, with the place where its code begins. @type {{mark: string, info: string, code: number} | null} */
  fence = null;
  #read = 0;
  #isAfterBlank = false;

  /**
   * Reads on in a text that only ever grows, line by line; a last line without an end is left for later.
   * @param {string} text
   * @param {(from: number, to: number) => void} close called for each block that is complete
   */
  read(text, close) {
    for (let end = text.indexOf("\n", this.#read); end >= 0; end = text.indexOf("\n", this.#read)) {
      const line = text.slice(this.#read, end);
      const next = end + 1;
      if (this.fence) {
        if (isClosing(line, this.fence.mark)) {
          this.fence = null;
          this.#close(next, close);
        }
      } else {
        const opening = FENCE.exec(line);
        // An indented line belongs to the list item before it, also after an empty line.
        if (opening || (this.#isAfterBlank && /^\S/.test(line))) this.#close(this.#read, close);
        if (opening) this.fence = { mark: opening[1], info: opening[2].trim(), code: next };
      }
      this.#isAfterBlank = !line.trim();
      this.#read = next;
    }
  }

  #close(at, close) {
    if (at > this.start) close(this.start, at);
    this.start = at;
  }
}

function isClosing(line, mark) {
  const words = line.trim();
  return words.length >= mark.length && words === mark[0].repeat(words.length);
}
