/** Models: a table to search, filter and sort, with actions on several at once. */

import { at, get, post, put, remove } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { count, money, number } from "../format.js";
import { attempt, confirmDialog, openDialog, part } from "../parts/dialog.js";
import { empty, load } from "../parts/faces.js";
import { menuButton } from "../parts/menu.js";
import { pageHead, status } from "../parts/marks.js";
import { countOf, filterSelect, matches, searchField } from "../parts/search.js";
import { dataTable } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { TYPES, typeName } from "./types.js";

const FILTERS = ["q", "provider", "type", "status"];

const picker = () => part(() => import("./model-picker.js"));

export function screen(root, params, app) {
  let models = [];
  let providers = [];
  let filter = filterOf(params);

  const providerName = (id) => providers.find((each) => each.id === id)?.name ?? id;
  const fetchAll = async () => {
    const [one, two] = await Promise.all([get("/api/admin/models"), get("/api/admin/providers")]);
    models = one.models;
    providers = two.providers;
  };

  const table = dataTable({
    label: "Models",
    select: true,
    onselect: drawBulk,
    sort: { by: params.get("sort") || "name", down: params.get("down") === "1" },
    onsort: remember,
    dimmed: (row) => !row.enabled,
    name: (row) => row.id,
    columns: [
      { id: "name", label: "Model", kind: "name", value: (row) => row.name, cell: nameCell },
      { id: "provider", label: "Provider", value: (row) => providerName(row.providerId), cell: providerCell },
      { id: "type", label: "Type", value: (row) => typeName(row.type), cell: (row) => typeName(row.type) },
      { id: "input", label: "Input", kind: "number", value: (row) => row.price?.input, cell: (row) => priceCell(row.price?.input) },
      { id: "output", label: "Output", kind: "number", value: (row) => row.price?.output, cell: (row) => priceCell(row.price?.output) },
      { id: "status", label: "Status", value: (row) => stateOf(row), cell: stateCell },
      { id: "actions", label: "Actions", kind: "actions", cell: actionsCell },
    ],
    empty: emptyFace,
  });

  function nameCell(row) {
    return h(
      "div.two",
      h(
        "span",
        h("button.linkish", { type: "button", onclick: () => edit(row) }, row.name),
        row.takesImages && h("span.mark", { title: "Takes images" }, icon("camera", "takes images")),
        row.takesVideo && h("span.mark", { title: "Takes videos" }, icon("video", "takes videos")),
      ),
      row.name !== row.id && h("code", row.id),
    );
  }

  function providerCell(row) {
    const more = row.deployments?.length;
    const other = row.upstreamModel && row.upstreamModel !== row.id;
    return h(
      "div.two",
      h("span.plain", providerName(row.providerId), more > 0 && h("span.quiet-text", ` + ${number(more)}`)),
      other && h("code", row.upstreamModel),
    );
  }

  function priceCell(value) {
    return value === null || value === undefined
      ? h("span.quiet-text.is-none", { title: "No price is entered" }, "–")
      : h("span", { title: "per million tokens" }, money(value));
  }

  function stateOf(row) {
    if (!row.enabled) return "disabled";
    const places = [row, ...(row.deployments ?? [])];
    const serving = providers.filter(({ id }) => places.some((each) => each.providerId === id));
    if (!serving.length) return "no provider";
    return serving.some((each) => each.enabled) ? "enabled" : "provider disabled";
  }

  function stateCell(row) {
    const state = stateOf(row);
    return status({ enabled: "ok", disabled: "off" }[state] ?? "warn", state);
  }

  function actionsCell(row) {
    return h(
      "div",
      menuButton({
        label: `More for ${row.id}`,
        items: [
          { label: "Edit", image: "edit", run: () => edit(row) },
          { label: "Try it", image: "chat", run: () => app.go("playground", { model: row.id }) },
          { label: "How to call it", image: "docs", run: () => app.go("docs", { model: row.id }) },
          {
            label: row.enabled ? "Disable" : "Enable",
            image: row.enabled ? "off" : "ok",
            run: () => bulk([row.id], row.enabled ? "disable" : "enable"),
          },
          null,
          { label: "Delete…", image: "trash", danger: true, run: () => destroy([row.id]) },
        ],
      }),
    );
  }

  function emptyFace() {
    if (models.length) {
      return empty({
        image: "search",
        title: "No model matches",
        text: "Nothing fits this search and these filters.",
        actions: [h("button", { type: "button", onclick: () => change(new URLSearchParams()) }, "Show all")],
      });
    }
    return empty({
      image: "model",
      title: "No model yet",
      text: providers.length
        ? "Models are what callers ask for by name. Take them from what a provider lists, or add one by hand. Until then the built-in demo answers."
        : "Models are what callers ask for by name. They need a provider first. Until then the built-in demo answers.",
      actions: providers.length
        ? [
            fromProvider("primary"),
            h("button", { type: "button", onclick: () => edit(null) }, icon("plus"), "Add by hand"),
          ]
        : [
            h("button.primary", { type: "button", onclick: addFirstProvider }, icon("plus"), "Add a provider"),
            h("a.button", { href: "#/start" }, icon("guide"), "Open the set-up guide"),
          ],
    });
  }

  const shown = () =>
    models.filter(
      (row) =>
        (!filter.provider ||
          row.providerId === filter.provider ||
          row.deployments?.some((each) => each.providerId === filter.provider)) &&
        (!filter.type || row.type === filter.type) &&
        (!filter.status || (filter.status === "enabled") === row.enabled) &&
        matches(filter.q, row.id, row.name, row.upstreamModel, providerName(row.providerId)),
    );

  function draw() {
    const rows = shown();
    table.rows = rows;
    tally.textContent = countOf(rows.length, models.length, "model");
  }

  function drawToolbar() {
    toolbar.hidden = models.length === 0;
    actions.hidden = models.length === 0;
    const set = (name) => (value) => ((filter[name] = value), draw(), remember());
    fill(
      toolbar,
      searchField({ label: "Search models", value: filter.q, oninput: set("q") }),
      filterSelect({
        label: "Provider",
        all: "All providers",
        options: providers.map((each) => [each.id, each.name]),
        value: filter.provider,
        onchange: set("provider"),
      }),
      filterSelect({ label: "Type", all: "All types", options: TYPES, value: filter.type, onchange: set("type") }),
      filterSelect({
        label: "Status",
        all: "Any status",
        options: [["enabled", "Enabled"], ["disabled", "Disabled"]],
        value: filter.status,
        onchange: set("status"),
      }),
      h("span.spring"),
      tally,
    );
  }

  function drawBulk(selected) {
    bar.hidden = selected.size === 0;
    const ids = [...selected];
    fill(
      bar,
      h("strong", { role: "status" }, `${count(selected.size, "model")} ticked`),
      h("span.spring"),
      h("button", { type: "button", onclick: (event) => bulk(ids, "enable", event.currentTarget) }, "Enable"),
      h("button", { type: "button", onclick: (event) => bulk(ids, "disable", event.currentTarget) }, "Disable"),
      h("button", { type: "button", onclick: () => destroy(ids) }, "Delete…"),
      h("button.quiet", { type: "button", onclick: () => table.clearSelection() }, "Untick"),
    );
  }

  function remember() {
    const { by, down } = table.sort ?? {};
    app.setParams({ ...filter, ...(by === "name" && !down ? {} : { sort: by, down: down ? "1" : "" }) });
  }

  function change(next) {
    filter = filterOf(next);
    drawToolbar();
    draw();
    remember();
  }

  const reload = () =>
    load(place, fetchAll, () => (drawToolbar(), draw(), [toolbar, bar, table]), { label: "Loading models" });

  async function edit(row) {
    const form = await part(() => import("./model-form.js"));
    if (await form?.editModel({ model: row, providerId: filter.provider, models, providers })) await reload();
  }

  async function takePrices() {
    if (await (await part(() => import("./price-import.js")))?.importPrices()) await reload();
  }

  async function addFirstProvider() {
    const presets = await part(() => import("./presets.js"));
    const provider = await presets?.addProvider([]);
    if (!provider) return;
    await (await picker())?.pickModels(provider);
    await reload();
  }

  function fromProvider(kind = "") {
    return h("button", { type: "button", class: kind, onclick: pick }, icon("download"), "Add from a provider");
  }

  /** Of the provider that is filtered by, the only one, or the one chosen in a dialog. */
  async function pick() {
    const filtered = providers.find((each) => each.id === filter.provider);
    const provider = filtered ?? (providers.length === 1 ? providers[0] : await chooseProvider());
    if (provider && (await (await picker())?.pickModels(provider))) await reload();
  }

  async function chooseProvider() {
    const dialog = openDialog({
      title: "Which provider?",
      content: h(
        "div.choices",
        providers.map((each) =>
          h(
            "button",
            { type: "button", onclick: () => dialog.close(each) },
            h("strong", each.name),
            h("span.quiet-text", count(models.filter((model) => model.providerId === each.id).length, "model")),
          ),
        ),
      ),
    });
    dialog.element.querySelector(".choices button")?.focus();
    return dialog.closed;
  }

  async function bulk(ids, action, button = null, isUndo = false) {
    const changing = models
      .filter((each) => ids.includes(each.id) && each.enabled !== (action === "enable"))
      .map((each) => each.id);
    const done = await attempt(button, () =>
      ids.length === 1
        ? put(at("/api/admin/models", ids[0]), { enabled: action === "enable" })
        : post("/api/admin/models/bulk", { ids, action }),
    );
    if (!done) return;
    table.clearSelection();
    await reload();
    const undo =
      changing.length && !isUndo
        ? { label: "Undo", run: () => bulk(changing, action === "enable" ? "disable" : "enable", null, true) }
        : null;
    toast(`${ids.length === 1 ? ids[0] : count(ids.length, "model")} ${ids.length === 1 ? "is" : "are"} ${action}d.`, { action: undo });
  }

  async function destroy(ids) {
    const fallbacks = models.filter((each) => !ids.includes(each.id) && each.fallbacks?.some((id) => ids.includes(id)));
    const yes = await confirmDialog({
      title: ids.length === 1 ? `Delete ${ids[0]}?` : `Delete ${count(ids.length, "model")}?`,
      text: fallbacks.length
        ? `Callers can no longer ask for ${ids.length === 1 ? "it" : "them"}, and ${count(fallbacks.length, "model")} that name ${ids.length === 1 ? "it" : "them"} as a fallback go without.`
        : `Callers can no longer ask for ${ids.length === 1 ? "it" : "them"}.`,
      list: ids.length > 1 ? ids.slice(0, 50) : [],
      more: Math.max(0, ids.length - 50),
      action: ids.length === 1 ? "Delete" : `Delete ${count(ids.length, "model")}`,
    });
    if (!yes) return;
    const done = await attempt(
      null,
      () =>
        ids.length === 1
          ? remove(at("/api/admin/models", ids[0]))
          : post("/api/admin/models/bulk", { ids, action: "delete" }),
      "Nothing was deleted",
    );
    if (!done) return;
    table.clearSelection();
    await reload();
    toast(ids.length === 1 ? `${ids[0]} is deleted.` : `${count(ids.length, "model")} deleted.`);
  }

  const toolbar = h("div.toolbar");
  const tally = h("span.quiet-text.number", { role: "status" });
  const bar = h("div.action-bar", { hidden: true });
  const place = h("div.stack");
  const byHand = h("button", { type: "button", onclick: () => edit(null) }, icon("plus"), "Add by hand");
  const file = h("button", { type: "button", onclick: takePrices }, icon("file"), "Import prices");
  const head = pageHead({
    title: "Models",
    lead: "The names callers ask for, with prices per million tokens.",
    actions: [byHand, file, fromProvider("primary")],
  });
  const actions = head.querySelector(".actions");
  root.append(head, place);
  reload().then(() => {
    const row = params.get("edit") && models.find((each) => each.id === params.get("edit"));
    if (row) edit(row);
  });
  return { change };
}

function filterOf(params) {
  return Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ""]));
}
