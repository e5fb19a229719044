/** Short notes that something is done, at the foot of the page; with an action, such as undoing it. */

import { announce, focusOn, h, icon, topmost } from "../dom.js";

const SHOWN_MS = 5_000;
const WITH_ACTION_MS = 10_000;
const ICONS = { ok: "ok", bad: "bad", warn: "warn", info: "info" };

let place = null;

/** `kind`: ok, bad, warn or info. `action`: { label, run }. It stays while it is pointed at or has the focus. */
export function toast(text, { kind = "ok", action = null } = {}) {
  const note = h("div.toast", { data: { kind } }, icon(ICONS[kind]), h("span", text));
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    const hadFocus = note.contains(document.activeElement);
    note.remove();
    if (hadFocus) focusOn(document.querySelector("main h1"));
    if (!place.childElementCount) place.hidePopover?.();
  };
  const later = () => (timer = setTimeout(close, action ? WITH_ACTION_MS : SHOWN_MS));
  if (action) {
    const run = () => {
      close();
      action.run();
    };
    note.append(h("button.quiet", { type: "button", onclick: run }, action.label));
  }
  note.append(h("button.quiet.square", { type: "button", "aria-label": "Close this note", onclick: close }, icon("cross")));
  for (const type of ["pointerenter", "focusin"]) note.addEventListener(type, () => clearTimeout(timer));
  for (const type of ["pointerleave", "focusout"]) note.addEventListener(type, later);
  show(note);
  announce(action ? `${text} ${action.label} is possible.` : text, { urgent: kind === "bad" });
  later();
  return close;
}

/** Into the topmost layer, where it is neither covered nor inert; back to the page when a dialog goes. */
function show(note) {
  place ??= h("div.toasts", { popover: "manual", role: "region", "aria-label": "Notes" });
  if (place.parentElement !== topmost()) {
    topmost().append(place);
    const back = () => {
      document.body.append(place);
      if (place.childElementCount) place.showPopover();
    };
    if (place.parentElement !== document.body) place.parentElement.addEventListener("leaving", back, { once: true });
  }
  place.append(note);
  if (place.matches(":popover-open")) place.hidePopover();
  place.showPopover();
  while (place.childElementCount > 3) place.firstElementChild.remove();
}
