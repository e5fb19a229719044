/** Small drawings in SVG; what they show is also written beside them, so they are hidden from screen readers. */

import { svg } from "../parts/svg.js";

const STRIP = 96;

/** The first values of a vector, up and down. */
export function strip(vector) {
  const values = vector.slice(0, STRIP);
  const most = Math.max(...values.map(Math.abs)) || 1;
  const bars = values.map((value, at) => {
    const size = (Math.abs(value) / most) * 20;
    return svg("rect", { x: at * 4, width: 3, y: value < 0 ? 20 : 20 - size, height: Math.max(0.5, size), class: value < 0 ? "is-below" : "is-above" });
  });
  return svg("svg", { class: "strip", "aria-hidden": "true", viewBox: `0 0 ${STRIP * 4} 40`, preserveAspectRatio: "none" }, bars);
}
