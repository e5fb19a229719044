/** A button that opens a short menu of actions, beside a row or in a corner. */

import { h, icon } from "../dom.js";

/**
 * `items`: { label, image, run(button), danger } or null for a line between them; they may be a function, asked at
 * opening. `face` are nodes to show instead of the icon; `label` is the name either way.
 */
export function menuButton({ label, image = "more", items, face = null, kind = "quiet square" }) {
  const name = face ? {} : { "aria-label": label, title: label };
  const button = h("button", { type: "button", class: kind, "aria-haspopup": "menu", "aria-expanded": "false", ...name }, face ?? icon(image));
  // Made when it is opened: a table has fifty of these buttons.
  let menu = null;
  // The browser closes an open menu at the press, before the click that meant just that.
  let wasOpen = false;
  button.addEventListener("pointerdown", () => (wasOpen = menu !== null));
  button.addEventListener("click", () => {
    if (!wasOpen && !menu) open();
    else menu?.hidePopover();
    wasOpen = false;
  });

  function open() {
    const list = typeof items === "function" ? items() : items;
    menu = h("div.menu", { role: "menu", "aria-label": label, popover: "auto", ontoggle: toggled, onkeydown: pressed }, list.map(entry));
    button.after(menu);
    menu.showPopover();
    place(menu, button);
    button.setAttribute("aria-expanded", "true");
    entries()[0]?.focus();
  }

  const entries = () => [...menu.querySelectorAll("[role=menuitem]")];

  function entry(item) {
    if (!item) return h("hr", { role: "separator" });
    const run = () => {
      menu?.hidePopover();
      button.focus();
      item.run(button);
    };
    return h("button", { type: "button", role: "menuitem", tabindex: "-1", class: item.danger ? "is-danger" : "", onclick: run }, icon(item.image ?? "right"), item.label);
  }

  function toggled(event) {
    if (event.newState !== "closed") return;
    button.setAttribute("aria-expanded", "false");
    const closing = event.currentTarget;
    const hadFocus = closing.contains(document.activeElement);
    closing.remove();
    if (menu === closing) menu = null;
    if (hadFocus) button.focus();
  }

  function pressed(event) {
    const all = entries();
    const now = all.indexOf(document.activeElement);
    const to = { ArrowDown: (now + 1) % all.length, ArrowUp: (now - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[to].focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      event.stopPropagation();
      menu.hidePopover();
      button.focus();
    } else if (event.key.length === 1 && event.key !== " ") {
      const wanted = event.key.toLowerCase();
      [...all.slice(now + 1), ...all].find((each) => each.textContent.trim().toLowerCase().startsWith(wanted))?.focus();
    }
  }
  return button;
}

/** Under the button, or over it, inside the window. By script: the page's policy lets no style attribute in. */
function place(menu, button) {
  const from = button.getBoundingClientRect();
  const own = menu.getBoundingClientRect();
  const left = Math.max(8, Math.min(from.right - own.width, innerWidth - own.width - 8));
  const isBelow = from.bottom + own.height + 8 < innerHeight;
  menu.style.left = `${left}px`;
  menu.style.top = `${isBelow ? from.bottom + 4 : Math.max(8, from.top - own.height - 4)}px`;
}
