/** A field that takes one file, by button or by drop, and shows what was taken. */

import { takeDrops } from "../chat/images.js";
import { fill, h, icon } from "../dom.js";
import { bytes } from "../format.js";
import { field } from "../parts/field.js";

/**
 * A <form-field> whose value is a File or null. `accept` as of an input; `refuse(file)` answers a complaint or "";
 * `preview(url, file)` answers a node. `paste`: an element on which pasted files count too.
 */
export function fileField({ label, accept, hint, missing, refuse = () => "", preview, paste = null }) {
  let file = null;
  let url = "";
  const input = h("input.visually-hidden", { type: "file", accept, onchange: () => take(input.files[0] ?? null) });
  const element = field({ label, hint, required: true, missing, control: input, read: () => file, write: () => {} });
  const shown = h("div.file-shown", { hidden: true });
  const place = h("div.file-field");
  input.replaceWith(place);
  place.append(h("label.drop", icon("upload"), h("span", "Choose a file, or drop it here"), input), shown);

  function take(given) {
    const complaint = given ? refuse(given) : "";
    file = complaint ? null : given;
    if (complaint || !given) input.value = "";
    URL.revokeObjectURL(url);
    url = file ? URL.createObjectURL(file) : "";
    shown.hidden = !file;
    if (file) {
      const away = h("button.quiet.square", { type: "button", "aria-label": `Take ${file.name} away`, onclick: () => (take(null), input.focus()) }, icon("cross"));
      fill(shown, h("div.row", icon("file"), h("span", file.name), h("span.quiet-text", bytes(file.size)), h("span.spring"), away), preview?.(url, file));
    }
    element.dispatchEvent(new Event("change", { bubbles: true }));
    element.setError(complaint);
  }

  takeDrops(place, ([given]) => take(given));
  paste?.addEventListener("paste", (event) => {
    const [given] = event.clipboardData?.files ?? [];
    if (!given) return;
    event.preventDefault();
    take(given);
  });
  return element;
}
