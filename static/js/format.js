/** Dates, numbers, money, sizes and times as people read them: the words are English, the numbers are the reader's. */

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const DATE_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const LIST = new Intl.ListFormat("en", { type: "conjunction" });
const PERIODS = [["year", 31_557_600_000], ["month", 2_629_800_000], ["week", 604_800_000], ["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]];

/** 21 Nov 2026, 09:14, in the reader's zone. */
export const dateTime = (ms) => DATE_TIME.format(ms);

/** As dateTime, with the day of the week, the seconds and the zone. */
export const exactly = (ms) => EXACT.format(ms);

export const date = (ms) => DATE.format(ms);

/** 3 minutes ago, in 2 days. */
export function ago(ms, now = Date.now()) {
  const distance = ms - now;
  const [unit, length] = PERIODS.find(([, length]) => Math.abs(distance) >= length) ?? ["now", 1];
  if (unit === "now") return distance > 30_000 ? "in a moment" : "just now";
  return RELATIVE.format(Math.trunc(distance / length), unit);
}

export function number(value, most = 0, least = 0) {
  return formatter(most, least).format(value);
}

const formatters = new Map();

/** Kept, since making one takes longer than drawing a row of a table. */
function formatter(most, least, money = false) {
  const key = `${most} ${least} ${money}`;
  if (!formatters.has(key)) {
    const style = money ? { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol" } : {};
    formatters.set(key, new Intl.NumberFormat(undefined, { ...style, maximumFractionDigits: most, minimumFractionDigits: least }));
  }
  return formatters.get(key);
}

/** 1 model, 1 204 models. */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** US dollars; small amounts keep the digits that matter. */
export function money(usd) {
  const size = Math.abs(usd);
  if (size === 0 || size >= 10) return formatter(2, 2, true).format(usd);
  if (size >= 0.01) return formatter(3, 2, true).format(usd);
  return formatter(Math.min(9, 2 - Math.floor(Math.log10(size))), 0, true).format(usd);
}

/** 8.2 MB, counted in 1024, as limits are. */
export function bytes(size) {
  const power = size < 1024 ? 0 : Math.min(3, Math.floor(Math.log(size) / Math.log(1024)));
  const scaled = size / 1024 ** power;
  return `${number(scaled, power && scaled < 100 ? 1 : 0)} ${["bytes", "kB", "MB", "GB"][power]}`;
}

/** 340 ms, 1.2 s, 2 min 5 s. */
export function duration(ms) {
  if (ms < 1000) return `${number(ms)} ms`;
  if (ms < 60_000) return `${number(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${number(Math.floor(seconds / 60))} min ${seconds % 60} s`;
}

/** a, b and c; with many, the first of them and how many more. */
export function names(list, most = Infinity) {
  const shown = list.length > most ? [...list.slice(0, most), `${number(list.length - most)} more`] : list;
  return LIST.format(shown);
}

/** The value a datetime-local input takes, and back. */
export function toLocalInput(ms) {
  if (ms === null || ms === undefined) return "";
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** For its `max`: JavaScript cannot read the years of six digits that browsers offer, and no time is no end. */
export const LAST_MOMENT = "9999-12-31T23:59";

export const fromLocalInput = (text) => (text ? new Date(text).getTime() : null);

const COLLATOR = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Order for sorting: numbers by size, texts as people sort them, nothing last. */
export function compare(a, b) {
  const [noA, noB] = [a === null || a === undefined || a === "", b === null || b === undefined || b === ""];
  if (noA || noB) return noA - noB;
  if (typeof a === "string" || typeof b === "string") return COLLATOR.compare(a, b);
  return a - b;
}
