/** The places of usage and requests, until calls are recorded. */

import { h } from "../dom.js";
import { empty } from "../parts/faces.js";
import { pageHead } from "../parts/marks.js";

export function screen(root, params, app) {
  const isUsage = location.hash.startsWith("#/usage");
  root.append(
    pageHead({ title: isUsage ? "Usage" : "Requests" }),
    h(
      "div.card",
      empty({
        image: isUsage ? "usage" : "requests",
        title: isUsage ? "Charts of calls, tokens and cost" : "Every call, one line each",
        text: isUsage
          ? "They arrive together with the ledger, which records what each call used. Until then the server's log has a line for every call."
          : "This list arrives together with the ledger, which records every call. Until then the server's log has a line for each.",
        actions: [h("button", { type: "button", onclick: () => app.go("overview") }, "Back to the overview")],
      }),
    ),
  );
}
