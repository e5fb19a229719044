/** What a key needs besides its form: being shown, once; being replaced; being deleted. */

import { at, post, remove } from "../api.js";
import { h, icon } from "../dom.js";
import { count, names } from "../format.js";
import { attempt, confirmDialog, openDialog } from "../parts/dialog.js";
import { shownOnce } from "../parts/shown-once.js";
import { toast } from "../parts/toast.js";

const LISTED = 50;
const nameOf = (key) => key.name || key.id;

/** A fresh key, this once. It asks before it goes uncopied. */
export function showKey(key, text = [h("strong", key.name), " is ready."]) {
  const { line, mayClose } = shownOnce(key.key);
  const dialog = openDialog({
    title: "Copy the key now",
    size: "wide",
    content: [
      h("p", text, " This is the only time the key is shown: copy it and keep it where secrets are kept."),
      line,
      h("dl.facts", h("dt", "Base URL"), h("dd", h("code", `${location.origin}/v1`))),
    ],
    actions: [
      h("span.spring"),
      h("button.primary", { type: "button", onclick: () => dialog.ask() }, icon("check"), "Done"),
    ],
    mayClose,
  });
  line.querySelector("button").focus();
  return dialog.closed;
}

/** Asks, makes a new key for a record and shows it. The old one stops working at once. Answers whether it was done. */
export async function rotateKey(key) {
  const yes = await confirmDialog({
    title: `New key for ${nameOf(key)}?`,
    text: h(
      "p",
      "A new key is made and the old one, ",
      h("code", key.key),
      ", stops working at once. Whoever uses it needs the new one.",
    ),
    action: "Make a new key",
  });
  const fresh =
    yes && (await attempt(null, () => post(at("/api/admin/apikeys", key.id, "rotate"), {}), "The key was not changed"));
  if (!fresh) return false;
  await showKey(fresh, [h("strong", nameOf(fresh)), " has a new key; the old one no longer works."]);
  return true;
}

/** Asks, saying who is left without, and deletes. Answers whether it was done. */
export async function deleteKeys(keys, users) {
  const one = keys.length === 1;
  const ids = keys.map((each) => each.id);
  const what = one ? nameOf(keys[0]) : count(keys.length, "key");
  const gone = new Set(ids);
  const owners = users.filter((each) => gone.has(each.apiKeyId)).map((each) => each.username);
  const left = owners.length > 0 && ` ${names(owners, 5)} ${owners.length === 1 ? "is" : "are"} left without a key.`;
  const yes = await confirmDialog({
    title: `Delete ${what}?`,
    text: h("p", `Whatever uses ${one ? "it" : "them"} stops working at once, for good.`, left),
    list: one ? [] : keys.slice(0, LISTED).map(nameOf),
    more: Math.max(0, keys.length - LISTED),
    action: one ? "Delete" : `Delete ${what}`,
  });
  const act = () =>
    one ? remove(at("/api/admin/apikeys", ids[0])) : post("/api/admin/apikeys/bulk", { ids, action: "delete" });
  if (!yes || !(await attempt(null, act, "Nothing was deleted"))) return false;
  toast(`${what} ${one ? "is" : "are"} deleted.`);
  return true;
}
