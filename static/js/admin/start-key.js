/** The guide's third step: a key for callers, shown once. */

import { post } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { copyLine } from "../parts/copy.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { modelsField } from "./key-form.js";

export function step(guide) {
  return guide.fresh ? made(guide) : asked(guide);
}

function made(guide) {
  const another = () => {
    guide.fresh = null;
    guide.go("key");
  };
  return [
    h("h2", "Your key"),
    note("warn", "This is the only time it is shown. Copy it and keep it where secrets are kept."),
    copyLine(guide.fresh.key, "API key"),
    h(
      "div.row",
      h("button.primary", { type: "button", onclick: () => guide.go("try") }, "Go on"),
      h("button", { type: "button", onclick: another }, "Create another"),
    ),
  ];
}

function asked(guide) {
  const models = modelsField(guide.models);
  models.classList.add("across");
  const name = field({
    label: "Name",
    name: "name",
    value: "My first key",
    required: true,
    missing: "Give it a name.",
  });
  const buttons = [
    h("button.primary", { type: "submit" }, "Create key"),
    h("button", { type: "button", onclick: () => guide.go("try") }, "Skip"),
  ];
  const form = guide.form(h("div.fields", name, models), buttons, async (values) => {
    guide.fresh = await post("/api/admin/apikeys", values);
    await guide.forward("key");
  });
  queueMicrotask(() => guide.watch(form));
  const there = guide.keys.length;
  return [
    h("h2", "A key for your callers"),
    h("p.lead", "Clients show it instead of the provider's key, which stays here. It can be taken away at any time."),
    there > 0 &&
      note(
        "info",
        `There ${there === 1 ? "is" : "are"} ${count(there, "key")} already. You can go on, or create another.`,
      ),
    form,
  ];
}
