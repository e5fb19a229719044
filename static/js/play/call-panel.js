/** The common face of the panels that ask once and show what came: a form, its result, the call as code and as it was. */

import { announce, fill, h, icon } from "../dom.js";
import { bytes, duration, number } from "../format.js";
import { busy } from "../parts/dialog.js";
import { loading } from "../parts/faces.js";
import { checkFields } from "../parts/field.js";
import { call } from "./call.js";
import { codeFold, rawFold } from "./folds.js";
import { modelPicker } from "./model-picker.js";
import { trouble } from "./trouble.js";

/**
 * `operation` as in snippets.js, with its `path`; `context` { models, model, onmodel, base } as the playground gives it;
 * `fields`; `body(model)` the members; `file()` what goes with them; `submit` the words on the button; `idle` what will be
 * seen here; `render(answer)` nodes; `again(error, body)` another body to try when the first was refused, or nothing.
 */
export function callPanel({ operation, path, context, fields, body, file = () => null, fileName = "", submit, idle, render, again = () => null }) {
  let running = null;
  const picker = modelPicker({ models: context.models, value: context.model, onchange: (model) => (context.onmodel(model.id), code.redraw()) });
  const go = h("button.primary", { type: "submit" }, submit);
  const halt = h("button", { type: "button", hidden: true, onclick: () => running?.abort() }, icon("stop"), "Stop");
  const progress = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Upload" });
  const form = h("form.card.pad.stack", { novalidate: true }, picker, fields, h("div.actions", go, halt), progress);
  const result = h("section.card.pad.result", { "aria-label": "Result", tabindex: "-1" }, h("p.quiet-text", idle));
  const given = () => body(picker.chosen().id);
  const code = codeFold(() => [operation, { base: context.base, body: given(), file: fileName && (file()?.name ?? fileName) }]);
  const raw = rawFold();

  async function run() {
    if (running || !checkFields(form)) return;
    const signal = (running = new AbortController()).signal;
    const focused = document.activeElement;
    halt.hidden = false;
    fill(result, loading("Waiting for the answer", 3));
    announce("Asked. Waiting for the answer.");
    try {
      await busy(go, () => attempt(given(), signal));
    } finally {
      running = null;
      if (focused === halt || document.activeElement === halt) go.focus();
      halt.hidden = progress.hidden = true;
    }
  }

  async function attempt(members, signal) {
    let exchange = null;
    const attached = file();
    progress.hidden = !attached;
    progress.value = 0;
    const sentPart = (part) => (part === null ? progress.removeAttribute("value") : (progress.value = part));
    try {
      const answer = await call(path, members, { file: attached, signal, onprogress: sentPart, exchanged: (made) => (exchange = made) });
      fill(result, render(answer), told(answer));
      announce("The answer is here.");
    } catch (error) {
      if (signal.aborted) fill(result, h("p.quiet-text", "Stopped."));
      else {
        const other = error.status === 400 && again(error, members);
        if (other) return attempt(other, signal);
        fill(result, trouble(error, { retry: run }));
      }
    }
    raw.show(exchange);
    return undefined;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  form.addEventListener("input", () => code.redraw());
  form.addEventListener("change", () => code.redraw());
  const element = h("div.play", form, h("div.stack", result, code, raw));
  return { element, form, redraw: () => code.redraw(), choose: picker.choose, stop: () => running?.abort() };
}

/** What it took, in a line under the result. */
function told({ json, blob, exchange }) {
  const usage = json?.usage ?? {};
  const input = usage.prompt_tokens ?? usage.input_tokens ?? usage.total_tokens;
  const parts = [
    duration(exchange.tookMs),
    input !== undefined && `${number(input)} tokens in`,
    usage.output_tokens > 0 && `${number(usage.output_tokens)} out`,
    blob && bytes(blob.size),
    exchange.header("x-ipin-provider") && `from ${exchange.header("x-ipin-provider")}`,
  ];
  return h("p.hint.told", parts.filter(Boolean).join(" · "));
}

/** A link that saves `blob` as `name`. Its address lives as long as the page. */
export const saveLink = (blob, name, words = "Download") => h("a.button", { href: URL.createObjectURL(blob), download: name }, icon("download"), words);
