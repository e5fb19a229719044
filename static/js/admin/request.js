/** One call: where it went and why, its attempts on a line of time, what it used and cost, how it ended, its ids. */

import { get } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { bytes, exactly, number } from "../format.js";
import { codeBlock, copyButton, copyLine } from "../parts/copy.js";
import { load } from "../parts/faces.js";
import { pageHead, when } from "../parts/marks.js";
import "../reports/sheet.js";
import { attemptLines, wayOf } from "./request-way.js";
import { BASES, ORIGINS, costText, exactMoney, keyText, quiet, statusMark, tookText } from "./request-words.js";
import { KINDS } from "./price-words.js";

// Tokens and what else is counted: [member, label, is it part of the one above].
const COUNTS = [
  ["inputTokens", "Input tokens"],
  ["cachedTokens", "of them from the cache", true],
  ["cacheWriteTokens", "of them written to the cache", true],
  ["audioInputTokens", "of them audio", true],
  ["outputTokens", "Output tokens"],
  ["reasoningTokens", "of them reasoning", true],
  ["audioOutputTokens", "of them audio", true],
  ["seconds", "Seconds of a recording"],
  ["images", "Images"],
  ["pages", "Pages"],
  ["characters", "Characters"],
];

export function screen(root, params) {
  const back = h("a.button", { href: "#/requests" }, icon("left"), "All requests");
  const place = h("div.stack");
  const head = h("div", pageHead({ title: "Request", actions: [back] }));
  root.append(head, place);
  const show = (id) =>
    load(
      place,
      () => get(`/api/admin/requests/${id}`), // as it is in the address: encoded
      (call) => {
        fill(head, pageHead({ title: "Request", lead: leadOf(call), actions: [back] }));
        return faces(call);
      },
      { label: "Loading the request" },
    );
  show(params.get("id"));
  return { change: (next) => show(next.get("id")) };
}

const leadOf = (call) => h("span.row", statusMark(call), h("span", call.model || "no model"), h("span", "for ", keyText(call)), h("span", when(call.time)));

function faces(call) {
  return h(
    "div.panels",
    call.errorCode || call.errorMessage ? panel("What went wrong", error(call), "is-wide") : null,
    h("div.stack", panel("Way", wayOf(call)), panel(call.costLines?.length ? "Price, line by line" : "Use and cost", bill(call))),
    h("div.stack", panel("Time", attemptLines(call)), panel("Who and what", facts(call))),
    panel("Ids", ids(call), "is-wide"),
  );
}

const panel = (title, content, kind = "") =>
  h("section.card.pad.stack-small", { "aria-label": title, class: kind }, h("h2", title), content);

function error(call) {
  const origin = ORIGINS.find(([id]) => id === call.errorOrigin)?.[1];
  return [
    h("p", h("code", call.errorCode || "no code"), origin && [", an error of: ", origin.toLowerCase()], `, status ${call.status}.`),
    call.errorMessage && codeBlock(call.errorMessage, { label: "the message" }),
  ];
}

function facts(call) {
  const link = (name, id, label) => id && h("a", { href: `#/requests?${new URLSearchParams({ [name]: id })}` }, label || id);
  return factList([
    ["When", exactly(call.time)],
    ["API key", link("key", call.keyId, call.keyName) ?? keyText(call)],
    ["User", link("user", call.userId, call.userName)],
    ["Address", call.address],
    ["Client", call.userAgent],
    ["Endpoint", call.endpoint && h("code", call.endpoint)],
    ["Dialect", call.dialect],
    ["Model", link("model", call.model)],
    ["Stream", call.stream ? "yes" : "no"],
    ["Media", call.media],
    ["Came in", bytes(call.bytesIn)],
    ["Went out", bytes(call.bytesOut)],
    ["Finish reason", call.finishReason],
  ]);
}

const factList = (list) =>
  h(
    "dl.facts",
    list.filter(([, value]) => value).map(([name, value]) => [h("dt", name), h("dd", value)]),
  );

function ids(call) {
  return [
    copyLine(call.requestId, "Request id"),
    h("p.hint", "The same id is in the header x-request-id of the answer, and in the server's log."),
    factList(
      [
        ["API key", call.keyId],
        ["User", call.userId],
        ["Provider", call.providerId],
        ["Name there", call.upstreamModel],
      ].map(([name, id]) => [name, id && [h("code", id), copyButton(id, { label: `${name} ${id}`, words: false })]]),
    ),
  ];
}

/** Line by line, where the price of each is known; else what was used, and what that cost. */
function bill(call) {
  const basis = BASES[call.costBasis];
  const cells = (row) => row.map((each, at) => h(at ? "td" : "th", { scope: at ? null : "row", class: at ? "number" : null }, each));
  const head = (names) => h("thead", h("tr", names.map((name, at) => h("th", { scope: "col", class: at ? "number" : null }, name))));
  const total = (before) => h("tfoot", h("tr", cells(["Cost", ...before, costText(call, exactMoney)])));
  const used = COUNTS.filter(([member]) => call[member]);
  const usedRows = used.map(([member, label, isPart]) => h("tr", { class: isPart ? "is-part" : null }, cells([label, number(call[member], 2)])));
  const table = call.costLines?.length
    ? [
        h("table.bill", { "aria-label": "Price" }, head(["For", "How many", "Price", "Cost"]), h("tbody", call.costLines.map((line) => h("tr", cells(priced(line))))), total(["", ""])),
        h("details.twin", h("summary", "What was used"), h("table.bill", { "aria-label": "Use" }, h("tbody", usedRows))),
      ]
    : h("table.bill", { "aria-label": "Use and cost" }, head(["Used", "How many"]), h("tbody", usedRows.length ? usedRows : h("tr", cells(["Nothing", "0"]))), total([]));
  return [
    table,
    call.upstreamCostUsd !== null && call.upstreamCostUsd !== undefined && call.upstreamCostUsd !== call.costUsd && h("p.hint", `The provider itself pays ${exactMoney(call.upstreamCostUsd)}.`),
    h("p.hint", call.attempts.length === 0 ? "No provider was asked, so nothing was used." : basis ? `The cost is ${basis}.` : quiet("There is no cost.")),
  ];
}

function priced({ kind, quantity, price, costUsd }) {
  const label = KINDS.find(([name]) => name === kind)?.[1] ?? "As reported";
  const isTokens = !kind.startsWith("per") && kind !== "reported";
  return [label, number(quantity, 2), price ? `$${price}${isTokens ? " / 1M" : ""}` : "", exactMoney(costUsd)];
}
