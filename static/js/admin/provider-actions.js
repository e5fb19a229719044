/** What is seldom done with a provider: asking why its last test failed, and deleting it. */

import { at, remove } from "../api.js";
import { h, icon } from "../dom.js";
import { count } from "../format.js";
import { attempt, confirmDialog, openDialog } from "../parts/dialog.js";
import { when } from "../parts/marks.js";
import { toast } from "../parts/toast.js";
import { forgetTest, lastTest } from "./probe.js";

const LISTED = 50;

/** What went wrong at the last test, in full; from there to `edit(provider)` or `test(provider)`. */
export function explainTest(provider, { edit, test }) {
  const found = lastTest(provider.id);
  const then = (act) => () => {
    dialog.close();
    act(provider);
  };
  const dialog = openDialog({
    title: `${provider.name}: the last test failed`,
    content: [h("p", found.message), h("p.hint", when(found.time))],
    actions: [
      h("button", { type: "button", onclick: then(edit) }, icon("edit"), "Edit"),
      h("span.spring"),
      h("button.primary", { type: "button", onclick: then(test) }, icon("pulse"), "Test again"),
    ],
  });
}

/** Asks, saying what goes with it, and deletes. Answers true when it is gone, "disable" when that is wanted instead. */
export async function deleteProvider(provider, models) {
  if (provider.source === "environment") return (await confirmDisabling(provider)) && "disable";
  const gone = models.filter((each) => each.providerId === provider.id).map((each) => each.id);
  const losing = models.filter(
    (each) => !gone.includes(each.id) && each.deployments?.some((place) => place.providerId === provider.id),
  );
  const yes = await confirmDialog({
    title: `Delete ${provider.name}?`,
    text: h(
      "div.stack-small",
      h(
        "p",
        gone.length
          ? `Its stored key and ${count(gone.length, "model")} go with it:`
          : "Its stored key goes with it. It has no models.",
      ),
      losing.length > 0 &&
        h(
          "p",
          `${count(losing.length, "model")} of other providers ${losing.length === 1 ? "loses" : "lose"} it as a further place.`,
        ),
    ),
    list: gone.slice(0, LISTED),
    more: Math.max(0, gone.length - LISTED),
    action: gone.length ? `Delete with ${count(gone.length, "model")}` : "Delete",
  });
  const answer =
    yes && (await attempt(null, () => remove(at("/api/admin/providers", provider.id)), "It was not deleted"));
  if (!answer) return false;
  forgetTest(provider.id);
  const also = answer.deletedModels?.length;
  toast(also ? `${provider.name} is deleted, and ${count(also, "model")} with it.` : `${provider.name} is deleted.`);
  return true;
}

function confirmDisabling(provider) {
  const variable = h("code", provider.apiKey.replace("env:", ""));
  return confirmDialog({
    title: `${provider.name} comes from the environment`,
    text: h(
      "p",
      "It is offered because the server's environment holds ",
      variable,
      ". Remove that variable there, or disable the provider here.",
    ),
    action: "Disable it",
    danger: false,
  });
}
