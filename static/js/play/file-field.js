/** A field that takes one file, by button or as it is given one (dropped, pasted, recorded), and shows what was taken. */

import { announce, fill, h, icon } from "../dom.js";
import { bytes } from "../format.js";
import { field } from "../parts/field.js";

/**
 * A <form-field> whose value is a File or null; `take(file)` gives it one. `accept` as of an input; `refuse(file)` answers a
 * complaint or ""; `preview(url, file)` answers nodes; `beside`: nodes, other ways to come by a file.
 */
export function fileField({ label, accept, hint, missing, refuse, preview, beside }) {
  let file = null;
  let url = "";
  const input = h("input.visually-hidden", { type: "file", accept, onchange: () => take(input.files[0] ?? null) });
  const element = field({ label, hint, required: true, missing, control: input, read: () => file, write: () => {} });
  const shown = h("div.file-shown", { hidden: true });
  const place = h("div.file-field");
  input.replaceWith(place);
  place.append(h("label.drop", icon("upload"), h("span", "Choose a file, drop or paste it"), input), beside ?? "", shown);

  function take(given) {
    const complaint = given ? refuse(given) : "";
    if (!complaint) hold(given);
    input.value = ""; // or the same file could not be chosen again
    element.setError(complaint);
    element.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function hold(given) {
    file = given;
    URL.revokeObjectURL(url);
    url = file ? URL.createObjectURL(file) : "";
    shown.hidden = !file;
    fill(shown, file && [h("div.row", icon("file"), h("span", file.name), h("span.quiet-text.nowrap", bytes(file.size)), h("span.spring"), away()), preview(url, file)]);
    if (file) announce(`${file.name} is chosen.`);
  }

  const away = () => h("button.quiet.square", { type: "button", "aria-label": `Take ${file.name} away`, onclick: () => (take(null), input.focus()) }, icon("cross"));
  return Object.assign(element, { take });
}
