/** What went wrong with a call, where its result would be: the words, what a support needs to know, and another try. */

import { h, icon } from "../dom.js";
import { duration } from "../format.js";
import { copyButton } from "../parts/copy.js";

/** `error`: { message, code, param, status, requestId, retryAfter }. `actions`: buttons beside "Try again". */
export function trouble(error, { retry = null, actions = [] } = {}) {
  const facts = [error.status > 0 && `Status ${error.status}`, error.code, error.param].filter(Boolean).join(" · ");
  const pause = error.retryAfter > 0 ? ` Try again in ${duration(error.retryAfter * 1000)}.` : "";
  return h(
    "div.note.trouble",
    { role: "alert", data: { kind: "bad" } },
    icon("bad"),
    h(
      "div",
      h("p", error.message + pause),
      (facts || error.requestId) &&
        h("p.hint.row", facts && h("span", facts), error.requestId && h("span", "Request ", h("code", error.requestId), copyButton(error.requestId, { label: "the request id", words: false }))),
      h("div.actions", retry && h("button", { type: "button", onclick: retry }, icon("refresh"), "Try again"), actions),
    ),
  );
}
