/** Aliases: names of their own for models and providers, which coding agents are pointed at. */

import { at, get, post, put, remove } from "../api.js";
import { h, icon } from "../dom.js";
import { attempt, confirmDialog, part } from "../parts/dialog.js";
import { empty, load } from "../parts/faces.js";
import { menuButton } from "../parts/menu.js";
import { pageHead, status, tag } from "../parts/marks.js";
import { countOf, matches, searchField } from "../parts/search.js";
import { dataTable } from "../parts/table.js";
import { toast } from "../parts/toast.js";

const SHOWN_NAMES = 3;
const MODES = { replace: "in place of the client's", prepend: "before the client's", append: "behind the client's" };

export function screen(root, params, app) {
  let aliases = [];
  let models = [];
  let providers = [];
  let search = params.get("q") ?? "";

  const fetchAll = async () => {
    const [one, two, three] = await Promise.all([
      get("/api/admin/aliases"),
      get("/api/admin/models"),
      get("/api/admin/providers"),
    ]);
    aliases = one.aliases;
    models = two.models;
    providers = three.providers;
  };

  const table = dataTable({
    label: "Aliases",
    sort: { by: params.get("sort") || "name", down: params.get("down") === "1" },
    onsort: remember,
    dimmed: (row) => !row.enabled,
    name: (row) => row.id,
    columns: [
      { id: "name", label: "Alias", kind: "name", value: (row) => row.name, cell: nameCell },
      { id: "target", label: "Stands for", value: (row) => row.target, cell: targetCell },
      { id: "map", label: "Names", value: (row) => Object.keys(row.modelMap).length || Infinity, cell: mapCell },
      { id: "prompt", label: "System prompt", value: (row) => row.systemPrompt?.mode, cell: promptCell },
      { id: "status", label: "Status", value: stateOf, cell: stateCell },
      { id: "actions", label: "Actions", kind: "actions", cell: actionsCell },
    ],
    empty: () =>
      empty({
        image: "search",
        title: "No alias matches",
        text: "Try another word.",
        actions: [h("button", { type: "button", onclick: showAll }, "Show all")],
      }),
  });

  function nameCell(row) {
    return h(
      "div.two",
      h(
        "span",
        h("button.linkish", { type: "button", onclick: () => edit(row) }, row.name),
        row.default && [" ", tag("default", "Takes the names that no model has")],
      ),
      row.name !== row.id && h("code", row.id),
    );
  }

  function targetCell(row) {
    const model = models.find((each) => each.id === row.target);
    const provider = !model && providers.find((each) => each.id === row.target);
    if (!row.target) return h("span.quiet-text", "its names alone");
    return h("div.two", h("span.plain", (model || provider)?.name ?? row.target), h("span", model ? "model" : provider ? "provider" : "not there"));
  }

  function mapCell(row) {
    const lines = Object.entries(row.modelMap);
    if (!lines.length) return h("span.quiet-text.is-none", "–");
    return h(
      "div.lines",
      lines.slice(0, SHOWN_NAMES).map(([name, model]) => h("span", `${name} → ${model}`)),
      lines.length > SHOWN_NAMES && h("span.quiet-text", `and ${lines.length - SHOWN_NAMES} more`),
    );
  }

  function promptCell(row) {
    return row.systemPrompt ? MODES[row.systemPrompt.mode] : h("span.quiet-text.is-none", "–");
  }

  function stateOf(row) {
    return !row.enabled ? "disabled" : row.trouble ? "leads nowhere" : "enabled";
  }

  function stateCell(row) {
    const state = stateOf(row);
    return status({ enabled: "ok", disabled: "off" }[state] ?? "warn", state, row.trouble || null);
  }

  function actionsCell(row) {
    return h(
      "div",
      menuButton({
        label: `More for ${row.id}`,
        items: [
          { label: "Use with…", image: "docs", run: () => use(row) },
          { label: "Edit", image: "edit", run: () => edit(row) },
          {
            label: row.enabled ? "Disable" : "Enable",
            image: row.enabled ? "off" : "ok",
            run: (button) => enable(button, row, !row.enabled),
          },
          null,
          { label: "Delete…", image: "trash", danger: true, run: () => destroy(row) },
        ],
      }),
    );
  }

  function firstFace() {
    return h(
      "div.card",
      empty({
        image: "alias",
        title: "No alias yet",
        text: "Coding agents ask for models by names of their own, such as haiku, sonnet and opus. An alias says which of your models is meant, under an address of its own.",
        actions: [addButton()],
      }),
    );
  }

  const addButton = () =>
    h("button.primary", { type: "button", onclick: () => edit(null) }, icon("plus"), "Add an alias");

  function draw() {
    table.rows = aliases.filter((row) => matches(search, row.id, row.name, row.target, ...Object.values(row.modelMap)));
    find.hidden = aliases.length < 5 && !search;
    actions.hidden = aliases.length === 0;
    tally.textContent = countOf(table.rows.length, aliases.length, "alias", "aliases");
    return aliases.length ? [toolbar, table] : firstFace();
  }

  function showAll() {
    search = "";
    find.querySelector("input").value = "";
    draw();
    remember();
  }

  function remember() {
    const { by, down } = table.sort ?? {};
    app.setParams({ q: search, ...(by === "name" && !down ? {} : { sort: by, down: down ? "1" : "" }) });
  }

  const reload = () => load(place, fetchAll, draw, { label: "Loading aliases" });

  async function edit(row) {
    const form = await part(() => import("./alias-form.js"));
    const saved = await form?.editAlias({ alias: row, aliases, models, providers });
    if (!saved) return;
    await reload();
    if (!row) await use(saved);
  }

  async function use(row) {
    const panel = await part(() => import("./alias-use.js"));
    panel?.useWith({ alias: row, base: app.base, isModel: models.some((each) => each.id === row.target) });
  }

  async function enable(button, row, enabled) {
    if (!(await attempt(button, () => put(at("/api/admin/aliases", row.id), { enabled })))) return;
    await reload();
    toast(`${row.name} is ${enabled ? "enabled" : "disabled"}.`);
  }

  async function destroy(row) {
    const yes = await confirmDialog({
      title: `Delete ${row.name}?`,
      text: "Whoever is pointed at it gets no answer any more.",
    });
    if (!yes || !(await attempt(null, () => remove(at("/api/admin/aliases", row.id)), "Nothing was deleted"))) return;
    await reload();
    toast(`${row.name} is deleted.`, {
      action: { label: "Undo", run: () => attempt(null, () => restore(row)) },
    });
  }

  async function restore({ trouble, ...row }) {
    await post("/api/admin/aliases", row);
    await reload();
  }

  const find = searchField({
    label: "Search aliases",
    value: search,
    oninput: (value) => ((search = value), draw(), remember()),
  });
  const tally = h("span.quiet-text.number", { role: "status" });
  const toolbar = h("div.toolbar", find, h("span.spring"), tally);
  const place = h("div.stack");
  const head = pageHead({
    title: "Aliases",
    lead: "Names of their own for models and providers: what coding agents are pointed at, and what is meant by the names they ask for.",
    actions: [addButton()],
  });
  const actions = head.querySelector(".actions");
  root.append(head, place);
  reload().then(() => {
    const row = params.get("edit") && aliases.find((each) => each.id === params.get("edit"));
    if (row) edit(row);
  });
}
