/** The request log: every call, found by filter, search and order; the first page keeps itself up to date. */

import { ApiError, get } from "../api.js";
import { announce, fill, h, icon } from "../dom.js";
import { count, number } from "../format.js";
import { attempt } from "../parts/dialog.js";
import { empty, load } from "../parts/faces.js";
import { menuButton } from "../parts/menu.js";
import { pageHead } from "../parts/marks.js";
import { dataTable } from "../parts/table.js";
import { pager } from "../reports/pager.js";
import "../reports/sheet.js";
import { troubleNote } from "../reports/trouble.js";
import { canSort, chooseColumns, shownColumns } from "./request-columns.js";
import { countSet, fetchChoices, filterFields, filterOf, queryOf, searchBox } from "./request-filters.js";

const SIZE = 50;
const EVERY_MS = 4_000;
const TELL_MS = 15_000; // between two announcements of new calls
const NEWEST = { by: "time", down: true };

export function screen(root, params, app) {
  let [filter, sort, page] = stateOf(params);
  let found = { items: [], total: 0 };
  let choices = { model: [], provider: [], key: [], user: [] };
  let isLive = true;
  let isAsking = false;
  let turn = 0; // of what was asked for
  let [untold, toldAt] = [0, 0];

  const query = () => {
    const { by, down } = sort ?? NEWEST;
    const given = queryOf(filter);
    for (const [name, value] of Object.entries({ sort: by, order: down ? "desc" : "asc", page, pageSize: SIZE })) given.set(name, value);
    return `/api/admin/requests?${given}`;
  };
  const isFirst = () => page === 1 && (!sort || (sort.by === NEWEST.by && sort.down));

  // -- the table ------------------------------------------------------------------------------------------------------

  let table = makeTable();

  function makeTable() {
    const made = dataTable({
      label: "Requests",
      asIs: true,
      keyOf: (row) => `${row.requestId} ${row.time}`,
      name: (row) => row.requestId,
      sort: sort ?? NEWEST,
      onsort: (next) => {
        [sort, page] = [next, 1];
        remember();
        reload();
      },
      columns: shownColumns(),
      empty: nothing,
    });
    made.classList.add("log");
    return made;
  }

  function nothing() {
    if (found.total)
      return empty({
        image: "requests",
        title: "No call on this page",
        text: "There were more calls when this address was made, or other filters.",
        actions: [h("button", { type: "button", onclick: () => ((page = 1), remember(), reload()) }, "To the first page")],
      });
    if (filter.q || countSet(filter))
      return empty({
        image: "search",
        title: "No call matches",
        text: "Nothing in the log fits this search and these filters.",
        actions: [h("button", { type: "button", onclick: () => change(new URLSearchParams()) }, "Show all")],
      });
    return empty({
      image: "requests",
      title: "No call yet",
      text: "Every call gets a line here, as soon as it is over. What was said in it is not kept.",
      actions: [h("a.button.primary", { href: "#/playground" }, icon("chat"), "Make one in the playground")],
    });
  }

  function rebuild() {
    const next = makeTable();
    const hadFocus = table.contains(document.activeElement);
    table.replaceWith(next);
    table = next;
    table.rows = found.items;
    if (hadFocus) [...table.querySelectorAll("a, button")].find((each) => each.checkVisibility())?.focus();
  }

  const results = h("div");
  const trouble = h("div", { data: { text: "" } });
  const foot = pager("Requests", (to) => {
    page = to;
    remember();
    reload().then(() => {
      table.scrollIntoView({ block: "start" });
      announce(foot.textContent);
    });
  });

  function show(next) {
    found = next;
    table.rows = found.items;
    foot.show(page, SIZE, found.total);
    tally.textContent = count(found.total, "call");
    if (trouble.dataset.text !== (found.trouble ?? "")) fill(trouble, found.trouble && troubleNote(found.trouble));
    trouble.dataset.text = found.trouble ?? "";
    drawLive();
  }

  function reload() {
    turn += 1;
    return load(results, () => get(query()), (next) => (show(next), [trouble, table, foot]), { label: "Loading the log" });
  }

  // -- what changes the address ---------------------------------------------------------------------------------------

  function remember() {
    const { by, down } = sort ?? {};
    app.setParams({ ...filter, ...(isFirst() ? {} : { sort: by, down: down ? "1" : "", page: page > 1 ? page : "" }) });
  }

  function narrow(members) {
    Object.assign(filter, members);
    page = 1;
    remember();
    drawFilters();
    reload();
  }

  function change(next) {
    [filter, sort, page] = stateOf(next);
    rebuild();
    fill(find, searchBox(filter, narrow));
    drawFilters();
    remember();
    reload();
  }

  function drawFilters() {
    const set = countSet(filter);
    fill(summary, set ? `Filters: ${number(set)} set` : "Filters");
    // A control that has just been used keeps the focus, though all of them are made anew.
    const used = fields.contains(document.activeElement);
    const at = used ? Math.max(0, [...fields.querySelectorAll("select, input")].indexOf(document.activeElement)) : -1;
    fill(
      fields,
      filterFields(filter, choices, narrow),
      set > 0 && h("button.quiet", { type: "button", onclick: () => narrow(filterOf(new URLSearchParams({ q: filter.q }))) }, icon("cross"), "Clear the filters"),
    );
    fields.querySelectorAll("select, input")[at]?.focus();
  }

  // -- new calls ------------------------------------------------------------------------------------------------------

  const timer = setInterval(update, EVERY_MS);

  async function update() {
    const isSelecting = !getSelection().isCollapsed && table.contains(getSelection().anchorNode);
    if (!isLive || !isFirst() || isAsking || isSelecting || document.hidden || document.querySelector("dialog:modal, .menu")) return;
    if (results.dataset.face !== "there" || results.hasAttribute("aria-busy")) return;
    isAsking = true;
    const mine = turn;
    try {
      const next = await get(query(), { quiet: true });
      // Meanwhile somebody may have asked for something else, or gone.
      if (mine === turn && isLive) arrived(next);
    } catch (error) {
      // The next time may do better, and the page says by itself when the server is silent.
      if (!(error instanceof ApiError)) throw error;
      // Who did not want to sign in again is not asked every few seconds.
      if (error.status === 401) live.checked = isLive = false;
    } finally {
      isAsking = false;
    }
  }

  function arrived(next) {
    const known = new Set(found.items.map(table.keyOf));
    const fresh = new Set(next.items.map(table.keyOf).filter((key) => !known.has(key)));
    if (!fresh.size && next.total === found.total) return;
    show(next);
    for (const row of table.querySelectorAll("tr[data-key]")) row.classList.toggle("is-new", fresh.has(row.dataset.key));
    untold += fresh.size;
    if (untold && Date.now() - toldAt > TELL_MS) {
      announce(`${count(untold, "new call")}.`);
      [untold, toldAt] = [0, Date.now()];
    }
  }

  function drawLive() {
    live.disabled = !isFirst();
    live.title = isFirst() ? "" : "New calls come by themselves on the first page, the newest first.";
  }

  // -- the page -------------------------------------------------------------------------------------------------------

  const download = (format) => async () => {
    const asked = queryOf(filter);
    // A download asks nobody to sign in again, and says nothing when it is refused.
    if (!(await attempt(null, () => get(`/api/admin/requests?${asked}&pageSize=1`), "The export did not work"))) return;
    asked.set("format", format);
    h("a", { href: `/api/admin/requests?${asked}`, download: "" }).click();
  };
  const find = h("div.search-place", searchBox(filter, narrow));
  const tally = h("span.quiet-text.number", { role: "status" });
  const live = h("input", { type: "checkbox", role: "switch", checked: true, onchange: () => ((isLive = live.checked), update()) });
  const summary = h("summary", "Filters");
  const fields = h("div.stack");
  const isOpen = countSet(filter) > 0 || matchMedia("(width >= 60rem)").matches;
  root.append(
    pageHead({
      title: "Requests",
      lead: "Every call, in one line. What was said in it is not kept.",
      actions: [
        menuButton({
          label: "Export",
          kind: "",
          face: [icon("download"), "Export"],
          items: [
            { label: "As CSV", image: "file", run: download("csv") },
            { label: "As JSON lines", image: "file", run: download("jsonl") },
          ],
        }),
      ],
    }),
    h(
      "div.log-tools",
      find,
      tally,
      h("span.spring"),
      h("label.tick-line", live, h("span", "Live")),
      h("button", { type: "button", onclick: () => chooseColumns(rebuild) }, icon("settings"), "Columns"),
    ),
    h("details.more", { open: isOpen }, summary, fields),
    results,
  );
  drawFilters();
  const come = (those) => ((choices = those), drawFilters());
  reload();
  // Without them what is set can still be seen and cleared.
  fetchChoices().then(come, (error) => {
    if (!(error instanceof ApiError)) throw error;
  });
  return {
    change,
    leave() {
      turn += 1;
      clearInterval(timer);
    },
  };
}

function stateOf(params) {
  const by = canSort(params.get("sort")) && params.get("sort");
  return [filterOf(params), by ? { by, down: params.get("down") === "1" } : null, Math.max(1, Number.parseInt(params.get("page"), 10) || 1)];
}
