/** Providers people use, to begin a new one with. */

import { get } from "../api.js";
import { announce, fill, h } from "../dom.js";
import { openDialog, part } from "../parts/dialog.js";
import { load } from "../parts/faces.js";
import { matches, searchField } from "../parts/search.js";

let presets = null;

/** The presets, in the order to show; fetched once. */
export async function allPresets() {
  presets ??= (await get("/api/admin/presets")).presets;
  return presets;
}

/** Cards to choose from; `onpick(preset)`. */
export function presetCards(list, onpick) {
  const found = h("div.presets");
  const draw = (search) =>
    fill(
      found,
      list
        .filter((each) => each.id === "custom" || matches(search, each.name, each.owner, each.host))
        .map((each) =>
          h(
            "button.preset",
            { type: "button", onclick: () => onpick(each) },
            h("strong", each.name),
            h(
              "span",
              each.id === "custom"
                ? "Anything that speaks OpenAI's, Anthropic's or Ollama's language"
                : each.local
                  ? "on your own machine"
                  : each.host.split(/(?=[.])/).flatMap((part) => [h("wbr"), part]),
            ),
          ),
        ),
    );
  draw("");
  return [h("div.toolbar", searchField({ label: "Search providers", oninput: draw })), found];
}

/** First who, then the form. Resolves to the new provider or undefined. */
export async function addProvider(taken) {
  const place = h("div.stack");
  const dialog = openDialog({ title: "Add a provider", size: "wide", content: place });
  await load(place, allPresets, (list) => presetCards(list, (preset) => dialog.close(preset)));
  if (dialog.element.isConnected) dialog.element.querySelector("input")?.focus();
  const preset = await dialog.closed;
  if (!preset) return undefined;
  announce(`${preset.name} chosen.`);
  return (await part(() => import("./provider-form.js")))?.editProvider({ preset, taken });
}
