/** The members of a price, and prices in words. */

import { date, money, number } from "../format.js";

export const KINDS = [
  ["input", "Input", "per million tokens"],
  ["output", "Output", "per million tokens"],
  ["cachedInput", "Cached input", "per million tokens; else as input"],
  ["cacheWrite", "Cache write", "per million tokens; else 1.25 × input"],
  ["cacheWrite1h", "Cache write, 1 h", "per million tokens; else 2 × input"],
  ["reasoning", "Reasoning", "per million tokens; else as output"],
  ["audioInput", "Audio input", "per million tokens; else as input"],
  ["audioOutput", "Audio output", "per million tokens; else as output"],
  ["imageInput", "Image input", "per million tokens; else as input"],
  ["imageOutput", "Image output", "per million tokens; else as output"],
  ["perSecond", "Second", "of a recording"],
  ["perImage", "Image", "each that is made"],
  ["perPage", "Page", "each that is read"],
  ["perCharacter", "Character", "each that is spoken"],
  ["perRequest", "Call", "each"],
];

/** $2.50 input, $10.00 output; other prices above 200,000 tokens. */
export function priceText(price) {
  const told = KINDS.filter(([name]) => price?.[name] !== null && price?.[name] !== undefined);
  const text = told.map(([name, label]) => `${money(price[name])} ${label.toLowerCase()}`).join(", ");
  const tiers = price?.longContext?.map((each) => number(each.aboveTokens)) ?? [];
  return (text || "no price") + (tiers.length ? `; other prices above ${tiers.join(", ")} tokens` : "");
}

/** The list price of 27 Nov 2026. */
export const listName = (offer) => `the list price of ${date(Date.parse(`${offer.date}T12:00`))}`;

/** $2.50 / $10.00: what goes in and what comes out, or the first there is. */
export function inShort(price) {
  const two = [price.input, price.output].filter((each) => each !== undefined).map(money);
  return two.length ? two.join(" / ") : priceText(price).split(",")[0];
}
