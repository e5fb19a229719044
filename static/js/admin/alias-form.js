/** The form of an alias: what it stands for, what is meant by the names that are asked for, and its system prompt. */

import { ApiError, at, post, put } from "../api.js";
import { calmly, fill, h } from "../dom.js";
import { formDialog } from "../parts/dialog.js";
import { changesOf, field, readFields } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { rows, toLines, toMapping, wrongIn } from "../parts/rows.js";
import { toast } from "../parts/toast.js";

const FAMILIES = ["haiku", "sonnet", "opus"];
const SIZES = { haiku: "small and quick", sonnet: "the usual one", opus: "large" };
const MODES = [
  ["prepend", "Before the client's own prompt"],
  ["append", "Behind the client's own prompt"],
  ["replace", "In place of the client's own prompt"],
];

/** The dialog for an alias, stored or new. Resolves to the record or undefined. */
export function editAlias({ alias = null, aliases, models, providers }) {
  const isNew = !alias;
  const from = alias ?? { id: "", name: "", target: models[0]?.id ?? "", modelMap: {}, enabled: true };
  const taken = [...aliases, ...models, ...providers].map((each) => each.id);
  const exact = Object.fromEntries(Object.entries(from.modelMap).filter(([name]) => !FAMILIES.includes(name)));

  const id = field({
    label: "Id",
    name: "id",
    value: from.id,
    required: true,
    missing: "Give it a name that can stand in an address.",
    disabled: !isNew,
    spellcheck: "false",
    autocapitalize: "off",
    hint: isNew ? "A part of its address, and the name of a model to ask for." : "An id cannot be changed.",
    check: (value) => {
      if (!isNew) return "";
      if (!/^[A-Za-z0-9._~-]+$/.test(value)) return "Letters, digits and . _ ~ - only: it is a part of an address.";
      return taken.includes(value) && `"${value}" is the id of an alias, a model or a provider already.`;
    },
  });
  const family = (name) =>
    field({
      label: name[0].toUpperCase() + name.slice(1),
      name,
      value: from.modelMap[name] ?? "",
      spellcheck: "false",
      placeholder: SIZES[name],
      suggestions: models.map((each) => each.id),
    });
  const names = field({
    label: "Exact names",
    name: "exact",
    hint: "They go before the three above.",
    value: toLines(exact),
    ...rows({
      columns: [
        { name: "name", label: "Asked for" },
        { name: "value", label: "Model", wide: true },
      ],
      add: "Add a name",
      noun: "name",
    }),
    check: wrongIn,
  });
  const template = field({
    label: "Prompt",
    name: "template",
    type: "textarea",
    rows: 8,
    value: from.systemPrompt?.template ?? "",
    hint: [
      h("code", "{{ENV_INFO}}"),
      ", ",
      h("code", "{{MODEL_INFO}}"),
      " and ",
      h("code", "{{MCP_INSTRUCTIONS}}"),
      " stand for what a coding agent's own prompt says of its environment, its model and its servers of tools. Leave it blank to change nothing.",
    ],
  });
  const mode = field({
    label: "Where it goes",
    name: "mode",
    type: "select",
    options: MODES,
    value: from.systemPrompt?.mode ?? "prepend",
  });
  const preview = previewOf(() => recordOf(readFields(nodes.closest("form")), alias));
  const nodes = h(
    "div.fields",
    alias?.trouble && across(note("warn", alias.trouble)),
    id,
    field({ label: "Display name", name: "name", value: from.name === from.id ? "" : from.name, optional: true }),
    across(
      field({
        label: "Stands for",
        name: "target",
        type: "select",
        options: targets(from.target, models, providers),
        value: from.target ?? "",
        hint: "A model answers to whatever is asked for. A provider answers to the names of its models.",
      }),
    ),
    across(
      h(
        "fieldset.stack-small",
        h("legend", "What is meant by the names that are asked for"),
        h("p.quiet-text", "Each of these is a part of the names that coding agents ask for. Name a model of yours, or what the provider calls its own."),
        h("div.thirds", FAMILIES.map(family)),
        names,
      ),
    ),
    h(
      "div.switches.across",
      field({ label: "Also takes all names that no model has", name: "default", type: "switch", value: from.default }),
      field({ label: "Enabled", name: "enabled", type: "switch", value: from.enabled }),
    ),
    h(
      "details.more",
      { open: Boolean(from.systemPrompt) },
      h("summary", "System prompt"),
      h("div.stack", mode, template),
    ),
    h(
      "details.more",
      { ontoggle: (event) => event.target.open && preview.show() },
      h("summary", "Preview"),
      preview.place,
    ),
  );
  nodes.addEventListener("input", preview.later);
  return formDialog({
    title: isNew ? "Add an alias" : `Edit ${alias.name}`,
    size: "wide",
    content: nodes,
    submit: isNew ? "Add alias" : "Save",
    save: async (values, first) => {
      const record = recordOf(values, alias);
      const saved = isNew
        ? await post("/api/admin/aliases", record)
        : await put(at("/api/admin/aliases", alias.id), changesOf(recordOf(first, alias), record));
      toast(isNew ? `${saved.name} is added.` : `${saved.name} is saved.`);
      return saved;
    },
  });
}

function targets(target, models, providers) {
  const isThere = !target || [...models, ...providers].some((each) => each.id === target);
  const named = (each) => [each.id, `${each.name}${each.enabled ? "" : " (disabled)"}`];
  return [
    ["", "Nothing: only for the names below"],
    ...(isThere ? [] : [[target, `${target} (not there)`]]),
    ...(models.length ? [{ label: "Models", options: models.map(named) }] : []),
    ...(providers.length ? [{ label: "Providers", options: providers.map(named) }] : []),
  ];
}

/** What the fields hold, as a record. */
function recordOf(values, alias) {
  const { exact, template, mode, haiku, sonnet, opus, ...rest } = values;
  const families = Object.entries({ haiku, sonnet, opus }).filter(([, model]) => model);
  return {
    ...rest,
    ...(alias ? { id: alias.id } : {}),
    name: rest.name || rest.id || alias?.id,
    target: rest.target || null,
    modelMap: { ...Object.fromEntries(families), ...toMapping(exact) },
    systemPrompt: template.trim() ? { ...alias?.systemPrompt, template, mode } : null,
  };
}

/** What would become of a request, as the server says: `place` shows it, `later` brings it up to date while it is seen. */
function previewOf(record) {
  const asked = field({
    label: "Asked for",
    value: "claude-sonnet-5",
    spellcheck: "false",
    suggestions: ["claude-haiku-4-5", "claude-sonnet-5", "claude-opus-4-8"],
  });
  const system = field({ label: "The client's own prompt", type: "textarea", rows: 6 });
  const leads = h("div", { role: "status" });
  const prompt = h("div.stack-small");
  const place = h("div.stack", asked, leads, system, prompt);
  let [isKnown, turn] = [false, 0];

  async function show() {
    const mine = (turn += 1);
    const { id, ...alias } = record();
    const body = { alias: id ? { id, ...alias } : alias, model: asked.value, ...(isKnown ? { system: system.value } : {}) };
    try {
      const told = await post("/api/admin/aliases/preview", body, { quiet: true });
      if (mine !== turn) return;
      if (!isKnown) system.value = told.system;
      isKnown = true;
      fill(leads, leadsTo(told));
      fill(prompt, h("p", "What the model is told:"), h("pre.prompt", { tabindex: "0", role: "region", "aria-label": "The final prompt" }, told.prompt));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === turn) fill(leads, note("bad", error.message));
    }
  }

  const later = calmly(() => place.closest("details")?.open && show(), 300);
  return { place, show, later };
}

function leadsTo({ model, leadsTo: found, trouble }) {
  if (!found) return note("warn", trouble);
  return note("ok", h("code", model), " is answered by ", h("code", found.upstreamModel), " of ", h("strong", found.provider), ".");
}

function across(element) {
  element.classList.add("across");
  return element;
}
