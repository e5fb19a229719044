/** The playground's chat. What was said stays while the page does, also when another screen is looked at meanwhile. */

import { h, icon } from "../dom.js";
import { Conversation } from "../chat/conversation.js";
import { settingFields } from "../chat/settings.js";
import { talk } from "../chat/talk.js";
import { confirmDialog } from "../parts/dialog.js";
import { toast } from "../parts/toast.js";
import { codeFold, rawFold } from "./folds.js";
import { modelPicker } from "./model-picker.js";

const conversation = new Conversation();

export function panel({ models, model, onmodel, base }) {
  const changed = () => {
    code.redraw();
    clear.disabled = conversation.isEmpty;
  };
  const picker = modelPicker({
    models,
    value: model,
    onchange(chosen) {
      onmodel(chosen.id);
      chat.writing.complain("");
      chat.redraw();
      changed();
    },
  });
  const code = codeFold(() => ["chat", { base, body: chat.nextBody() }]);
  const raw = rawFold();
  const clear = h("button.quiet", { type: "button", disabled: conversation.isEmpty, onclick: () => startAnew() }, icon("trash"), "Clear");
  const chat = talk({ conversation, model: picker.chosen, models: () => models, onchange: () => changed(), onexchange: raw.show });
  const settings = h("details.more.settings", { open: matchMedia("(width >= 75rem)").matches }, h("summary", "Parameters"), h("div.stack", settingFields(conversation.settings, changed)));

  async function startAnew() {
    const before = conversation.messages;
    chat.stop();
    conversation.clear();
    chat.redraw();
    changed();
    chat.writing.focus();
    toast("The conversation is cleared.", { action: { label: "Undo", run: () => putBack(before) } });
  }

  async function putBack(before) {
    if (!conversation.isEmpty && !(await confirmDialog({ title: "Put the old conversation back?", text: "What was said since then goes.", action: "Put back" }))) return;
    conversation.messages = before;
    chat.redraw();
    changed();
  }

  const element = h(
    "div.play-chat",
    h("div.stack", h("div.row.talk-head", picker, h("span.spring"), clear), h("div.card.talk-card", chat.element), code, raw),
    h("aside", { "aria-label": "Parameters" }, settings),
  );
  const offer = (given) => {
    models = given;
    picker.offer(given);
    chat.redraw();
    changed();
  };
  return { element, offer, stop: chat.stop, choose: (id) => (picker.choose(id), chat.redraw(), changed()) };
}
