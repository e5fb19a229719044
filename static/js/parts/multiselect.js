/**
 * Choosing several of many: <multi-select>, a list of tick boxes with a search. With `all`, the first choice is between
 * everything (an empty list) and only what is ticked. With `patterns`, a text with a star in the search can be ticked too.
 */

import { announce, calmly, fill, h, icon, uid } from "../dom.js";
import { count, number } from "../format.js";
import { matches } from "./search.js";

const SHOWN = 200;

class MultiSelect extends HTMLElement {
  /** `options`: { value, label?, note? }. `all`: the words for "everything"; `only`: for "these". */
  build({ label, options, value = [], all = "", only = "", noun = "entry", nouns = `${noun}s`, patterns = false }) {
    Object.assign(this, { label, only, noun, nouns, patterns });
    this.ticked = new Set(value);
    // What was chosen once and is gone since stays visible, so that it can be taken away knowingly.
    const known = new Set(options.map((each) => each.value));
    this.options = options;
    this.options = [
      ...value
        .filter((each) => !known.has(each))
        .map((each) => this.pattern(each) ?? { value: each, note: "not there any more" }),
      ...options,
    ];
    this.search = "";
    this.tally = h("span.quiet-text", { "aria-live": "polite" });
    this.list = h("div.ticks", { role: "group", "aria-label": label });
    this.more = h("p.hint", { hidden: true });
    const find = h("input", {
      type: "search",
      placeholder: patterns ? "Search, or a pattern: gpt-4*" : "Search",
      "aria-label": `Search in ${label}`,
      autocomplete: "off",
    });
    find.addEventListener("input", calmly(() => this.find(find.value.trim()), 80));
    find.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
    this.panel = h(
      "div.ticks-panel",
      h(
        "div.ticks-head",
        h("div.search", icon("search"), find),
        this.tally,
        h("button.quiet", { type: "button", onclick: () => this.tickShown(true) }, "Tick all shown"),
        h("button.quiet", { type: "button", onclick: () => this.tickShown(false) }, "None"),
      ),
      this.list,
      this.more,
    );
    fill(this, all && this.choice(all, only), this.panel);
    this.draw();
  }

  choice(all, only) {
    const name = uid("choice");
    const isAll = this.ticked.size === 0;
    const radio = (words, checked, pick) =>
      h("label.radio", h("input", { type: "radio", name, checked, onchange: pick }), h("span", words));
    this.isAll = isAll;
    this.panel.hidden = isAll;
    const turn = (value) => {
      this.isAll = value;
      this.panel.hidden = value;
      this.changed();
    };
    return h("div.radios", radio(all, isAll, () => turn(true)), radio(only, !isAll, () => turn(false)));
  }

  /** The chosen values; [] when everything is. */
  get value() {
    return this.isAll ? [] : [...this.ticked];
  }

  /** Whether "only these" was chosen and none was ticked. */
  get isUndecided() {
    return this.isAll === false && this.ticked.size === 0;
  }

  found() {
    const found = this.options.filter((each) => matches(this.search, each.value, each.label, each.note));
    const typed = !this.options.some((each) => each.value === this.search) && this.pattern(this.search);
    return typed ? [typed, ...found] : found;
  }

  /** A text with a star as an option, where there may be such: any text can stand for the star. */
  pattern(text) {
    if (!this.patterns || !text.includes("*")) return null;
    const fits = new RegExp(`^${text.replace(/[^\w*]/gu, "\\$&").replace(/\*+/g, ".*")}$`);
    const fitting = this.options.filter((each) => fits.test(each.value)).length;
    return { value: text, note: `pattern, fits ${count(fitting, this.noun, this.nouns)} now` };
  }

  tick(option) {
    this.ticked.add(option.value);
    if (!this.options.some((each) => each.value === option.value)) this.options = [option, ...this.options];
  }

  find(text) {
    this.search = text;
    this.draw();
    announce(`${count(this.found().length, this.noun, this.nouns)} found.`);
  }

  draw() {
    const found = this.found();
    fill(this.list, found.slice(0, SHOWN).map((each) => this.option(each)), found.length === 0 && h("p.quiet-text", `No ${this.noun} matches.`));
    this.more.hidden = found.length <= SHOWN;
    this.more.textContent = `${number(found.length - SHOWN)} more. Search to find them.`;
    this.tell();
  }

  option(option) {
    const { value, label, note } = option;
    const box = h("input", { type: "checkbox", checked: this.ticked.has(value), value });
    box.addEventListener("change", () => {
      if (box.checked) this.tick(option);
      else this.ticked.delete(value);
      this.changed();
    });
    return h("label.tick-line", box, h("span", label || value), (note || (label && label !== value)) && h("span.quiet-text", note || value));
  }

  tickShown(isTicked) {
    for (const each of isTicked ? this.found() : this.options) {
      if (isTicked) this.tick(each);
      else this.ticked.delete(each.value);
    }
    this.draw();
    this.changed();
  }

  changed() {
    this.tell();
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  tell() {
    this.tally.textContent = `${number(this.ticked.size)} ticked`;
  }
}
customElements.define("multi-select", MultiSelect);

/** A <multi-select> that is set up. */
export function multiSelect(options) {
  const element = h("multi-select");
  element.build(options);
  return element;
}
