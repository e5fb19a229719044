/** What was used in a time: figures against the time before, three charts, and who and what used most. */

import { get } from "../api.js";
import { h, icon } from "../dom.js";
import { money, number } from "../format.js";
import { codeBlock } from "../parts/copy.js";
import { empty } from "../parts/faces.js";
import { troubleNote } from "../reports/trouble.js";
import { barList } from "../reports/charts.js";
import { OF_ALL, measures } from "../reports/measures.js";
import { latency, overTime } from "../reports/over-time.js";
import { asking, span } from "../reports/period.js";

// By what, the title, the filter of the log, what those without a name are called.
const LISTS = [
  ["model", "Models", "No model answered"],
  ["key", "API keys", "Master key, or none"],
  ["provider", "Providers", "No provider was asked"],
  ["user", "Users", "No user"],
];

/** All that is shown of so many days. */
export async function fetchUsage(days) {
  const time = span(days);
  const ask = (by, between = time) => get(`/api/admin/usage?${asking(between, by)}`);
  const [now, before, ...lists] = await Promise.all([
    ask(time.by),
    ask(time.by, { from: time.before, to: time.beforeTo }),
    ...LISTS.map(([by]) => ask(by)),
  ]);
  const isQuiet = now.totals.calls === 0 && before.totals.calls === 0;
  const isNew = isQuiet && (await get("/api/admin/requests?pageSize=1")).total === 0;
  return { time, now, before, lists, isNew };
}

export function usageFaces({ time, now, before, lists, isNew }, { base, model, names }) {
  const trouble = now.trouble && troubleNote(now.trouble);
  if (isNew) return [trouble, firstCall(base, model)];
  return [
    trouble,
    measures(OF_ALL, now.totals, before.totals, time.than),
    h("div.charts", overTime(now.series, time), latency(now.series, time)),
    h("div.charts", LISTS.map((list, at) => mostUsed(list, lists[at].series, time, names))),
  ];
}

function mostUsed([by, title, nameless], series, time, names) {
  // By money where there is any; a server of free models has calls to compare.
  const isPaid = series.some((row) => row.costUsd > 0);
  const from = new Date(time.from).toISOString();
  const rows = series.map((row) => ({
    ...row,
    name: row.bucket ? (by === "provider" && names.get(row.bucket)) || row.name || row.bucket : nameless,
    href: row.bucket && `#/requests?${new URLSearchParams({ [by]: row.bucket, from })}`,
    value: isPaid ? row.costUsd : row.calls,
  }));
  return barList({
    title,
    rows: isPaid ? rows : rows.sort((a, b) => b.calls - a.calls),
    say: (row) => `${money(row.costUsd)} · ${number(row.calls)} ${row.calls === 1 ? "call" : "calls"}`,
    columns: [
      ["Spend", (row) => money(row.costUsd)],
      ["Calls", (row) => number(row.calls)],
      ["Errors", (row) => number(row.errors)],
      ["Tokens", (row) => number(row.inputTokens + row.outputTokens)],
    ],
  });
}

/** Nobody has called yet: how to. */
function firstCall(base, model) {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello!" }] });
  return h(
    "section.card",
    empty({
      image: "usage",
      title: "No call yet",
      text: "What calls cost, how many there are and how long they take is shown here from the first one on. Make one in the playground, or with an API key:",
      actions: [
        h("a.button.primary", { href: "#/playground" }, icon("chat"), "Open the playground"),
        h("a.button", { href: "#/keys?new=1" }, icon("key"), "Create an API key"),
      ],
    }),
    h(
      "div.first-call",
      codeBlock(
        `curl ${base}/v1/chat/completions \\\n  -H "Authorization: Bearer $API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${body.replaceAll("'", "'\\''")}'`,
        { label: "a first call" },
      ),
    ),
  );
}
