/**
 * The set-up guide: a provider, its models, a key, a first chat. It can be left and opened again at any point. Each step
 * is fetched when it is gone to: a module with `step(guide)`, which answers what stands in the card.
 */

import { ApiError, fetchPart, get } from "../api.js";
import "../docs/sheet.js";
import { fill, focusOn, h, icon } from "../dom.js";
import { busy, confirmLeaving, showProblem } from "../parts/dialog.js";
import { load } from "../parts/faces.js";
import { checkFields, readFields } from "../parts/field.js";
import { guard, isAnyDirty } from "../parts/guard.js";
import { pageHead } from "../parts/marks.js";
import { leaveGuide } from "./guide.js";

const STEPS = [
  ["provider", "Provider", () => import("./start-provider.js")],
  ["models", "Models", () => import("./start-models.js")],
  ["key", "API key", () => import("./start-key.js")],
  ["try", "Try it", () => import("./start-try.js")],
];

// The key made in this visit, so that the snippets of the last step hold it. Gone with the page.
let fresh = null;

export function screen(root, params, app) {
  let release = () => {};
  const bar = h("ol.steps", { "aria-label": "Steps" });
  const card = h("div.card.pad.stack.step");

  /** What the steps share: what there is, the way from one to the next, and forms. */
  const guide = {
    app,
    providers: [],
    models: [],
    keys: [],
    /** The id of the provider that was chosen or added here. */
    provider: params.get("provider") ?? "",
    get fresh() {
      return fresh;
    },
    set fresh(key) {
      fresh = key;
    },
    go,
    form,
    watch,
    leave: leaveGuide,
    /** Looks again at what there is, and goes to a step. */
    async forward(step) {
      release();
      await look();
      go(step);
    },
  };

  async function look() {
    const [one, two, three] = await Promise.all([
      get("/api/admin/providers"),
      get("/api/admin/models"),
      get("/api/admin/apikeys"),
    ]);
    Object.assign(guide, { providers: one.providers, models: two.models, keys: three.apiKeys });
  }

  /** Goes to a step; without one, to the first that is not done. */
  async function go(step, { focus = true } = {}) {
    if (isAnyDirty() && !(await confirmLeaving())) return;
    release();
    const isDone = {
      provider: guide.providers.length > 0,
      models: guide.models.length > 0,
      key: guide.keys.length > 0,
    };
    const [id, , fetchStep] = STEPS.find(([each]) => each === step) ?? STEPS.find(([each]) => !isDone[each]);
    app.setParams({ step: id, provider: guide.provider });
    fill(
      bar,
      STEPS.map(([each, name], at) => mark(each, name, at + 1, each === id, isDone[each])),
    );
    const isThere = await load(
      card,
      () => fetchPart(fetchStep),
      (module) => module.step(guide),
    );
    if (isThere && focus) focusOn(card.querySelector("h2"));
  }

  function mark(id, name, number, isCurrent, isDone) {
    const sign = h("span.step-number", isDone ? icon("check", "done") : String(number));
    return h(
      "li",
      h(
        "button.step-mark",
        { type: "button", "aria-current": isCurrent ? "step" : null, onclick: () => go(id) },
        sign,
        h("span", name),
      ),
    );
  }

  /** A form whose refusals stand beside the fields. `act(values)` does what its submit button says. */
  function form(content, buttons, act) {
    const problem = h("div.problem", { role: "alert", hidden: true });
    const element = h("form.stack", { novalidate: true }, content, problem, h("div.row", buttons));
    element.addEventListener("submit", (event) => {
      event.preventDefault();
      problem.hidden = true;
      if (!checkFields(element)) return;
      busy(element.querySelector("[type=submit]"), async () => {
        try {
          await act(readFields(element));
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          showProblem(element, problem, error);
        }
      });
    });
    return element;
  }

  /** Asks before what is typed in a form is lost. */
  function watch(element) {
    const before = JSON.stringify(readFields(element));
    release = guard(() => element.isConnected && JSON.stringify(readFields(element)) !== before);
  }

  root.append(
    pageHead({
      title: "Set-up guide",
      lead: "From nothing to a working chat in four steps. Leave it whenever you like; it is always here.",
      actions: [h("a.button.quiet", { href: "#/overview", onclick: leaveGuide }, "Leave the guide")],
    }),
    bar,
    card,
  );
  load(card, look, () => {
    queueMicrotask(() => go(params.get("step"), { focus: false }));
    return [];
  });
  return {
    change(next) {
      guide.provider = next.get("provider") ?? guide.provider;
      go(next.get("step"));
    },
    leave: () => release(),
  };
}
