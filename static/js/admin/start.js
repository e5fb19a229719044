/** The set-up guide: a provider, its models, a key, a first chat. It can be left and opened again at any point. */

import { ApiError, get } from "../api.js";
import { fill, focusOn, h, icon } from "../dom.js";
import { count } from "../format.js";
import { busy, showProblem } from "../parts/dialog.js";
import { codeBlock, copyLine } from "../parts/copy.js";
import { load } from "../parts/faces.js";
import { checkFields, field, readFields } from "../parts/field.js";
import { guard } from "../parts/guard.js";
import { note, pageHead, status } from "../parts/marks.js";
import { tabs } from "../parts/tabs.js";
import { toast } from "../parts/toast.js";
import { post } from "../api.js";
import { chatSnippets } from "../snippets.js";
import { modelsField } from "./key-form.js";
import { addModels, fetchListed, modelChoice } from "./model-picker.js";
import { allPresets, presetCards, providerFields, saveProvider, testBeforeSaving } from "./provider-form.js";

const LEFT = "ipin-guide-left";
const STEPS = [
  ["provider", "Provider"],
  ["models", "Models"],
  ["key", "API key"],
  ["try", "Try it"],
];

/** Whether the guide was left on purpose, so that it does not open by itself. */
export function isLeft() {
  try {
    return localStorage.getItem(LEFT) === "1";
  } catch {
    return true;
  }
}

function leave() {
  try {
    localStorage.setItem(LEFT, "1");
  } catch {
    // Then it opens by itself once more.
  }
}

// The key made in this visit, so that the snippets of the last step hold it. Gone with the page.
let fresh = null;

export function screen(root, params, app) {
  let data = { providers: [], models: [], keys: [] };
  let provider = params.get("provider") ?? "";
  let release = () => {};
  const bar = h("ol.steps", { "aria-label": "Steps" });
  const place = h("div.card.pad.stack.step");
  const views = { provider: providerStep, models: modelsStep, key: keyStep, try: tryStep };

  const done = () => ({ provider: data.providers.length > 0, models: data.models.length > 0, key: data.keys.length > 0, try: false });
  const stored = () => data.providers.find((each) => each.id === provider) ?? data.providers.at(-1);

  const fetchAll = async () => {
    const [one, two, three] = await Promise.all([get("/api/admin/providers"), get("/api/admin/models"), get("/api/admin/apikeys")]);
    data = { providers: one.providers, models: two.models, keys: three.apiKeys };
  };

  /** Goes to a step; without one, to the first that is not done. */
  function go(step, { focus = true } = {}) {
    release();
    const state = done();
    const chosen = STEPS.some(([id]) => id === step) ? step : (STEPS.find(([id]) => !state[id])?.[0] ?? "try");
    app.setParams({ step: chosen, provider });
    fill(
      bar,
      STEPS.map(([id, name], at) =>
        h("li", h("button.step-mark", { type: "button", "aria-current": id === chosen ? "step" : null, onclick: () => go(id) }, h("span.step-number", state[id] ? icon("check", "done") : String(at + 1)), name)),
      ),
    );
    fill(place, views[chosen]());
    if (focus) focusOn(place.querySelector("h2"));
  }

  async function forward(step) {
    await fetchAll();
    go(step);
  }

  function watch(form) {
    const before = JSON.stringify(readFields(form));
    release = guard(() => form.isConnected && JSON.stringify(readFields(form)) !== before);
  }

  /** A form whose refusals stand beside the fields. `act(values)` does it. */
  function stepForm(content, buttons, act) {
    const problem = h("div.problem", { role: "alert", hidden: true });
    const form = h("form.stack", { novalidate: true }, content, problem, h("div.row", buttons));
    const main = buttons.find((each) => each?.type === "submit");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      problem.hidden = true;
      if (!checkFields(form)) return;
      busy(main, async () => {
        try {
          await act(readFields(form));
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          showProblem(form, problem, error);
        }
      });
    });
    return form;
  }

  function providerStep() {
    const inner = h("div.stack");
    const offered = data.providers.filter((each) => each.source === "environment");
    load(inner, allPresets, (list) => [
      data.providers.length > 0 &&
        h("div.stack-small", h("p", "Already here:"), h("div.choices", data.providers.map((each) => h("button", { type: "button", onclick: () => ((provider = each.id), go("models")) }, h("strong", each.name), h("span.quiet-text", offered.includes(each) ? "its key is in the environment" : each.baseUrl.replace(/^https?:\/\//, "") || "built in"))))),
      data.providers.length > 0 && h("p", "Or add another:"),
      presetCards(list, (preset) => fill(inner, presetForm(preset))),
    ]);
    return [h("h2", "Who answers?"), h("p.lead", "Choose a provider you have an account with, or a server on your own machine. You can add more later."), inner];
  }

  function presetForm(preset) {
    const { nodes, record } = providerFields({ preset, taken: data.providers.map((each) => each.id) });
    const test = testBeforeSaving(() => form, record);
    const back = h("button", { type: "button", onclick: () => go("provider") }, icon("left"), "Another provider");
    const form = stepForm([nodes, test.place], [h("button.primary", { type: "submit" }, "Save and go on"), test.button, h("span.spring"), back], async (values) => {
      const saved = await saveProvider(null, record(values));
      release();
      provider = saved.id;
      toast(`${saved.name} is added.`);
      await forward("models");
    });
    queueMicrotask(() => {
      watch(form);
      form.querySelector("[autofocus]")?.focus();
    });
    return [h("h3", preset.id === "custom" ? "A provider of your own choice" : preset.name), form];
  }

  function modelsStep() {
    const from = stored();
    const head = h("h2", "Which models?");
    if (!from) return [head, note("info", "A provider comes first."), h("div.row", h("button.primary", { type: "button", onclick: () => go("provider") }, "Choose a provider"))];
    const inner = h("div.stack");
    const others = data.providers.filter((each) => each.id !== from.id);
    load(
      inner,
      () => fetchListed(from),
      (listed) => {
        if (!listed.length) return [note("info", `${from.name} lists no models. Enter one under the name its documents give.`), byHand(from)];
        const button = h("button.primary", { type: "submit" }, "Add models");
        const choice = modelChoice({ provider: from, listed, existing: data.models, onchange: (n) => (button.textContent = n ? `Add ${count(n, "model")}` : "Go on") });
        return stepForm(choice.element, [button, others.length > 0 && h("button", { type: "button", onclick: () => go("provider") }, "Another provider")].filter(Boolean), async () => {
          const records = choice.chosen();
          if (records.length) toast(`${count((await addModels(records)).length, "model")} added.`);
          await forward(records.length || data.models.length ? "key" : "models");
        });
      },
      { label: `Asking ${from.name}` },
    );
    return [head, h("p.lead", "This is what ", h("strong", from.name), " offers. Tick what your callers may use; a few are enough to begin with."), inner, h("details.more", h("summary", "Enter a name by hand"), h("div", byHand(from)))];
  }

  function byHand(from) {
    return stepForm(
      h("div.fields", field({ label: "Name of the model", name: "id", required: true, missing: "Enter the model's name.", spellcheck: "false", autocapitalize: "off", hint: "As the provider's documents write it." })),
      [h("button", { type: "submit" }, "Add model")],
      async ({ id }) => {
        await post("/api/admin/models", { id, providerId: from.id });
        toast(`${id} is added.`);
        await forward("key");
      },
    );
  }

  function keyStep() {
    const form = stepForm(
      h("div.fields", field({ label: "Name", name: "name", value: "My first key", required: true, missing: "Give it a name." }), modelsField(data.models)),
      [h("button.primary", { type: "submit" }, "Create key"), h("button", { type: "button", onclick: () => go("try") }, "Skip")],
      async (values) => {
        fresh = await post("/api/admin/apikeys", values);
        release();
        await fetchAll();
        go("key");
      },
    );
    form.querySelector("[name=allowedModels]").classList.add("across");
    if (fresh) {
      return [
        h("h2", "Your key"),
        note("warn", "This is the only time it is shown. Copy it and keep it where secrets are kept."),
        copyLine(fresh.key, "API key"),
        h("div.row", h("button.primary", { type: "button", onclick: () => go("try") }, "Go on"), h("button", { type: "button", onclick: () => ((fresh = null), go("key")) }, "Create another")),
      ];
    }
    queueMicrotask(() => watch(form));
    return [h("h2", "A key for your callers"), h("p.lead", "Clients show it instead of the provider's key, which stays here. It can be taken away at any time."), data.keys.length > 0 && note("info", `There ${data.keys.length === 1 ? "is" : "are"} ${count(data.keys.length, "key")} already. You can go on, or create another.`), form];
  }

  function tryStep() {
    const chat = data.models.find((each) => each.enabled && each.type === "chat");
    const model = chat?.id ?? data.models.find((each) => each.enabled)?.id ?? "demo";
    const snippets = chatSnippets({ base: app.base, model, key: fresh?.key });
    return [
      h("h2", "Try it"),
      h("p.lead", model === "demo" ? "No model is added yet, so the built-in demo answers: it repeats what you say." : ["Everything is ready. The model is called ", h("code", model), "."]),
      h("div.row", h("a.button.primary", { href: `#/playground?model=${encodeURIComponent(model)}` }, icon("chat"), "Open the playground"), h("a.button", { href: `#/docs?model=${encodeURIComponent(model)}` }, icon("docs"), "Set up a client")),
      h("h3", "Or from your own program"),
      tabs(
        snippets.map(({ id, label, code }) => ({ id, label, content: () => codeBlock(code, { label: `${label} example` }) })),
        { label: "Languages" },
      ),
      !fresh && h("p.hint", "Put your API key in the place of YOUR-KEY."),
      h("div.row", h("a.button", { href: "#/overview", onclick: leave }, "To the overview")),
    ];
  }

  root.append(
    pageHead({
      title: "Set-up guide",
      lead: "From nothing to a working chat in four steps. Leave it whenever you like; it is always here.",
      actions: [h("a.button.quiet", { href: "#/overview", onclick: leave }, "Leave the guide")],
    }),
    bar,
    place,
  );
  const first = h("div");
  fill(place, first);
  load(first, fetchAll, () => {
    queueMicrotask(() => go(params.get("step"), { focus: false }));
    return status("ok", "ready");
  });
  return { change: (next) => ((provider = next.get("provider") ?? provider), go(next.get("step"))) };
}
