/**
 * Dialogs: native, modal, closed by Esc or the cross, the focus back where it was. One with a form keeps what was typed
 * until it is saved or knowingly given up, and shows a refusal beside the field it is about.
 */

import { ApiError, fetchPart } from "../api.js";
import { announce, focusOn, h, icon, uid } from "../dom.js";
import { checkFields, readFields, showFieldError } from "./field.js";
import { dropAll, guard, isAnyDirty } from "./guard.js";

/**
 * Opens a dialog. `content` and `actions` are nodes; `size` "" (narrow), "wide" or "huge". `mayClose` answers whether it
 * may be closed now (a promise is awaited). Answers `{ element, close(value), closed }`; `closed` resolves to the value.
 */
export function openDialog({ title, content, actions = [], size = "", mayClose = null, form = null, alert = false }) {
  const titleId = uid("title");
  const came = document.activeElement;
  const cross = h("button.quiet.square", { type: "button", "aria-label": "Close", onclick: () => ask() }, icon("cross"));
  const header = h("header.dialog-head", h("h2", { id: titleId }, title), cross);
  const body = h("div.dialog-body", content);
  const foot = h("footer.dialog-foot", actions);
  const inner = form ? (form.append(body, foot), form) : [body, foot];
  const element = h("dialog", { class: size, "aria-labelledby": titleId, role: alert ? "alertdialog" : null }, header, inner);
  let resolve;
  const closed = new Promise((done) => (resolve = done));
  let value;
  const close = (given) => {
    value = given;
    element.close();
  };
  const ask = async () => {
    if (!mayClose || (await mayClose())) close();
  };
  // Not left to the browser: it closes at the second Esc whatever a listener says.
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation();
    ask();
  });
  element.addEventListener("cancel", (event) => {
    if (event.target !== element) return;
    event.preventDefault();
    ask();
  });
  element.addEventListener("close", (event) => {
    if (event.target !== element) return;
    element.dispatchEvent(new Event("leaving"));
    element.remove();
    came?.focus();
    // What was there before may be gone or hidden: then the heading is the place to go on from.
    if (document.activeElement !== came || came === document.body) focusOn(document.querySelector("main h1"));
    resolve(value);
  });
  document.body.append(element);
  element.showModal();
  const first = element.querySelector("[autofocus]") ?? body.querySelector("input, select, textarea") ?? foot.querySelector("button");
  first?.focus();
  return { element, body, foot, close, ask, closed };
}

/**
 * A dialog with a form. `content` holds form-fields; `save(values, first)` gets what they hold, and held at first, and may
 * throw an ApiError, which is shown while the dialog stays. Resolves to what `save` answered, or undefined when it was left.
 */
export function formDialog({ title, intro, content, submit = "Save", danger = false, size = "", save, extra = [], ask = true }) {
  const form = h("form", { novalidate: true });
  const problem = h("div.problem", { role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: danger ? "danger" : "primary" }, submit);
  const cancel = h("button", { type: "button", onclick: () => dialog.ask() }, "Cancel");
  let before = "";
  let isSaving = false;
  const state = () => JSON.stringify(readFields(form));
  const isDirty = () => ask && state() !== before;
  const dialog = openDialog({
    title,
    size,
    form,
    content: [intro && (typeof intro === "string" ? h("p.lead", intro) : intro), content, problem],
    actions: [extra, h("span.spring"), cancel, button],
    mayClose: async () => !isSaving && (!isDirty() || (await confirmLeaving())),
  });
  before = state();
  const release = guard(isDirty, () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSaving) return;
    problem.hidden = true;
    if (!checkFields(form)) return;
    isSaving = true;
    await busy(button, async () => {
      try {
        const answer = await save(readFields(form), JSON.parse(before));
        isSaving = false;
        dialog.close(answer ?? true);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        showProblem(form, problem, error);
      }
    }).finally(() => (isSaving = false));
  });
  dialog.closed.then(release);
  return Object.assign(dialog.closed, { dialog, form });
}

/** Says what the server refused: beside its field if there is one, else under the form. */
export function showProblem(form, problem, error) {
  if (error.param && showFieldError(form, error.param, error.message)) return;
  problem.replaceChildren(icon("bad"), h("span", error.message));
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

/** Whether a person wants this. `list` names what goes with it. The safe answer has the focus. */
export function confirmDialog({ title, text, list = [], more = 0, action = "Delete", danger = true, cancel = "Cancel" }) {
  const opened = openDialog({
    title,
    alert: true,
    content: [
      text && (typeof text === "string" ? h("p", text) : text),
      list.length > 0 && h("ul.going", list.map((each) => h("li", each)), more > 0 && h("li.quiet-text", `and ${more} more`)),
    ],
    actions: [
      h("span.spring"),
      h("button", { type: "button", autofocus: true, onclick: () => opened.close(false) }, cancel),
      h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => opened.close(true) }, action),
    ],
  });
  return opened.closed.then(Boolean);
}

/** The question before something typed is lost. */
export function confirmLeaving() {
  return confirmDialog({ title: "Leave without saving?", text: "What you have changed here is not saved yet.", action: "Leave", cancel: "Go on editing" });
}

/** Asks, if something would be lost with the screen at `here`, which the address names until that is answered. Whether it asks. */
export function asksToLeave(here) {
  if (!isAnyDirty()) return false;
  const wanted = location.hash;
  history.pushState(null, "", here || "#");
  confirmLeaving().then((isSure) => isSure && (dropAll(), (location.hash = wanted)));
  return true;
}

/** Runs something a button started: the button shows that it works and cannot be pressed twice. */
export async function busy(button, act) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  button.setAttribute("aria-busy", "true");
  button.setAttribute("aria-disabled", "true");
  try {
    return await act();
  } finally {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
  }
}

/** A module that is only needed now, as fetchPart; a failure is said in a dialog, and the answer is undefined. */
export const part = (load) => attempt(null, () => fetchPart(load), "Something is missing");

/** As busy, for actions without a form: what fails is said in a dialog, under `title` if it surely did. Answers undefined then. */
export async function attempt(button, act, title = "That did not work") {
  try {
    return button ? await busy(button, act) : await act();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    announce(error.message, { urgent: true });
    const isUnknown = ["unreachable", "timeout", "bad_answer"].includes(error.code);
    const actions = [h("span.spring"), h("button.primary", { type: "button", onclick: () => opened.close() }, "Close")];
    const opened = openDialog({ title: isUnknown ? "That may not have worked" : title, alert: true, content: h("p", error.message), actions });
    await opened.closed;
    return undefined;
  }
}
