/** Settings: what is in force and where it comes from; the configuration as a file, out and in; earlier versions. */

import { ApiError, at, get, post, put, send } from "../api.js";
import "../docs/sheet.js";
import { h, icon } from "../dom.js";
import { bytes, count, dateTime, names } from "../format.js";
import { attempt, busy, confirmDialog, confirmLeaving, formDialog, openDialog } from "../parts/dialog.js";
import { empty, load } from "../parts/faces.js";
import { checkFields, field, showFieldError } from "../parts/field.js";
import { guard } from "../parts/guard.js";
import { note, pageHead, tag, when } from "../parts/marks.js";
import { dataTable } from "../parts/table.js";
import { tabs } from "../parts/tabs.js";
import { toast } from "../parts/toast.js";

const SOURCES = {
  flag: "command line",
  environment: "environment",
  envFile: "file .env",
  database: "set here",
  default: "default",
};
const KINDS = {
  provider: "Providers",
  model: "Models",
  apiKey: "API keys",
  user: "Users",
  alias: "Aliases",
  setting: "Settings",
};

export function screen(root, params, app) {
  const list = [
    { id: "values", label: "Values", content: () => valuesPart() },
    { id: "file", label: "Export and import", content: () => filePart() },
    { id: "backups", label: "Backups", content: () => backupsPart() },
  ];
  const view = tabs(list, {
    label: "Parts of the settings",
    chosen: params.get("part") ?? "values",
    onchoose: (part) => app.setParams({ part: part === "values" ? "" : part }),
  });
  root.append(
    pageHead({ title: "Settings", lead: "How this server runs, and its whole configuration as one file." }),
    view,
  );
  return { change: (next) => view.choose(next.get("part") ?? "values", false) };
}

// -- values -----------------------------------------------------------------------------------------------------------

function valuesPart() {
  const place = h("div");
  /** `name`: the setting to go on from, since what was pressed goes. `typed()`: [name, value] of what is not saved yet. */
  const reload = async (name = "", typed = () => []) => {
    await load(
      place,
      () => get("/api/admin/settings"),
      ({ settings }) => valuesForm(settings, reload, typed()),
      { label: "Loading settings" },
    );
    if (name && document.activeElement === document.body) place.querySelector(`form-field[name="${name}"]`)?.focus();
  };
  reload();
  return place;
}

function valuesForm(settings, reload, typed) {
  const save = h("button.primary", { type: "submit" }, "Save changes");
  const undo = h("button", { type: "button" }, "Discard");
  const bar = h(
    "div.action-bar",
    { hidden: true, role: "group", "aria-label": "Unsaved changes" },
    h("span", "Not saved yet"),
    h("span.spring"),
    undo,
    save,
  );
  const settable = settings.filter((each) => each.settable);
  const fixed = settings.filter((each) => !each.settable);
  const fields = new Map(settable.map((each) => [each.name, settingField(each)]));
  const form = h(
    "form.stack",
    { novalidate: true },
    h(
      "div.card.settings",
      h(
        "div.setting.setting-head",
        { "aria-hidden": "true" },
        h("span", "Setting"),
        h("span", "In force"),
        h("span", "Set here"),
      ),
      settable.map((each) => settingLine(each, fields.get(each.name))),
    ),
    bar,
    fixed.length > 0 && [
      h("h2", "Set only outside"),
      h(
        "p.quiet-text",
        "These are needed before the database is read, or are secrets: they come from the command line, the environment or the file .env.",
      ),
      h(
        "div.card.settings",
        fixed.map((each) => settingLine(each, null)),
      ),
    ],
  );
  const start = new Map([...fields].map(([name, each]) => [name, JSON.stringify(each.value)]));
  const changed = () => [...fields].filter(([name, each]) => JSON.stringify(each.value) !== start.get(name));
  const isDirty = () => form.isConnected && changed().length > 0;
  const release = guard(isDirty, () => {});
  const look = () => (bar.hidden = changed().length === 0);
  form.addEventListener("input", look);
  for (const [name, value] of typed) fields.get(name).value = value;
  look();
  undo.addEventListener("click", async () => {
    if (!(await confirmLeaving())) return;
    release();
    reload(changed()[0]?.[0]);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!checkFields(form)) return;
    const values = Object.fromEntries(changed().map(([name, each]) => [name, each.value === "" ? null : each.value]));
    const sent = new Map([...fields].map(([name, each]) => [name, JSON.stringify(each.value)]));
    const since = () => [...fields].filter(([name, each]) => JSON.stringify(each.value) !== sent.get(name)).map(([name, each]) => [name, each.value]);
    busy(save, async () => {
      try {
        const answer = await put("/api/admin/settings", values);
        release();
        sayWhatHolds(answer);
        await reload(Object.keys(values)[0], since);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (!showFieldError(form, error.param || "-", error.message))
          attempt(null, () => Promise.reject(error), "The settings were not saved");
      }
    });
  });
  return form;
}

function sayWhatHolds({ overridden = [], restartNeeded = [] }) {
  if (!overridden.length && !restartNeeded.length) return toast("The settings are saved and in force.");
  const dialog = openDialog({
    title: "Saved",
    content: [
      restartNeeded.length > 0 &&
        note(
          "info",
          `${names(restartNeeded)} ${restartNeeded.length === 1 ? "counts" : "count"} from the next start of the server.`,
        ),
      overridden.length > 0 &&
        note(
          "warn",
          `${names(overridden)} ${overridden.length === 1 ? "is" : "are"} not in force: the command line, the environment or the file .env says otherwise.`,
        ),
    ],
    actions: [h("span.spring"), h("button.primary", { type: "button", onclick: () => dialog.close() }, "Close")],
  });
  return dialog;
}

function settingField(each) {
  // What is edited is what is stored here; blank means that the default (or what overrides it) holds.
  const stored = each.stored ?? null;
  const sample = stored ?? each.value;
  const common = { label: each.name, name: each.name };
  const asText = (value) => (Array.isArray(value) ? value.join(", ") : value === null ? "" : String(value));
  if (typeof sample === "boolean") {
    return field({
      ...common,
      type: "select",
      options: [
        ["", `Default`],
        ["true", "On"],
        ["false", "Off"],
      ],
      value: stored === null ? "" : String(stored),
    });
  }
  if (typeof sample === "number")
    return field({ ...common, type: "number", value: stored, placeholder: asText(each.value) });
  return field({ ...common, value: asText(stored), placeholder: asText(each.value) || "nothing", spellcheck: "false" });
}

function settingLine(each, control) {
  const value = Array.isArray(each.value)
    ? each.value.join(", ")
    : typeof each.value === "boolean"
      ? each.value
        ? "on"
        : "off"
      : (each.value ?? "");
  const isOverridden = control && each.stored !== null && each.stored !== undefined && each.source !== "database";
  return h(
    "div.setting",
    h(
      "div",
      h("code.setting-name", each.name),
      h("p.hint", each.help),
      each.restartNeeded && control && h("p.hint", "A change counts from the next start."),
    ),
    h(
      "div",
      h("span.setting-value", value === "" ? h("span.quiet-text", "nothing") : h("code", String(value))),
      " ",
      tag(SOURCES[each.source] ?? each.source),
      isOverridden && h("p.hint", "What is set here is not in force."),
    ),
    control && h("div.setting-edit", control),
  );
}

// -- the configuration as a file --------------------------------------------------------------------------------------

function filePart() {
  const plain = h(
    "button",
    { type: "button", onclick: () => attempt(plain, () => download(0), "The export did not work") },
    icon("download"),
    "Export without secrets",
  );
  const full = h(
    "button",
    { type: "button", onclick: () => exportSecrets(full) },
    icon("download"),
    "Export with secrets…",
  );
  const input = h("input.visually-hidden", {
    type: "file",
    accept: ".json,.db,application/json",
    id: "import-file",
    "aria-label": "File to import",
  });
  input.addEventListener("change", () => {
    if (input.files[0]) importFile(input.files[0]);
    input.value = "";
  });
  const drop = h(
    "div.drop",
    icon("file"),
    h("p", "Drop a file here, or"),
    h("button", { type: "button", onclick: () => input.click() }, "Choose a file…"),
    input,
  );
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    if (event.dataTransfer.files[0]) importFile(event.dataTransfer.files[0]);
  });
  return h(
    "div.stack",
    h(
      "section.card.pad.stack",
      h("h2", "Export"),
      h(
        "p.quiet-text",
        "Providers, models, keys, users, aliases and settings in one file. Without secrets it is good to show and to compare; with secrets it is a full copy, to keep or to move.",
      ),
      h("div.row", plain, full),
    ),
    h(
      "section.card.pad.stack",
      h("h2", "Import"),
      h(
        "p.quiet-text",
        "Takes an export, a database file, or one of the original server. You see what would change before anything does.",
      ),
      drop,
    ),
  );
}

async function download(secrets) {
  const response = await send(`/api/admin/export?secrets=${secrets}`);
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? "ipin-proxy.json";
  const url = URL.createObjectURL(await response.blob());
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  toast(`${name} is downloaded.`);
  return true;
}

async function exportSecrets(button) {
  const yes = await confirmDialog({
    title: "Export with secrets?",
    text: "The file will hold the providers' keys in clear, and what is needed to check passwords and API keys. Whoever has it can spend your money. Keep it like a password.",
    action: "Export with secrets",
  });
  if (yes) await attempt(button, () => download(1), "The export did not work");
}

async function importFile(file) {
  let document;
  try {
    document = JSON.parse(await file.text());
  } catch {
    return openDialog({
      title: "This file cannot be read",
      content: h(
        "p",
        h("strong", file.name),
        " is not a JSON document. Choose an export or a database file of iPin Proxy.",
      ),
      alert: true,
    });
  }
  const difference = await attempt(
    null,
    () => post("/api/admin/import?dryRun=1", document),
    `${file.name} cannot be imported`,
  );
  if (!difference) return undefined;
  return applyDifference({
    title: `Import ${file.name}?`,
    difference,
    document,
    action: "Import",
    apply: () => post("/api/admin/import", document),
    done: "The file is imported.",
  });
}

/** What people call the records whose ids say nothing: those there are, and those of a document. */
async function namesOf({ apiKeys, users }) {
  const [one, two] = await Promise.all([get("/api/admin/apikeys"), get("/api/admin/users")]);
  const named = (kind, list, name) => list.map((each) => [`${kind} ${each.id}`, each[name]]);
  return new Map([
    ...named("apiKey", [...(apiKeys ?? []), ...one.apiKeys], "name"),
    ...named("user", [...(users ?? []), ...two.users], "username"),
  ]);
}

/** Shows what would change, and does it when it is wanted. */
async function applyDifference({ title, difference, document = {}, action, apply, done }) {
  const { added, changed, removed, notices = [] } = difference;
  const called = await attempt(null, () => namesOf(document));
  if (!called) return false;
  const total = added.length + changed.length + removed.length;
  const content = [
    notices.map((text) => note("warn", text)),
    total === 0
      ? note("ok", "Nothing would change: everything is as in the file already.")
      : h(
          "p.quiet-text",
          `${count(added.length, "addition")}, ${count(changed.length, "change")}, ${count(removed.length, "removal")}. The version before is kept as a backup.`,
        ),
    changesOf("Removed", "minus", removed, called),
    changesOf("Changed", "edit", changed, called),
    changesOf("Added", "plus", added, called),
  ];
  const answer = await formDialog({
    title,
    size: "wide",
    content,
    submit: total ? action : "Apply anyway",
    danger: removed.length > 0,
    ask: false,
    save: apply,
  });
  if (!answer) return false;
  toast(done);
  return true;
}

function changesOf(title, image, list, called) {
  const name = ({ kind, id }) => called.get(`${kind} ${id}`);
  if (!list.length) return null;
  const kinds = Object.keys(KINDS).filter((kind) => list.some((each) => each.kind === kind));
  return h(
    "details.more.difference",
    { open: list.length <= 30 || title === "Removed" },
    h("summary", h("span.with-icon", icon(image), `${title}: ${list.length}`)),
    h(
      "dl.stack-small",
      kinds.map((kind) => [
        h("dt", KINDS[kind]),
        list
          .filter((each) => each.kind === kind)
          .slice(0, 200)
          .map((each) =>
            h(
              "dd",
              name(each) ? h("span", name(each)) : h("code", each.id),
              each.fields?.length > 0 && h("span.quiet-text", ` ${names(each.fields, 6)}`),
            ),
          ),
      ]),
    ),
  );
}

// -- earlier versions -------------------------------------------------------------------------------------------------

function backupsPart() {
  const place = h("div.stack");
  const reload = () =>
    load(
      place,
      () => get("/api/admin/backups"),
      ({ backups }) => {
        if (!backups.length)
          return h(
            "div.card",
            empty({
              image: "history",
              title: "No backups yet",
              text: "With every change the version before it is kept. The first one appears after the first change.",
            }),
          );
        const table = dataTable({
          label: "Backups",
          keyOf: (row) => row.name,
          columns: [
            {
              id: "time",
              label: "Saved",
              kind: "name",
              cell: (row) => h("div.two", h("span.nowrap", dateTime(row.time)), h("span", when(row.time))),
            },
            { id: "name", label: "File", cell: (row) => h("code", row.name) },
            {
              id: "holds",
              label: "Holds",
              cell: (row) =>
                row.readable
                  ? [row.providers, row.models, row.apiKeys, row.users]
                      .map((n, place) => count(n, ["provider", "model", "key", "user"][place]))
                      .join(", ")
                  : h("span.quiet-text", "cannot be read"),
            },
            { id: "size", label: "Size", kind: "number", cell: (row) => bytes(row.sizeBytes) },
            {
              id: "actions",
              label: "Actions",
              kind: "actions",
              cell: (row) =>
                h(
                  "div",
                  row.readable &&
                    h(
                      "button",
                      { type: "button", onclick: (event) => restore(event.currentTarget, row) },
                      icon("history"),
                      "Restore…",
                    ),
                ),
            },
          ],
        });
        table.rows = backups;
        return [
          h(
            "p.quiet-text",
            "The last versions, newest first. Restoring one is itself a change: what is now becomes a backup.",
          ),
          table,
        ];
      },
      { label: "Loading backups" },
    );

  async function restore(button, row) {
    const path = at("/api/admin/backups", row.name, "restore");
    const difference = await attempt(
      button,
      () => post(`${path}?dryRun=1`, { time: row.time }),
      "This version cannot be restored",
    );
    if (!difference) return reload();
    const isDone = await applyDifference({
      title: `Restore the version of ${dateTime(row.time)}?`,
      difference,
      action: "Restore",
      apply: () => post(path, { time: row.time }),
      done: "The version is restored.",
    });
    return isDone && reload();
  }
  reload();
  return place;
}
