/** Spend and calls over time: two charts, for everybody's usage and one's own. */

import { money, number } from "../format.js";
import { timeChart } from "./charts.js";
import { everyRow, labelOf, shortOf } from "./period.js";

export function overTime(series, time) {
  const rows = everyRow(series, time);
  const common = { rows, label: labelOf(time), short: shortOf(time) };
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
