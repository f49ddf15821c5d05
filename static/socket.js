/** One WebSocket: opened, kept alive by heartbeat, and given up when it is silent. What it says is not known here. */

const OPEN_MS = 10_000;
const QUIET_MS = 15_000;
const SILENT_MS = 10_000;
const CHECK_MS = 2_500;

export class Socket {
  #socket;
  #heard = performance.now();
  #pinged = 0;
  #greeted = false;
  #timers = [];
  #handlers;

  /**
   * @param {string} url
   * @param {{frame: (frame: any) => void, closed: (end: {reason: string, greeted: boolean}) => void}} handlers
   *   closed: called once, unless close() came first; greeted: whether the server had said hello
   */
  constructor(url, handlers) {
    this.#handlers = handlers;
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = (message) => this.#receive(JSON.parse(message.data));
    this.#socket.onclose = (event) => this.#end(event.code in CODES ? String(event.code) : "lost");
    this.#timers = [setTimeout(() => !this.#greeted && this.#end("silent"), OPEN_MS), setInterval(() => this.#beat(), CHECK_MS)];
  }

  send(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** Lets go of the connection; nothing is called afterwards. */
  close() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }

  #receive(frame) {
    this.#heard = performance.now();
    this.#pinged = 0;
    if (frame.op === "hello") this.#greeted = true;
    this.#handlers.frame(frame);
  }

  #beat() {
    const now = performance.now();
    if (this.#pinged && now - this.#pinged > SILENT_MS) this.#end("silent");
    else if (!this.#pinged && this.#greeted && now - this.#heard > QUIET_MS) {
      // A hidden page's timers may be minutes apart, so the silence is counted from the ping.
      this.#pinged = now;
      this.send({ op: "ping" });
    }
  }

  #end(reason) {
    this.close();
    this.#handlers.closed({ reason, greeted: this.#greeted });
  }
}

/** Close codes that have words of their own in text.js. */
const CODES = { 1012: true, 1013: true, 4400: true, 4401: true, 4403: true, 4408: true };
