/** Reranking: documents in the order in which they answer a question, with bars. */

import { h } from "../dom.js";
import { number } from "../format.js";
import { field } from "../parts/field.js";
import { callPanel } from "./call-panel.js";
import { bar } from "../parts/svg.js";

const DOCUMENTS = ["Paris is the capital of France.", "The Danube flows through four capitals.", "Berlin has been the capital of Germany since 1990."];

export function panel(context) {
  const query = field({ label: "Question", required: true, missing: "Ask something first.", value: "What is the capital of France?" });
  const documents = field({
    label: "Documents",
    type: "textarea",
    rows: 6,
    required: true,
    missing: "Put in at least one document.",
    hint: "One per line.",
    value: DOCUMENTS.join("\n"),
  });
  const top = field({ label: "How many to keep", type: "number", step: "1", min: "1", hint: "Blank: all." });
  const lines = () => documents.value.split("\n").map((each) => each.trim()).filter(Boolean);
  let asked = [];
  return callPanel({
    operation: "rerank",
    path: "/v1/rerank",
    context,
    fields: [query, documents, top],
    submit: "Rank",
    idle: "The documents will be shown here, the best first.",
    body(model) {
      asked = lines();
      return { model, query: query.value, documents: asked, ...(top.value ? { top_n: top.value } : {}) };
    },
    render: ({ json }) => shown(json?.results ?? json?.data ?? [], asked),
  });
}

function shown(results, documents) {
  const scores = results.map((each) => each.relevance_score ?? each.score ?? 0);
  if (!results.length) return h("p", "No order came; the raw response shows what did.");
  // Some models score from 0 to 1, others with any number: then the bars run from the worst to the best.
  const isShare = scores.every((score) => score >= 0 && score <= 1);
  const [least, most] = isShare ? [0, 1] : [Math.min(...scores), Math.max(...scores)];
  const order = results.map((each, at) => ({ ...each, score: scores[at] })).sort((a, b) => b.score - a.score);
  return [
    h(
      "ol.ranking",
      order.map(({ index, score, document }) =>
        h("li", h("div.ranked", h("span", documents[index] ?? document?.text ?? document ?? ""), h("span.number.nowrap", number(score, 4, 4))), bar(most > least ? (score - least) / (most - least) : 1)),
      ),
    ),
    !isShare && h("p.hint", "This model's scores are not shares of 1, so the bars run from the lowest to the highest of them."),
  ];
}
