/** The faces of whatever is fetched: loading, failed with a way to try again, empty with a way to begin, and there. */

import { ApiError, network } from "../api.js";
import { announce, fill, h, icon } from "../dom.js";

/** While something loads. It shows only when that takes a moment, and then in about the shape of what will come. */
export function loading(label = "Loading", lines = 6) {
  const bars = Array.from({ length: lines }, () => h("span.bone"));
  return h("div.loading", { role: "status" }, h("span.visually-hidden", `${label}…`), bars);
}

/** Nothing here yet: what this place is for, and how to begin. */
export function empty({ title, text, actions = [], image = "info" }) {
  return h("div.empty", h("span.empty-image", icon(image)), h("h2", title), text && h("p", text), h("div.actions", actions));
}

/** What went wrong, and a button to try again. It tries by itself when a silent server is heard again. */
export function failed(error, retry) {
  const face = h(
    "div.empty.is-bad",
    { role: "alert" },
    h("span.empty-image", icon("warn")),
    h("h2", error.isSilence ? "No answer from the server" : "This could not be loaded"),
    h("p", error.message),
    error.requestId && h("p.hint", "Request ", h("code", error.requestId)),
    h("div.actions", h("button.primary", { type: "button", onclick: retry }, icon("refresh"), "Try again")),
  );
  if (error.isSilence) network.addEventListener("found", () => face.isConnected && retry(), { once: true });
  return face;
}

/**
 * Fetches, showing the faces in `root`, and renders. `fetcher` answers a promise, `render(data)` nodes. What is there
 * stays while it is fetched anew. A promise of whether it came.
 */
export async function load(root, fetcher, render, { label = "Loading" } = {}) {
  const turn = (root.turn = (root.turn ?? 0) + 1);
  const isFirst = !root.childElementCount || root.dataset.face !== "there";
  let giveBack = placeOfFocus(root);
  if (isFirst) fill(root, loading(label));
  root.setAttribute("aria-busy", "true");
  try {
    const data = await fetcher();
    if (root.turn !== turn) return false;
    root.dataset.face = "there";
    if (root.contains(document.activeElement)) giveBack = placeOfFocus(root);
    fill(root, render(data));
    giveBack();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (root.turn !== turn) return false;
    root.dataset.face = "failed";
    fill(root, failed(error, () => load(root, fetcher, render, { label })));
    giveBack();
    announce(error.message, { urgent: true });
    return false;
  } finally {
    if (root.turn === turn) root.removeAttribute("aria-busy");
  }
}

const CONTROLS = "a[href], button, input, select, textarea";

/** Remembers which control of an element has the focus; the answer gives it to the one that has come in its place, if it was lost. */
function placeOfFocus(root) {
  const at = [...root.querySelectorAll(CONTROLS)].indexOf(document.activeElement);
  return () => {
    if (at >= 0 && document.activeElement === document.body) root.querySelectorAll(CONTROLS)[at]?.focus({ preventScroll: true });
  };
}
