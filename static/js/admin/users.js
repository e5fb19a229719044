/** Users: people who sign in, administrators and others. The last administrator stays. */

import { at, get, post, put, remove } from "../api.js";
import { h, icon } from "../dom.js";
import { date, number } from "../format.js";
import { attempt, confirmDialog, formDialog, openDialog, part } from "../parts/dialog.js";
import { copyButton } from "../parts/copy.js";
import { empty, load } from "../parts/faces.js";
import { changesOf, field } from "../parts/field.js";
import { menuButton } from "../parts/menu.js";
import { pageHead, status, tag } from "../parts/marks.js";
import { fetchSpend } from "../reports/spend.js";
import { countOf, matches, searchField } from "../parts/search.js";
import { dataTable } from "../parts/table.js";
import { toast } from "../parts/toast.js";

const LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"; // none that look alike
const ROLES = [
  ["user", "User"],
  ["admin", "Administrator"],
];

export function screen(root, params, app) {
  let users = [];
  let keys = [];
  let keyNames = new Map();
  let admins = 0; // who are enabled
  let spend = null;
  let search = params.get("q") ?? "";

  const fetchAll = async () => {
    const [one, two, three] = await Promise.all([get("/api/admin/users"), get("/api/admin/apikeys"), fetchSpend("user")]);
    users = one.users;
    spend = three;
    keys = two.apiKeys;
    keyNames = new Map(keys.map((each) => [each.id, each.name]));
    admins = users.filter((each) => each.role === "admin" && each.enabled).length;
  };
  const isLastAdmin = (user) => user.role === "admin" && user.enabled && admins === 1;
  const isSelf = (user) => user.id === app.user.id;
  const keyName = (id) => keyNames.get(id) ?? id;

  const table = dataTable({
    label: "Users",
    sort: { by: params.get("sort") || "username", down: params.get("down") === "1" },
    onsort: remember,
    dimmed: (row) => !row.enabled,
    name: (row) => row.username,
    columns: [
      { id: "username", label: "User", kind: "name", value: (row) => row.username, cell: nameCell },
      { id: "role", label: "Role", value: (row) => row.role, cell: (row) => ROLES.find(([id]) => id === row.role)[1] },
      {
        id: "key",
        label: "API key",
        value: (row) => row.apiKeyId && keyName(row.apiKeyId),
        cell: (row) =>
          row.apiKeyId
            ? h("a", { href: `#/keys?q=${encodeURIComponent(row.apiKeyId)}` }, keyName(row.apiKeyId))
            : h("span.quiet-text", "none"),
      },
      { id: "spend", label: "This month", down: true, value: (row) => spend.of(row.id), cell: (row) => spend.cell(row.id) },
      {
        id: "createdAt",
        label: "Created",
        value: (row) => row.createdAt,
        cell: (row) =>
          row.createdAt
            ? h("time", { datetime: new Date(row.createdAt).toISOString() }, date(row.createdAt))
            : h("span.quiet-text", "–"),
      },
      {
        id: "status",
        label: "Status",
        value: (row) => (row.enabled ? 0 : 1),
        cell: (row) => (row.enabled ? status("ok", "enabled") : status("off", "disabled")),
      },
      { id: "actions", label: "Actions", kind: "actions", cell: actionsCell },
    ],
    empty: () =>
      empty({
        image: "search",
        title: "No user matches",
        text: "Try another word.",
        actions: [
          h(
            "button",
            {
              type: "button",
              onclick: () => ((search = ""), (find.querySelector("input").value = ""), draw(), remember()),
            },
            "Show all",
          ),
        ],
      }),
  });

  function nameCell(row) {
    return h(
      "div.two",
      h(
        "span",
        h("button.linkish", { type: "button", onclick: () => edit(row) }, row.username),
        isSelf(row) && [" ", tag("you")],
        isLastAdmin(row) && [" ", tag("last administrator", "Cannot be disabled or deleted: nobody could undo it")],
      ),
      row.email && h("span", row.email),
    );
  }

  function actionsCell(row) {
    const isKept = isLastAdmin(row);
    return h(
      "div",
      menuButton({
        label: `More for ${row.username}`,
        items: [
          { label: "Edit", image: "edit", run: () => edit(row) },
          { label: "New password…", image: "lock", run: () => resetPassword(row) },
          {
            label: row.enabled ? "Disable" : "Enable",
            image: row.enabled ? "off" : "ok",
            run: (button) => (isKept ? explain(row, "disabled") : enable(button, row, !row.enabled)),
          },
          null,
          {
            label: "Delete…",
            image: "trash",
            danger: true,
            run: () => (isKept ? explain(row, "deleted") : destroy(row)),
          },
        ],
      }),
    );
  }

  function explain(row, what) {
    const dialog = openDialog({
      title: `${row.username} cannot be ${what}`,
      alert: true,
      content: h(
        "p",
        "This is the last administrator who can sign in; afterwards nobody could undo it. Make another user an administrator first.",
      ),
      actions: [h("span.spring"), h("button.primary", { type: "button", onclick: () => dialog.close() }, "Close")],
    });
  }

  function draw() {
    table.rows = users.filter((row) => matches(search, row.username, row.email, row.id, row.apiKeyId && keyName(row.apiKeyId)));
    find.hidden = users.length < 5 && !search;
    tally.textContent = countOf(table.rows.length, users.length, "user");
  }

  function remember() {
    const { by, down } = table.sort ?? {};
    app.setParams({ q: search, ...(by === "username" && !down ? {} : { sort: by, down: down ? "1" : "" }) });
  }

  const reload = () =>
    load(place, fetchAll, () => (draw(), [h("div.toolbar", find, h("span.spring"), tally), table]), {
      label: "Loading users",
    });

  async function edit(row) {
    const saved = await (row ? changeDialog(row) : newDialog());
    if (saved) await reload();
  }

  function commonFields(from, { isKept = false } = {}) {
    return [
      field({
        label: "User name",
        name: "username",
        value: from.username,
        required: true,
        missing: "Enter a name to sign in with.",
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
      }),
      field({
        label: "E-mail",
        name: "email",
        type: "email",
        value: from.email ?? "",
        autocomplete: "off",
        hint: "Only to tell people apart.",
      }),
      field({
        label: "Role",
        name: "role",
        type: "select",
        options: ROLES,
        value: from.role,
        disabled: isKept,
        hint: isKept
          ? "The last administrator stays one."
          : "Administrators may do everything here; users see only their own page.",
      }),
      field({
        label: "API key",
        name: "apiKeyId",
        type: "select",
        value: from.apiKeyId ?? "",
        options: [["", "None"], ...keys.map((each) => [each.id, each.name || each.id])],
        hint: "The key this person uses and may renew.",
      }),
    ];
  }

  async function newDialog() {
    const password = passwordField();
    let typed = "";
    const saved = await formDialog({
      title: "Add a user",
      size: "wide",
      submit: "Add user",
      content: h("div.fields", commonFields({ username: "", role: "user" }), across(password)),
      save: async (values) => {
        typed = values.password;
        return post("/api/admin/users", { ...values, email: values.email || null, apiKeyId: values.apiKeyId || null });
      },
    });
    if (saved) await handOver(saved.username, typed, `${saved.username} is added`);
    return saved;
  }

  async function changeDialog(row) {
    const isKept = isLastAdmin(row);
    const budgets = await part(() => import("./budgets.js"));
    if (!budgets) return undefined;
    return formDialog({
      title: `Edit ${row.username}`,
      size: "wide",
      content: h(
        "div.fields",
        commonFields(row, { isKept }),
        h("div.across.stack", budgets.budgetsField(row.budgets, "They count for all that this person does, with whichever key."), spend.bars(row.id)),
        across(
          field({
            label: "Enabled",
            name: "enabled",
            type: "switch",
            value: row.enabled,
            disabled: isKept,
            hint: isKept
              ? "The last administrator stays enabled."
              : "Somebody disabled is signed out at once, and their API key opens nothing.",
          }),
        ),
      ),
      save: async (values, first) => {
        const recordOf = (held) => ({
          ...held,
          email: held.email || null,
          apiKeyId: held.apiKeyId || null,
          budgets: budgets.budgetsOf(held.budgets),
        });
        const saved = await put(at("/api/admin/users", row.id), changesOf(recordOf(first), recordOf(values)));
        if (isSelf(saved)) app.renamed(saved.username);
        toast(`${saved.username} is saved.`);
        return saved;
      },
    });
  }

  async function resetPassword(row) {
    let typed = "";
    const saved = await formDialog({
      title: `New password for ${row.username}`,
      intro: isSelf(row)
        ? "This is your own account: you will be asked to sign in again with the new password."
        : "The old password stops working, and every session of this user ends.",
      submit: "Set password",
      content: passwordField(),
      save: (values) => {
        typed = values.password;
        return put(at("/api/admin/users", row.id), { password: typed });
      },
    });
    if (saved) await handOver(row.username, typed, `${row.username} has a new password`);
  }

  async function enable(button, row, isEnabled, isUndo = false) {
    if (
      isSelf(row) &&
      !isEnabled &&
      !(await confirmDialog({
        title: "Disable your own account?",
        text: "You will be signed out at once, and only another administrator can let you in again.",
        action: "Disable",
      }))
    )
      return;
    const saved = await attempt(button, () => put(at("/api/admin/users", row.id), { enabled: isEnabled }));
    if (!saved) return;
    await reload();
    toast(`${row.username} is ${isEnabled ? "enabled" : "disabled"}.`, {
      action: isUndo ? null : { label: "Undo", run: () => enable(null, row, !isEnabled, true) },
    });
  }

  async function destroy(row) {
    const yes = await confirmDialog({
      title: `Delete ${row.username}?`,
      text: `${isSelf(row) ? "This is your own account; you will be signed out. " : ""}${row.apiKeyId ? `The API key ${keyName(row.apiKeyId)} stays; disable or delete it separately.` : "Nothing else goes with it."}`,
    });
    if (!yes) return;
    if (!(await attempt(null, () => remove(at("/api/admin/users", row.id)), "Nothing was deleted"))) return;
    await reload();
    toast(`${row.username} is deleted.`);
  }

  const tally = h("span.quiet-text.number", { role: "status" });
  const find = searchField({
    label: "Search users",
    value: search,
    oninput: (text) => ((search = text), draw(), remember()),
  });
  const place = h("div.stack");
  root.append(
    pageHead({
      title: "Users",
      lead: "People who sign in. Programs need only an API key.",
      actions: [h("button.primary", { type: "button", onclick: () => edit(null) }, icon("plus"), "Add a user")],
    }),
    place,
  );
  reload();
}

function across(element) {
  element.classList.add("across");
  return element;
}

function passwordField() {
  const made = field({
    label: "Password",
    name: "password",
    type: "password",
    required: true,
    missing: "Enter a password, or have one made.",
    autocomplete: "new-password",
    hint: `At least ${number(8)} characters.`,
    check: (value) => value.length < 8 && "At least 8 characters, please.",
    action: h(
      "button",
      {
        type: "button",
        onclick: () => {
          made.value = generated();
          made.setError("");
          made.control.type = "text";
          made.querySelector("[aria-pressed]").setAttribute("aria-pressed", "true");
          made.focus();
        },
      },
      "Make one",
    ),
  });
  return made;
}

/** Four groups of five: 116 bits, and still readable over the telephone. */
function generated() {
  const most = 256 - (256 % LETTERS.length);
  let text = "";
  while (text.length < 20)
    for (const byte of crypto.getRandomValues(new Uint8Array(32)))
      if (byte < most && text.length < 20) text += LETTERS[byte % LETTERS.length];
  return text.match(/.{5}/g).join("-");
}

/** What the person needs to sign in, to be copied now. */
function handOver(username, password, title) {
  const facts = `${location.origin}/\nUser name: ${username}\nPassword: ${password}`;
  const dialog = openDialog({
    title,
    content: [
      h(
        "p",
        "Hand these over in a safe way. The password is not shown again; the person can change it on their own page.",
      ),
      h(
        "dl.facts",
        h("dt", "Address"),
        h("dd", `${location.origin}/`),
        h("dt", "User name"),
        h("dd", username),
        h("dt", "Password"),
        h("dd", h("code", password)),
      ),
    ],
    actions: [
      copyButton(facts, { label: "all three" }),
      h("span.spring"),
      h("button.primary", { type: "button", onclick: () => dialog.close() }, "Done"),
    ],
  });
  return dialog.closed;
}
