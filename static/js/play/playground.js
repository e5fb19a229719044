/**
 * The playground: one panel for each kind of model there is, in the administration and on people's own page. Calls go out
 * with the session. What was typed and answered stays while the page does.
 */

import { fetchPart } from "../api.js";
import { h } from "../dom.js";
import { load } from "../parts/faces.js";
import { pageHead } from "../parts/marks.js";
import { currentUser, limits } from "../parts/session.js";
import { tabs } from "../parts/tabs.js";
import { sessionModels } from "./models.js";
import "./sheet.js";

const KINDS = [
  { id: "chat", label: "Chat", type: "chat", image: "chat", load: () => import("./chat.js"), about: "Talk with a model; it answers while it thinks." },
  { id: "embeddings", label: "Embeddings", type: "embedding", image: "vector", load: () => import("./embeddings.js"), about: "Texts as vectors, to compare and search them." },
  { id: "transcription", label: "Transcription", type: "transcription", image: "audio", load: () => import("./transcription.js"), about: "A recording becomes text." },
  { id: "speech", label: "Speech", type: "speech", image: "audio", load: () => import("./speech.js"), about: "A text is read aloud." },
  { id: "ocr", label: "OCR", type: "ocr", image: "file", load: () => import("./ocr.js"), about: "The text in a picture." },
  { id: "rerank", label: "Rerank", type: "reranking", image: "rank", load: () => import("./rerank.js"), about: "Documents in the order in which they answer a question." },
  { id: "images", label: "Images", type: "image", image: "image", load: () => import("./images.js"), about: "A description becomes pictures." },
];
const MORE = "more";

// What the screen looked like when it was left: the models, the panels that were made for them, and what was chosen.
const kept = { state: "", models: null, made: new Map(), chosen: {}, panel: "", tell: () => {} };

/** Fills `root`. `params`: `panel` and `model`. `app`: { user, base, go, setParams } as screens are given it. */
export function playground(root, params, app) {
  const body = h("div");
  let shown = { choose: () => {} };
  root.append(pageHead({ title: "Playground", lead: "Try the models here, with your session: no key needs to be pasted. Every call can be copied as code." }), body);

  const kindOf = (models) => {
    const asked = models.find((each) => each.id === params.get("model"));
    return KINDS.find((each) => each.id === params.get("panel"))?.id ?? KINDS.find((each) => each.type === asked?.type)?.id ?? kept.panel;
  };
  kept.tell = () => app.setParams({ panel: kept.panel, model: kept.chosen[kept.panel] });

  function choose(id) {
    kept.made.get(kept.panel)?.then((made) => made.rest?.());
    kept.panel = id;
    kept.tell();
  }

  function render({ data: models, refusal }) {
    const state = JSON.stringify(limits);
    if (state !== kept.state) Object.assign(kept, { state, made: new Map() });
    kept.models = models;
    const there = KINDS.filter((kind) => models.some((each) => each.type === kind.type));
    const absent = KINDS.filter((kind) => !there.includes(kind));
    if (!there.length) return missing((module) => module.nothing(app, refusal));
    // What was typed into a panel outlives a change of models, here or elsewhere.
    for (const { id, type } of there) kept.made.get(id)?.then((made) => made.offer(models.filter((each) => each.type === type)), () => {});
    kept.panel = kindOf(models) || there[0].id;
    takeModel(models);
    const list = there.map((kind) => ({ id: kind.id, label: kind.label, content: () => place(kind, models) }));
    if (absent.length) list.push({ id: MORE, label: "More kinds", content: () => missing((module) => module.others(absent, app)) });
    shown = tabs(list, { label: "Kinds of models", chosen: there.some((each) => each.id === kept.panel) ? kept.panel : MORE, onchoose: choose });
    kept.tell();
    return shown;
  }

  /** The model that the address asks for. */
  function takeModel(models) {
    const asked = models.find((each) => each.id === params.get("model"));
    const kind = KINDS.find((each) => each.type === asked?.type);
    if (!kind) return;
    kept.chosen[kind.id] = asked.id;
    kept.made.get(kind.id)?.then((made) => made.choose(asked.id));
  }

  function place(kind, models) {
    const slot = h("div.play-slot");
    const context = {
      models: models.filter((each) => each.type === kind.type),
      model: kept.chosen[kind.id],
      base: app.base,
      onmodel(id) {
        kept.chosen[kind.id] = id;
        kept.tell();
      },
    };
    const make = async () => (await fetchPart(kind.load)).panel(context);
    const fetched = () => {
      if (!kept.made.has(kind.id)) kept.made.set(kind.id, make());
      return kept.made.get(kind.id);
    };
    load(slot, fetched, (made) => made.element, { label: kind.label }).then((isThere) => isThere || kept.made.delete(kind.id));
    return slot;
  }

  // The limits too may have been changed meanwhile, here or elsewhere.
  const fetched = async () => (await Promise.all([sessionModels(app.user), currentUser()]))[0];
  load(body, fetched, render, { label: "Models" });
  return {
    change(given) {
      params = given;
      if (!kept.models) return;
      const { models } = kept;
      const wanted = kindOf(models);
      takeModel(models);
      if (wanted) shown.choose(models.some((each) => KINDS.find((kind) => kind.id === wanted)?.type === each.type) ? wanted : MORE);
    },
    leave() {
      for (const each of kept.made.values()) each.then((made) => made.stop()).catch(() => {});
    },
  };
}

/** What to set up for what is missing, which is rarely looked at. */
function missing(shown) {
  const place = h("div.stack");
  load(place, () => fetchPart(() => import("./missing.js")), shown);
  return place;
}
