/** A key that is shown this once. */

import { copyLine } from "./copy.js";
import { confirmDialog } from "./dialog.js";
import { guard } from "./guard.js";

/** Its `line`, and `mayClose` for the dialog around it, which asks before the key goes uncopied. */
export function shownOnce(key) {
  let isCopied = false;
  const line = copyLine(key, "API key");
  const release = guard(() => line.isConnected && !isCopied);
  line.addEventListener("copy", () => (release(), (isCopied = true)));
  const mayClose = () =>
    isCopied ||
    confirmDialog({
      title: "Close without copying?",
      text: "The key cannot be shown again. You can only have a new one made.",
      action: "Close",
      danger: false,
      cancel: "Back to the key",
    });
  return { line, mayClose };
}
