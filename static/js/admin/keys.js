/** API keys: what callers present. Shown in full once, as a mask ever after. */

import { at, get, post, put } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { count, date, dateTime, names, number } from "../format.js";
import { attempt, part } from "../parts/dialog.js";
import { empty, load } from "../parts/faces.js";
import { menuButton } from "../parts/menu.js";
import { pageHead, status, tag, when } from "../parts/marks.js";
import { fetchSpend } from "../reports/spend.js";
import { countOf, filterSelect, matches, searchField } from "../parts/search.js";
import { dataTable } from "../parts/table.js";
import { toast } from "../parts/toast.js";

const FILTERS = ["q", "status"];

const forms = () => part(() => import("./key-form.js"));
const actions = () => part(() => import("./key-actions.js"));
const SOURCES = { flag: "given on the command line", environment: "set in the server's environment", envFile: "set in the file .env" };

export function screen(root, params, app) {
  let keys = [];
  let models = [];
  let users = [];
  let linked = new Map(); // a key's id → who signs in with it
  let called = new Map(); // a user name → who has it
  let master = null;
  let spend = null;
  let filter = filterOf(params);

  const fetchAll = async () => {
    const [one, two, three, four, five, six] = await Promise.all([
      get("/api/admin/apikeys"),
      get("/api/admin/models"),
      get("/api/admin/users"),
      get("/api/admin/settings"),
      fetchSpend("key"),
      get("/api/admin/aliases"),
    ]);
    keys = one.apiKeys.sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0)); // the newest first
    models = [...two.models, ...six.aliases.map((each) => ({ ...each, type: "alias" }))]; // a key may have either
    users = three.users;
    linked = grouped(users, "apiKeyId");
    called = grouped(users, "username");
    spend = five;
    master = four.settings.find((each) => each.name === "MASTER_API_KEY");
  };

  const table = dataTable({
    label: "API keys",
    select: true,
    onselect: drawBulk,
    sort: params.has("sort") ? { by: params.get("sort"), down: params.get("down") === "1" } : null,
    onsort: remember,
    dimmed: (row) => stateOf(row) !== "enabled",
    name: (row) => row.name || row.id,
    columns: [
      { id: "name", label: "Name", kind: "name", value: (row) => row.name, cell: nameCell },
      { id: "key", label: "Key", cell: (row) => h("code.nowrap", row.key) },
      { id: "models", label: "Models", value: (row) => row.allowedModels.length || Infinity, cell: modelsCell },
      { id: "limits", label: "Limits", cell: limitsCell },
      { id: "spend", label: "This month", down: true, value: (row) => spend.of(row.id), cell: (row) => spend.cell(row.id) },
      { id: "lastUsedAt", label: "Last used", value: (row) => row.lastUsedAt, cell: usedCell },
      { id: "status", label: "Status", value: stateOf, cell: stateCell },
      { id: "actions", label: "Actions", kind: "actions", cell: actionsCell },
    ],
    empty: () =>
      keys.length
        ? empty({
            image: "search",
            title: "No key matches",
            text: "Nothing fits this search and this filter.",
            actions: [h("button", { type: "button", onclick: () => change(new URLSearchParams()) }, "Show all")],
          })
        : empty({
            image: "key",
            title: "No API key yet",
            text: "Each person or program that calls this server gets a key of its own. You can say which models it may use, and take it away at any time.",
            actions: [h("button.primary", { type: "button", onclick: () => edit(null) }, icon("plus"), "Create an API key")],
          }),
  });

  const linkedTo = (row) => linked.get(row.id) ?? [];
  const ownersOf = (row) => linkedTo(row).map((each) => each.username);

  function nameCell(row) {
    const owners = ownersOf(row);
    const whose = owners.length ? `signs in as ${names(owners, 2)}` : row.username;
    return h("div.two", h("button.linkish", { type: "button", onclick: () => edit(row) }, row.name || row.id), whose && h("span", whose));
  }

  function usedCell(row) {
    return h("div.two", h("span.plain", when(row.lastUsedAt)), row.createdAt && h("span.nowrap", "made ", when(row.createdAt)));
  }

  function modelsCell(row) {
    if (!row.allowedModels.length) return h("span", "all");
    return h(
      "span.clip",
      { title: names(row.allowedModels, 20) },
      row.allowedModels.length === 1 ? row.allowedModels[0] : number(row.allowedModels.length),
    );
  }

  function limitsCell(row) {
    const parts = [
      row.budgets?.length && count(row.budgets.length, "budget"),
      row.rpm && `${number(row.rpm)} calls/min`,
      row.tpm && `${number(row.tpm)} tokens/min`,
      row.maxParallel && `${number(row.maxParallel)} at once`,
      row.monthlyRequests && `${number(row.monthlyRequests)} calls/month`,
      row.scopes?.length && `only ${names(row.scopes)}`,
      row.allowedIps?.length && count(row.allowedIps.length, "network"),
    ].filter(Boolean);
    if (!parts.length) return h("span.quiet-text.is-none", "none");
    const told = parts.length > 3 ? [...parts.slice(0, 2), `and ${parts.length - 2} more`] : parts;
    return h("div.lines", { title: parts.join(", ") }, told.map((each) => h("span", each)));
  }

  function stateOf(row) {
    if (!row.enabled) return "disabled";
    if (row.expiresAt && row.expiresAt <= Date.now()) return "expired";
    const theirs = linked.get(row.id) ?? called.get(row.username) ?? [];
    return theirs.length && !theirs.some((each) => each.enabled) ? "user disabled" : "enabled";
  }

  function stateCell(row) {
    const state = stateOf(row);
    const mark = status({ enabled: "ok", disabled: "off" }[state] ?? "warn", state);
    if (!row.expiresAt) return mark;
    return h(
      "div.two",
      mark,
      h(
        "span.nowrap",
        { title: dateTime(row.expiresAt) },
        state === "expired" ? "" : "until ",
        h("time", { datetime: new Date(row.expiresAt).toISOString() }, date(row.expiresAt)),
      ),
    );
  }

  function actionsCell(row) {
    return h(
      "div",
      menuButton({
        label: `More for ${row.name || row.id}`,
        items: [
          { label: "Edit", image: "edit", run: () => edit(row) },
          { label: "New key…", image: "refresh", run: () => rotate(row) },
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

  function masterCard() {
    const isGiven = Boolean(SOURCES[master?.source]);
    return h(
      "div.card.master",
      h("span.master-image", icon("lock")),
      h(
        "div.two",
        h("span", "Master key ", tag("may do everything")),
        h(
          "span",
          isGiven
            ? `It is ${SOURCES[master.source]} as MASTER_API_KEY and changed only there.`
            : "It was made at the first start and printed once. To have one of your own, set MASTER_API_KEY in the server's environment.",
        ),
      ),
    );
  }

  function shown() {
    return keys.filter(
      (row) =>
        (!filter.status || stateOf(row).endsWith(filter.status)) &&
        matches(filter.q, row.name, row.username, row.id, row.key, row.allowedModels.join(" "), ownersOf(row).join(" ")),
    );
  }

  function draw() {
    const found = shown();
    table.rows = found;
    tally.textContent = countOf(found.length, keys.length, "key");
  }

  function drawToolbar() {
    toolbar.hidden = keys.length === 0;
    const set = (name) => (value) => ((filter[name] = value), draw(), remember());
    fill(
      toolbar,
      searchField({ label: "Search keys", value: filter.q, oninput: set("q") }),
      filterSelect({
        label: "Status",
        all: "Any status",
        options: [["enabled", "Enabled"], ["disabled", "Disabled"], ["expired", "Expired"]],
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
      h("strong", { role: "status" }, `${count(selected.size, "key")} ticked`),
      h("span.spring"),
      h("button", { type: "button", onclick: (event) => bulk(ids, "enable", event.currentTarget) }, "Enable"),
      h("button", { type: "button", onclick: (event) => bulk(ids, "disable", event.currentTarget) }, "Disable"),
      h("button", { type: "button", onclick: () => destroy(ids) }, "Delete…"),
      h("button.quiet", { type: "button", onclick: () => table.clearSelection() }, "Untick"),
    );
  }

  function remember() {
    const { by, down } = table.sort ?? {};
    app.setParams({ ...filter, sort: by, down: down ? "1" : "" });
  }

  function change(next) {
    filter = filterOf(next);
    drawToolbar();
    draw();
    remember();
  }

  const reload = () =>
    load(place, fetchAll, () => (drawToolbar(), draw(), [masterCard(), toolbar, bar, table]), { label: "Loading API keys" });
  const nameOf = (id) => keys.find((each) => each.id === id)?.name || id;

  async function edit(row) {
    if (await (await forms())?.editKey({ key: row, models, users, stand: row && spend.bars(row.id) })) await reload();
  }

  async function rotate(row) {
    if (await (await actions())?.rotateKey(row)) await reload();
  }

  async function bulk(ids, action, button = null, isUndo = false) {
    const isEnabled = action === "enable";
    const ticked = new Set(ids);
    const changing = keys.filter((each) => ticked.has(each.id) && each.enabled !== isEnabled).map((each) => each.id);
    const label = ids.length === 1 ? nameOf(ids[0]) : count(ids.length, "key");
    const done = await attempt(button, () =>
      ids.length === 1
        ? put(at("/api/admin/apikeys", ids[0]), { enabled: isEnabled })
        : post("/api/admin/apikeys/bulk", { ids, action }),
    );
    if (!done) return;
    table.clearSelection();
    await reload();
    const undo =
      changing.length && !isUndo
        ? { label: "Undo", run: () => bulk(changing, isEnabled ? "disable" : "enable", null, true) }
        : null;
    toast(`${label} ${ids.length === 1 ? "is" : "are"} ${action}d.`, { action: undo });
  }

  async function destroy(ids) {
    const ticked = new Set(ids);
    const chosen = keys.filter((each) => ticked.has(each.id));
    if (!(await (await actions())?.deleteKeys(chosen, users))) return;
    table.clearSelection();
    await reload();
  }

  const toolbar = h("div.toolbar");
  const tally = h("span.quiet-text.number", { role: "status" });
  const bar = h("div.action-bar", { hidden: true });
  const place = h("div.stack");
  root.append(
    pageHead({
      title: "API keys",
      lead: "One for each person or program that calls this server.",
      actions: [h("button.primary", { type: "button", onclick: () => edit(null) }, icon("plus"), "Create an API key")],
    }),
    place,
  );
  reload().then((isThere) => isThere && params.has("new") && edit(null));
  return { change };
}

/** What has each value of a member, in order. */
function grouped(rows, member) {
  const found = new Map();
  for (const row of rows) {
    const there = found.get(row[member]);
    if (there) there.push(row);
    else found.set(row[member], [row]);
  }
  return found;
}

function filterOf(params) {
  return Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ""]));
}
