/** OCR: the text in a picture. */

import { fault } from "../chat/images.js";
import { h } from "../dom.js";
import { copyButton } from "../parts/copy.js";
import { field } from "../parts/field.js";
import { callPanel, saveLink } from "./call-panel.js";
import { fileField } from "./file-field.js";

const PDF = "application/pdf";

export function panel(context) {
  const page = h("div");
  const prompt = field({ label: "Question", hint: "What to ask of it. Blank: all of its text." });
  const file = fileField({
    label: "Picture",
    accept: `image/png,image/jpeg,image/webp,image/gif,${PDF}`,
    hint: "PNG, JPEG, WebP or GIF, up to 10 MB; some providers take a PDF. It can be dropped or pasted here too.",
    missing: "Choose a picture first.",
    refuse: (given) => (given.type === PDF ? "" : fault(given)),
    preview: (url, { name, type }) => type !== PDF && h("img", { src: url, alt: name }),
    paste: page,
  });
  const made = callPanel({
    operation: "ocr",
    path: "/v1/ocr",
    context,
    fields: [file, prompt],
    file: () => file.value,
    fileName: "page.png",
    submit: "Read the text",
    idle: "The text of the picture will be written here.",
    body: (model) => ({ model, ...(prompt.value.trim() ? { prompt: prompt.value.trim() } : {}) }),
    render: ({ json, text }) => shown(json?.text ?? text ?? ""),
  });
  page.append(made.element);
  return { ...made, element: page };
}

function shown(words) {
  if (!words.trim()) return h("p.quiet-text", "No text was found.");
  return [h("pre.words", { tabindex: "0", role: "region", "aria-label": "The text of the picture" }, words), h("div.actions", copyButton(words, { label: "the text" }), saveLink(new Blob([words], { type: "text/plain" }), "text.txt"))];
}
