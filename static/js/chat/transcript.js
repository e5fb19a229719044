/** What was said, and the answers while they grow. It follows the end unless the reader has scrolled away from it. */

import { fetchPart } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { failed } from "../parts/faces.js";
import { isRunning } from "./conversation.js";

const NEAR_PX = 60;

let drawing = null;

/** Fetches what draws turns, which a conversation that has not begun can do without. */
export async function fetchTurns() {
  drawing ??= await fetchPart(() => import("./turns.js"));
}

/** `onregenerate()`, `onedit()`; `empty()` is shown while nothing was said; `extra(error)`: buttons under a failure. */
export function transcript({ onregenerate, onedit, empty, extra = () => [] }) {
  const turns = h("div.turns");
  const jump = h("button.jump", { type: "button", hidden: true, onclick: () => toEnd() }, icon("down"), "To the end");
  const element = h("section.transcript", { tabindex: "0", "aria-label": "Conversation" }, turns, jump);
  const drawn = new WeakMap();
  let follows = true;

  const toEnd = () => {
    element.scrollTop = element.scrollHeight;
    follows = true;
    jump.hidden = true;
  };
  const settle = () => (follows ? toEnd() : (jump.hidden = false));
  element.addEventListener("scroll", () => {
    follows = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    if (follows) jump.hidden = true;
  });
  // A picture that loads, or a window that turns, moves the end.
  const sizes = new ResizeObserver(() => follows && toEnd());
  sizes.observe(turns);
  sizes.observe(element);

  /** Draws what is new or different; turns that stay as they are keep their place, focus and selection. */
  function draw(conversation) {
    const { messages } = conversation;
    if (messages.length && !drawing) {
      fetchTurns().then(() => draw(conversation), (error) => fill(turns, failed(error, () => draw(conversation))));
      return;
    }
    const lastSaid = messages.findLastIndex((each) => each.role === "user");
    const isBusy = messages.some(isRunning);
    const nodes = messages.map((each, at) => {
      const isLast = !isBusy && (each.role === "user" ? at === lastSaid : at === messages.length - 1);
      if (!drawn.has(each)) drawn.set(each, each.role === "user" ? drawing.said(each, onedit) : drawing.answered(each, onregenerate, extra));
      const turn = drawn.get(each);
      const key = [each.state, isLast, ...(each.images ?? []).map(({ fault }) => fault)].join();
      if (turn.key !== key) turn.settle(isLast);
      turn.key = key;
      return turn.node;
    });
    // What stays is not moved: that would lose the focus and stop what plays.
    nodes.forEach((node, at) => turns.children[at] !== node && turns.insertBefore(node, turns.children[at] ?? null));
    while (turns.childElementCount > nodes.length) turns.lastElementChild.remove();
    if (!nodes.length) fill(turns, empty());
    settle();
  }

  /** The running answer has grown. */
  function grow(message) {
    drawn.get(message)?.grow?.();
    settle();
  }

  return { element, draw, grow, toEnd };
}
