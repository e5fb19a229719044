/** Times that usage is shown for: today, 7 and 30 days, in UTC as budgets are, and the same time before. */

import { h } from "../dom.js";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const LONG_DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" });
const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });

export const PERIODS = [
  [1, "Today", "yesterday until this hour"],
  [7, "7 days", "the 7 days before"],
  [30, "30 days", "the 30 days before"],
];
const USUAL = 7;

/** The period an address asks for, or the usual one. */
export function periodOf(params) {
  const asked = Number(params.get("days"));
  return PERIODS.some(([days]) => days === asked) ? asked : USUAL;
}

/** Links to the periods; the one that is shown is the current one. */
export function periodLinks(days) {
  return h(
    "nav.segments",
    { "aria-label": "Time" },
    PERIODS.map(([each, name]) =>
      h("a", { href: `#/overview?days=${each}`, "aria-current": each === days ? "true" : null }, name),
    ),
  );
}

/** { days, by, from, to, before, beforeTo, than } of so many days, the last of which is today. */
export function span(days, now = Date.now()) {
  const today = now - (now % DAY_MS);
  const from = today - (days - 1) * DAY_MS;
  const to = now - (now % HOUR_MS) + HOUR_MS;
  const back = days * DAY_MS;
  const than = PERIODS.find(([each]) => each === days)[2];
  return { days, by: days === 1 ? "hour" : "day", from, to, before: from - back, beforeTo: to - back, than };
}

/** The query of a report about a span. */
export const asking = ({ from, to }, by) => new URLSearchParams({ from, to, by });

/** A row for every hour or day of a span, in order; those without calls are zero. */
export function everyRow(series, { by, from, days }) {
  const step = by === "hour" ? HOUR_MS : DAY_MS;
  const known = new Map(series.map((row) => [Date.parse(row.bucket), row]));
  return Array.from({ length: by === "hour" ? 24 : days }, (_, at) => {
    const start = from + at * step;
    return { calls: 0, errors: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, ...known.get(start), start };
  });
}

/** What a row is called, in full and below an axis. */
export const labelOf = ({ by }) => (row) =>
  by === "hour" ? `${HOUR.format(row.start)}–${HOUR.format(row.start + HOUR_MS)} UTC` : LONG_DAY.format(row.start);
export const shortOf = ({ by }) => (row) => (by === "hour" ? HOUR : DAY).format(row.start);
