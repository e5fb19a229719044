/**
 * Building and touching the page. Text becomes a text node here and nowhere becomes markup, so a name such as
 * `<img onerror=…>` is shown as it is written.
 */

const STATE = new Set(["value", "checked", "indeterminate", "disabled", "hidden", "open", "selected"]);
let ids = 0;

/**
 * An element: h("button.primary", { type: "button", onclick: save, "aria-label": "…" }, "Save", icon("check")).
 * Properties may be left out. null, undefined and false set nothing; `data` is the dataset; on… listens.
 */
export function h(tag, properties, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.classList.add(...classes);
  const isProperties = properties?.constructor === Object;
  element.append(...nodes(isProperties ? children : [properties, ...children]));
  // After the children: the value of a select is one of its options.
  if (isProperties) for (const [key, value] of Object.entries(properties)) set(element, key, value);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") element.classList.add(...value.split(" ").filter(Boolean));
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (STATE.has(name) && name in element) element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** What may stand as a child, as nodes and texts: arrays are opened, nothing and false are left out. */
function nodes(children) {
  return children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false);
}

/** Puts these children in the place of all there are. Those that are there already stay untouched, and keep the focus. */
export function fill(element, ...children) {
  const wanted = nodes(children);
  const staying = new Set(wanted);
  for (const each of [...element.childNodes]) if (!staying.has(each)) each.remove();
  wanted.forEach((each, at) => {
    const there = element.childNodes[at];
    if (each !== there) element.insertBefore(each instanceof Node ? each : new Text(each), there ?? null);
  });
  return element;
}

/** Listens; the answer stops it. With a selector, only what comes from inside such an element counts. */
export function on(target, type, selector, listener) {
  const heard =
    typeof selector === "function"
      ? selector
      : (event) => {
          const found = event.target.closest?.(selector);
          if (found && target.contains(found)) listener(event, found);
        };
  target.addEventListener(type, heard);
  return () => target.removeEventListener(type, heard);
}

const SVG = "http://www.w3.org/2000/svg";
let icons = "/icons.svg";

/** The icons are taken into the page, so that they are there too when the server is not. */
async function keepIcons() {
  const text = await (await fetch("/icons.svg")).text();
  const sprite = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  sprite.setAttribute("hidden", "");
  sprite.setAttribute("aria-hidden", "true");
  document.body.append(document.adoptNode(sprite));
  icons = "";
}
keepIcons().catch(() => {}); // then they come from the file, one by one

/** An icon of icons.svg. Without a label it is decoration. */
export function icon(name, label = "") {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${icons}#${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Shows another icon in the place of the one inside an element. */
export function turnIcon(element, name) {
  element.querySelector("use").setAttribute("href", `${icons}#${name}`);
}

/** A fresh id, to tie a label or a description to a control. */
export function uid(prefix = "id") {
  ids += 1;
  return `${prefix}-${ids}`;
}

/** What is not inert now: the topmost modal dialog, or the page. Whatever must be heard or clicked goes in there. */
export function topmost() {
  return [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body;
}

/** Tells screen readers. `urgent` interrupts what they are saying. */
export function announce(text, { urgent = false } = {}) {
  const host = topmost();
  const role = urgent ? "alert" : "status";
  let region = host.querySelector(`:scope > .announcer[role=${role}]`);
  if (!region) {
    region = h("div.announcer", { role });
    host.append(region);
  }
  region.textContent = "";
  // A region is heard when it changes, so not at once after it was made or emptied.
  setTimeout(() => (region.textContent = text), 60);
}

/** Waits until nothing was asked for `ms`, then does it once. */
export function calmly(act, ms = 150) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), ms);
  };
}

/** Moves the focus to something that is not a control, such as a heading, without a trace in the tab order. */
export function focusOn(element) {
  if (!element) return;
  if (element.tabIndex < 0 && !element.hasAttribute("tabindex")) element.tabIndex = -1;
  element.focus({ preventScroll: false });
}
