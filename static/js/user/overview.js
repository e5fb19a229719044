/** One's own page: the API key, what it opens, and what was used. */

import { typeName } from "../admin/types.js";
import { get, post } from "../api.js";
import { calmly, fill, h, icon } from "../dom.js";
import { number } from "../format.js";
import { copyLine } from "../parts/copy.js";
import { attempt, confirmDialog, openDialog } from "../parts/dialog.js";
import { empty, load } from "../parts/faces.js";
import { note, pageHead, status, tag, when } from "../parts/marks.js";
import { countOf, matches, searchField } from "../parts/search.js";
import { shownOnce } from "../parts/shown-once.js";
import { periodLinks, periodOf } from "../reports/period.js";
import { inOrder } from "../play/model-picker.js";
import { sessionModels } from "../play/models.js";
import { fetchOwn, ownFaces } from "./usage.js";

const MANY = 12;
const MOST = 60;

export function screen(root, params, app) {
  let days = periodOf(params);
  const key = h("div");
  const models = h("div.stack-small");
  const usage = h("div.stack");
  const periods = h("div.row");
  root.append(
    pageHead({ title: `Hello, ${app.user.username}`, lead: "Your API key, what you used and may use, and the models it opens." }),
    h("section.stack-small", h("h2", "Your API key"), key),
  );
  const showKey = () => load(key, () => get("/api/user/me"), (me) => keyCard(me.apiKey, app, showKey), { label: "Your key" });
  const showUsage = () => load(usage, () => fetchOwn(days), ownFaces, { label: "Usage" });
  const drawPeriods = () => fill(periods, h("h2", "Usage"), h("span.spring"), periodLinks(days));
  const keyIsThere = showKey();
  const usageIsThere = showUsage();
  const modelsAreThere = load(models, () => sessionModels(app.user), ({ data, refusal }) => modelCards(data, refusal), { label: "Models" });
  drawPeriods();
  // Each after the one above it, so that none is pushed down.
  keyIsThere.then(async () => {
    root.append(h("section.stack-small", { "aria-label": "Usage" }, periods, usage));
    await usageIsThere;
    root.append(h("section.stack-small", h("h2", "Your models"), models));
    await modelsAreThere;
  });
  return {
    change(next) {
      days = periodOf(next);
      drawPeriods();
      periods.querySelector("[aria-current]").focus();
      showUsage();
    },
  };
}

function keyCard(key, app, reload) {
  if (!key) {
    return h("div.card", empty({ image: "key", title: "No API key is linked to you yet", text: "An administrator can link one to your name. Then you can use the models here and with any OpenAI client." }));
  }
  const isOver = key.expiresAt && key.expiresAt < Date.now();
  const state = isOver ? status("bad", "expired") : key.enabled === false ? status("off", "disabled") : status("ok", "good to use");
  const rotate = h("button", { type: "button", onclick: () => replaceKey(rotate, reload) }, icon("refresh"), "Replace the key");
  return h(
    "div.card.pad.stack",
    h("div.row", h("strong", key.name || key.id), h("code", key.key), state, key.expiresAt && h("span.quiet-text", !isOver && "expires ", when(key.expiresAt)), h("span.spring"), rotate),
    h("div", h("p.label", "Base URL for your clients"), copyLine(`${app.base}/v1`, "Base URL")),
    h("p.hint", "The key is shown in full only once, when it is made. If you have lost it, replace it; how clients are set up is in the ", h("a", { href: "#/docs" }, "API docs"), "."),
  );
}

async function replaceKey(button, reload) {
  const isSure = await confirmDialog({
    title: "Replace your API key?",
    text: "The old key stops working at once, in every client that uses it. The new one is shown once.",
    action: "Replace it",
  });
  if (!isSure) return;
  const answer = await attempt(button, () => post("/api/user/key/rotate", {}), "The key was not replaced");
  if (!answer) return;
  const { line, mayClose } = shownOnce(answer.apiKey.key);
  const dialog = openDialog({
    title: "Your new API key",
    content: [note("warn", "Copy it now: it cannot be shown again."), line],
    mayClose,
    actions: [h("span.spring"), h("button.primary", { type: "button", onclick: () => dialog.close() }, "I have copied it")],
  });
  await dialog.closed;
  reload();
}

function modelCards(models, refusal) {
  if (!models.length) return h("div.card", empty({ image: "model", title: "No models for you yet", text: refusal || "An administrator can allow some for your key." }));
  const list = h("ul.model-cards");
  const tally = h("span.quiet-text", { role: "status" });
  const show = (text) => {
    const found = inOrder(models).filter(({ id, name, type }) => matches(text, id, name, typeName(type)));
    tally.textContent = countOf(found.length, models.length, "model");
    const rest = found.length - MOST;
    fill(list, found.slice(0, MOST).map(modelCard), rest > 0 && h("li.quiet-text", `${number(rest)} more. Search to find them.`));
  };
  show("");
  const search = models.length > MANY && searchField({ label: "Search your models", oninput: calmly(show) });
  return [h("div.toolbar", search, tally), list];
}

function modelCard({ id, name, type, supports_image_upload: sees }) {
  const open = type !== "moderation" && h("a.button", { href: `#/playground?model=${encodeURIComponent(id)}`, "aria-label": `Try ${name || id}` }, "Try");
  return h(
    "li.card",
    h("div.two", h("span", name || id), name && name !== id && h("code", id)),
    h("div.row", tag(typeName(type)), sees && h("span.camera", { title: "Takes images" }, icon("camera", "Takes images")), h("span.spring"), open),
  );
}
