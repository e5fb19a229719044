/** Tabs: several views in one place, of which one is seen. Arrow keys go from one to the next. */

import { fill, h, uid } from "../dom.js";

/** `list`: { id, label, content() → node or nodes }, made when first seen. `chosen`: the id to begin with. `onchoose(id)`. */
export function tabs(list, { label, chosen = list[0].id, onchoose } = {}) {
  const prefix = uid("tabs");
  const panels = new Map(
    list.map((each) => [
      each.id,
      h("div.tab-panel", { role: "tabpanel", id: `${prefix}-${each.id}-panel`, "aria-labelledby": `${prefix}-${each.id}`, hidden: true }),
    ]),
  );
  const buttons = list.map((each) =>
    h(
      "button.tab",
      { type: "button", role: "tab", id: `${prefix}-${each.id}`, "aria-controls": `${prefix}-${each.id}-panel`, onclick: () => choose(each.id) },
      each.label,
    ),
  );

  function choose(asked, tell = true) {
    const id = panels.has(asked) ? asked : list[0].id;
    list.forEach((each, at) => {
      const isChosen = each.id === id;
      buttons[at].setAttribute("aria-selected", String(isChosen));
      buttons[at].tabIndex = isChosen ? 0 : -1;
      const panel = panels.get(each.id);
      panel.hidden = !isChosen;
      if (isChosen && !panel.childElementCount) fill(panel, each.content());
    });
    requestAnimationFrame(show);
    if (tell) onchoose?.(id);
  }

  /** Where the tabs do not fit side by side, the chosen one goes to the middle. */
  function show() {
    const { offsetLeft, offsetWidth } = buttons.find((each) => each.tabIndex === 0);
    bar.scrollLeft = offsetLeft + (offsetWidth - bar.clientWidth) / 2;
  }

  const bar = h("div.tab-bar", { role: "tablist", "aria-label": label }, buttons);
  bar.addEventListener("keydown", (event) => {
    const now = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: (now + 1) % list.length, ArrowLeft: (now - 1 + list.length) % list.length, Home: 0, End: list.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons[to].focus();
    choose(list[to].id);
  });
  choose(chosen, false);
  return Object.assign(h("div.tabs", bar, [...panels.values()]), { choose });
}
