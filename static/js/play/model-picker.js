/** Choosing a model for a call, with the camera mark of those that take images. */

import { fill, h, icon, uid } from "../dom.js";
import { compare } from "../format.js";

/** Elsewhere than in a chat it says nothing. */
const takesImages = (model) => model?.type === "chat" && model.supports_image_upload;

/** What `GET /v1/models` lists, in the order people look for it. */
export const inOrder = (models) => [...models].sort((a, b) => compare(a.owned_by, b.owned_by) || compare(a.name || a.id, b.name || b.id));

/** `models` as `GET /v1/models` lists them; `onchange(model)`. `bare`: the label is for screen readers only. */
export function modelPicker({ models, value, onchange, bare = false }) {
  const id = uid("model");
  const mark = h("span.camera");
  const select = h("select", { id, onchange: () => changed() }, options(inOrder(models)));
  const chosen = () => models.find((each) => each.id === select.value) ?? null;
  const show = () => {
    const sees = takesImages(chosen());
    fill(mark, sees && icon("camera", "This model takes images"));
    mark.title = sees ? "This model takes images" : "";
  };
  const changed = () => {
    show();
    onchange?.(chosen());
  };
  if (models.some((each) => each.id === value)) select.value = value;
  show();
  const label = h("label.label", { for: id, class: bare ? "visually-hidden" : null }, "Model");
  return Object.assign(h("div.model-picker", label, h("span.model-choice", select, mark)), {
    chosen,
    /** Takes another of the models, without telling. */
    choose(given) {
      if (!models.some((each) => each.id === given)) return;
      select.value = given;
      show();
    },
    /** These instead; the chosen one stays, if it is one of them. */
    offer(given) {
      if (JSON.stringify(given) === JSON.stringify(models)) return;
      const before = select.value;
      models = given;
      fill(select, options(inOrder(models)));
      if (models.some((each) => each.id === before)) select.value = before;
      if (select.value === before) show();
      else changed();
    },
    control: select,
  });
}

function options(models) {
  const groups = new Map();
  for (const each of models) groups.set(each.owned_by, [...(groups.get(each.owned_by) ?? []), each]);
  const all = [...groups].map(([provider, list]) => [provider, list.map((each) => h("option", { value: each.id }, words(each)))]);
  return all.length > 1 ? all.map(([label, list]) => h("optgroup", { label }, list)) : all.flatMap(([, list]) => list);
}

function words(model) {
  const { id, name } = model;
  const called = name && name !== id ? `${name} (${id})` : id;
  return takesImages(model) ? `${called} · images` : called;
}
