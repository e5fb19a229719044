/** The common face of the panels that ask once and show what came: a form, its result, the call as code and as it was. */

import { fetchPart } from "../api.js";
import { takeDrops } from "../chat/images.js";
import { announce, fill, h, icon } from "../dom.js";
import { bytes, duration, number } from "../format.js";
import { busy } from "../parts/dialog.js";
import { loading } from "../parts/faces.js";
import { checkFields } from "../parts/field.js";
import { codeFold, rawFold } from "./folds.js";
import { modelPicker } from "./model-picker.js";
import { trouble } from "./trouble.js";

const LEAST_SEEN_PX = 120;

/**
 * `operation` as in snippets.js, with its `path`, or `route()` which answers both; `context` { models, model, onmodel, base }
 * as the playground gives it; `fields`; `body(model)` the members; `file` a file-field that goes with them; `submit` the words
 * on the button; `idle` what will be seen here; `render(answer, grown)` nodes; `again(error, body)` another body to try when
 * the first was refused, or nothing. `growing()` shows what comes piece by piece: `{ element, event(object), bytes(piece,
 * type) }` with either of the two. Both may take their time. `rest()`: the panel is not looked at any more.
 */
export function callPanel({ operation, path, route = () => [operation, path], context, fields, body, file, fileName = "", submit, idle, render, growing = () => null, again = () => null, rest }) {
  let running = null;
  const picker = modelPicker({ models: context.models, value: context.model, onchange: (model) => (context.onmodel(model.id), redraw()) });
  const go = h("button.primary", { type: "submit" });
  const halt = h("button", { type: "button", hidden: true, onclick: () => running?.abort() }, icon("stop"), "Stop");
  const bar = h("progress", { max: 1, "aria-label": "Upload" });
  const stage = h("p.hint.number");
  const progress = h("div", { hidden: true }, bar, stage);
  const form = h("form.card.pad.stack", { novalidate: true }, picker, fields, h("div.actions", go, halt), progress);
  const result = h("section.card.pad.result", { "aria-label": "Result", tabindex: "-1" }, h("p.quiet-text", idle));
  const given = () => body(picker.chosen().id);
  const code = codeFold(() => [route()[0], { base: context.base, body: given(), file: fileName && (file?.value?.name ?? fileName) }]);
  const raw = rawFold();

  /** In the place of what is there, whose downloads end with it. */
  function show(...content) {
    for (const link of result.querySelectorAll("a[download]")) URL.revokeObjectURL(link.href);
    fill(result, content);
  }

  async function run() {
    if (running || !checkFields(form)) return;
    const signal = (running = new AbortController()).signal;
    const focused = document.activeElement;
    halt.hidden = progress.hidden = false;
    show(loading("Waiting for the answer", 3));
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
    let grown = null;
    const attached = file?.value ?? null;
    const way = onTheWay(attached, bar, stage);
    const pieces = (take) => (...piece) => {
      way.arrives();
      take?.(...piece);
      if (take && grown.element.parentElement !== result) show(grown.element);
    };
    try {
      const { call } = await fetchPart(() => import("./call.js"));
      grown = await growing();
      const options = { file: attached, signal, onprogress: way.sent, onevent: pieces(grown?.event), onbytes: pieces(grown?.bytes) };
      const answer = await call(route()[1], members, { ...options, exchanged: (made) => (exchange = made) });
      show(await render(answer, grown), told(answer));
      if (result.getBoundingClientRect().top > innerHeight - LEAST_SEEN_PX) result.scrollIntoView({ block: "nearest" });
      announce("The answer is here.");
    } catch (error) {
      const other = error.status === 400 && again(error, members);
      if (other) return attempt(other, signal);
      const kept = grown?.element.parentElement === result && grown.element;
      show(kept, signal.aborted ? h("p.quiet-text", "Stopped.") : trouble(error, { retry: run }));
      if (signal.aborted) announce("Stopped.");
    } finally {
      way.over();
    }
    raw.show(exchange);
    return undefined;
  }

  const redraw = () => {
    fill(go, typeof submit === "function" ? submit() : submit);
    code.redraw();
  };
  const element = h("div.play", form, h("div.stack", result, code, raw));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  form.addEventListener("input", redraw);
  form.addEventListener("change", redraw);
  if (file) takeFiles(element, form, file);
  redraw();

  /** No sound any more, and no microphone. */
  const quiet = () => {
    for (const each of element.querySelectorAll("audio")) each.pause();
    rest?.();
  };
  return { element, choose: picker.choose, offer: picker.offer, rest: quiet, stop: () => (running?.abort(), quiet()) };
}

/** Files that are dropped on the form, or pasted while the panel is seen. */
function takeFiles(element, form, file) {
  takeDrops(form, ([given]) => given && file.take(given));
  document.addEventListener("paste", (event) => {
    const [given] = event.clipboardData?.files ?? [];
    if (!given || !element.checkVisibility() || document.querySelector("dialog:modal")) return;
    event.preventDefault();
    file.take(given);
  });
}

/** Says how far a call is: `sent(done, total)` bytes while a file goes out, then for how long it has been waited, until it
 * `arrives()` or is `over()`. */
function onTheWay(file, bar, stage) {
  bar.hidden = !file;
  bar.value = 0;
  let since = 0;
  let timer = 0;
  const wait = () => {
    since = performance.now();
    timer ||= setInterval(tick, 1000);
    bar.removeAttribute("value"); // from here on nobody knows how long it takes
    stage.textContent = "Waiting for the model";
    announce(file ? "Sent. Waiting for the model." : "Asked. Waiting for the answer.");
  };
  const tick = () => (stage.textContent = `Waiting for the model: ${duration(performance.now() - since)}`);
  const sent = (done, total) => {
    if (done >= total) return since || wait();
    bar.value = done / total;
    stage.textContent = `${bytes(done)} of ${bytes(total)} sent`;
    return undefined;
  };
  const over = () => clearInterval(timer);
  const arrives = () => {
    over();
    stage.textContent = "The answer comes in";
  };
  if (file) {
    stage.textContent = `Sending ${file.name}`;
    announce(`Sending ${file.name}.`);
  } else wait();
  return { sent, arrives, over };
}

/** What it took, in a line under the result. */
function told({ json, exchange }) {
  const usage = json?.usage ?? {};
  const input = usage.prompt_tokens ?? usage.input_tokens ?? usage.total_tokens;
  const output = usage.completion_tokens ?? usage.output_tokens;
  const parts = [
    `took ${duration(exchange.tookMs)}`,
    input !== undefined && `${number(input)} tokens in`,
    output > 0 && `${number(output)} out`,
    usage.seconds > 0 && `${duration(usage.seconds * 1000)} of sound`,
    exchange.header("x-ipin-provider") && `from ${exchange.header("x-ipin-provider")}`,
  ];
  return h("p.hint.told", parts.filter(Boolean).join(" · "));
}

/** A link that saves `blob` as `name`. Its address lives as long as it is shown as a result. */
export const saveLink = (blob, name, words = "Download") => h("a.button", { href: URL.createObjectURL(blob), download: name }, icon("download"), words);
