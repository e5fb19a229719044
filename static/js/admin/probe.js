/**
 * Asking providers about themselves: whether they work, what they list. How the last test of each went is remembered in
 * this browser, since it is about here and now.
 */

import { at, get, post } from "../api.js";
import { h } from "../dom.js";
import { duration } from "../format.js";
import { status, when } from "../parts/marks.js";

const NAME = "ipin-tests";
let known = null;

function all() {
  if (!known) {
    try {
      known = JSON.parse(localStorage.getItem(NAME)) ?? {};
    } catch {
      known = {};
    }
  }
  return known;
}

/** { ok, status, latencyMs, message, time } or undefined. */
export const lastTest = (id) => all()[id];

export function forgetTest(id) {
  delete all()[id];
  keep();
}

/** Tests a stored provider. Resolves to the finding, whatever the provider does. */
export async function testProvider(id) {
  const finding = await post(at("/api/admin/providers", id, "test"), {}, { quiet: true });
  all()[id] = { ...finding, time: Date.now() };
  keep();
  return all()[id];
}

/** What a provider says it serves, { id, name } each. */
export const fetchListed = async (id) => (await get(at("/api/admin/providers", id, "models"), { quiet: true })).models;

/** A finding in icon, word and time. A bad one can be asked why: `explain()`. */
export function findingMark(finding, explain) {
  if (!finding) return h("div.finding.quiet-text.is-none", "not tested");
  return h(
    "div.finding.two",
    { title: finding.message },
    finding.ok
      ? status("ok", `works, ${duration(finding.latencyMs)}`)
      : h(
          "button.linkish",
          { type: "button", "aria-haspopup": "dialog", onclick: explain },
          status("bad", finding.status ? `fails (${finding.status})` : "fails", "Why?"),
        ),
    h("span", when(finding.time)),
  );
}

function keep() {
  try {
    localStorage.setItem(NAME, JSON.stringify(known));
  } catch {
    // It is remembered until the page is left.
  }
}
