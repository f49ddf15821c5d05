/** Figures for people. No DOM here. */

import { text } from "./text.js";

const compact = new Intl.NumberFormat(text.locale, { notation: "compact", maximumFractionDigits: 1 });
const relative = new Intl.RelativeTimeFormat(text.locale, { numeric: "auto", style: "narrow" });
const clock = new Intl.DateTimeFormat(text.locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** 950 → "950", 12 345 → "12.3K" */
export function amount(number) {
  return number < 10_000 ? number.toLocaleString(text.locale) : compact.format(number);
}

/**
 * US dollars, with as many digits as a small amount needs; of calls without a price nobody knows the cost.
 * @param {{cost_usd: number | null, unpriced_calls?: number}} usage
 * @param {boolean} [countsLess] not all calls are in the usage
 */
export function cost({ cost_usd: usd, unpriced_calls: unpriced = 0 }, countsLess = false) {
  const isPartial = unpriced > 0 || countsLess;
  if (usd === null || usd === undefined || (isPartial && !usd)) return text.task.costUnknown;
  const digits = usd > 0 && usd < 1 ? 4 : 2;
  const shown = `$${usd.toFixed(digits)}`;
  return isPartial ? text.task.atLeast(shown) : shown;
}

/** Milliseconds as "420 ms", "3.2 s", "4:05" or "1:02:03". */
export function duration(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return stopwatch(ms);
}

/** Milliseconds as "250 ms", "1.25 s" or "4:05.25": as many digits as it has. */
export function moment(ms) {
  if (ms < 1000) return duration(ms);
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(3))} s`;
  return stopwatch(ms) + fraction(ms);
}

/** A time of the day as "12:04:05", or "12:04:05.25": as many digits as it has. @param {number} at milliseconds since the epoch */
export function clockMoment(at) {
  return time(at) + fraction(at);
}

function fraction(ms) {
  const rest = Math.floor(ms % 1000);
  return rest ? (rest / 1000).toFixed(3).slice(1).replace(/0+$/, "") : "";
}

/** Milliseconds as "0:07", "4:05" or "1:02:03". */
export function stopwatch(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const pair = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${pair(minutes)}:${pair(seconds % 60)}` : `${minutes}:${pair(seconds % 60)}`;
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${(size / 1024).toFixed(1)} kB`;
  return `${(size / 1024 / 1024).toFixed(1)} MB`;
}

/** "2m ago" */
export function age(timestamp, now) {
  const seconds = Math.min(0, (Date.parse(timestamp) - now) / 1000);
  if (seconds > -60) return relative.format(0, "second");
  if (seconds > -3600) return relative.format(Math.trunc(seconds / 60), "minute");
  if (seconds > -86_400) return relative.format(Math.trunc(seconds / 3600), "hour");
  return relative.format(Math.trunc(seconds / 86_400), "day");
}

export function time(timestamp) {
  return clock.format(new Date(timestamp));
}
