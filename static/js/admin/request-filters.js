/** What of the log is shown: search, filters and times, as the address has them and as the API wants them. */

import { get } from "../api.js";
import { calmly, h, uid } from "../dom.js";
import { LAST_MOMENT, fromLocalInput, toLocalInput } from "../format.js";
import { searchField } from "../parts/search.js";
import { ORIGINS } from "./request-words.js";

const NAMES = ["q", "model", "provider", "key", "user", "alias", "status", "origin", "since", "from", "to"];
const FIRST_MOMENT = "1971-01-01T00:00";
const STATUSES = [
  ["ok", "Went well"],
  ["error", "Failed"],
  ["4xx", "4xx"],
  ["429", "429, limited"],
  ["5xx", "5xx"],
];
const SPANS = [
  ["15m", "Last 15 minutes", 900_000],
  ["1h", "Last hour", 3_600_000],
  ["24h", "Last 24 hours", 86_400_000],
  ["7d", "Last 7 days", 604_800_000],
];

export const filterOf = (params) => Object.fromEntries(NAMES.map((name) => [name, params.get(name) ?? ""]));

/** How many filters are set, the search aside. */
export const countSet = (filter) => NAMES.filter((name) => name !== "q" && filter[name]).length;

/** The query of the API for a filter. */
export function queryOf({ since, ...filter }, now = Date.now()) {
  const span = SPANS.find(([id]) => id === since);
  const given = { ...filter, ...(span ? { from: now - span[2] } : {}) };
  return new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ""));
}

/** What can be chosen from: [value, name] of all there is. */
export async function fetchChoices() {
  const [models, providers, keys, users] = await Promise.all(["models", "providers", "apikeys", "users"].map((each) => get(`/api/admin/${each}`)));
  return {
    model: models.models.map((each) => [each.id, each.id]),
    provider: providers.providers.map((each) => [each.id, each.name || each.id]),
    key: keys.apiKeys.map((each) => [each.id, each.name || each.id]),
    user: users.users.map((each) => [each.id, each.username]),
  };
}

/** The field for searching; `changed({ q })`. */
export const searchBox = (filter, changed) =>
  searchField({ label: "Search the log", value: filter.q, oninput: calmly((q) => changed({ q }), 300) });

/** The other filters; `changed(members)` hears of a choice. */
export function filterFields(filter, choices, changed) {
  const select = (name, label, options, all = "All") => labelled(label, selectOf(options, filter[name], all, (value) => changed({ [name]: value })));
  const moment = (name, label) => {
    const ms = filter[name] && (Number(filter[name]) || Date.parse(filter[name]));
    const input = h("input", { type: "datetime-local", min: FIRST_MOMENT, max: LAST_MOMENT, value: ms ? toLocalInput(ms) : "" });
    // Not at once: a date that is being typed is many dates, and of the year 2 first of all.
    const take = calmly(() => input.validity.valid && changed({ since: "", [name]: input.value ? new Date(fromLocalInput(input.value)).toISOString() : "" }), 700);
    input.addEventListener("change", take);
    const field = labelled(label, input);
    field.classList.add("is-wide");
    return field;
  };
  return h(
    "div.filters",
    select("status", "Status", STATUSES, "Any"),
    select("origin", "Error of", ORIGINS, "Anybody"),
    select("model", "Model", choices.model),
    select("provider", "Provider", choices.provider),
    select("key", "API key", choices.key),
    select("user", "User", choices.user),
    filter.alias && select("alias", "Alias", []),
    labelled("Time", selectOf(SPANS, filter.since, filter.from || filter.to ? "As given" : "Any", (since) => changed({ since, from: "", to: "" }))),
    moment("from", "From"),
    moment("to", "Until"),
  );
}

function labelled(label, control) {
  control.id = uid("filter");
  return h("div", h("label", { for: control.id }, label), control);
}

/** A select; a value it does not have, such as of a model that is gone, is added. */
function selectOf(options, value, all, onchange) {
  const isGone = value && !options.some(([id]) => id === value);
  const select = h(
    "select",
    { onchange: () => onchange(select.value) },
    h("option", { value: "" }, all),
    isGone && h("option", { value }, value),
    options.map(([id, name]) => h("option", { value: id }, name)),
  );
  select.value = value;
  return select;
}
