/** Embeddings: what a text becomes, and how near two texts are. */

import { h } from "../dom.js";
import { number } from "../format.js";
import { copyButton } from "../parts/copy.js";
import { field } from "../parts/field.js";
import { callPanel } from "./call-panel.js";
import { bar } from "../parts/svg.js";
import { strip } from "./drawings.js";

const FIRST = 8;

export function panel(context) {
  const first = field({ label: "Text", type: "textarea", required: true, missing: "Write a text first.", value: "The cat sits on the mat." });
  const second = field({ label: "Another text, to compare", type: "textarea", value: "A kitten rests on a rug.", hint: "May be left blank." });
  const dimensions = field({ label: "Dimensions", type: "number", step: "1", min: "1", hint: "Blank: as many as the model makes." });
  return callPanel({
    operation: "embeddings",
    path: "/v1/embeddings",
    context,
    fields: [first, second, dimensions],
    submit: "Embed",
    idle: "The vectors, their size and how alike the two texts are will be shown here.",
    body: (model) => ({
      model,
      input: [first.value, second.value].filter((text) => text.trim()),
      encoding_format: "float",
      ...(dimensions.value ? { dimensions: dimensions.value } : {}),
    }),
    render: ({ json }) => shown(json?.data?.map((each) => each.embedding) ?? []),
  });
}

function shown(vectors) {
  if (!vectors.length || !vectors.every(Array.isArray)) return h("p", "No vectors came; the raw response shows what did.");
  const likeness = vectors.length > 1 ? cosine(vectors[0], vectors[1]) : null;
  return [
    likeness !== null && h("div.figure", h("span.figure-name", "Cosine similarity"), h("strong.figure-value", number(likeness, 4, 4)), bar(Math.max(0, likeness)), h("p.hint", inWords(likeness))),
    vectors.map((vector, at) => vectorFace(vector, vectors.length > 1 ? `Text ${at + 1}` : "Vector")),
  ];
}

function vectorFace(vector, title) {
  const some = vector.slice(0, FIRST).map((each) => number(each, 4, 4));
  const rest = vector.length - FIRST;
  return h(
    "div.stack-small",
    h("div.row", h("h2", title), h("span.spring"), copyButton(() => JSON.stringify(vector), { label: `the vector of ${title}`, words: false })),
    h("p.quiet-text", `${number(vector.length)} dimensions · length ${number(Math.sqrt(dot(vector, vector)), 3)}`),
    strip(vector),
    h("p.mono.small", some.join("  "), rest > 0 && h("span.quiet-text", `  … ${number(rest)} more`)),
  );
}

const dot = (a, b) => a.reduce((sum, each, at) => sum + each * b[at], 0);

function cosine(a, b) {
  const size = Math.sqrt(dot(a, a) * dot(b, b));
  return size ? dot(a, b) / size : 0;
}

function inWords(likeness) {
  if (likeness > 0.85) return "Very much alike, by this model.";
  if (likeness > 0.5) return "Related, by this model.";
  return "Not much alike, by this model. What counts as alike differs from model to model.";
}
