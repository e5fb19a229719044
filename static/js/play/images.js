/** Images: a description becomes pictures. */

import { h, icon } from "../dom.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { callPanel, saveLink } from "./call-panel.js";

const SIZES = ["1024x1024", "1536x1024", "1024x1536", "512x512", "auto"];
// How the base64 of each kind of file begins.
const KINDS = [["iVBOR", "png"], ["/9j/", "jpeg"], ["UklGR", "webp"], ["R0lGO", "gif"]];

export function panel(context) {
  const prompt = field({ label: "Description", type: "textarea", rows: 4, required: true, missing: "Describe a picture first.", value: "A lighthouse at dusk, watercolour" });
  const size = field({ label: "Size", value: SIZES[0], suggestions: SIZES, hint: "Blank: as the model likes.", check: (value) => value && value !== "auto" && !/^\d+x\d+$/.test(value) && "Width x height, such as 1024x1024." });
  const many = field({ label: "How many", type: "number", step: "1", min: "1", max: "10", value: 1 });
  return callPanel({
    operation: "images",
    path: "/v1/images/generations",
    context,
    fields: [prompt, h("div.fields", size, many)],
    submit: "Draw",
    idle: "The pictures will be shown here, each with a download. It may take a minute.",
    // As data: a picture at an address of another host is not loaded into this page.
    body: (model) => ({ model, prompt: prompt.value, ...(size.value ? { size: size.value } : {}), ...(many.value > 1 ? { n: many.value } : {}), response_format: "b64_json" }),
    // Some models always answer with data and refuse to be asked for it.
    again: (error, { response_format, ...others }) => (response_format && /response_format/.test(error.message + error.param) ? others : null),
    render: ({ json }) => shown(json?.data ?? [], prompt.value),
  });
}

function shown(pictures, prompt) {
  if (!pictures.length) return h("p", "No pictures came; the raw response shows what did.");
  return h("div.gallery", pictures.map((each, at) => (each.b64_json ? drawn(each, `image-${at + 1}`, prompt) : elsewhere(each))));
}

function drawn({ b64_json: data, revised_prompt: revised }, name, prompt) {
  const kind = KINDS.find(([start]) => data.startsWith(start))?.[1] ?? "png";
  const blob = new Blob([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], { type: `image/${kind}` });
  const save = saveLink(blob, `${name}.${kind}`);
  return h("figure", h("img", { src: save.href, alt: revised ?? prompt }), revised && h("figcaption.hint", revised), save);
}

function elsewhere({ url }) {
  const isSafe = /^https?:\/\//.test(url ?? "");
  const link = isSafe && h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, "Open it there ", icon("external"));
  return note("info", h("p", "The provider answered with an address on another host, which this page does not load. ", link));
}
