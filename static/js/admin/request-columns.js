/** The columns of the request log: what each shows, which are shown, and the choice of them, which is remembered. */

import { h } from "../dom.js";
import { bytes, number } from "../format.js";
import { openDialog } from "../parts/dialog.js";
import { keyText, costText, isPassedOver, quiet, requestHash, statusMark, tookText } from "./request-words.js";

const KEPT = "ipin.requests.columns";
const USUAL = ["status", "model", "keyName", "providerId", "totalTokens", "costUsd", "latencyMs"];
let chosen = null; // in this visit
const TIME = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

const amount = (id, label) => ({ id, label, kind: "number", cell: (row) => (row[id] ? number(row[id], 2) : quiet("–")) });
// What few calls have is in no order on the server.
const rare = (id, label) => ({ ...amount(id, label), isUnsorted: true });
const took = (id, label) => ({ id, label, kind: "number", cell: (row) => tookText(row[id]) });
const size = (id, label) => ({ id, label, kind: "number", cell: (row) => bytes(row[id]) });
const text = (id, label, of = (row) => row[id]) => ({
  id,
  label,
  cell: (row) => (of(row) ? h("span.clip", { title: of(row) }, of(row)) : quiet("–")),
});

const ALL = [
  { id: "status", label: "Status", cell: statusMark },
  text("model", "Model"),
  text("servedModel", "Answered by"),
  text("providerId", "Provider"),
  text("upstreamModel", "Name there"),
  text("keyName", "API key", keyText),
  text("userName", "User"),
  text("address", "Address"),
  text("userAgent", "Client"),
  text("dialect", "Dialect"),
  text("endpoint", "Endpoint"),
  text("alias", "Alias"),
  { id: "stream", label: "Stream", cell: (row) => (row.stream ? "yes" : quiet("no")) },
  text("media", "Media"),
  amount("inputTokens", "Input tokens"),
  amount("cachedTokens", "Cached tokens"),
  amount("cacheWriteTokens", "Tokens written to the cache"),
  rare("audioInputTokens", "Audio tokens in"),
  amount("outputTokens", "Output tokens"),
  amount("reasoningTokens", "Reasoning tokens"),
  rare("audioOutputTokens", "Audio tokens out"),
  amount("totalTokens", "Tokens"),
  amount("seconds", "Seconds"),
  amount("images", "Images"),
  rare("pages", "Pages"),
  rare("characters", "Characters"),
  { id: "costUsd", label: "Cost", kind: "number", cell: costText },
  text("costBasis", "Cost is"),
  took("latencyMs", "Took"),
  took("firstChunkMs", "First chunk"),
  took("upstreamMs", "At the provider"),
  took("overheadMs", "Here"),
  size("bytesIn", "Bytes in"),
  size("bytesOut", "Bytes out"),
  { id: "attempts", label: "Attempts", kind: "number", cell: (row) => number(row.attempts.filter((each) => !isPassedOver(each)).length) },
  text("finishReason", "Finish"),
  text("errorOrigin", "Error of"),
  text("errorCode", "Error"),
  { id: "errorMessage", label: "Message", isUnsorted: true, cell: (row) => (row.errorMessage ? h("span.of-text", row.errorMessage) : quiet("–")) },
  text("requestId", "Request id"),
];

/** The columns as the table wants them: the time, which leads to the call, and those that were chosen. */
export function shownColumns() {
  const ids = chosenIds();
  return [
    {
      id: "time",
      label: "Time",
      kind: "name",
      value: true,
      down: true,
      cell: (row) => h("a", { href: requestHash(row) }, h("time", { datetime: new Date(row.time).toISOString() }, TIME.format(row.time))),
    },
    ...ALL.filter((each) => ids.includes(each.id)).map((each) => ({ value: !each.isUnsorted, down: each.kind === "number", ...each })),
  ];
}

/** Whether the log can be sorted by it, shown or not: an address may come from somebody with other columns. */
export const canSort = (id) => id === "time" || ALL.some((each) => each.id === id && !each.isUnsorted);

/** Lets columns be chosen; `changed()` hears of every change. */
export function chooseColumns(changed) {
  const boxes = ALL.map(({ id, label }) =>
    h("label.tick-line", h("input", { type: "checkbox", value: id, checked: chosenIds().includes(id), onchange: () => keep() }), h("span", label)),
  );
  const inputs = boxes.map((each) => each.querySelector("input"));
  const keep = (ids = inputs.filter((each) => each.checked).map((each) => each.value)) => {
    chosen = ids;
    try {
      localStorage.setItem(KEPT, JSON.stringify(ids));
    } catch {
      // They hold until the page is left.
    }
    changed();
  };
  const usual = () => {
    for (const each of inputs) each.checked = USUAL.includes(each.value);
    keep(USUAL);
  };
  const dialog = openDialog({
    title: "Columns",
    content: [h("p.quiet-text", "This browser remembers them."), h("fieldset.column-ticks", { "aria-label": "Columns" }, boxes)],
    actions: [
      h("button", { type: "button", onclick: usual }, "The usual ones"),
      h("span.spring"),
      h("button.primary", { type: "button", onclick: () => dialog.close() }, "Done"),
    ],
  });
}

function chosenIds() {
  if (chosen) return chosen;
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT));
    if (Array.isArray(kept)) return kept;
  } catch {
    // Something else has written there, or there is no storage.
  }
  return USUAL;
}
