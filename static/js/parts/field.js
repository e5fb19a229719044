/**
 * A labelled control with its hint and its complaint, in the light DOM: <form-field>. It knows its name, reads its value
 * in the form the API takes it, and says when that is missing or wrong.
 */

import { fill, h, icon, uid } from "../dom.js";
import { LAST_MOMENT } from "../format.js";

class FormField extends HTMLElement {
  /** The control's value, as the API takes it. */
  get value() {
    return this.read();
  }

  set value(given) {
    this.write(given);
  }

  get name() {
    return this.getAttribute("name") ?? "";
  }

  /** Shows a complaint, or takes it away with "". */
  setError(message) {
    fill(this.complaint, message && icon("bad"), message && h("span", message));
    this.complaint.hidden = !message;
    if (message) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }

  focus() {
    (this.control.matches("input, select, textarea") ? this.control : this.control.querySelector("input, select, textarea, button"))?.focus();
  }
}
customElements.define("form-field", FormField);

/**
 * A field. `type`: text (default), url, email, search, password, secret, number, date-time, select, textarea, lines,
 * switch, or custom with `control`, `read` and `write`. `options` of a select: [value, label] or { label, options }.
 * `check(value)` answers a complaint or nothing. `suggestions` are offered while typing. Other properties go to the control.
 */
export function field({ label, name = "", type = "text", value, hint, required = false, optional = false, ...more }) {
  const { missing, check, options = [], suggestions, control, read, write, oninput, action, ...properties } = more;
  const id = uid("field");
  const element = h("form-field", { name, class: `field-${type}` });
  const made = control
    ? { control, read: read ?? (() => control.value), write: write ?? ((v) => (control.value = v)) }
    : makers(type, options, properties, id);
  const complaint = h("p.complaint", { id: `${id}-complaint`, "aria-live": "polite", hidden: true });
  const help = hint && h("p.hint", { id: `${id}-hint` }, hint);
  const isGroup = !made.control.matches("input, select, textarea");
  if (isGroup) {
    made.control.setAttribute("role", made.control.getAttribute("role") ?? "group");
    made.control.setAttribute("aria-labelledby", `${id}-label`);
  } else made.control.id = id;
  made.control.setAttribute("aria-describedby", [hint && `${id}-hint`, `${id}-complaint`].filter(Boolean).join(" "));
  if (required && !isGroup) made.control.setAttribute("aria-required", "true");
  if (suggestions) {
    made.control.setAttribute("list", `${id}-list`);
    made.control.setAttribute("autocomplete", "off");
  }
  const caption = h(
    isGroup ? "span" : "label",
    { class: "label", id: `${id}-label`, for: isGroup ? null : id },
    label,
    !required && ["text", "url", "select"].includes(type) && optional && h("span.optional", " optional"),
  );
  const shown =
    type === "switch"
      ? h("div.switch-line", made.control, caption)
      : [caption, action ? h("div.with-action", made.around ?? made.control, action) : (made.around ?? made.control)];
  element.append(...[shown].flat(), ...[help, complaint].filter(Boolean));
  if (suggestions) {
    const offered = suggestions.map((each) => h("option", { value: each }));
    element.append(h("datalist", { id: `${id}-list` }, offered));
  }
  Object.assign(element, { control: made.control, complaint, read: made.read, write: made.write, required, missing, check });
  if (value !== undefined && value !== null) made.write(value);
  element.addEventListener("input", () => {
    element.setError("");
    oninput?.(element.value, element);
  });
  return element;
}

function makers(type, options, properties, id) {
  if (type === "select") {
    const control = h("select", properties, options.map(optionOrGroup));
    return { control, read: () => control.value, write: (v) => (control.value = v) };
  }
  if (type === "switch") {
    const control = h("input", { type: "checkbox", role: "switch", ...properties });
    return { control, read: () => control.checked, write: (v) => (control.checked = Boolean(v)) };
  }
  if (type === "textarea" || type === "lines") {
    const control = h("textarea", { rows: 3, spellcheck: type === "lines" ? "false" : null, ...properties });
    if (type === "textarea") return { control, read: () => control.value, write: (v) => (control.value = v) };
    const read = () => control.value.split(/[\n,]/).map((each) => each.trim()).filter(Boolean);
    return { control, read, write: (v) => (control.value = v.join("\n")) };
  }
  if (type === "number") {
    const control = h("input", { type: "number", step: "any", min: "0", inputmode: "decimal", ...properties });
    // What is no number reads as NaN; blank is null: the default.
    const read = () => (control.validity.badInput ? NaN : control.value === "" ? null : Number(control.value));
    return { control, read, write: (v) => (control.value = v) };
  }
  if (type === "secret" || type === "password") {
    const control = h("input", {
      type: "password",
      spellcheck: "false",
      autocapitalize: "off",
      autocomplete: type === "secret" ? "off" : null,
      "data-1p-ignore": type === "secret",
      ...properties,
    });
    return { control, around: h("span.revealing", control, revealer(control, id)), read: () => control.value, write: (v) => (control.value = v) };
  }
  const control = h("input", type === "date-time" ? { type: "datetime-local", max: LAST_MOMENT, ...properties } : { type, ...properties });
  return { control, read: () => control.value.trim(), write: (v) => (control.value = v) };
}

function optionOrGroup(each) {
  if (Array.isArray(each)) return h("option", { value: each[0] }, each[1]);
  return h("optgroup", { label: each.label }, each.options.map(optionOrGroup));
}

function revealer(control, id) {
  const button = h("button.quiet.square", { type: "button", "aria-pressed": "false", "aria-label": "Show what is typed", "aria-controls": id }, icon("eye"));
  button.addEventListener("click", () => {
    const isShown = control.type === "text";
    control.type = isShown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!isShown));
  });
  return button;
}

/** The fields of a form that have a name, `{ name: value }`. */
export function readFields(form) {
  const named = [...form.querySelectorAll("form-field[name]")].filter((each) => each.name && !each.control.disabled);
  return Object.fromEntries(named.map((each) => [each.name, each.value]));
}

/** What is not as it was: what nobody touched here may have been changed elsewhere meanwhile, and stays. */
export const changesOf = (before, now) =>
  Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));

/** Whether everything is there and good; complains where it is not, and goes to the first such field. */
export function checkFields(form) {
  const wrong = [...form.querySelectorAll("form-field")].filter((each) => {
    const value = each.value;
    const isMissing = each.required && (value === "" || value === null || value?.length === 0);
    const complaint = halfTyped(each) || (isMissing ? each.missing || "This is needed." : each.check?.(value));
    each.setError(complaint || "");
    return complaint;
  });
  if (wrong.length) reveal(wrong[0]);
  return wrong.length === 0;
}

/** A number or a time that is not one yet reads as blank, and blank often means no limit. */
function halfTyped(element) {
  const isTime = (input) => input.type === "datetime-local";
  const found = [...element.querySelectorAll("input")].find((each) => each.validity.badInput || (isTime(each) && each.validity.rangeOverflow));
  return found && (isTime(found) ? "This needs a day and a time, up to the year 9999." : "This is not a number.");
}

/** Shows a refusal beside the field it is about (`budgets[0].usd` finds `budgets`). Answers whether there is one. */
export function showFieldError(form, param, message) {
  const found =
    form.querySelector(`form-field[name="${CSS.escape(param)}"]`) ??
    form.querySelector(`form-field[name="${CSS.escape(param.split(/[.[]/)[0])}"]`);
  if (!found) return false;
  found.setError(message);
  reveal(found);
  return true;
}

function reveal(element) {
  for (let fold = element.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  element.focus();
}
