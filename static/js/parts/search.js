/** Finding among many: a search field, a filter, and what matches. */

import { h, icon } from "../dom.js";
import { count, number } from "../format.js";

/** A search field for a toolbar. `oninput(text)` hears the text in lower case. */
export function searchField({ label, value = "", oninput }) {
  const input = h("input", {
    type: "search",
    placeholder: label,
    "aria-label": label,
    value,
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => oninput(input.value.trim()),
  });
  return h("div.search", icon("search"), input);
}

/** A filter for a toolbar: a select whose first choice is everything. `options`: [value, label]. */
export function filterSelect({ label, all = "All", options, value = "", onchange }) {
  const select = h(
    "select",
    { "aria-label": label, onchange: () => onchange(select.value) },
    h("option", { value: "" }, all),
    options.map(([id, name]) => h("option", { value: id }, name)),
  );
  select.value = value;
  if (select.selectedIndex < 0) select.value = "";
  return select;
}

/** Whether every word of a search is in one of the texts. */
export function matches(search, ...texts) {
  const all = texts.filter(Boolean).join("\n").toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** 3 of 12 models; 12 models, when that is all. */
export const countOf = (found, all, ...words) => `${found === all ? "" : `${number(found)} of `}${count(all, ...words)}`;
