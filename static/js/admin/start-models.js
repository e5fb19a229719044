/** The guide's second step: which models of the provider callers may use. */

import { post } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { load } from "../parts/faces.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { toast } from "../parts/toast.js";
import { addModels, modelChoice } from "./model-picker.js";
import { fetchListed } from "./probe.js";

export function step(guide) {
  const from = guide.providers.find((each) => each.id === guide.provider) ?? guide.providers.at(-1);
  const head = h("h2", "Which models?");
  const another = () => h("button", { type: "button", onclick: () => guide.go("provider") }, "Another provider");
  if (!from) return [head, note("info", "A provider comes first."), h("div.row", another())];

  const inner = h("div.stack");
  load(
    inner,
    () => fetchListed(from.id),
    (listed) => {
      if (!listed.length)
        return note("info", `${from.name} lists no models. Enter one by hand, under the name its documents give.`);
      const button = h("button.primary", { type: "submit" }, "Go on");
      const told = (n) => (button.textContent = n ? `Add ${count(n, "model")}` : "Go on");
      const choice = modelChoice({ provider: from, listed, existing: guide.models, onchange: told });
      return guide.form(choice.element, [button, another()], async () => {
        const records = choice.chosen();
        if (records.length) toast(`${count((await addModels(records)).length, "model")} added.`);
        await guide.forward("key");
      });
    },
    { label: `Asking ${from.name}` },
  );

  const name = field({
    label: "Name of the model",
    name: "id",
    required: true,
    missing: "Enter the model's name.",
    spellcheck: "false",
    autocapitalize: "off",
    hint: "As the provider's documents write it.",
  });
  const byHand = guide.form(h("div.fields", name), [h("button", { type: "submit" }, "Add model")], async ({ id }) => {
    await post("/api/admin/models", { id, providerId: from.id });
    toast(`${id} is added.`);
    await guide.forward("key");
  });
  return [
    head,
    h(
      "p.lead",
      "This is what ",
      h("strong", from.name),
      " offers. Tick what your callers may use; a few are enough to begin with.",
    ),
    inner,
    h("details.more", h("summary", "Enter a name by hand"), h("div", byHand)),
  ];
}
