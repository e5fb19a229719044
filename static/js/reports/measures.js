/** Figures of a time: spend, calls, errors, tokens, how long calls took; each with what it was in the time before. */

import { h } from "../dom.js";
import { count, duration, money, number } from "../format.js";

/** 340 ms; a dash where nothing was timed. */
export const took = (ms) => (ms === null || ms === undefined ? "–" : duration(Math.round(ms)));
const share = (part, whole) => (whole ? `${number((part / whole) * 100, 1)} %` : "0 %");

const SPEND = { name: "Spend", of: (totals) => totals.costUsd, say: money, more: (totals) => totals.unknownCostCalls > 0 && `not counting ${count(totals.unknownCostCalls, "call")} of unknown cost` };
const CALLS = { name: "Calls", of: (totals) => totals.calls, say: (value) => number(value) };
const ERRORS = { name: "Errors", of: (totals) => totals.errors, say: (value) => number(value), more: (totals) => totals.calls > 0 && `${share(totals.errors, totals.calls)} of calls` };
const HALF = { name: "Latency, p50", of: (totals) => totals.latencyP50Ms, say: took, more: () => "half are quicker" };
const MOST = { name: "Latency, p95", of: (totals) => totals.latencyP95Ms, say: took, more: () => "95 % are quicker" };
const TOKENS = [
  { name: "Tokens in", of: (totals) => totals.inputTokens, say: (value) => number(value) },
  { name: "Tokens out", of: (totals) => totals.outputTokens, say: (value) => number(value) },
];

export const OF_ALL = [SPEND, CALLS, ERRORS, HALF, MOST];
export const OF_ONE = [SPEND, CALLS, ERRORS, ...TOKENS];

/** The figures of `totals`, against those of the time before, which is called `than`. */
export function measures(list, totals, before, than) {
  return h(
    "ul.measures",
    { "aria-label": before ? `Figures, each with its change against ${than}` : "Figures" },
    list.map((each) => {
      const [now, then] = [each.of(totals), before && each.of(before)];
      const said = each.say(now ?? null);
      return h(
        "li.card",
        h("span.tile-name", each.name),
        h("strong.tile-number", { class: `is-${sizeOf(said)}` }, said),
        before && change(now, then, each.say),
        each.more?.(totals) && h("span.quiet-text.small", each.more(totals)),
      );
    }),
  );
}

/** The longer a figure, the smaller, so that it stays in one line. */
const sizeOf = ({ length }) => (length > 12 ? 2 : length > 9 ? 3 : length > 7 ? 4 : 5);

/** By how much it is more or less, and what it was. More is not better or worse: that depends. */
function change(now, then, say) {
  const face = (...text) => h("span.quiet-text.small", text);
  if (now === null || now === undefined || then === null || then === undefined) return face("nothing to compare");
  if (now === then) return face(now === 0 ? "none before either" : "the same as before");
  if (then === 0) return face("none before");
  const percent = Math.round((now / then - 1) * 100);
  const much = percent > 999 ? `${number(now / then)} times` : `${percent > 0 ? "+" : percent < 0 ? "−" : "±"}${number(Math.abs(percent))} %`;
  return face(h("strong.nowrap", much), " ", h("span.nowrap", `was ${say(then)}`));
}
