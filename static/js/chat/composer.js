/** Where a message is written: text, and images by button, paste and drop, shown before they are sent. */

import { announce, fill, h, icon, uid } from "../dom.js";
import { asDataUrl, fault, IMAGE_TYPES, rule } from "./images.js";

/**
 * `onsend(text, images)` answers whether it was taken; `onstop()`; `refusal()` answers why images cannot be added now,
 * or ""; `ondraft()` hears of every change. Answers `{ element, draft, setBusy(is), edit(draft), complain(text), … }`;
 * `offer()` when the answer of `refusal` may be another one.
 */
export function composer({ onsend, onstop, refusal, ondraft = () => {} }) {
  const id = uid("message");
  let images = [];
  let isBusy = false;
  let before = null;
  const text = h("textarea", { id, rows: "1", placeholder: "Write a message", "aria-label": "Message", "aria-describedby": `${id}-hint`, enterkeyhint: "send" });
  const previews = h("ul.previews", { hidden: true, "aria-label": "Images to be sent" });
  const complaint = h("p.complaint", { role: "alert", hidden: true });
  const picker = h("input", { type: "file", accept: IMAGE_TYPES.join(","), multiple: true, hidden: true });
  const attach = h("button.quiet.square", { type: "button", "aria-label": "Add images", title: `Add images (${rule()})`, onclick: () => picker.click() }, icon("image"));
  const act = h("button.primary.square.send", { type: "submit" });
  const editing = h("div.editing", { hidden: true }, icon("edit"), h("span", "You are editing your last message."), h("span.spring"), h("button.quiet", { type: "button", onclick: () => leaveEditing() }, "Cancel"));
  const hint = h("p.hint", { id: `${id}-hint` }, h("span.of-keys", "Enter sends, Shift + Enter begins a new line. "), h("span", `Images: ${rule()} each.`));
  const element = h("form.composer", { "aria-label": "Your message" }, editing, previews, h("div.writing", attach, text, act), picker, complaint, hint);

  const changed = () => {
    complain("");
    text.rows = Math.min(8, text.value.split("\n").length); // for browsers that do not size it by themselves
    act.toggleAttribute("data-idle", !isBusy && !text.value.trim() && !images.length);
    ondraft();
  };
  const complain = (words) => {
    fill(complaint, words && icon("bad"), words && h("span", words));
    complaint.hidden = !words;
  };
  const setDraft = (draft) => {
    text.value = draft.text;
    images = [...draft.images];
    drawPreviews();
    changed();
  };

  /** Images are offered to models that take them; who pastes one anyway is told which do. */
  const offer = () => {
    attach.hidden = hint.lastChild.hidden = Boolean(refusal());
    complain("");
  };
  const add = async (files) => {
    complain("");
    const why = refusal() || files.map(fault).find(Boolean);
    if (why) return complain(why);
    const made = await Promise.all(files.map(async (file) => ({ name: file.name || "image", url: await asDataUrl(file) })));
    images.push(...made);
    drawPreviews();
    changed();
    announce(made.length === 1 ? `Added ${made[0].name}.` : `${made.length} images added.`);
  };
  const takeAway = (image) => {
    images = images.filter((each) => each !== image);
    drawPreviews();
    changed();
    (previews.querySelector("button") ?? text).focus();
    announce(`Removed ${image.name}.`);
  };
  const drawPreviews = () => {
    previews.hidden = images.length === 0;
    fill(previews, images.map((each) => h("li", h("img", { src: each.url, alt: each.name }), h("button.square", { type: "button", "aria-label": `Remove ${each.name}`, onclick: () => takeAway(each) }, icon("cross")))));
  };

  const submit = async () => {
    const draft = { text: text.value.trim(), images };
    if (isBusy || (!draft.text && !images.length)) return text.focus();
    if (!onsend(draft.text, draft.images)) return undefined;
    before = null;
    editing.hidden = true;
    setDraft({ text: "", images: [] });
    return text.focus();
  };
  const edit = (draft) => {
    before ??= { text: text.value, images };
    editing.hidden = false;
    setDraft(draft);
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
  };
  const leaveEditing = () => {
    setDraft(before);
    before = null;
    editing.hidden = true;
    text.focus();
  };
  const setBusy = (is) => {
    isBusy = is;
    act.setAttribute("aria-label", is ? "Stop" : "Send");
    act.title = is ? "Stop (Esc)" : "Send";
    fill(act, icon(is ? "stop" : "send"));
    act.toggleAttribute("data-idle", !is && !text.value.trim() && !images.length);
  };

  element.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isBusy) onstop();
    else submit();
  });
  text.addEventListener("input", changed);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && (isBusy || before)) {
      event.preventDefault();
      if (isBusy) onstop();
      else leaveEditing();
    }
    // Where keys are on the glass, Enter is the only way to a new line; and it may end a word that is being composed.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    submit();
  });
  text.addEventListener("paste", (event) => {
    const files = pictures(event.clipboardData);
    if (!files.length) return;
    event.preventDefault();
    add(files);
  });
  picker.addEventListener("change", () => {
    add([...picker.files]);
    picker.value = "";
  });
  setBusy(false);
  offer();
  return {
    element,
    offer,
    setBusy,
    setDraft,
    edit,
    complain,
    add,
    act,
    focus: () => text.focus(),
    get isEditing() {
      return before !== null;
    },
    get draft() {
      return { text: text.value, images };
    },
  };
}

const pictures = (data) => [...(data?.files ?? [])].filter((file) => file.type.startsWith("image/"));
