/** The difference between a record as it was and as it is, field by field. */

import { h } from "../dom.js";

/** [{ field, before, after }] of what is not the same; what is within a field is told with a dot: price.input. */
export function differences(before, after) {
  const [old, now] = [flat(before), flat(after)];
  const fields = [...new Set([...old.keys(), ...now.keys()])];
  return fields
    .map((field) => ({ field, before: old.get(field), after: now.get(field) }))
    .filter((each) => each.before !== each.after);
}

/** A table of them, as a list of definitions that is narrow where the screen is. */
export function changesOf(found) {
  return h(
    "div.changes",
    { role: "table", "aria-label": "Changes" },
    line([h("span.head.field", { role: "columnheader" }, "Field"), h("span.head", { role: "columnheader" }, "Before"), h("span.head", { role: "columnheader" }, "After")]),
    found.map(({ field, before, after }) =>
      line([
        h("span.field", { role: "rowheader" }, field || "value"),
        h("span", { role: "cell", class: before === undefined ? "" : "was" }, text(before)),
        h("span", { role: "cell", class: after === undefined ? "" : "is" }, text(after)),
      ]),
    ),
  );
}

const line = (cells) => h("div.changes-line", { role: "row" }, cells);

const text = (value) => (value === undefined ? "–" : value === '""' ? "(empty)" : value.startsWith('"') ? JSON.parse(value) : value);

/** Every leaf of a value, by its path, as JSON. Lists are leaves: their order matters. */
function flat(value, path = "", found = new Map()) {
  if (value === null || value === undefined) {
    if (path && value === null) found.set(path, "null");
  } else if (typeof value === "object" && !Array.isArray(value)) {
    for (const [name, each] of Object.entries(value)) flat(each, path ? `${path}.${name}` : name, found);
  } else found.set(path, JSON.stringify(value));
  return found;
}
