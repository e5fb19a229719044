/** The form of an API key. */

import { at, post, put } from "../api.js";
import { h } from "../dom.js";
import { fromLocalInput, toLocalInput } from "../format.js";
import { formDialog, part } from "../parts/dialog.js";
import { changesOf, field } from "../parts/field.js";
import { multiSelect } from "../parts/multiselect.js";
import { toast } from "../parts/toast.js";
import { typeName } from "./types.js";

const SCOPES = [
  ["chat", "Chat"],
  ["embeddings", "Embeddings"],
  ["audio", "Audio"],
  ["images", "Images"],
  ["ocr", "OCR"],
  ["rerank", "Reranking"],
  ["models", "List models"],
  ["metrics", "Metrics"],
];

/** The field for which models a key may use. */
export function modelsField(models, value = []) {
  const choice = multiSelect({
    label: "Models",
    options: models.map((each) => ({
      value: each.id,
      label: each.id,
      note: [each.name !== each.id && each.name, typeName(each.type), !each.enabled && "disabled"]
        .filter(Boolean)
        .join(" · "),
    })),
    value,
    all: "All models, also those added later",
    only: "Only these:",
    noun: "model",
    patterns: true,
  });
  return field({
    label: "Models",
    name: "allowedModels",
    control: choice,
    read: () => choice.value,
    write: () => {},
    check: () => choice.isUndecided && "Tick at least one model, or allow all.",
  });
}

/** The dialog for a key, stored or new; `stand` shows how its limits stand. A new one is shown once afterwards. Resolves to the record or undefined. */
export async function editKey({ key = null, models, users = [], stand = null }) {
  const isNew = !key;
  const budgets = await part(() => import("./budgets.js"));
  if (!budgets) return undefined;
  const from = key ?? { name: "", username: "", allowedModels: [], scopes: [], enabled: true };
  const scopes = multiSelect({
    label: "May be used for",
    options: SCOPES.map(([value, label]) => ({ value, label })),
    value: from.scopes ?? [],
    all: "Everything",
    only: "Only these:",
    noun: "use",
  });
  const whole = { type: "number", step: "1", min: "1", placeholder: "no limit" };
  const hasLimits = from.rpm || from.tpm || from.maxParallel || from.monthlyRequests || from.budgets?.length;
  const hasBounds = from.scopes?.length || from.allowedIps?.length;
  const saved = await formDialog({
    title: isNew ? "Create an API key" : `Edit ${key.name || key.id}`,
    size: "wide",
    submit: isNew ? "Create key" : "Save",
    content: h(
      "div.fields",
      field({
        label: "Name",
        name: "name",
        value: from.name,
        required: true,
        missing: "Give it a name, so that you know it later.",
        placeholder: "What or who it is for",
      }),
      field({
        label: "User name",
        name: "username",
        value: from.username,
        optional: true,
        suggestions: users.map((each) => each.username),
        hint: "Whose calls these are, for reports.",
      }),
      across(modelsField(models, from.allowedModels)),
      field({
        label: "Works until",
        name: "expiresAt",
        type: "date-time",
        value: toLocalInput(from.expiresAt),
        hint: "Blank: until it is disabled or deleted.",
      }),
      h("div.switch-beside", field({ label: "Enabled", name: "enabled", type: "switch", value: from.enabled })),
      h(
        "details.more",
        { open: Boolean(hasBounds) },
        h("summary", "What it may be used for, and from where"),
        h(
          "div.stack",
          field({
            label: "May be used for",
            name: "scopes",
            control: scopes,
            read: () => scopes.value,
            write: () => {},
            check: () => scopes.isUndecided && "Tick at least one use, or allow everything.",
          }),
          field({
            label: "Addresses",
            name: "allowedIps",
            type: "lines",
            value: from.allowedIps ?? [],
            placeholder: "192.168.1.0/24",
            hint: "Addresses or networks, one a line. Blank: from anywhere.",
          }),
        ),
      ),
      h(
        "details.more",
        { open: Boolean(hasLimits) },
        h("summary", "Limits and budgets"),
        h(
          "div.stack",
          h(
            "div.grid-2",
            field({ label: "Calls a minute", name: "rpm", value: from.rpm, ...whole }),
            field({ label: "Tokens a minute", name: "tpm", value: from.tpm, ...whole }),
            field({ label: "Calls at once", name: "maxParallel", value: from.maxParallel, ...whole }),
            field({ label: "Calls a month", name: "monthlyRequests", value: from.monthlyRequests, ...whole }),
          ),
          budgets.budgetsField(from.budgets),
          stand,
        ),
      ),
      isNew &&
        h(
          "details.more",
          h("summary", "Use a key you already have"),
          h(
            "div",
            field({
              label: "Key",
              name: "key",
              type: "secret",
              hint: "At least 16 characters without blanks. Blank: a new one is made.",
              check: (value) => value && value.length < 16 && "It needs at least 16 characters.",
            }),
          ),
        ),
    ),
    save: async (values, first) => {
      const recordOf = ({ key, expiresAt, ...rest }) => ({
        ...rest,
        ...(key ? { key } : {}),
        expiresAt: fromLocalInput(expiresAt),
        budgets: budgets.budgetsOf(rest.budgets),
      });
      const answer = isNew
        ? await post("/api/admin/apikeys", recordOf(values))
        : await put(at("/api/admin/apikeys", key.id), changesOf(recordOf(first), recordOf(values)));
      if (!isNew) toast(`${answer.name} is saved.`);
      return answer;
    },
  });
  if (saved && isNew) await (await part(() => import("./key-actions.js")))?.showKey(saved);
  return saved;
}

function across(element) {
  element.classList.add("across");
  return element;
}
