/**
 * A table of records: <data-table>. It sorts, shows a page of rows at a time (so a thousand are as quick as ten), keeps
 * selection and focus when rows change, and becomes a list of cards where the screen is narrow.
 */

import { announce, fill, h, icon, turnIcon } from "../dom.js";
import { compare, number } from "../format.js";

const PAGE = 50;

class DataTable extends HTMLElement {
  /**
   * `columns`: { id, label, cell(row) → node or text, value?(row) → what it sorts by, kind? "number" | "name" | "actions", down? }
   * (`down`: sorted from above at first).
   * `keyOf(row)` is a row's id. `select`: rows can be ticked, `onselect(Set)` hears of it. `empty()` is the face without rows.
   * `sort`: { by, down }; `onsort(sort)` hears of it. `name(row)` is what a row is called (for the tick boxes). `asIs`: the
   * rows are a page that is sorted already, whatever `value` is.
   */
  setUp({ label, columns, keyOf = (row) => row.id, name = keyOf, select = false, onselect, sort = null, onsort, empty, dimmed, asIs }) {
    Object.assign(this, { label, columns, keyOf, nameOf: name, select, onselect, onsort, emptyFace: empty, dimmed, asIs });
    this.sort = sort;
    this.page = 0;
    this.all = [];
    this.selected = new Set();
    this.build();
  }

  get rows() {
    return this.all;
  }

  /** The rows to show; the page and what is ticked stay, as far as they are still there. */
  set rows(rows) {
    this.all = rows;
    const known = new Set(rows.map(this.keyOf));
    const before = this.selected.size;
    this.selected = new Set([...this.selected].filter((key) => known.has(key)));
    this.draw();
    if (before !== this.selected.size) this.onselect?.(this.selected);
  }

  clearSelection() {
    const [from, key] = [document.activeElement, [...this.selected].at(-1)];
    this.selected = new Set();
    this.draw();
    this.onselect?.(this.selected);
    // What was pressed for this goes with the ticks; the last row that had one is the place to go on from.
    const now = document.activeElement;
    if (now === document.body ? from === now : now.checkVisibility()) return;
    const tr = [...this.body.children].find((each) => each.dataset.key === key);
    (tr?.querySelector("input") ?? this.tickAlls.find((each) => each.checkVisibility()))?.focus({ preventScroll: true });
  }

  build() {
    this.heads = this.columns.map((column) => this.head(column));
    const tickAll = (label) =>
      h("input", { type: "checkbox", "aria-label": label, onchange: (event) => this.tickEvery(event.target.checked) });
    this.tickAlls = this.select ? [tickAll("Tick all"), tickAll(null)] : [];
    this.body = h("tbody", { role: "rowgroup" });
    this.table = h(
      "table",
      { role: "table", "aria-label": this.label },
      h(
        "thead",
        { role: "rowgroup" },
        h("tr", { role: "row" }, this.select && h("th.tick", { role: "columnheader", scope: "col" }, this.tickAlls[0]), this.heads),
      ),
      this.body,
    );
    this.foot = h("nav.pager", { "aria-label": `Pages of ${this.label}` });
    this.nothing = h("div.table-empty");
    fill(this, this.tools(), h("div.table-frame", this.table, this.nothing), this.foot);
  }

  /** What the head of the table is for, where rows are cards and there is no head: ticking all, sorting. */
  tools() {
    const sortable = this.columns.filter((column) => column.value);
    const options = sortable.flatMap(({ id, label }) => [
      h("option", { value: id }, `By ${label.toLowerCase()}`),
      h("option", { value: `-${id}` }, `By ${label.toLowerCase()}, descending`),
    ]);
    this.sorter =
      sortable.length > 1 &&
      h(
        "select",
        { "aria-label": `Order of ${this.label}`, onchange: () => this.sortAs(this.sorter.value) },
        h("option", { value: "" }, "As it comes"),
        options,
      );
    this.bar = h("div.table-tools", this.tickAlls[1] && h("label.radio", this.tickAlls[1], "Tick all"), h("span.spring"), this.sorter);
    return this.bar;
  }

  sortAs(choice) {
    this.sort = choice ? { by: choice.replace(/^-/, ""), down: choice.startsWith("-") } : null;
    this.page = 0;
    this.draw();
    this.onsort?.(this.sort);
  }

  head(column) {
    const th = h("th", { role: "columnheader", scope: "col", class: column.kind });
    if (!column.value)
      return fill(th, column.kind === "actions" ? h("span.visually-hidden", column.label) : column.label);
    const button = h("button.sort", { type: "button", onclick: () => this.sortBy(column.id) }, h("span", column.label), icon("sort"));
    return fill(th, button);
  }

  sortBy(id) {
    const column = this.columns.find((each) => each.id === id);
    this.sort = { by: id, down: this.sort?.by === id ? !this.sort.down : Boolean(column.down) };
    this.page = 0;
    this.draw();
    announce(`Sorted by ${column.label}, ${this.sort.down ? "descending" : "ascending"}.`);
    this.onsort?.(this.sort);
  }

  draw() {
    const place = this.focusPlace();
    const rows = this.sorted();
    this.page = Math.min(this.page, Math.max(0, Math.ceil(rows.length / PAGE) - 1));
    const shown = rows.slice(this.page * PAGE, (this.page + 1) * PAGE);
    this.columns.forEach((column, at) => this.markSort(column, this.heads[at]));
    fill(this.body, shown.map((row) => this.row(row)));
    this.table.hidden = rows.length === 0;
    this.nothing.hidden = rows.length > 0;
    this.bar.hidden = rows.length < 2;
    if (this.sorter) this.sorter.value = this.sort ? `${this.sort.down ? "-" : ""}${this.sort.by}` : "";
    fill(this.nothing, rows.length === 0 && this.emptyFace?.());
    this.markTicks();
    this.drawPager(rows.length);
    this.refocus(place);
  }

  sorted() {
    const column = this.sort && this.columns.find((each) => each.id === this.sort.by);
    if (this.asIs || !column?.value) return this.all;
    const turn = this.sort.down ? -1 : 1;
    const keyed = this.all.map((row) => [column.value(row), row]);
    // Rows without a value come last whichever way it is sorted.
    const isBlank = (value) => value === null || value === undefined || value === "";
    keyed.sort(([a], [b]) => (isBlank(a) || isBlank(b) ? compare(a, b) : turn * compare(a, b)));
    return keyed.map(([, row]) => row);
  }

  markSort(column, th) {
    if (!column.value) return;
    const isSorted = this.sort?.by === column.id;
    if (isSorted) th.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
    turnIcon(th, isSorted ? (this.sort.down ? "down" : "up") : "sort");
  }

  row(row) {
    const key = this.keyOf(row);
    const tick =
      this.select &&
      h(
        "td.tick",
        { role: "cell" },
        h("input", {
          type: "checkbox",
          checked: this.selected.has(key),
          "aria-label": `Tick ${this.nameOf(row)}`,
          onchange: (event) => this.tick(key, event.target.checked),
        }),
      );
    const cells = this.columns.map((column) =>
      h(
        column.kind === "name" ? "th" : "td",
        {
          role: column.kind === "name" ? "rowheader" : "cell",
          scope: column.kind === "name" ? "row" : null,
          class: column.kind,
          data: { label: column.label },
        },
        column.cell(row),
      ),
    );
    return h("tr", { role: "row", data: { key }, class: this.dimmed?.(row) ? "is-dimmed" : null }, tick, cells);
  }

  tick(key, isTicked) {
    if (isTicked) this.selected.add(key);
    else this.selected.delete(key);
    this.markTicks();
    this.onselect?.(this.selected);
  }

  /** All rows, those of other pages too; a filter has already left out the rest. */
  tickEvery(isTicked) {
    this.selected = new Set(isTicked ? this.all.map(this.keyOf) : []);
    this.draw();
    this.onselect?.(this.selected);
  }

  markTicks() {
    for (const box of this.tickAlls) {
      box.checked = this.all.length > 0 && this.selected.size === this.all.length;
      box.indeterminate = this.selected.size > 0 && this.selected.size < this.all.length;
    }
    for (const tr of this.body.children) tr.classList.toggle("is-ticked", this.selected.has(tr.dataset.key));
  }

  drawPager(total) {
    this.foot.hidden = total <= PAGE;
    if (this.foot.hidden) return;
    const first = this.page * PAGE;
    const last = Math.min(total, first + PAGE);
    const turn = (by, name, image, isEnd) =>
      h("button", { type: "button", disabled: isEnd, onclick: () => this.turn(by) }, by < 0 && icon(image), name, by > 0 && icon(image));
    fill(
      this.foot,
      h("span", `${number(first + 1)}–${number(last)} of ${number(total)}`),
      h("span.spring"),
      turn(-1, "Previous", "left", this.page === 0),
      turn(1, "Next", "right", last === total),
    );
  }

  turn(by) {
    this.page += by;
    this.draw();
    this.scrollIntoView({ block: "start" });
    const [back, forth] = this.foot.querySelectorAll("button");
    (by > 0 && !forth.disabled ? forth : by < 0 && !back.disabled ? back : by > 0 ? back : forth).focus({ preventScroll: true });
    announce(this.foot.querySelector("span").textContent);
  }

  /** Which control of which row, or of the face without rows, has the focus, so that there is one that has it once the rows are new. */
  focusPlace() {
    if (this.nothing.contains(document.activeElement)) return { key: null, at: 0, row: 0 };
    const tr = document.activeElement?.closest("tr[data-key]");
    if (!tr || !this.contains(tr)) return null;
    return { key: tr.dataset.key, at: focusables(tr).indexOf(document.activeElement), row: [...this.body.children].indexOf(tr) };
  }

  refocus(place) {
    if (!place) return;
    const tr =
      [...this.body.children].find((each) => each.dataset.key === place.key) ??
      this.body.children[Math.min(place.row, this.body.children.length - 1)];
    const there = focusables(tr ?? this.nothing);
    (there[place.at] ?? there[0])?.focus();
  }
}
customElements.define("data-table", DataTable);

const focusables = (element) => [...element.querySelectorAll("a[href], button, input, select")];

/** A <data-table> that is set up; give it its `rows`. */
export function dataTable(options) {
  const table = h("data-table");
  table.setUp(options);
  return table;
}
