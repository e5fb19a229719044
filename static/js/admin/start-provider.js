/** The guide's first step: who answers. */

import { fill, h, icon } from "../dom.js";
import { load } from "../parts/faces.js";
import { toast } from "../parts/toast.js";
import { allPresets, presetCards } from "./presets.js";
import { providerFields, saveProvider, testBeforeSaving } from "./provider-form.js";

export function step(guide) {
  const inner = h("div.stack");
  load(inner, allPresets, (list) => [
    guide.providers.length > 0 && [
      h("p", "Already here:"),
      h("div.choices", guide.providers.map(choice)),
      h("p", "Or add another:"),
    ],
    presetCards(list, (preset) => fill(inner, presetForm(preset))),
  ]);

  function choice(each) {
    const note =
      each.source === "environment"
        ? "its key is in the environment"
        : each.baseUrl.replace(/^https?:\/\//, "") || "built in";
    const choose = () => {
      guide.provider = each.id;
      guide.go("models");
    };
    return h("button", { type: "button", onclick: choose }, h("strong", each.name), h("span.quiet-text", note));
  }

  function presetForm(preset) {
    const { nodes, record } = providerFields({ preset, taken: guide.providers.map((each) => each.id) });
    const test = testBeforeSaving(() => form, record);
    const buttons = [
      h("button.primary", { type: "submit" }, "Save and go on"),
      test.button,
      h("span.spring"),
      h("button", { type: "button", onclick: () => guide.go("provider") }, icon("left"), "Another provider"),
    ];
    const form = guide.form([nodes, test.place], buttons, async (values) => {
      const saved = await saveProvider(null, record(values));
      guide.provider = saved.id;
      toast(`${saved.name} is added.`);
      await guide.forward("models");
    });
    queueMicrotask(() => {
      guide.watch(form);
      form.querySelector("[autofocus]")?.focus();
    });
    return [h("h3", preset.id === "custom" ? "A provider of your own choice" : preset.name), form];
  }

  return [
    h("h2", "Who answers?"),
    h("p.lead", "Choose a provider you have an account with, or a server on your own machine. You can add more later."),
    inner,
  ];
}
