/** What went wrong with a call, where its result would be: the words, what a support needs to know, and another try. */

import { h, icon } from "../dom.js";
import { duration } from "../format.js";
import { copyButton } from "../parts/copy.js";

/** `error`: { message, code, status, requestId, retryAfter }. `actions`: buttons beside "Try again". */
export function trouble(error, { retry = null, actions = [] } = {}) {
  const facts = [error.status > 0 && `Status ${error.status}`, error.code].filter(Boolean).join(" · ");
  const pause = error.retryAfter > 0 ? ` Try again in ${duration(error.retryAfter * 1000)}.` : "";
  return h(
    "div.note.trouble",
    { role: "alert", data: { kind: "bad" } },
    icon("bad"),
    h(
      "div",
      h("p", (hints(error) ?? error.message) + pause),
      (facts || error.requestId) &&
        h("p.hint.row", facts && h("span", facts), error.requestId && h("span", "Request ", h("code", error.requestId), copyButton(error.requestId, { label: "the request id", words: false }))),
      h("div.actions", retry && h("button", { type: "button", onclick: retry }, icon("refresh"), "Try again"), actions),
    ),
  );
}

/** Words of this page's own for what the server can only say in general. */
function hints({ status, code }) {
  if (status === 404 && code === "not_found") return "This server does not offer this kind of call yet; a later version of it will.";
  return null;
}
