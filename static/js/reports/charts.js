/** Charts in SVG: what was used over time, and who or what used most. Each has a twin: the same numbers as a table. */

import { h } from "../dom.js";
import { bar, svg } from "../parts/svg.js";
import "./sheet.js";

const HEIGHT = 100;

/**
 * Columns over time. `rows` are spans in their order; `series`: { name, of(row) → number, kind } are stacked from below, one
 * that has those below it in it by what it `adds(row)`; `label(row)` names a span, `short(row)` does so below the axis, `say(number)` writes a number;
 * `isWhole`: there are no halves of what is counted.
 */
export function timeChart({ title, rows, series, label, short, say, isWhole = false }) {
  const added = (each, row) => (each.adds ?? each.of)(row);
  const sums = rows.map((row) => series.reduce((sum, each) => sum + added(each, row), 0));
  const most = Math.max(...sums, 0);
  const top = roundUp(most, isWhole);
  const told = h("output");
  const rest = () => (told.textContent = most ? `at most ${say(most)}` : "");
  const words = (row, at) =>
    `${label(row)}: ${series.length > 1 ? series.map((each) => `${say(each.of(row))} ${each.name.toLowerCase()}`).join(", ") : say(sums[at])}`;
  const columns = rows.map((row, at) => {
    let y = HEIGHT;
    const parts = series.map((each) => {
      const value = added(each, row);
      const height = value > 0 ? Math.max(0.8, (value / top) * HEIGHT) : 0; // the smallest is still seen
      y -= height;
      return height > 0 && svg("rect", { class: `column is-${each.kind ?? "ok"}`, x: at + 0.12, y, width: 0.76, height });
    });
    const slot = svg("rect", { class: "slot", x: at, y: 0, width: 1, height: HEIGHT });
    slot.addEventListener("pointerenter", () => (told.textContent = words(row, at)));
    return [...parts.filter(Boolean), slot];
  });
  const lines = [0, 0.5, 1].map((part) => svg("line", { x1: 0, x2: rows.length, y1: part * HEIGHT, y2: part * HEIGHT }));
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${rows.length} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": summary(title, rows, sums, label, say) },
    lines,
    columns.flat(),
  );
  drawing.addEventListener("pointerleave", rest);
  rest();
  const feet = [0, Math.floor((rows.length - 1) / 2), rows.length - 1].filter((at, i, all) => all.indexOf(at) === i);
  return h(
    "figure.card.pad.chart",
    h("figcaption", h("h2", title), told),
    h(
      "div.plot",
      h("div.plot-scale", { "aria-hidden": "true" }, h("span", say(top)), h("span", say(top / 2)), h("span", say(0))),
      drawing,
      h("div.plot-foot", { "aria-hidden": "true" }, feet.map((at) => h("span", short(rows[at])))),
    ),
    series.length > 1 && h("ul.legend", series.map((each) => h("li", swatch(each.kind), each.name))),
    twin(title, [["When", label], ...series.map((each) => [each.name, (row) => say(each.of(row))])], rows),
  );
}

/**
 * Who used most, one bar each. `rows`: { name, href, value, … } in their order; `say(row)` writes a value, `columns` are
 * those of the table: [label, of(row)].
 */
export function barList({ title, rows, most = 5, say, columns, none = "Nothing in this time." }) {
  const largest = Math.max(...rows.map((each) => each.value), 0) || 1;
  const nameOf = (row) => (row.href ? h("a", { href: row.href }, row.name) : h("span", row.name));
  return h(
    "section.card.pad",
    { "aria-label": title },
    h("h2", title),
    rows.length === 0 && h("p.quiet-text", none),
    rows.length > 0 && [
      h(
        "ol.bars",
        rows.slice(0, most).map((row) => h("li", h("div.ranked", nameOf(row), h("span.number.nowrap", say(row))), bar(row.value / largest))),
      ),
      twin(title, [["Name", nameOf], ...columns], rows),
    ],
  );
}

/** The numbers of a chart as a table, shown when they are asked for. */
function twin(title, columns, rows) {
  const details = h("details.twin", h("summary", "As a table"));
  // Made when it is opened: most never are.
  details.addEventListener(
    "toggle",
    () =>
      details.append(
        h(
          "div.table-scroll",
          { tabindex: "0", role: "region", "aria-label": `${title}, as a table` },
          h(
            "table",
            { "aria-label": title },
            h("thead", h("tr", columns.map(([name], at) => h("th", { scope: "col", class: at ? "number" : null }, name)))),
            h(
              "tbody",
              rows.map((row) =>
                h("tr", columns.map(([, of], at) => h(at ? "td" : "th", { scope: at ? null : "row", class: at ? "number" : null }, of(row)))),
              ),
            ),
          ),
        ),
      ),
    { once: true },
  );
  return details;
}

const swatch = (kind = "ok") =>
  svg("svg", { "aria-hidden": "true" }, svg("rect", { class: `column is-${kind}`, width: "100%", height: "100%" }));

function summary(title, rows, sums, label, say) {
  const most = Math.max(...sums, 0);
  if (!most) return `${title}: nothing in this time.`;
  return `${title}, ${label(rows[0])} to ${label(rows.at(-1))}: at most ${say(most)}, ${label(rows[sums.indexOf(most)])}. The table below has all numbers.`;
}

/** The next number that is good to read, and whose half is too. */
function roundUp(value, isWhole) {
  if (!(value > 0)) return isWhole ? 2 : 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = isWhole && power === 1 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10];
  return steps.find((each) => each * power >= value * 0.999999) * power;
}
