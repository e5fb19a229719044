/** OCR: the text in a picture or a document, as it came and as what it means. */

import { fetchPart } from "../api.js";
import { fault, rule, sizeFault } from "../chat/images.js";
import { h } from "../dom.js";
import { copyButton } from "../parts/copy.js";
import { load } from "../parts/faces.js";
import { field } from "../parts/field.js";
import { limits } from "../parts/session.js";
import { tabs } from "../parts/tabs.js";
import { callPanel, saveLink } from "./call-panel.js";
import { fileField } from "./file-field.js";

const PDF = "application/pdf";

export function panel(context) {
  const file = fileField({
    label: "Picture or PDF",
    accept: `image/png,image/jpeg,image/webp,image/gif,${PDF}`,
    hint: `${rule()}. PDFs only where the provider takes them.`,
    missing: "Choose a picture first.",
    refuse: (given) => (given.type === PDF ? sizeFault(given, limits.image, "a PDF") : fault(given)),
    preview: (url, { name, type }) => type !== PDF && h("img", { src: url, alt: name }),
  });
  const prompt = field({ label: "Prompt", type: "textarea", rows: 2, hint: "What to ask of it. Blank: all of its text." });
  return callPanel({
    operation: "ocr",
    path: "/v1/ocr",
    context,
    fields: [file, prompt],
    file,
    fileName: "page.png",
    submit: "Read the text",
    idle: "The text will be written here.",
    body: (model) => ({ model, ...(prompt.value.trim() ? { prompt: prompt.value.trim() } : {}) }),
    render: ({ json, text }) => shown(String(json?.text ?? text ?? ""), file.value?.name ?? "text"),
  });
}

function shown(words, name) {
  if (!words.trim()) return h("p.quiet-text", "No text was found.");
  const asText = () => h("pre.words", { tabindex: "0", role: "region", "aria-label": "The text" }, words);
  const asMeant = () => {
    const place = h("div.prose.words");
    load(place, () => fetchPart(() => import("../chat/markdown.js")), ({ markdown }) => markdown(words));
    return place;
  };
  const views = [{ id: "text", label: "Text", content: asText }, { id: "meant", label: "Formatted", content: asMeant }];
  return [tabs(views, { label: "How to show it" }), h("div.actions", copyButton(words, { label: "the text" }), saveLink(new Blob([words], { type: "text/plain" }), `${name.replace(/\.\w{1,5}$/, "")}.txt`))];
}
