/** What was used over time, as charts: spend and calls, for everybody's usage and one's own; and how long calls took. */

import { money, number } from "../format.js";
import { timeChart } from "./charts.js";
import { took } from "./measures.js";
import { everyRow, labelOf, shortOf } from "./period.js";

export function overTime(series, time) {
  const common = spans(series, time);
  const spend = timeChart({ ...common, title: "Spend", say: money, series: [{ name: "Spend", of: (row) => row.costUsd }] });
  const calls = timeChart({
    ...common,
    title: "Calls",
    say: (value) => number(value),
    isWhole: true,
    series: [
      { name: "Went well", of: (row) => row.calls - row.errors },
      { name: "Failed", of: (row) => row.errors, kind: "bad" },
    ],
  });
  return [spend, calls];
}

/** How long calls took that went well: half of them so long at most, and on top what it takes for 95 of 100. */
export function latency(series, time) {
  return timeChart({
    ...spans(series, time),
    title: "Latency",
    say: took,
    isWhole: true,
    series: [
      { name: "p50", of: (row) => row.latencyP50Ms ?? null },
      { name: "p95", of: (row) => row.latencyP95Ms ?? null, adds: (row) => (row.latencyP95Ms ?? 0) - (row.latencyP50Ms ?? 0), kind: "rest" },
    ],
  });
}

const spans = (series, time) => ({ rows: everyRow(series, time), label: labelOf(time), short: shortOf(time) });
