/** The way of one call: which model and provider, and why those; and its attempts on a line of time. */

import { h } from "../dom.js";
import { status } from "../parts/marks.js";
import { svg } from "../parts/svg.js";
import { isPassedOver, tookText } from "./request-words.js";

/** The way in sentences. */
export function wayOf(call) {
  const steps = [];
  const add = (kind, ...words) => steps.push(h("li", status(kind, ""), h("span", words)));
  const strong = (text) => h("strong", text);
  if (call.alias) add("info", "It came through ", strong(call.alias), ".");
  add("info", call.model ? ["Asked for the model ", strong(call.model), "."] : "No model was asked for.");
  if (call.attempts.length === 0) {
    add("bad", call.errorOrigin === "client" ? "It was refused for what was asked, before any provider." : "It was refused here, before any provider was asked.");
    return h("ol.way", steps);
  }
  call.attempts.forEach((each, at) => {
    const isLast = at === call.attempts.length - 1;
    if (isPassedOver(each)) return add("warn", strong(each.provider), " had failed a moment before, so it was not its turn.");
    const said = each.status ? `answered ${each.status}` : "did not answer";
    if (isGood(each)) add("ok", strong(each.provider), at ? " was next, and answered." : " was asked first, and answered.");
    else add("bad", strong(each.provider), ` ${said}${each.error ? ` (${each.error})` : ""}`, isLast ? ", and with that the call ended." : ", so the next one was asked.");
  });
  if (call.servedModel && call.model && call.servedModel !== call.model) add("info", strong(call.servedModel), inPlaceOf(call));
  if (call.upstreamModel && call.upstreamModel !== (call.servedModel || call.model)) add("info", "There the model is called ", strong(call.upstreamModel), ".");
  return h("ol.way", steps);
}

/** Why another model was asked than the caller named, as far as that is written down. */
function inPlaceOf({ alias, attempts, model }) {
  const did = isGood(attempts.at(-1)) ? "answered" : "was asked";
  if (alias) return ` ${did} behind that.`;
  if (attempts.length > 1) return isGood(attempts.at(-1)) ? ` stood in for ${model}.` : ` was asked in the place of ${model}.`;
  return ` ${did} in the place of ${model}: by a map of names, or since whoever serves that cannot take such a call.`;
}

/** Each attempt, the answer and all of it, from when to when. */
export function attemptLines(call) {
  const asked = call.attempts.reduce((sum, each) => sum + each.ms, 0);
  const whole = Math.max(call.latencyMs ?? 0, asked, 0.001);
  let from = Math.min(call.overheadMs ?? 0, Math.max(0, whole - asked));
  const own = from;
  const lines = call.attempts.filter((each) => !isPassedOver(each)).map((each) => {
    const line = timeLine(each.provider, `${each.status || "no answer"} after ${tookText(each.ms)}`, from, each.ms, whole, isGood(each) ? "ok" : "bad");
    from += each.ms;
    return line;
  });
  if (whole - from > Math.max(1, whole / 100) && isGood(call.attempts.at(-1))) lines.push(timeLine("The answer", `${tookText(whole - from)}, until its end`, from, whole - from, whole, "ok"));
  const figures = [
    ["In all", call.latencyMs],
    ["First chunk after", call.firstChunkMs],
    ["At providers", call.upstreamMs],
    ["iPin Proxy's own", call.overheadMs],
  ];
  return [
    lines.length > 0 && h("ol.line-of-time", { "aria-label": "Attempts in the order of time" }, own > whole / 200 && timeLine("iPin Proxy", `${tookText(own)} of its own`, 0, own, whole, "own"), lines),
    h(
      "dl.facts",
      figures.filter(([, ms]) => ms !== null && ms !== undefined).map(([name, ms]) => [h("dt", name), h("dd.number", tookText(ms))]),
    ),
  ];
}

const isGood = (attempt) => Boolean(attempt) && attempt.status >= 200 && attempt.status < 400 && !attempt.error;

function timeLine(name, words, from, ms, whole, kind) {
  const percent = (part) => `${Math.min(100, (part / whole) * 100)}%`;
  return h(
    "li",
    h("div.ranked", h("span", name), h("span.number.nowrap", words)),
    svg(
      "svg",
      { class: "gauge", "aria-hidden": "true" },
      svg("rect", { class: "bar-track", width: "100%", height: "100%", rx: 4 }),
      svg("rect", { class: `bar-fill is-${kind}`, x: percent(from), width: percent(Math.max(ms, whole / 200)), height: "100%", rx: 4 }),
    ),
  );
}
