/** Providers: a table of accounts, with tests, and what one does with them. */

import { ApiError, at, get, put } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { count, number } from "../format.js";
import { attempt, busy, part } from "../parts/dialog.js";
import { empty, load } from "../parts/faces.js";
import { menuButton } from "../parts/menu.js";
import { pageHead, status, tag } from "../parts/marks.js";
import { matches, searchField } from "../parts/search.js";
import { dataTable } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { findingMark, lastTest, testProvider } from "./probe.js";
import { PROVIDER_TYPES } from "./types.js";

const TESTS_AT_ONCE = 4;
const typeWords = ({ type }) => PROVIDER_TYPES.find(([id]) => id === type)?.[1] ?? "Demo";

const presets = () => part(() => import("./presets.js"));
const forms = () => part(() => import("./provider-form.js"));
const actions = () => part(() => import("./provider-actions.js"));
const picker = () => part(() => import("./model-picker.js"));

export function screen(root, params, app) {
  let providers = [];
  let models = [];
  let search = params.get("q") ?? "";
  const testing = new Set();

  const fetchAll = async () => {
    const [one, two] = await Promise.all([get("/api/admin/providers"), get("/api/admin/models")]);
    providers = one.providers;
    models = two.models;
  };
  const modelsOf = (id) =>
    models.filter((each) => [each, ...(each.deployments ?? [])].some((place) => place.providerId === id));

  const table = dataTable({
    label: "Providers",
    sort: { by: params.get("sort") || "name", down: params.get("down") === "1" },
    onsort: () => remember(),
    dimmed: (row) => !row.enabled,
    name: (row) => row.name,
    columns: [
      { id: "name", label: "Provider", kind: "name", value: (row) => row.name, cell: nameCell },
      {
        id: "baseUrl",
        label: "Base URL",
        value: (row) => row.baseUrl,
        cell: (row) =>
          h("div.two", h("code.base-url", row.baseUrl.replace(/^https?:\/\//, "") || "built in"), h("span", keyMark(row))),
      },
      { id: "type", label: "Type", value: typeWords, cell: typeWords },
      {
        id: "models",
        label: "Models",
        kind: "number",
        value: (row) => modelsOf(row.id).length,
        cell: (row) =>
          h(
            "a",
            {
              href: `#/models?provider=${encodeURIComponent(row.id)}`,
              "aria-label": `${count(modelsOf(row.id).length, "model")} of ${row.name}`,
            },
            number(modelsOf(row.id).length),
          ),
      },
      {
        id: "status",
        label: "Status",
        value: (row) => (row.enabled ? 0 : 1),
        cell: (row) => (row.enabled ? status("ok", "enabled") : status("off", "disabled")),
      },
      {
        id: "test",
        label: "Last test",
        value: (row) => lastTest(row.id)?.latencyMs,
        cell: (row) =>
          testing.has(row.id) ? h("div.finding", status("wait", "testing…")) : findingMark(lastTest(row.id), () => explain(row)),
      },
      { id: "actions", label: "Actions", kind: "actions", cell: actionsCell },
    ],
    empty: () =>
      providers.length
        ? empty({
            image: "search",
            title: "No provider matches",
            text: "Try another word.",
            actions: [
              h(
                "button",
                { type: "button", onclick: () => ((search = ""), (find.querySelector("input").value = ""), draw(), remember()) },
                "Show all",
              ),
            ],
          })
        : empty({
            image: "provider",
            title: "No provider yet",
            text: "A provider is an account at an AI service, or a server of your own. Its models become available to your callers.",
            actions: [
              h("button.primary", { type: "button", onclick: add }, icon("plus"), "Add a provider"),
              h("a.button", { href: "#/start" }, icon("guide"), "Open the set-up guide"),
            ],
          }),
  });

  function nameCell(row) {
    return h(
      "div.two",
      h(
        "span",
        h("button.linkish", { type: "button", onclick: () => edit(row) }, row.name),
        row.source === "environment" && [
          " ",
          tag("from the environment", "Offered because the environment holds a key for it"),
        ],
      ),
      row.name !== row.id && h("span", row.id),
    );
  }

  /** The key's mask, or where it is read from. */
  function keyMark({ apiKey, auth }) {
    if (!apiKey) return auth === "none" ? "needs no key" : "no key";
    const isReference = /^(env|file):/.test(apiKey);
    return h("code", { title: isReference ? "Read from there each time; not stored" : "The stored key" }, apiKey);
  }

  function actionsCell(row) {
    return h(
      "div",
      h(
        "button",
        { type: "button", "aria-label": `Test ${row.name}`, onclick: () => test(row) },
        icon("pulse"),
        "Test",
      ),
      menuButton({
        label: `More for ${row.name}`,
        items: () => [
          { label: "Edit", image: "edit", run: () => edit(row) },
          { label: "Add models…", image: "plus", run: () => pick(row) },
          { label: "See its models", image: "model", run: () => app.go("models", { provider: row.id }) },
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

  function draw() {
    table.rows = providers.filter((each) => matches(search, each.name, each.id, each.baseUrl));
    testAll.hidden = providers.length === 0;
    find.hidden = providers.length < 2;
  }

  function remember() {
    const { by, down } = table.sort ?? {};
    app.setParams({ q: search, ...(by === "name" && !down ? {} : { sort: by, down: down ? "1" : "" }) });
  }

  async function reload() {
    await load(place, fetchAll, () => (draw(), [h("div.toolbar", find, h("span.spring"), testAll), table]), {
      label: "Loading providers",
    });
  }

  async function add() {
    const added = await (await presets())?.addProvider(providers.map((each) => each.id));
    if (!added) return;
    await reload();
    await pick(added);
  }

  async function edit(row) {
    if (await (await forms())?.editProvider({ provider: row })) await reload();
  }

  async function pick(row) {
    if (await (await picker())?.pickModels(row)) await reload();
  }

  async function test(row) {
    testing.add(row.id);
    draw();
    try {
      const found = await testProvider(row.id);
      announce(`${row.name}: ${found.message}`, { urgent: !found.ok });
      if (!found.ok) toast(`${row.name}: ${found.message}`, { kind: "bad" });
      return found.ok;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(`${row.name} could not be tested. ${error.message}`, { kind: "bad" });
      return false;
    } finally {
      testing.delete(row.id);
      draw();
    }
  }

  async function explain(row) {
    (await actions())?.explainTest(row, { edit, test });
  }

  async function testEvery() {
    const waiting = providers.filter((each) => each.enabled);
    const total = waiting.length;
    let good = 0;
    const worker = async () => {
      for (let row = waiting.shift(); row; row = waiting.shift()) {
        testing.add(row.id);
        draw();
        const found = await testProvider(row.id).catch(() => null);
        testing.delete(row.id);
        good += found?.ok ? 1 : 0;
        draw();
      }
    };
    await Promise.all(Array.from({ length: TESTS_AT_ONCE }, worker));
    toast(good === total ? `All ${number(total)} work.` : `${number(good)} of ${count(total, "provider")} work.`, {
      kind: good === total ? "ok" : "warn",
    });
  }

  async function enable(button, row, isEnabled, isUndo = false) {
    const changed = await attempt(button, () => put(at("/api/admin/providers", row.id), { enabled: isEnabled }));
    if (!changed) return;
    await reload();
    const undo = { label: "Undo", run: () => enable(null, row, !isEnabled, true) };
    toast(`${row.name} is ${isEnabled ? "enabled" : "disabled"}.`, { action: isUndo ? null : undo });
  }

  async function destroy(row) {
    const done = await (await actions())?.deleteProvider(row, models);
    if (done === "disable") return enable(null, row, false);
    if (done) await reload();
    return undefined;
  }

  const find = searchField({
    label: "Search providers",
    value: search,
    oninput: (text) => ((search = text), draw(), remember()),
  });
  const testAll = h("button", { type: "button", onclick: () => busy(testAll, testEvery) }, icon("pulse"), "Test all");
  const place = h("div.stack");
  root.append(
    pageHead({
      title: "Providers",
      lead: "Accounts at AI services and servers of your own. Their keys stay here; your callers never see them.",
      actions: [h("button.primary", { type: "button", onclick: add }, icon("plus"), "Add a provider")],
    }),
    place,
  );
  reload().then(() => {
    const asked = params.get("edit");
    const row = asked && providers.find((each) => each.id === asked);
    if (row) edit(row);
  });
}
