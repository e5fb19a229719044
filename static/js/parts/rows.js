/** A short list that is edited line by line: headers, prices, places of a model, budgets. Lines can be put in order. */

import { announce, fill, h, icon } from "../dom.js";
import { LAST_MOMENT } from "../format.js";

/**
 * The properties `control`, `read` and `write` of a field. `columns`: { name, label, type: text | number | select | secret |
 * date-time, options, placeholder, wide, counts }. `add` are the words on the button, `noun` what one line is. With `ordered`
 * lines can be moved. `read` answers a list of objects without the blank lines: a choice alone is one, unless it `counts`.
 * Numbers are numbers, and what has no column stays.
 */
export function rows({ columns, add, noun = "line", ordered = false, empty = "" }) {
  const list = h("div.rows-list");
  const control = h(
    "div.rows",
    list,
    h("button", { type: "button", onclick: () => append({}, true) }, icon("plus"), add),
  );

  function append(value, isNew) {
    const inputs = columns.map((column) => cell(column, value[column.name]));
    const move = (by) => {
      const to = by < 0 ? line.previousElementSibling : line.nextElementSibling;
      if (!to?.classList.contains("rows-line")) return;
      if (by < 0) to.before(line);
      else to.after(line);
      changed(`Moved ${by < 0 ? "up" : "down"}.`);
    };
    const line = h(
      "div.rows-line",
      { data: { columns: columns.length } },
      inputs,
      h(
        "span.rows-tools",
        ordered &&
          h("button.quiet.square", { type: "button", "aria-label": "Move up", onclick: () => move(-1) }, icon("up")),
        ordered &&
          h("button.quiet.square", { type: "button", "aria-label": "Move down", onclick: () => move(1) }, icon("down")),
        h(
          "button.quiet.square",
          { type: "button", "aria-label": `Remove this ${noun}`, onclick: () => take(line) },
          icon("cross"),
        ),
      ),
    );
    list.querySelector(".rows-none")?.remove();
    line.given = value;
    list.append(line);
    if (isNew) {
      inputs[0].focus();
      changed("");
    }
  }

  function take(line) {
    const next = line.nextElementSibling ?? line.previousElementSibling;
    line.remove();
    sayNone();
    (next?.querySelector("input, select") ?? control.querySelector(":scope > button")).focus();
    changed(`Removed the ${noun}.`);
  }

  function changed(text) {
    if (text) announce(text);
    control.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function sayNone() {
    if (empty && !list.childElementCount) list.append(h("p.rows-none.quiet-text", empty));
  }

  const read = () =>
    [...list.querySelectorAll(".rows-line")]
      .map((line) => ({
        ...line.given,
        ...Object.fromEntries(
          columns.map(({ name, type }) => [name, valueOf(line.querySelector(`[data-name="${name}"]`), type)]),
        ),
      }))
      .filter((each) =>
        columns.some(({ name, type, counts }) => (counts || type !== "select") && each[name] !== "" && each[name] !== null),
      );
  const write = (values) => {
    fill(list);
    values.forEach((each) => append(each, false));
    sayNone();
  };
  write([]);
  return { control, read, write };
}

function cell({ name, label, type = "text", options = [], placeholder, wide }, value) {
  const properties = {
    "aria-label": label,
    data: { name, wide: wide ? "yes" : "no" },
    placeholder: placeholder ?? label,
    autocomplete: "off",
    spellcheck: "false",
  };
  if (type === "select") {
    const missing = value && !options.some(([id]) => id === value) ? [[value, `${value} (not there)`]] : [];
    return h(
      "select",
      { ...properties, value: value ?? options[0]?.[0] },
      [...missing, ...options].map(([id, words]) => h("option", { value: id }, words)),
    );
  }
  if (type === "number")
    return h("input", {
      ...properties,
      type: "number",
      step: "any",
      min: "0",
      inputmode: "decimal",
      value: value ?? "",
    });
  const kind = type === "date-time" ? { type: "datetime-local", max: LAST_MOMENT } : { type: "text" };
  return h("input", { ...properties, ...kind, value: value ?? "" });
}

function valueOf(input, type) {
  if (type !== "number") return input.value.trim();
  return input.value === "" ? null : Number(input.value);
}

/** What is wrong with the lines of a mapping, which would lose one of them: no name, or one that another line has. */
export function wrongIn(lines) {
  const names = lines.map(({ name }) => name);
  if (names.includes("")) return "A line has nothing on its left, so it would be lost.";
  const twice = names.find((each, at) => names.indexOf(each) < at);
  return twice && `There are two lines for "${twice}".`;
}

/** A mapping as lines and back: { a: "b" } ⇄ [{ name: "a", value: "b" }]. */
export const toLines = (mapping = {}) => Object.entries(mapping ?? {}).map(([name, value]) => ({ name, value }));
export const toMapping = (lines) =>
  Object.fromEntries(lines.filter(({ name }) => name).map(({ name, value }) => [name, value]));
