/** Taking over prices from LiteLLM's price file, after a look at which would change. */

import { ApiError, send } from "../api.js";
import { fill, h } from "../dom.js";
import { count } from "../format.js";
import { formDialog } from "../parts/dialog.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { toast } from "../parts/toast.js";
import { priceText } from "./price-words.js";

const SHOWN = 200;

const post = async (file, query = "") =>
  (await send(`/api/admin/prices/import${query}`, { method: "POST", body: file })).json();

const changes = ({ matched }) => matched.filter((each) => JSON.stringify(each.before) !== JSON.stringify(each.after));

/** The dialog. Resolves to whether prices have changed. */
export async function importPrices() {
  const preview = h("div.stack", { "aria-live": "polite" });
  const input = h("input", { type: "file", accept: ".json,application/json", onchange: look });
  let chosen = null;
  const done = formDialog({
    title: "Import prices",
    intro:
      "Takes LiteLLM's price file, model_prices_and_context_window.json. It is looked at first, and the prices of your models are shown before anything changes.",
    size: "wide",
    content: [
      field({ label: "Price file", control: input, read: () => chosen, required: true, missing: "Choose the file." }),
      preview,
    ],
    submit: "Take prices",
    ask: false,
    save: async () => {
      const taken = changes(await post(chosen));
      toast(`${count(taken.length, "price")} changed.`);
      return taken.length > 0;
    },
  });
  const button = done.dialog.foot.querySelector("[type=submit]");
  button.disabled = true;

  async function look() {
    chosen = null;
    button.disabled = true;
    button.textContent = "Take prices";
    const [file] = input.files;
    if (!file) return fill(preview);
    fill(preview, h("p.quiet-text", `Reading ${file.name}…`));
    let found;
    try {
      found = await post(file, "?dryRun=1");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return file === input.files[0] && fill(preview, note("bad", error.message));
    }
    if (file !== input.files[0]) return undefined;
    const changed = changes(found);
    chosen = file;
    button.disabled = changed.length === 0;
    button.textContent = changed.length ? `Take ${count(changed.length, "price")}` : "Take prices";
    return fill(preview, shown(found, changed));
  }

  return Boolean(await done);
}

function shown(found, changed) {
  const same = found.matched.length - changed.length;
  return [
    h(
      "p",
      `${count(changed.length, "price")} would change, ${count(same, "is", "are")} the same already, ${count(found.unmatched, "model is", "models are")} not in the file.`,
    ),
    found.refused.length > 0 && note("warn", h("ul", found.refused.map((each) => h("li", each.message)))),
    h(
      "dl.facts",
      changed.slice(0, SHOWN).map(({ model, before, after }) => [
        h("dt", h("code", model)),
        h("dd", h("span.quiet-text", `${priceText(before)} → `), priceText(after)),
      ]),
    ),
    changed.length > SHOWN && h("p.quiet-text", `and ${count(changed.length - SHOWN, "more", "more")}`),
  ];
}
