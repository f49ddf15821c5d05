/** What a task had come to with events that are not read here, or are no more: as the server tells of it. No DOM here. */

import { api } from "./api.js";
import { TaskModel } from "./model.js";

export class Past {
  #task;
  #model;
  /** What retention has deleted, and how all stood with it. @type {{gap: any, told: any} | null} */
  #lost = null;
  /** The events that were folded since the server was asked; null: nothing is asked. @type {import("./cursor.js").Event[] | null} */
  #since = null;

  /** @param {any} task as REST gives it @param {TaskModel} model the task as it is now */
  constructor(task, model) {
    this.#task = task;
    this.#model = model;
  }

  /** The task as it was before the first event that there is. */
  newModel = () => {
    const model = new TaskModel(this.#task.id).describe(this.#task);
    if (!this.#lost) return model;
    model.startAfter(this.#lost.gap.to, this.#lost.told);
    model.gap(this.#lost.gap);
    return model;
  };

  /** These were folded into the model, too. @param {import("./cursor.js").Event[]} events */
  follow(events) {
    this.#since?.push(...events);
  }

  /** Events up to one were deleted: the model goes on from there. */
  async lose(gap) {
    const lost = (this.#lost = { gap: { ...gap, from: 1 }, told: NOTHING });
    this.#model.gap(lost.gap);
    await this.look(gap.to, (told) => (lost.told = told));
  }

  /**
   * Asks how all stood after an event, and has the model go on from there with what it has folded since.
   * @param {number} through
   * @param {(told: any) => void} onTold
   */
  async look(through, onTold = () => {}) {
    const since = (this.#since = []);
    this.#model.past = "asked";
    const { id } = this.#task;
    const [metrics, files] = await Promise.allSettled([api.metrics(id, through), api.files(id, through)]);
    const told = { team: metrics.value?.team ?? null, files: files.value?.artifacts ?? [] };
    onTold(told);
    if (since !== this.#since) return; // it was asked again, of a later event
    this.#since = null;
    const past = new TaskModel(id).describe(this.#task);
    past.startAfter(through, told);
    for (const event of since) past.fold(event);
    this.#model.takeTeam(past);
    this.#model.past = [metrics, files].every(({ status }) => status === "fulfilled") ? "known" : "unknown";
  }
}

const NOTHING = { team: null, files: [] };
