/** Budgets, of keys and of users: so many dollars in such a time. */

import { field } from "../parts/field.js";
import { rows } from "../parts/rows.js";

const WINDOWS = [
  ["day", "a day"],
  ["week", "a week"],
  ["month", "a month"],
  ["total", "in total"],
];

/** The field for them, with a hint or without. */
export function budgetsField(value = [], hint = null) {
  return field({
    label: "Budgets",
    name: "budgets",
    hint,
    ...rows({
      columns: [
        { name: "usd", label: "US dollars", type: "number", placeholder: "US dollars" },
        { name: "window", label: "in", type: "select", options: WINDOWS },
      ],
      add: "Add a budget",
      noun: "budget",
    }),
    value,
  });
}

/** What the field holds, as records keep it. */
export const budgetsOf = (lines) => lines.filter((each) => each.usd !== null);
