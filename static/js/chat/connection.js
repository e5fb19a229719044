/** The dialog in which people say with what the chat asks: their session, or a key they paste. */

import { ApiError } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { count, duration } from "../format.js";
import { busy, formDialog } from "../parts/dialog.js";
import { field } from "../parts/field.js";
import { isKeptForLong, modelsOf, remember } from "./key.js";

/** Resolves to `{ key, data, refusal }`, the key "" for the session, or to undefined when it was left. */
export async function connectionDialog({ user, key }) {
  const outcome = h("div.test-outcome", { role: "status" });
  const secret = field({
    label: "API key",
    type: "secret",
    value: key,
    placeholder: "sk-…",
    check: (value) => !session.checked && !value.trim() && "Paste a key first.",
    hint: "It is sent to this server only.",
    oninput: () => outcome.replaceChildren(),
  });
  const keepIt = field({ label: "Remember it in this browser", type: "switch", value: isKeptForLong(), hint: "Otherwise it is forgotten when this tab is closed. Leave it off on a computer that others use." });
  const session = h("input", { type: "radio", name: "with", checked: Boolean(user) && !key, disabled: !user, onchange: () => turn() });
  const pasted = h("input", { type: "radio", name: "with", checked: !user || Boolean(key), onchange: () => turn() });
  const part = h("div.stack", secret, keepIt);
  const turn = () => {
    part.hidden = session.checked;
    outcome.replaceChildren();
    if (!session.checked) secret.focus();
  };
  const chosen = () => (session.checked ? "" : secret.value.trim());
  const test = h("button", { type: "button", onclick: () => busy(test, tryIt) }, icon("pulse"), "Test connection");
  const tryIt = async () => {
    if (!session.checked && !chosen()) return secret.setError("Paste a key first.");
    const began = performance.now();
    try {
      const { data: models, refusal } = await modelsOf(chosen(), user);
      if (refusal) return say("bad", refusal);
      say("ok", `It works: ${count(models.length, "model")}, answered in ${duration(performance.now() - began)}.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      say("bad", error.message);
    }
    return undefined;
  };
  const say = (kind, words) => outcome.replaceChildren(h("p.status-line", { data: { kind } }, icon(kind), h("span", words)));
  part.hidden = session.checked;

  const dialog = formDialog({
    title: "Connection",
    intro: "Whose models do you want to talk with?",
    submit: "Use it",
    ask: false,
    extra: [test],
    content: [
      h("fieldset.stack-small", h("legend.visually-hidden", "Connect with"), h("label.radio", session, h("span", user ? `My session (signed in as ${user.username})` : "My session")), h("label.radio", pasted, h("span", "An API key"))),
      !user && h("p.hint", "You are not signed in. ", h("a", { href: "/?next=/chat.html" }, "Sign in"), " to use your session."),
      part,
      outcome,
    ],
    async save() {
      const { data: models, refusal = "" } = await modelsOf(chosen(), user);
      remember(chosen(), keepIt.value);
      announce(`Connected: ${count(models.length, "model")}.`);
      return { key: chosen(), data: models, refusal };
    },
  });
  return dialog;
}
