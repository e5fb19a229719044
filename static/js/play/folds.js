/** What is folded away under every call of the playground: the call as code, and what really went out and came back. */

import { fetchPart } from "../api.js";
import { fill, h } from "../dom.js";
import { duration } from "../format.js";
import { codeBlock } from "../parts/copy.js";
import { load } from "../parts/faces.js";
import { tabs } from "../parts/tabs.js";

/** The call as code. `given()` answers `[operation, { base, body, file }]` of the call as it would be made now. */
export function codeFold(given) {
  const place = h("div");
  let chosen = "curl";
  const draw = () => fold.open && load(place, () => fetchPart(() => import("../snippets.js")), ({ snippets }) => shown(snippets(...given())), { label: "Code" });
  const shown = (list) => tabs(list.map(({ id, label, code }) => ({ id, label, content: () => codeBlock(code, { label: `${label} code` }) })), { label: "Language", chosen, onchoose: (id) => (chosen = id) });
  const fold = h("details.more", { ontoggle: draw }, h("summary", "This call as code"), place);
  return Object.assign(fold, { redraw: draw });
}

/** Request and response as they were. Give it an Exchange to `show`. */
export function rawFold() {
  const place = h("div.stack", h("p.quiet-text", "There is something here once a call was made."));
  const fold = h("details.more", { ontoggle: () => draw() }, h("summary", "Raw request and response"), place);
  let shown = null;
  const draw = () => {
    if (!fold.open || !shown) return;
    const took = shown.tookMs ? ` · ${duration(shown.tookMs)}` : "";
    fill(
      place,
      h("h3", "Request"),
      codeBlock(shown.request, { label: "raw request" }),
      h("h3", "Response", h("span.quiet-text.small", took)),
      codeBlock(shown.response, { label: "raw response" }),
    );
  };
  return Object.assign(fold, {
    show(exchange) {
      shown = exchange;
      draw();
    },
  });
}
