/** Small signs: a status in icon and word, a moment, a page's head, a note. */

import { h, icon } from "../dom.js";
import { ago, exactly } from "../format.js";

const ICONS = { ok: "ok", bad: "bad", warn: "warn", off: "off", info: "info", wait: "clock" };

/** `kind`: ok, bad, warn, off, info or wait; the word says the same as the icon and the colour. */
export const status = (kind, word, title) =>
  h("span.status", { data: { kind }, title }, icon(ICONS[kind]), h("span", word));

/** A tag: a quiet word in a frame. */
export const tag = (word, title) => h("span.tag", { title }, word);

/** A moment as people say it ("3 minutes ago"), exact on pointing at it; it keeps itself true. */
class TimeAgo extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => this.show(), 30_000);
    this.show();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  show() {
    const ms = Number(this.getAttribute("ms"));
    this.replaceChildren(h("time", { datetime: new Date(ms).toISOString(), title: exactly(ms) }, ago(ms)));
  }
}
customElements.define("time-ago", TimeAgo);

export const when = (ms, never = "never") => (ms ? h("time-ago", { ms }) : h("span.quiet-text", never));

/** The head of a screen: its name, what it is for, and its main actions. */
export function pageHead({ title, lead, actions = [] }) {
  return h("header.page-head", h("div", h("h1", title), lead && h("p.lead", lead)), actions.length > 0 && h("div.actions", actions));
}

/** A note in the flow of a page. `kind`: info, ok, warn or bad. */
export const note = (kind, ...content) => h("div.note", { data: { kind } }, icon(ICONS[kind]), h("div", content));
