/** How a call is told: its status, whose it was, what it cost. For the log and the screen of one call. */

import { h } from "../dom.js";
import { duration, money, number } from "../format.js";
import { status } from "../parts/marks.js";

export const ORIGINS = [
  ["client", "Caller"],
  ["proxy", "This proxy"],
  ["upstream", "Provider"],
];
export const BASES = {
  reported: "as the provider reported it",
  priced: "by the price of the model",
  estimated: "an estimate, since nobody told what was used",
  unknown: "not known: the model has no price",
};

/** The status as a mark; a stream that broke after its 200 is no success. */
export function statusMark({ status: code, errorCode }) {
  if (code < 400) return errorCode ? status("bad", `${code}, broken`, errorCode) : status("ok", String(code));
  return status(code >= 500 ? "bad" : "warn", String(code), errorCode);
}

/** Whether an attempt is written down for the sake of the next one only, and was not asked then. */
export const isPassedOver = ({ status, error }) => !status && error === "cooling_down";

/** $0.0012; with a tilde where it is a guess. */
export function costText({ costUsd, costBasis }, say = money) {
  if (costUsd === null || costUsd === undefined) return costBasis ? "unknown" : "–";
  return `${costBasis === "estimated" ? "~" : ""}${say(costUsd)}`;
}

const EXACT = new Intl.NumberFormat(undefined, { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", maximumFractionDigits: 9 });

/** All the digits of an amount, down to the nano-dollar, so that lines add up. */
export const exactMoney = (usd) => EXACT.format(usd);

export const tookText = (ms) => (ms === null || ms === undefined ? "–" : ms < 10 ? `${number(ms, ms < 1 ? 2 : 1)} ms` : duration(Math.round(ms)));

/** Whose call: the name of the key, or what there is instead. */
export const keyText = ({ keyName, keyId }) => keyName || keyId || "no key";

/** The address of the screen of one call. */
export const requestHash = ({ requestId }) => `#/requests/${encodeURIComponent(requestId)}`;

export const quiet = (text) => h("span.quiet-text", text);
