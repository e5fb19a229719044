/** Copying: a button that says it worked, a text that is meant to be copied, a block of code. */

import { announce, h, icon, topmost, turnIcon, uid } from "../dom.js";

/** Puts a text on the clipboard; the answer says whether that worked. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http on another machine than this one has no clipboard object; the old way still works there.
    const area = h("textarea.visually-hidden", { value: text, readonly: true, "aria-hidden": "true", tabindex: "-1" });
    const focused = document.activeElement;
    topmost().append(area);
    area.select();
    const worked = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return worked;
  }
}

/** A button that copies `text` (or what it answers, if it is a function). `label` names what is copied. */
export function copyButton(text, { label = "", words = true, kind = "" } = {}) {
  const face = h("span", words ? "Copy" : "");
  const button = h(
    "button.copy",
    { type: "button", class: words ? kind : "quiet square", "aria-label": label ? `Copy ${label}` : "Copy" },
    icon("copy"),
    words && face,
  );
  let timer = 0;
  button.addEventListener("click", async () => {
    const worked = await copyText(typeof text === "function" ? text() : text);
    if (worked) button.dispatchEvent(new Event("copy", { bubbles: true }));
    announce(worked ? "Copied." : "Copying did not work. Select the text and copy it yourself.", { urgent: !worked });
    if (words) face.textContent = worked ? "Copied" : "Select and copy";
    turnIcon(button, worked ? "check" : "warn");
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (words) face.textContent = "Copy";
      turnIcon(button, "copy");
    }, 2_000);
  });
  return button;
}

/** One line to be copied, such as a key or a base URL. */
export function copyLine(text, label) {
  const id = uid("line");
  return h(
    "div.copy-line",
    h("code", { id, tabindex: "0", role: "textbox", "aria-readonly": "true", "aria-label": label }, text),
    copyButton(text, { label }),
  );
}

/** A block of code with a copy button. */
export function codeBlock(text, { label = "code" } = {}) {
  return h("div.code-block", h("pre", { tabindex: "0", "aria-label": label, role: "region" }, h("code", text)), copyButton(text, { label }));
}
