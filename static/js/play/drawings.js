/** Small drawings in SVG; what they show is also written beside them, so they are hidden from screen readers. */

const SVG = "http://www.w3.org/2000/svg";
const STRIP = 96;

/** A bar that is filled from 0 to 1. */
export function bar(part) {
  const width = Math.max(0, Math.min(1, part)) * 100;
  return drawing("gauge", [["rect", { class: "bar-track", width: "100%", height: "100%", rx: 4 }], ["rect", { class: "bar-fill", width: `${width}%`, height: "100%", rx: 4 }]]);
}

/** The first values of a vector, up and down. */
export function strip(vector) {
  const values = vector.slice(0, STRIP);
  const most = Math.max(...values.map(Math.abs)) || 1;
  const bars = values.map((value, at) => {
    const size = (Math.abs(value) / most) * 20;
    return ["rect", { x: at * 4, width: 3, y: value < 0 ? 20 : 20 - size, height: Math.max(0.5, size), class: value < 0 ? "is-below" : "is-above" }];
  });
  return drawing("strip", bars, { viewBox: `0 0 ${STRIP * 4} 40`, preserveAspectRatio: "none" });
}

function drawing(kind, shapes, attributes = {}) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: kind, "aria-hidden": "true", ...attributes })) svg.setAttribute(name, value);
  for (const [tag, its] of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(its)) shape.setAttribute(name, value);
    svg.append(shape);
  }
  return svg;
}
