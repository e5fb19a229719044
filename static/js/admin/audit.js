/** The audit: what administrators changed, who, when and from where, and each field as it was and as it is. */

import { get } from "../api.js";
import { announce, calmly, h, icon } from "../dom.js";
import { count, dateTime, number } from "../format.js";
import { empty, load } from "../parts/faces.js";
import { pageHead, when } from "../parts/marks.js";
import { dataTable } from "../parts/table.js";
import { changesOf, differences } from "../reports/changes.js";
import { pager } from "../reports/pager.js";
import "../reports/sheet.js";

const SIZE = 50;
const NAMES = ["actor", "action", "resource", "id"];
const RESOURCES = { providers: "provider", models: "model", apiKeys: "API key", users: "user", aliases: "alias", settings: "settings", database: "database" };
const ACTIONS = {
  create: "Created",
  update: "Changed",
  delete: "Deleted",
  enable: "Enabled",
  disable: "Disabled",
  rotate: "Renewed",
  revoke: "Revoked the passes of",
  export: "Exported",
  import: "Imported",
  restore: "Restored",
  sign_in: "Signed in",
};
const SCREENS = { providers: "providers", models: "models", apiKeys: "keys", users: "users", aliases: "aliases" };

export function screen(root, params, app) {
  let filter = filterOf(params);
  let page = Math.max(1, Number.parseInt(params.get("page"), 10) || 1);

  const table = dataTable({
    label: "Changes",
    asIs: true,
    keyOf: (row) => row.at,
    columns: [
      { id: "time", label: "When", kind: "name", cell: (row) => h("div.two", when(row.time), h("span.nowrap", dateTime(row.time))) },
      { id: "actor", label: "Who", cell: (row) => h("div.two", h("button.linkish", { type: "button", title: "Only this one's changes", onclick: () => narrow({ actor: row.actor }) }, row.actor || "–"), row.address && h("span", row.address)) },
      { id: "what", label: "What", cell: whatCell },
      { id: "changes", label: "Changes", cell: (row) => h("div.of-changes", changesCell(row)) },
    ],
    empty: () =>
      isNarrow()
        ? empty({ image: "search", title: "No change matches", text: "Nothing fits these filters.", actions: [h("button", { type: "button", onclick: () => change(new URLSearchParams()) }, "Show all")] })
        : empty({ image: "history", title: "Nothing was changed yet", text: "Whatever an administrator changes is kept here, with what was before and what came after. Secrets are not." }),
  });
  table.classList.add("audit");

  const isNarrow = () => NAMES.some((name) => filter[name]);
  const results = h("div");
  const foot = pager("Changes", (to) => {
    page = to;
    remember();
    reload().then(() => (table.scrollIntoView({ block: "start" }), announce(foot.textContent)));
  });

  function reload() {
    const asked = new URLSearchParams(Object.entries({ ...filter, page, pageSize: SIZE }).filter(([, value]) => value !== ""));
    return load(
      results,
      () => get(`/api/admin/audit?${asked}`),
      ({ items, total }) => {
        table.rows = items.map((each, at) => ({ ...each, at: `${each.time} ${at}` }));
        foot.show(page, SIZE, total);
        tally.textContent = count(total, "change");
        return [table, foot];
      },
      { label: "Loading the audit" },
    );
  }

  function narrow(members) {
    Object.assign(filter, members);
    page = 1;
    remember();
    drawFilters();
    reload();
  }

  function change(next) {
    [filter, page] = [filterOf(next), Math.max(1, Number.parseInt(next.get("page"), 10) || 1)];
    drawFilters();
    remember();
    reload();
  }

  const remember = () => app.setParams({ ...filter, page: page > 1 ? page : "" });

  function drawFilters() {
    for (const [name, input] of Object.entries(inputs)) if (input !== document.activeElement) input.value = filter[name];
    clear.hidden = !isNarrow();
  }

  const inputs = Object.fromEntries(
    [
      ["actor", "Who"],
      ["id", "Id of the record"],
    ].map(([name, label]) => [name, h("input", { type: "search", "aria-label": label, placeholder: label, autocomplete: "off", spellcheck: "false" })]),
  );
  for (const [name, input] of Object.entries(inputs)) input.addEventListener("input", calmly(() => narrow({ [name]: input.value.trim() }), 400));
  for (const [name, label, options] of [
    ["action", "Any action", ACTIONS],
    ["resource", "Any record", RESOURCES],
  ])
    inputs[name] = h(
      "select",
      { "aria-label": name === "action" ? "Action" : "Kind of record", onchange: (event) => narrow({ [name]: event.target.value }) },
      h("option", { value: "" }, label),
      Object.entries(options).map(([id, each]) => h("option", { value: id }, each)),
    );
  const clear = h("button.quiet", { type: "button", onclick: () => (change(new URLSearchParams()), inputs.actor.focus()) }, icon("cross"), "Clear");
  const tally = h("span.quiet-text.number", { role: "status" });
  root.append(
    pageHead({ title: "Audit", lead: "Every change by an administrator: who, what, when and from where." }),
    h("div.audit-tools", Object.values(inputs), clear, h("span.spring"), tally),
    results,
  );
  drawFilters();
  reload();
  return { change };
}

function whatCell(row) {
  const kind = RESOURCES[row.resource] ?? row.resource;
  const place = SCREENS[row.resource];
  const name = row.id && (place ? h("a", { href: `#/${place}?q=${encodeURIComponent(row.id)}` }, row.id) : h("span", row.id));
  const words = row.action === "sign_in" ? ACTIONS.sign_in : `${ACTIONS[row.action] ?? row.action} ${kind}`;
  return h("div.two", h("span", words), name);
}

function changesCell(row) {
  const found = differences(row.before, row.after);
  if (!found.length) return h("span.quiet-text", "–");
  const first = found.slice(0, 3).map((each) => each.field).join(", ");
  const words = `${number(found.length)} ${found.length === 1 ? "field" : "fields"}: ${first}${found.length > 3 ? " …" : ""}`;
  const details = h("details", h("summary", words));
  details.addEventListener("toggle", () => details.append(changesOf(found, row)), { once: true });
  return details;
}

function filterOf(params) {
  return Object.fromEntries(NAMES.map((name) => [name, params.get(name) ?? ""]));
}
