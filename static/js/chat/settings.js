/** How a model is asked: system prompt, temperature and the rest. Blank means: as the model likes. */

import { field } from "../parts/field.js";
import { parameters } from "./conversation.js";

/** Fields that write into `settings` as they are changed; `changed()` hears of it. */
export function settingFields(settings, changed) {
  const bind = (name, options) =>
    field({
      ...options,
      value: settings[name],
      oninput: (value, element) => {
        const isWrong = Number.isNaN(value);
        if (isWrong) element.setError("This is not a number.");
        settings[name] = isWrong ? null : value;
        changed();
      },
    });
  const other = bind("other", {
    label: "Other parameters",
    type: "textarea",
    rows: 2,
    spellcheck: "false",
    class: "mono",
    placeholder: '{ "seed": 7 }',
    hint: "As JSON, sent as they are: stop, seed, tools, response_format, max_completion_tokens and whatever else the model knows.",
  });
  other.addEventListener("change", () => other.setError(parameters(settings).problem));
  return [
    bind("system", { label: "System prompt", type: "textarea", rows: 3, placeholder: "You are a helpful assistant." }),
    bind("temperature", { label: "Temperature", type: "number", step: "0.1", max: "2", hint: "0 is steady, 1 is lively." }),
    bind("topP", { label: "Top p", type: "number", step: "0.05", max: "1" }),
    bind("maxTokens", { label: "Max tokens", type: "number", step: "1", min: "1", inputmode: "numeric" }),
    other,
    bind("stream", { label: "Show the answer while it comes", type: "switch" }),
  ];
}
