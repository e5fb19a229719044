/** The guide's last step: the playground, and the same call from a program. */

import { h, icon } from "../dom.js";
import { codeBlock } from "../parts/copy.js";
import { tabs } from "../parts/tabs.js";
import { chatSnippets } from "../snippets.js";

export function step(guide) {
  const chat = guide.models.find((each) => each.enabled && each.type === "chat");
  const model = chat?.id ?? guide.models.find((each) => each.enabled)?.id ?? "demo";
  const query = `model=${encodeURIComponent(model)}`;
  const snippets = chatSnippets({ base: guide.app.base, model, key: guide.fresh?.key });
  return [
    h("h2", "Try it"),
    h(
      "p.lead",
      model === "demo"
        ? "No model is added yet, so the built-in demo answers: it repeats what you say."
        : ["Everything is ready. The model is called ", h("code", model), "."],
    ),
    h(
      "div.row",
      h("a.button.primary", { href: `#/playground?${query}` }, icon("chat"), "Open the playground"),
      h("a.button", { href: `#/docs?${query}` }, icon("docs"), "Set up a client"),
    ),
    h("h3", "Or from your own program"),
    tabs(
      snippets.map(({ id, label, code }) => ({
        id,
        label,
        content: () => codeBlock(code, { label: `${label} example` }),
      })),
      { label: "Languages" },
    ),
    !guide.fresh && h("p.hint", "Put your API key in the place of YOUR-KEY."),
    h("div.row", h("a.button", { href: "#/overview", onclick: guide.leave }, "To the overview")),
  ];
}
