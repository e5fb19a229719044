/** Elements of drawings. What a drawing shows is also written beside it or in its label. */

const SVG = "http://www.w3.org/2000/svg";

/** As h(), for SVG: svg("rect", { class: "bar-fill", width: "40%" }). Attributes that are null set nothing. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

/** A bar that is filled from 0 to 1. `kind` is ok, warn or bad; the words beside it say the same. */
export function bar(part, kind = "ok") {
  const width = Math.max(0, Math.min(1, part)) * 100;
  return svg(
    "svg",
    { class: "gauge", "aria-hidden": "true" },
    svg("rect", { class: "bar-track", width: "100%", height: "100%", rx: 4 }),
    svg("rect", { class: `bar-fill is-${kind}`, width: `${width}%`, height: "100%", rx: 4 }),
  );
}
