/** What the server takes for a new task: its own description says it of every field. */

import { api } from "./api.js";

/**
 * @typedef {object} Limits what a number may be; null where nothing is said
 * @property {number | null} least
 * @property {number | null} most
 * @property {boolean} isAbove whether it must be more than `least`
 * @property {boolean} isWhole
 * @property {any} byDefault what counts when nothing is given; null: no limit
 */

/** @returns {Promise<Map<string, Limits>>} by the name of the field, those of the options included. Raises `ApiError`. */
export async function readLimits() {
  const { NewTask: task, Options: options } = (await api.description()).components.schemas;
  const fields = Object.entries({ ...task.properties, ...options.properties });
  return new Map(fields.map(([name, schema]) => [name, limitsOf(schema)]));
}

function limitsOf(schema) {
  const { type, minimum, exclusiveMinimum, maximum } = schema.anyOf?.find((choice) => choice.type !== "null") ?? schema;
  return {
    least: minimum ?? exclusiveMinimum ?? null,
    most: maximum ?? null,
    isAbove: exclusiveMinimum !== undefined,
    isWhole: type === "integer",
    byDefault: schema.default ?? null,
  };
}
