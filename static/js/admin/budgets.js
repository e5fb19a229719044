/** Budgets, of keys and of users: so many dollars in such a time, and for a while more. */

import { fromLocalInput, toLocalInput } from "../format.js";
import { field } from "../parts/field.js";
import { rows } from "../parts/rows.js";

const DAYS = [7, 30, 90];
const WINDOWS = [
  ["day", "a day"],
  ["week", "a week"],
  ["month", "a month"],
  ["total", "in total"],
];

/** The field for them, with a hint or without. */
export function budgetsField(value = [], hint = null) {
  // A rolling budget is a choice of its own for each number of days; those that are in use are added.
  const days = [...new Set([...DAYS, ...value.map((each) => each.days).filter(Boolean)])].sort((a, b) => a - b);
  return field({
    label: "Budgets",
    name: "budgets",
    hint,
    ...rows({
      columns: [
        { name: "usd", label: "US dollars", type: "number", placeholder: "US dollars" },
        {
          name: "window",
          label: "in",
          type: "select",
          options: [...WINDOWS, ...days.map((n) => [`rolling ${n}`, `in ${n} days`])],
        },
        { name: "raiseUsd", label: "raised by", type: "number", placeholder: "raised by" },
        { name: "raiseUntil", label: "raised until", type: "date-time", wide: true },
      ],
      add: "Add a budget",
      noun: "budget",
    }),
    value: value.map((each) => ({
      ...each,
      window: each.days ? `rolling ${each.days}` : each.window,
      raiseUntil: toLocalInput(each.raiseUntil),
    })),
    check: (lines) =>
      lines.some((each) => each.usd === null)
        ? "A budget needs an amount."
        : budgetsOf(lines).some((each) => (each.raiseUsd === null) !== (each.raiseUntil === null)) &&
          "A raise needs both: by how much, and until when.",
  });
}

/** What the field holds, as records keep it. */
export const budgetsOf = (lines) =>
  lines.map((each) => {
    const [window, days] = each.window.split(" ");
    return { ...each, window, days: days ? Number(days) : null, raiseUntil: fromLocalInput(each.raiseUntil) };
  });
