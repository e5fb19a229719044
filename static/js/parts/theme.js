/** Choosing light, dark or the system's theme. theme.js at the top of the page applies the choice before the first paint. */

import { h, icon, uid } from "../dom.js";

const NAME = "ipin-theme";
const CHOICES = [
  ["system", "System", "system"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

function chosen() {
  return document.documentElement.dataset.theme ?? "system";
}

function choose(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(NAME, theme);
  } catch {
    // It holds until the page is left.
  }
}

/** Three choices in a row. */
export function themePicker() {
  const name = uid("theme");
  return h(
    "fieldset.theme-picker",
    h("legend.visually-hidden", "Theme"),
    CHOICES.map(([value, label, image]) =>
      h("label", { title: label }, h("input", { type: "radio", name, value, checked: chosen() === value, onchange: () => choose(value) }), icon(image), h("span", label)),
    ),
  );
}
