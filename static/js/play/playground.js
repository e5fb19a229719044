/**
 * The playground: one panel for each kind of model there is, in the administration and on people's own page. Calls go out
 * with the session. What was typed and answered stays while the page does.
 */

import { get } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { empty, load } from "../parts/faces.js";
import { note, pageHead } from "../parts/marks.js";
import { tabs } from "../parts/tabs.js";

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

// What the screen looked like when it was left: the models, and the panels that were made.
let kept = { models: "", made: new Map(), chosen: {} };

/** Fills `root`. `params`: `panel` and `model`. `app`: { user, base, go, setParams } as screens are given it. */
export function playground(root, params, app) {
  const body = h("div");
  let shown = { choose: () => {} };
  let panel = "";
  root.append(pageHead({ title: "Playground", lead: "Try the models here, with your session: no key needs to be pasted. Every call can be copied as code." }), body);

  const kindOf = (models) => {
    const asked = models.find((each) => each.id === params.get("model"));
    return KINDS.find((each) => each.id === params.get("panel"))?.id ?? KINDS.find((each) => each.type === asked?.type)?.id ?? panel;
  };
  const tell = () => app.setParams({ panel, model: kept.chosen[panel] });

  function choose(id) {
    panel = id;
    tell();
  }

  function render({ data: models, refusal }) {
    const state = JSON.stringify(models);
    if (state !== kept.models) kept = { models: state, made: new Map(), chosen: kept.chosen };
    const there = KINDS.filter((kind) => models.some((each) => each.type === kind.type));
    const missing = KINDS.filter((kind) => !there.includes(kind));
    if (!there.length) return nothing(app, refusal);
    panel = kindOf(models) || there[0].id;
    takeModel(models);
    const list = there.map((kind) => ({ id: kind.id, label: kind.label, content: () => place(kind, models) }));
    if (missing.length) list.push({ id: MORE, label: "More kinds", content: () => others(missing, app) });
    shown = tabs(list, { label: "Kinds of models", chosen: there.some((each) => each.id === panel) ? panel : MORE, onchoose: choose });
    tell();
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
        tell();
      },
    };
    if (!kept.made.has(kind.id)) kept.made.set(kind.id, kind.load().then((module) => module.panel(context)));
    kept.made.get(kind.id).then(
      (made) => fill(slot, made.element),
      () => fill(slot, note("warn", "A part of this page could not be fetched. Load the page anew.")),
    );
    return slot;
  }

  load(body, listed, render, { label: "Models" });
  return {
    change(given) {
      params = given;
      if (!kept.models) return;
      const models = JSON.parse(kept.models);
      const wanted = kindOf(models);
      takeModel(models);
      if (wanted) shown.choose(models.some((each) => KINDS.find((kind) => kind.id === wanted)?.type === each.type) ? wanted : MORE);
    },
    leave: () => kept.made.forEach((each) => each.then((made) => made.stop()).catch(() => {})),
  };
}

/** The models that this session may use; none when no key is linked to the user. */
async function listed() {
  try {
    return await get("/v1/models");
  } catch (error) {
    if (error.status === 403) return { data: [], refusal: error.message };
    throw error;
  }
}

function nothing(app, refusal) {
  const isAdmin = app.user?.role === "admin";
  return h(
    "div.card",
    empty({
      image: "model",
      title: "No model to try yet",
      text: isAdmin ? "Add a provider and some of its models; each kind of model gets its panel here." : (refusal ?? "There is no model that you may use yet. An administrator can add one, or allow it for your API key."),
      actions: isAdmin ? [h("button.primary", { type: "button", onclick: () => app.go("start") }, icon("guide"), "Open the set-up guide"), h("button", { type: "button", onclick: () => app.go("models") }, "Models")] : [],
    }),
  );
}

/** The kinds there is no model of, and what to set up for them. */
function others(missing, app) {
  const isAdmin = app.user?.role === "admin";
  return [
    h("p.lead", isAdmin ? "There is no model of these kinds yet. Add one, with the type in bold, and its panel appears here." : "There is no model of these kinds for you yet. An administrator can add and allow one."),
    h("ul.kinds", missing.map(({ label, type, image, about }) => h("li.card", icon(image), h("div", h("h3", label), h("p.quiet-text", about), isAdmin && h("p.small", "Type: ", h("strong", type)))))),
    isAdmin && h("div.actions", h("button", { type: "button", onclick: () => app.go("models") }, icon("plus"), "Add models")),
  ];
}
