/** How limits stand: so much of so much, as a bar and in words. What `Standing` is on the server. */

import { h } from "../dom.js";
import { count, money, number } from "../format.js";
import { when } from "../parts/marks.js";
import { bar } from "../parts/svg.js";

const NAMES = { requests: "Calls a minute", tokens: "Tokens a minute", parallel: "Calls at once", monthlyRequests: "Calls a month" };

const isMoney = (limit) => limit.kind === "budget";
const amounts = (limit) => (isMoney(limit) ? [limit.usedUsd + limit.heldUsd, limit.limitUsd] : [limit.used + limit.held, limit.limit]);
const windowText = ({ window, days }) => (window === "rolling" ? `in ${count(days, "day")}` : window === "total" ? "in total" : `a ${window}`);

/** How much of it is used, from 0 to 1 and more. */
export function partOf(limit) {
  const [used, most] = amounts(limit);
  return most > 0 ? used / most : 1;
}

const kindOf = (part) => (part >= 1 ? "bad" : part >= 0.8 ? "warn" : "ok");
const percent = (part) => `${number(Math.floor(part * 100))} %`;

/** Of several limits the budget that is used most, or undefined. */
export const mostUsed = (limits = []) => limits.filter(isMoney).sort((a, b) => partOf(b) - partOf(a))[0];

/** A cell of a list: what was spent this month, and the budget that is used most. */
export function spendCell(spent, limits) {
  const budget = mostUsed(limits);
  const said = h("span", money(spent?.costUsd ?? 0));
  if (!budget) return h("div.two", said, h("span", count(spent?.calls ?? 0, "call")));
  const part = partOf(budget);
  return h("div.two.spend", said, h("span", part >= 1 ? "used up: " : "", `${percent(part)} of ${money(budget.limitUsd)} ${windowText(budget)}`), bar(part, kindOf(part)));
}

/** All limits of somebody, one bar each; `whose(limit)` says in a word or two whose each is, where that is not clear. */
export function limitBars(limits, whose = () => "") {
  return h(
    "ul.bars",
    limits.map((limit) => {
      const [used, most] = amounts(limit);
      const say = isMoney(limit) ? money : (value) => number(value);
      const part = partOf(limit);
      const name = isMoney(limit) ? `Budget ${windowText(limit)}${limit.label ? `, ${limit.label}` : ""}` : NAMES[limit.kind];
      return h(
        "li",
        h("div.ranked", h("span", name, h("span.quiet-text", whose(limit))), h("span.number.nowrap", `${say(used)} of ${say(most)}`)),
        bar(part, kindOf(part)),
        h(
          "p.hint",
          part >= 1 ? "Used up. " : part >= 0.8 ? `${percent(part)} used. ` : "",
          limit.raisedUntil && ["Raised until ", when(limit.raisedUntil), ". "],
          limit.resetsAt && used > 0 && [limit.window === "rolling" || limit.window === "minute" ? "There is more room " : "Begins anew ", when(limit.resetsAt), "."],
        ),
      );
    }),
  );
}
