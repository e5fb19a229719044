/** Choosing models from what a provider says it serves, several at once. */

import { get, post } from "../api.js";
import { announce, calmly, fill, h, icon } from "../dom.js";
import { count, number } from "../format.js";
import { formDialog } from "../parts/dialog.js";
import { load } from "../parts/faces.js";
import { note, tag } from "../parts/marks.js";
import { matches } from "../parts/search.js";
import { toast } from "../parts/toast.js";
import { inShort, listName, priceText } from "./price-words.js";
import { fetchListed } from "./probe.js";
import { TYPES, guessImages, guessType } from "./types.js";

const SHOWN = 150;

/**
 * The list with its search and ticks. `listed` is what the provider serves, `existing` the models there are. Its
 * `chosen()` answers the records to add; `onchange(number)` hears how many are ticked.
 */
export function modelChoice({ provider, listed, existing, onchange = () => {} }) {
  const ids = new Set(existing.map((each) => each.id));
  const have = new Set(
    existing.filter((each) => each.providerId === provider.id).map((each) => each.upstreamModel || each.id),
  );
  const lines = listed.map(({ id, name, price, listPrice }) => ({
    id,
    name: name || id,
    price: price ?? listPrice?.price,
    whose: listPrice ? `${listPrice.provider}, ${listName(listPrice)}` : `${provider.name}, its own list`,
    has: have.has(id),
    ticked: false,
    type: guessType(id),
    images: guessImages(id),
    isOwnImages: false,
  }));
  const list = h("div.ticks", { role: "group", "aria-label": `Models of ${provider.name}` });
  const tally = h("span.quiet-text", { "aria-live": "polite" });
  const more = h("p.hint", { hidden: true });
  const find = h("input", {
    type: "search",
    placeholder: "Search",
    "aria-label": `Search models of ${provider.name}`,
    autocomplete: "off",
    autofocus: true,
  });
  const dated = listed.find((each) => each.listPrice)?.listPrice;
  const withPrices = h("input", { type: "checkbox" });
  const found = () => lines.filter((each) => matches(find.value.trim(), each.id, each.name));

  function draw() {
    const some = found();
    fill(list, some.slice(0, SHOWN).map(row), some.length === 0 && h("p.quiet-text", "No model matches."));
    more.hidden = some.length <= SHOWN;
    more.textContent = `${number(some.length - SHOWN)} more. Search to find them.`;
    tell();
  }

  function row(line) {
    const box = h("input", { type: "checkbox", checked: line.ticked || line.has, disabled: line.has });
    const detail = h("span.pick-detail");
    const drawDetail = () => fill(detail, line.has ? tag("added") : line.ticked && details(line));
    box.addEventListener("change", () => {
      line.ticked = box.checked;
      drawDetail();
      tell();
    });
    drawDetail();
    return h("div.pick-line", h("label.tick-line", box, h("span", line.id)), detail);
  }

  function details(line) {
    const type = h(
      "select",
      { "aria-label": `Type of ${line.id}`, value: line.type, onchange: (event) => (line.type = event.target.value) },
      TYPES.map(([id, words]) => h("option", { value: id }, words)),
    );
    const camera = h(
      "label.camera-tick",
      { title: "Takes images" },
      h("input", {
        type: "checkbox",
        checked: line.images,
        "aria-label": `${line.id} takes images`,
        onchange: (event) => ([line.images, line.isOwnImages] = [event.target.checked, true]),
      }),
      icon("camera"),
    );
    const price = line.price && h("span.hint", { title: `${line.whose}: ${priceText(line.price)}` }, inShort(line.price));
    return [price, camera, type];
  }

  function tell() {
    const ticked = lines.filter((each) => each.ticked).length;
    tally.textContent = `${number(ticked)} ticked`;
    onchange(ticked);
  }

  function tick(isTicked) {
    for (const each of isTicked ? found() : lines) each.ticked = isTicked && !each.has;
    draw();
    announce(tally.textContent);
  }

  find.addEventListener(
    "input",
    calmly(() => (draw(), announce(`${count(found().length, "model")} found.`)), 80),
  );
  find.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  const element = h(
    "div.ticks-panel.tall",
    h(
      "div.ticks-head",
      h("div.search", icon("search"), find),
      tally,
      h("button.quiet", { type: "button", onclick: () => tick(true) }, "Tick all shown"),
      h("button.quiet", { type: "button", onclick: () => tick(false) }, "None"),
    ),
    list,
    more,
    lines.some((each) => each.price) &&
      h(
        "label.tick-line",
        withPrices,
        h("span", "Add them with the prices shown", dated && `: ${listName(dated)}, where the provider tells none`),
      ),
  );
  draw();
  const chosen = () =>
    lines
      .filter((each) => each.ticked)
      .map((line) => ({
        ...recordOf(line, provider, ids),
        ...(withPrices.checked && line.price ? { price: line.price } : {}),
      }));
  return { element, chosen };
}

/** The public name is the provider's own, or behind the provider's id where that is taken. */
function recordOf({ id, name, type, images, isOwnImages }, provider, taken) {
  const isTaken = taken.has(id);
  return {
    id: isTaken ? `${provider.id}/${id}` : id,
    name: name === id && isTaken ? `${id} (${provider.name})` : name,
    providerId: provider.id,
    ...(isTaken ? { upstreamModel: id } : {}),
    type,
    ...(isOwnImages ? { supportsImageUpload: images } : {}),
    enabled: true,
  };
}

/** Stores them, all or none. */
export const addModels = async (records) => (await post("/api/admin/models", { models: records })).models;

/** The dialog to add models of a provider. Resolves to the new models, or undefined. */
export function pickModels(provider) {
  const place = h("div");
  let choice = null;
  const done = formDialog({
    title: `Models of ${provider.name}`,
    intro: "Tick the models that callers may use. Names, prices and the rest can be changed later.",
    size: "wide",
    content: place,
    submit: "Add models",
    ask: false,
    save: async () => {
      const records = choice?.chosen() ?? [];
      if (!records.length) return undefined;
      const added = await addModels(records);
      toast(`${count(added.length, "model")} added.`);
      return added;
    },
  });
  const button = done.dialog.foot.querySelector("[type=submit]");
  const told = (n) => (button.textContent = n ? `Add ${count(n, "model")}` : "Add none");
  load(
    place,
    async () => {
      const [listed, { models }] = await Promise.all([fetchListed(provider.id), get("/api/admin/models")]);
      return { listed, models };
    },
    ({ listed, models }) => {
      if (!listed.length)
        return note("info", "This provider lists no models. Add them by hand, under the names it documents.");
      choice = modelChoice({ provider, listed, existing: models, onchange: told });
      return choice.element;
    },
    { label: "Asking the provider" },
  ).then(() => place.querySelector("input")?.focus());
  return done.then((added) => (Array.isArray(added) ? added : undefined));
}
