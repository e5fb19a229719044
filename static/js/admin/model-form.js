/** The form of a model: its public name, where it is served, what it can take, what it costs, and who stands in for it. */

import { ApiError, at, post, put } from "../api.js";
import { h, icon } from "../dom.js";
import { formDialog, part } from "../parts/dialog.js";
import { changesOf, field } from "../parts/field.js";
import { rows } from "../parts/rows.js";
import { toast } from "../parts/toast.js";
import { fetchListed } from "./probe.js";
import { TYPES, guessImages, guessType } from "./types.js";

/** The dialog for a model, stored or new. `models` and `providers` are all there are. Resolves to the record or undefined. */
export function editModel({ model = null, providerId = "", models, providers }) {
  const isNew = !model;
  const from = model ?? { id: "", name: "", providerId: providerId || providers[0]?.id || "", type: "chat", enabled: true };
  const others = models.filter((each) => each.id !== from.id);
  const providerOptions = providers.map((each) => [each.id, each.enabled ? each.name : `${each.name} (disabled)`]);
  if (from.providerId && !providers.some((each) => each.id === from.providerId))
    providerOptions.unshift([from.providerId, `${from.providerId} (not there)`]);
  let isOwnType = !isNew;
  // What nobody has decided stays undecided: then the model's name decides, and what is shown here is a guess.
  let [isOwnImages, isOwnVideo] = [(from.supportsImageUpload ?? null) !== null, (from.supportsVideoUpload ?? null) !== null];

  const guess = (name) => {
    if (!isOwnType) type.value = guessType(name);
    if (!isOwnImages) images.value = guessImages(name);
  };
  const upstream = field({
    label: "Name at the provider",
    name: "upstreamModel",
    value: from.upstreamModel ?? "",
    optional: true,
    spellcheck: "false",
    suggestions: [],
    hint: "Only if it differs from the id.",
    oninput: guess,
  });
  const provider = field({
    label: "Provider",
    name: "providerId",
    type: "select",
    required: true,
    missing: "Add a provider first.",
    options: providerOptions,
    value: from.providerId,
  });
  const type = field({ label: "Type", name: "type", type: "select", options: TYPES, value: from.type, oninput: () => (isOwnType = true) });
  const images = field({
    label: h("span.with-icon", icon("camera"), "Takes images"),
    name: "supportsImageUpload",
    type: "switch",
    value: from.supportsImageUpload ?? from.takesImages,
    oninput: () => (isOwnImages = true),
  });
  const video = field({
    label: h("span.with-icon", icon("video"), "Takes videos"),
    name: "supportsVideoUpload",
    type: "switch",
    value: from.supportsVideoUpload ?? from.takesVideo,
    oninput: () => (isOwnVideo = true),
  });

  /** What the provider lists, once somebody is about to type the name. */
  async function suggest() {
    const id = provider.value;
    const list = upstream.querySelector("datalist");
    if (!id || list.dataset.provider === id) return;
    list.dataset.provider = id;
    list.replaceChildren();
    try {
      const listed = await fetchListed(id);
      if (provider.value === id) list.replaceChildren(...listed.map((each) => h("option", { value: each.id })));
    } catch (error) {
      // Suggestions are a kindness: without them the name is typed.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** The fields of prices, fetched when they are first seen, or when there may be a list price to offer. */
  async function prices() {
    loading ??= part(() => import("./model-prices.js"));
    const found = await loading;
    if (!found) loading = null;
    costs ??= found?.priceFields(from.price, places);
    await costs?.offer(provider.value, upstream.value || id.value, offers);
  }

  const id = field({
    label: "Id",
    name: "id",
    value: from.id,
    required: true,
    missing: "Give it the name that callers ask for.",
    disabled: !isNew,
    spellcheck: "false",
    autocapitalize: "off",
    hint: isNew ? "What callers write as the model." : "What callers write as the model; it cannot be changed.",
    check: (value) => isNew && models.some((each) => each.id === value) && `There is a model "${value}" already.`,
    oninput: (value) => upstream.value === "" && guess(value),
  });
  const offers = h("div.across", { hidden: true });
  const places = h("div.stack");
  let [loading, costs] = [null, null];
  const nodes = h(
    "div.fields",
    id,
    field({ label: "Display name", name: "name", value: from.name === from.id ? "" : from.name, optional: true }),
    provider,
    upstream,
    type,
    field({
      label: "Context window",
      name: "contextWindow",
      type: "number",
      step: "1",
      value: from.contextWindow,
      placeholder: "tokens",
      hint: "How many tokens it takes at most, if known.",
    }),
    h("div.switches.across", images, video, field({ label: "Enabled", name: "enabled", type: "switch", value: from.enabled })),
    offers,
    h(
      "details.more",
      { open: Boolean(from.price), ontoggle: () => prices() },
      h("summary", "Prices, in US dollars"),
      field({ label: "What it costs", name: "price", control: places, read: () => (costs ? costs.read() : (from.price ?? null)), write: () => {} }),
    ),
    h(
      "details.more",
      { open: Boolean(from.fallbacks?.length || from.deployments?.length) },
      h("summary", "Fallbacks and further places"),
      h(
        "div.stack",
        field({
          label: "Fallbacks",
          name: "fallbacks",
          hint: "Other models that answer, in this order, when this one cannot.",
          ...rows({
            columns: [{ name: "id", label: "Model", type: "select", counts: true, options: others.map((each) => [each.id, each.id]), wide: true }],
            add: "Add a fallback",
            noun: "fallback",
            ordered: true,
          }),
          value: (from.fallbacks ?? []).map((id) => ({ id })),
        }),
        field({
          label: "Further places",
          name: "deployments",
          hint: "The same model at other providers. A place with weight 2 gets twice the calls of one with weight 1.",
          ...rows({
            columns: [
              { name: "providerId", label: "Provider", type: "select", counts: true, options: providers.map((each) => [each.id, each.name]) },
              { name: "upstreamModel", label: "Name there", placeholder: "Name there, if different" },
              { name: "weight", label: "Weight", type: "number", placeholder: "1" },
            ],
            add: "Add a place",
            noun: "place",
          }),
          value: from.deployments ?? [],
        }),
      ),
    ),
  );
  upstream.control.addEventListener("focus", suggest);
  for (const each of [id, provider, upstream]) each.addEventListener("change", () => (isNew || costs) && prices());
  return formDialog({
    title: isNew ? "Add a model" : `Edit ${model.name}`,
    size: "wide",
    content: nodes,
    submit: isNew ? "Add model" : "Save",
    save: async (values, first) => {
      const record = {
        ...recordOf(values, model),
        ...(isOwnImages ? {} : { supportsImageUpload: null }),
        ...(isOwnVideo ? {} : { supportsVideoUpload: null }),
      };
      const stored = { supportsImageUpload: from.supportsImageUpload ?? null, supportsVideoUpload: from.supportsVideoUpload ?? null };
      const saved = isNew
        ? await post("/api/admin/models", record)
        : await put(at("/api/admin/models", model.id), changesOf({ ...recordOf(first, model), ...stored }, record));
      toast(isNew ? `${saved.id} is added.` : `${saved.id} is saved.`);
      return saved;
    },
  });
}

function recordOf(values, model) {
  const places = values.deployments
    .filter((each) => each.providerId)
    .map(({ upstreamModel, weight, ...others }) => ({ ...others, ...(upstreamModel ? { upstreamModel } : {}), weight: weight ?? 1 }));
  return {
    ...values,
    ...(model ? { id: model.id } : {}),
    name: values.name || values.id || model?.id,
    upstreamModel: values.upstreamModel || null,
    fallbacks: [...new Set(values.fallbacks.map((each) => each.id).filter(Boolean))],
    deployments: places,
  };
}
