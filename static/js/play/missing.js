/** The playground's empty faces: what to set up for the kinds of models there are none of. */

import { h, icon } from "../dom.js";
import { empty } from "../parts/faces.js";

/** No model at all; `refusal` says why a person may use none. */
export function nothing(app, refusal) {
  const isAdmin = app.user.role === "admin";
  return h(
    "div.card",
    empty({
      image: "model",
      title: "No model to try yet",
      text: isAdmin ? "Add a provider and some of its models; each kind of model gets its panel here." : (refusal || "There is no model that you may use yet. An administrator can add one, or allow it for your API key."),
      actions: isAdmin ? [h("button.primary", { type: "button", onclick: () => app.go("start") }, icon("guide"), "Open the set-up guide"), h("button", { type: "button", onclick: () => app.go("models") }, "Models")] : [],
    }),
  );
}

/** The kinds there is no model of, and what to set up for them. */
export function others(missing, app) {
  const isAdmin = app.user.role === "admin";
  return [
    h("p.lead", isAdmin ? "There is no model of these kinds yet. Add one, with the type in bold, and its panel appears here." : "There is no model of these kinds for you yet. An administrator can add and allow one."),
    h("ul.kinds", missing.map(({ label, type, image, about }) => h("li.card", icon(image), h("div", h("h3", label), h("p.quiet-text", about), isAdmin && h("p.small", "Type: ", h("strong", type)))))),
    isAdmin && h("div.actions", h("button", { type: "button", onclick: () => app.go("models") }, icon("plus"), "Add models")),
  ];
}
