/** The API docs: a first call with the chosen model, well-known clients, and every route there is. */

import { get } from "../api.js";
import { calmly, fill, h, icon } from "../dom.js";
import { count } from "../format.js";
import { codeBlock, copyLine } from "../parts/copy.js";
import { empty, load } from "../parts/faces.js";
import { note, pageHead } from "../parts/marks.js";
import { filterSelect, matches, searchField } from "../parts/search.js";
import { tabs } from "../parts/tabs.js";
import { modelPicker } from "../play/model-picker.js";
import { sessionModels } from "../play/models.js";
import { snippets } from "../snippets.js";
import { clients } from "./clients.js";
import "./sheet.js";

// An operation, and what to ask, for every kind of model.
const FIRST_CALLS = {
  chat: ["chat", { messages: [{ role: "user", content: "Hello!" }] }],
  embedding: ["embeddings", { input: ["The cat sits on the mat.", "A kitten rests on a rug."] }],
  transcription: ["transcription", {}, "recording.mp3"],
  speech: ["speech", { input: "Good morning!", voice: "alloy", response_format: "mp3" }],
  reranking: ["rerank", { query: "What is the capital of France?", documents: ["Paris is the capital of France.", "Berlin is in Germany."] }],
  ocr: ["ocr", {}, "page.png"],
  image: ["images", { prompt: "A lighthouse at dusk", size: "1024x1024", response_format: "b64_json" }],
  moderation: ["moderation", { input: "Good morning!" }],
};
const WHO = { key: "API key", user: "signed in", admin: "administrators", public: "everybody" };

/** A screen, as screens of the administration are; on people's own page too. `params`: `model`. */
export function screen(root, params, app) {
  const base = `${app.base}/v1`;
  const first = h("div");
  root.append(
    pageHead({ title: "API docs", lead: "Any OpenAI client works with this server: change its base URL and its key, and nothing else." }),
    h("section.stack-small", h("h2", "Base URL"), copyLine(base, "Base URL"), keyHint(app)),
    first,
  );
  const shown = ({ data, refusal }) => withModels(data, refusal, params.get("model"), { base: app.base, tell: app.setParams });
  // The routes come after it, so that they are not pushed down.
  load(first, () => sessionModels(app.user), shown, { label: "Models" }).then(() => root.append(routesSection(app.user.role === "admin" ? "" : "key")));
}

function keyHint(app) {
  const isAdmin = app.user.role === "admin";
  const where = isAdmin ? h("a", { href: "/admin.html#/keys" }, "Create one") : h("a", { href: "#/overview" }, "Yours is on your page");
  return h("p.hint", "In all examples, ", h("code", "YOUR-KEY"), " stands for an API key of this server. ", where, ".");
}

function withModels(models, refusal, wanted, { base, tell }) {
  if (!models.length) return h("div.card", empty({ image: "model", title: "No model yet", text: `${refusal} Once there is a model, a first call and the set-up of clients are shown here.`.trim() }));
  const call = h("div");
  const list = h("div.stack-small");
  let language = "curl";
  const draw = (model) => {
    tell({ model: model.id });
    const [operation, body, file] = FIRST_CALLS[model.type] ?? FIRST_CALLS.chat;
    const shown = snippets(operation, { base, body: { model: model.id, ...body }, file });
    fill(call, tabs(shown.map(({ id, label, code }) => ({ id, label, content: () => codeBlock(code, { label: `${label} code` }) })), { label: "Language", chosen: language, onchoose: (id) => (language = id) }));
    const open = new Set([...list.querySelectorAll("details[open]")].map((each) => each.id));
    const fitting = clients({ base, model: model.id }).filter(({ types }) => types === "all" || types.includes(model.type));
    fill(list, fitting.map((each) => client(each, model.type, open)));
  };
  const preferred = models.find((each) => each.id === wanted) ?? models.find((each) => each.type === "chat") ?? models[0];
  const picker = modelPicker({ models, value: preferred.id, onchange: draw });
  draw(picker.chosen());
  return h("div.stack", h("section.stack-small", h("h2", "A first call"), picker, call), h("section.stack-small", h("h2", "Clients"), h("p.lead", "Set up for the model chosen above."), list));
}

function client({ id, name, about, steps, note: more }, type, open) {
  const codes = steps.map(({ where, code }) => [h("p.small", where), codeBlock(typeof code === "function" ? code(type) : code, { label: `set-up of ${name}, ${where}` })]);
  return h("details.more", { id: `client-${id}`, open: open.has(`client-${id}`) }, h("summary", name), h("div.stack-small", h("p", about), codes, more && h("p.hint", more)));
}

function routesSection(who) {
  const list = h("div.stack");
  const section = h("section.stack-small", h("div.row", h("h2", "Every route"), h("span.spring"), h("a.row.nowrap", { href: "/openapi.json", target: "_blank", rel: "noopener" }, "openapi.json", icon("external"))), list);
  load(list, () => get("/openapi.json"), (document) => routeList(document, who), { label: "Routes" });
  return section;
}

/** `who`: whose routes are shown at first, "" for all. */
function routeList({ paths }, who) {
  const routes = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, about]) => ({ path, method: method.toUpperCase(), about, tag: about.tags?.[0] ?? "Other", access: about["x-access"] })));
  const tally = h("span.quiet-text", { role: "status" });
  const place = h("div.stack");
  const sought = { text: "", who };
  const show = (change) => {
    Object.assign(sought, change);
    const found = routes.filter(({ path, method, about, tag, access }) => (!sought.who || access === sought.who) && matches(sought.text, `${method} ${path}`, about.summary, tag));
    const tags = [...new Set(found.map((each) => each.tag))];
    tally.textContent = count(found.length, "route");
    fill(place, tags.map((tag) => h("section.stack-small", h("h3", tag), h("div.routes", found.filter((each) => each.tag === tag).map(route)))), found.length === 0 && note("info", "No route matches."));
  };
  show({});
  const search = searchField({ label: "Search the routes", oninput: calmly((text) => show({ text })) });
  const access = filterSelect({ label: "Open to", all: "Open to whomever", options: Object.entries(WHO), value: who, onchange: (chosen) => show({ who: chosen }) });
  return [h("div.toolbar", search, access, tally), place];
}

function route({ path, method, about }) {
  const example = Object.values(about.requestBody?.content ?? {})[0]?.example;
  const line = [h("span.method", { data: { method } }, method), h("code", path), h("span.route-about", about.summary), h("span.quiet-text.small.route-who", WHO[about["x-access"]] ?? "")];
  if (!example && !about.description) return h("div.route", line);
  const shown = example && [h("p.small", "For example"), codeBlock(JSON.stringify(example, null, 2), { label: `example for ${method} ${path}` })];
  return h("details.route", h("summary", line), h("div.stack-small", about.description && h("p", about.description), shown));
}
