/** Says when the server is slow or silent, and tries again until it is heard. */

import { network, send } from "../api.js";
import { announce, fill, h, icon } from "../dom.js";

const FIRST_TRY_MS = 2_000;
const LAST_TRY_MS = 30_000;

const ask = () => send("/health", { quiet: true, patienceMs: 10_000, asIs: true, signingIn: true });

/**
 * Loads the page anew once the server answers; until then the bar says that it does not. Browsers remember a module that
 * could not be fetched: nothing else asks for it again.
 */
export async function loadAnew() {
  await ask().then(() => location.reload(), () => network.addEventListener("found", () => location.reload(), { once: true }));
}

/** The bar at the top of the page; it is there while there is something to say. */
export function connectionBar() {
  const bar = h("div.connection", { hidden: true });
  let timer = 0;
  let wait = FIRST_TRY_MS;

  const hide = () => {
    clearTimeout(timer);
    bar.hidden = true;
    fill(bar);
    delete bar.dataset.kind;
  };
  const show = (kind, ...content) => {
    bar.dataset.kind = kind;
    bar.hidden = false;
    fill(bar, ...content);
  };
  const tryAgain = async () => {
    clearTimeout(timer);
    try {
      await ask();
    } catch {
      timer = setTimeout(tryAgain, wait);
      wait = Math.min(LAST_TRY_MS, wait * 1.6);
    }
  };

  network.addEventListener("slow", () => {
    if (bar.dataset.kind !== "lost") show("slow", icon("clock"), h("span", "The server is taking longer than usual…"));
  });
  network.addEventListener("quick", () => bar.dataset.kind === "slow" && hide());
  network.addEventListener("lost", () => {
    wait = FIRST_TRY_MS;
    show("lost", icon("warn"), h("span", "The server does not answer. Trying again by itself…"), h("button", { type: "button", onclick: tryAgain }, "Try now"));
    announce("The server does not answer. It is tried again by itself.", { urgent: true });
    clearTimeout(timer); // that of saying it was back
    timer = setTimeout(tryAgain, wait);
  });
  network.addEventListener("found", () => {
    show("found", icon("ok"), h("span", "The server is back."));
    announce("The server is back.");
    clearTimeout(timer);
    timer = setTimeout(hide, 3_000);
  });
  return bar;
}
