/** What a model costs: the fields of its prices, and the list price of a well-known one, which is shown before it is taken. */

import { ApiError, get } from "../api.js";
import { announce, fill, h } from "../dom.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { rows } from "../parts/rows.js";
import { KINDS, listName, priceText } from "./price-words.js";

const TIER = [
  { name: "aboveTokens", label: "Above how many tokens", type: "number", placeholder: "Tokens" },
  ...KINDS.slice(0, 4).map(([name, label]) => ({
    name,
    label: `${label} above that`,
    type: "number",
    placeholder: label,
  })),
];

/**
 * Fields for a price, put into `place`. `read()` answers the price as it stands, or null; `offer(provider, model, place)`
 * looks for a list price and shows it there, unless it is the one that stands already.
 */
export function priceFields(price, place) {
  const inputs = KINDS.map(([name, label, unit]) => [name, field({ label, type: "number", hint: unit })]);
  const tiers = field({
    label: "Long prompts",
    hint: "With more input than that, all tokens of a call cost this. What is left empty costs what it costs below.",
    ...rows({ columns: TIER, add: "Add a tier", noun: "tier" }),
  });
  let base = {};
  let asked = "";

  function write(given) {
    base = given ?? {};
    for (const [name, each] of inputs) each.value = base[name] ?? "";
    tiers.value = base.longContext ?? [];
  }

  /** What has no field here stays as it was. */
  function read() {
    const found = put(base, Object.fromEntries(inputs.map(([name, each]) => [name, each.value])));
    const old = (above) => base.longContext?.find((each) => each.aboveTokens === above);
    const long = tiers.value.map((each) => put(old(each.aboveTokens) ?? {}, each));
    if (long.length) found.longContext = long;
    else delete found.longContext;
    return Object.keys(found).length ? found : null;
  }

  async function offer(provider, model, shown) {
    const address = `/api/admin/prices?${new URLSearchParams({ provider, model })}`;
    if (address === asked) return;
    asked = address;
    const asking = model ? get(address, { quiet: true }) : Promise.resolve(null);
    const found = await asking.catch((error) => {
      // An offer is a kindness: without it prices are typed.
      if (!(error instanceof ApiError)) throw error;
      return null;
    });
    if (address !== asked) return;
    const isNews = found && JSON.stringify(read()) !== JSON.stringify(found.price);
    fill(shown, isNews && face(found, shown));
    shown.hidden = !isNews;
  }

  function face(found, shown) {
    const take = h("button", { type: "button", onclick: () => taken(found, shown) }, `Take ${listName(found)}`);
    return note("info", h("p", h("strong", `${found.provider}, ${found.model}`), `: ${priceText(found.price)}.`), take);
  }

  function taken(found, shown) {
    write(found.price);
    place.closest("details").open = true;
    fill(shown);
    shown.hidden = true;
    inputs[0][1].focus();
    announce("The list price is filled in. It counts once the model is saved.");
  }

  fill(place, h("div.prices", inputs.map(([, each]) => each)), tiers);
  write(price);
  return { read, offer };
}

/** A copy with these members, without those that are null. */
function put(object, members) {
  const found = { ...object };
  for (const [name, value] of Object.entries(members))
    if (value === null) delete found[name];
    else found[name] = value;
  return found;
}
