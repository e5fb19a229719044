/** The form of a provider: what is asked of everybody, the rest behind "More", and a test before saving. */

import { ApiError, at, post, put } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { duration } from "../format.js";
import { busy, formDialog } from "../parts/dialog.js";
import { changesOf, checkFields, field, readFields, showFieldError } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { rows, toLines, toMapping, wrongIn } from "../parts/rows.js";
import { toast } from "../parts/toast.js";
import { PROVIDER_TYPES } from "./types.js";

const AUTH = [["bearer", "Bearer (usual)"], ["header", "A header of its own"], ["basic", "Basic: user:password"], ["none", "None"]];

/** Where requests will go and whose that is; null while there is no address yet. */
export function whereTo(baseUrl, preset) {
  let host;
  try {
    host = new URL(baseUrl).host;
  } catch {
    return null;
  }
  const isPreset = preset?.owner && preset.baseUrl && sameHost(preset.baseUrl, host);
  const isLocal = /^(localhost|127\.|\[::1\]|192\.168\.|10\.|172\.(1[6-9]|2\d|3[01])\.|host\.docker\.internal)/.test(host);
  const whose =
    isPreset && !preset.local ? `, which belongs to ${preset.owner}` : isLocal ? ", a machine of your own network" : "";
  return note("info", "The key and everything that is asked go to ", h("strong", host), `${whose}.`);
}

function sameHost(url, host) {
  const pattern = url.replace(/^https?:\/\//, "").split("/")[0];
  const wild = pattern.split(/\{[^}]*\}/);
  return host.startsWith(wild[0]) && host.endsWith(wild.at(-1));
}

/** A name as part of a URL: "My Provider" → "my-provider". */
export const slug = (name) =>
  name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9._~-]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 64);

/**
 * The fields of a provider, and how to turn what they hold into a record. `provider` is the stored one or null,
 * `preset` what a new one begins with, `taken` the ids that exist.
 */
export function providerFields({ provider = null, preset = null, taken = [] }) {
  const from = provider ?? startOf(preset, taken);
  const isNew = !provider;
  const [authKind, authHeader = ""] = (from.auth ?? "bearer").split(/:(.*)/);
  const where = h("div", whereTo(from.baseUrl, preset));
  let isOwnId = !isNew;
  const isGap = /[{}]/.test(from.baseUrl);

  const id = field({
    label: "Id",
    name: "id",
    value: from.id,
    required: true,
    disabled: !isNew,
    autocapitalize: "off",
    spellcheck: "false",
    hint: isNew ? "Part of an address and not changed later." : "An id cannot be changed.",
    oninput: () => (isOwnId = true),
    check: (value) => isNew && taken.includes(value) && `There is a provider "${value}" already.`,
  });
  const name = field({
    label: "Name",
    name: "name",
    value: from.name,
    required: true,
    autofocus: isNew && !from.name,
    missing: "Give it a name.",
    oninput: (value) => {
      if (!isOwnId) id.value = free(slug(value), taken);
    },
  });
  const baseUrl = field({
    label: "Base URL",
    name: "baseUrl",
    type: "url",
    value: from.baseUrl,
    required: from.type !== "demo",
    missing: "Enter the address of the provider's API.",
    placeholder: "https://api.example.com/v1",
    autofocus: isGap,
    spellcheck: "false",
    hint: preset?.note || null,
    oninput: (value) => fill(where, whereTo(value, preset)),
    check: (value) =>
      /[{}]/.test(value)
        ? "Replace the part in braces, and the braces, by your own."
        : !/^https?:\/\/[^/]/i.test(value) && from.type !== "demo"
          ? "It begins with http:// or https://."
          : "",
  });
  const apiKey = keyField(provider, preset, isNew && Boolean(from.name) && !isGap);
  const type = field({
    label: "It speaks like",
    name: "type",
    type: "select",
    options: from.type === "demo" ? [["demo", "Demo"], ...PROVIDER_TYPES] : PROVIDER_TYPES,
    value: from.type,
  });
  const enabled = field({ label: "Enabled", name: "enabled", type: "switch", value: from.enabled ?? true });

  const headerName = field({ label: "Name of the header", name: "authHeader", value: authHeader, placeholder: "x-api-key" });
  const auth = field({
    label: "The key is sent as",
    name: "auth",
    type: "select",
    options: AUTH,
    value: authKind,
    oninput: (value) => (headerName.hidden = value !== "header"),
  });
  headerName.hidden = authKind !== "header";
  const more = h(
    "details.more.across",
    h("summary", "More: kind of authentication, headers, time limits, names for models"),
    h(
      "div.fields",
      auth,
      headerName,
      field({
        label: "Time limit in seconds",
        name: "timeoutSeconds",
        type: "number",
        value: from.timeoutSeconds,
        optional: true,
        placeholder: "as in the settings",
      }),
      field({
        label: "Usage of streams",
        name: "includeUsage",
        type: "select",
        options: [["", "Ask for it where possible"], ["true", "Always ask"], ["false", "Never ask"]],
        value: from.includeUsage === null || from.includeUsage === undefined ? "" : String(from.includeUsage),
        hint: "Some servers refuse the question.",
      }),
      across(
        field({
          label: "Extra headers",
          name: "headers",
          hint: "Sent with every request. Secret values are masked; a mask that stays keeps the stored value.",
          value: toLines(from.headers),
          ...rows({
            columns: [{ name: "name", label: "Header", placeholder: "Name" }, { name: "value", label: "Value", wide: true }],
            add: "Add a header",
            noun: "header",
          }),
          check: wrongIn,
        }),
      ),
      across(
        field({
          label: "Other names for models",
          name: "modelMap",
          hint: "What callers ask for under this provider's own address or an alias of it, and what is sent instead. The words haiku, sonnet and opus stand for every name they are a part of, as coding agents ask for them.",
          value: toLines(from.modelMap),
          ...rows({ columns: [{ name: "name", label: "Asked for" }, { name: "value", label: "Sent", wide: true }], add: "Add a name", noun: "name" }),
          check: wrongIn,
        }),
      ),
      field({
        label: "Default model",
        name: "defaultModel",
        value: from.defaultModel ?? "",
        hint: "For names under that address that none of its models has.",
      }),
      field({ label: "Path for OCR", name: "ocrPath", value: from.ocrPath ?? "", placeholder: "/ocr", hint: "Only for Chutes." }),
      field({
        label: "Certificate authority file",
        name: "caFile",
        value: from.caFile ?? "",
        placeholder: "/path/to/ca.pem",
        hint: "For a server with a certificate of your own.",
      }),
      field({
        label: "Check the certificate",
        name: "verify",
        type: "switch",
        value: from.verify ?? true,
        hint: "Off only for tests: anybody in between can read along.",
      }),
    ),
  );
  const nodes = [across(where), name, id, across(baseUrl), across(apiKey), type, h("div.switch-beside", enabled), more];

  function record(values) {
    const blank = (value) => (value === "" ? null : value);
    const { authHeader: header, includeUsage, headers, modelMap, apiKey: key, ...rest } = values;
    return {
      ...rest,
      ...(provider ? { id: provider.id } : {}),
      ...(key ? { apiKey: key } : {}),
      auth: rest.auth === "header" ? `header:${header.trim()}` : rest.auth,
      headers: toMapping(headers),
      modelMap: toMapping(modelMap),
      includeUsage: includeUsage === "" ? null : includeUsage === "true",
      defaultModel: blank(rest.defaultModel),
      ocrPath: blank(rest.ocrPath),
      caFile: blank(rest.caFile),
    };
  }
  return { nodes: h("div.fields", nodes), record };
}

function keyField(provider, preset, autofocus) {
  const stored = provider?.apiKey;
  const isReference = /^(env|file):/.test(stored ?? "");
  const told = isReference
    ? ["Now read from ", h("code", stored), ". Leave it blank to keep that."]
    : stored
      ? ["The stored key ", h("code", stored), " stays if you leave this blank."]
      : [
          "A key, or where to find it: ",
          h("code", "env:NAME_OF_KEY"),
          " or ",
          h("code", "file:/run/secrets/name"),
          ".",
        ];
  const keyPage =
    preset?.keyUrl &&
    h("a", { href: preset.keyUrl, target: "_blank", rel: "noreferrer" }, "Get a key", icon("external"));
  return field({
    label: "API key",
    name: "apiKey",
    type: "secret",
    autofocus,
    placeholder: stored ? "unchanged" : preset?.local ? "usually none" : preset?.keyHint || "",
    hint: [told, keyPage && [" ", keyPage]],
  });
}

function startOf(preset, taken) {
  if (!preset || preset.id === "custom") return { id: "", name: "", baseUrl: "", type: "openai", auth: "bearer" };
  return {
    id: free(preset.id, taken),
    name: preset.name,
    baseUrl: preset.baseUrl,
    type: preset.type,
    auth: preset.auth ?? "bearer",
    modelMap: preset.modelMap,
  };
}

function free(id, taken) {
  let candidate = id;
  for (let n = 2; candidate && taken.includes(candidate); n += 1) candidate = `${id}-${n}`;
  return candidate;
}

function across(element) {
  element.classList.add("across");
  return element;
}

/** A button that tests what a form holds, unsaved, and the place where the finding stands. */
export function testBeforeSaving(form, record) {
  const place = h("div", { role: "status" });
  const button = h("button", { type: "button" }, icon("pulse"), "Test");
  button.addEventListener("click", () =>
    busy(button, async () => {
      if (!checkFields(form())) return;
      fill(place);
      try {
        const found = await post("/api/admin/providers/test", record(readFields(form())), { quiet: true });
        fill(place, note(found.ok ? "ok" : "bad", found.message, found.ok && found.latencyMs > 0 && ` It took ${duration(found.latencyMs)}.`));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!showFieldError(form(), error.param || "-", error.message)) fill(place, note("bad", error.message));
      }
      place.scrollIntoView({ block: "nearest" });
    }),
  );
  return { button, place };
}

/** Stores a provider, new or changed. */
export function saveProvider(provider, record) {
  return provider ? put(at("/api/admin/providers", provider.id), record) : post("/api/admin/providers", record);
}

/** The dialog for a provider: a stored one, or a new one from a preset. Resolves to the record or undefined. */
export function editProvider({ provider = null, preset = null, taken = [] }) {
  const { nodes, record } = providerFields({ provider, preset, taken });
  const test = testBeforeSaving(() => nodes.closest("form"), record);
  const done = formDialog({
    title: provider
      ? `Edit ${provider.name}`
      : preset && preset.id !== "custom"
        ? `Add ${preset.name}`
        : "Add a provider",
    size: "wide",
    intro:
      provider?.source === "environment"
        ? note(
            "info",
            "This provider is offered because the environment holds a key for it. Saving makes it a provider of its own that still reads that key.",
          )
        : null,
    content: [nodes, test.place],
    extra: [test.button],
    submit: provider ? "Save" : "Add provider",
    save: async (values, first) => {
      const saved = await saveProvider(provider, provider ? changesOf(record(first), record(values)) : record(values));
      toast(provider ? `${saved.name} is saved.` : `${saved.name} is added.`);
      return saved;
    },
  });
  return done;
}
