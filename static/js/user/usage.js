/** One's own usage: limits and when they begin anew, figures, charts, and the models that were used most. */

import { get } from "../api.js";
import { h } from "../dom.js";
import { count, money, number } from "../format.js";
import { barList } from "../reports/charts.js";
import { limitBars } from "../reports/limits.js";
import { OF_ONE, measures } from "../reports/measures.js";
import { overTime } from "../reports/over-time.js";
import { asking, span } from "../reports/period.js";

export async function fetchOwn(days) {
  const time = span(days);
  const ask = (by, between = time) => get(`/api/user/usage?${asking(between, by)}`);
  const [now, before, models] = await Promise.all([ask(time.by), ask(time.by, { from: time.before, to: time.beforeTo }), ask("model")]);
  return { time, now, before, models };
}

export function ownFaces({ time, now, before, models }) {
  return [
    limitsCard(now.limits),
    measures(OF_ONE, now.totals, before.totals, time.than),
    h("div.charts", overTime(now.series, time)),
    h("div.charts", modelsCard(models.series), spentCard(now.spent)),
  ];
}

function limitsCard(limits) {
  if (!limits.length) return h("section.card.pad.stack-small", { "aria-label": "Limits" }, h("h2", "Limits"), h("p.quiet-text", "There are none: neither you nor your key have a budget or a limit of calls."));
  return h("section.card.pad", { "aria-label": "Limits" }, h("h2", "Limits"), limitBars(limits, (limit) => (limit.of === "key" ? ", of your key" : ", of all you do")));
}

function modelsCard(series) {
  return barList({
    title: "Models",
    rows: series.map((row) => ({ ...row, name: row.bucket || "No model", value: row.costUsd || row.calls / 1e6 })),
    say: (row) => `${money(row.costUsd)} · ${count(row.calls, "call")}`,
    columns: [
      ["Spend", (row) => money(row.costUsd)],
      ["Calls", (row) => number(row.calls)],
      ["Tokens", (row) => number(row.inputTokens + row.outputTokens)],
    ],
  });
}

/** What the calendar counts, whatever the period above. */
function spentCard(spent) {
  const rows = [
    ["Today", spent.today],
    ["This week", spent.week],
    ["This month", spent.month],
    ["In all", spent.total],
  ];
  return h(
    "section.card.pad",
    { "aria-label": "By the calendar" },
    h("h2", "By the calendar"),
    h(
      "table.bill",
      { "aria-label": "By the calendar" },
      h("thead", h("tr", ["", "Spend", "Calls", "Tokens"].map((name, at) => h(at ? "th" : "td", { scope: at ? "col" : null, class: at ? "number" : null }, name)))),
      h(
        "tbody",
        rows.map(([name, each]) => h("tr", h("th", { scope: "row" }, name), [money(each.costUsd), number(each.requests), number(each.tokens)].map((text) => h("td.number", text)))),
      ),
    ),
    h("p.hint", "A call that was refused here, such as over a limit, counts for nothing."),
  );
}
