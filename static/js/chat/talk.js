/**
 * A conversation that goes on: what is written is sent, the answer is shown while it comes and can be stopped, asked for
 * again, and what was said last be edited. The same for the chat page and the playground.
 */

import { ApiError, fetchPart } from "../api.js";
import { announce, h } from "../dom.js";
import { names } from "../format.js";
import { empty } from "../parts/faces.js";
import { composer } from "./composer.js";
import { parameters } from "./conversation.js";
import { takeDrops } from "./images.js";
import { fetchTurns, transcript } from "./transcript.js";

/**
 * `conversation`; `model()` the chosen one as `GET /v1/models` lists it; `models()` all; `key()` or "" for the session;
 * `onchange()` when something is to be kept; `onexchange(exchange)` after every call; `extra(error)` buttons.
 */
export function talk({ conversation, model, models, key = () => "", onchange = () => {}, onexchange = () => {}, extra }) {
  let running = null;
  const view = transcript({ onregenerate: () => again(), onedit: () => edit(), empty: beginning, extra });
  const writing = composer({ onsend: send, onstop: () => stop(), refusal: blindness, ondraft: onchange });
  const element = h("div.talk", view.element, writing.element);
  takeDrops(element, (files) => writing.add(files));
  // Whoever begins to write will soon need these.
  writing.element.addEventListener("input", () => Promise.all([import("./answer.js"), fetchTurns()]).catch(() => {}), { once: true });

  function beginning() {
    const chosen = model();
    return empty({
      image: "chat",
      title: chosen ? `Talk with ${chosen.name || chosen.id}` : "No model to talk with",
      text: chosen?.supports_image_upload ? "Write below. This model looks at images too: add, paste or drop them." : "Write below. The answer appears here while it comes.",
    });
  }

  /** Why the chosen model cannot be sent images, or "". */
  function blindness() {
    const chosen = model();
    if (!chosen || chosen.supports_image_upload) return "";
    const seeing = models().filter((each) => each.supports_image_upload).map((each) => each.id);
    const others = seeing.length ? `Choose one with the camera mark, such as ${names(seeing.slice(0, 2))}.` : "No model here does yet; an administrator marks those that can.";
    return `${chosen.id} does not take images. ${others}`;
  }

  function send(text, images) {
    const { problem } = parameters(conversation.settings);
    const why = !model() ? "Choose a model first." : problem ? `Other parameters: ${problem}` : images.length ? blindness() : "";
    writing.complain(why);
    if (why) return false;
    if (writing.isEditing) conversation.takeBack();
    conversation.say(text, images);
    view.toEnd();
    answer();
    return true;
  }

  async function answer() {
    const mine = (running = new AbortController());
    const chosen = model();
    const hadFocus = view.element.contains(document.activeElement);
    conversation.forgive();
    const message = conversation.beginAnswer(chosen.id);
    const body = conversation.body(chosen.id, { withImages: Boolean(chosen.supports_image_upload) });
    let frame = 0;
    let hasBegun = false;
    const changed = () => {
      if (!hasBegun && message.state === "growing") announce("The answer begins.");
      if (message.sent === null) announce("Sent. Waiting for the answer.");
      hasBegun ||= message.state === "growing";
      // As often as the screen is drawn; a model may be quicker.
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        if (message.state === "growing" || "sent" in message) view.grow(message);
      });
    };
    writing.setBusy(true);
    view.draw(conversation);
    if (hadFocus) writing.act.focus();
    onchange();
    const exchange = await asked(body, message, { key: key(), signal: mine.signal, changed });
    cancelAnimationFrame(frame);
    if (running === mine) {
      running = null;
      writing.setBusy(false);
    }
    if (!conversation.messages.includes(message)) return;
    view.draw(conversation);
    if (hadFocus) writing.focus();
    onchange();
    if (exchange) onexchange(exchange);
    if (message.state === "done") announce("The answer is complete.");
    if (message.state === "stopped") announce("Stopped.");
  }

  /** The Exchange; null when this page cannot even ask. */
  async function asked(body, message, options) {
    try {
      const { ask, blame } = await fetchPart(() => import("./answer.js"));
      const exchange = await ask(body, message, options);
      blame(conversation, message.error);
      return exchange;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      Object.assign(message, { state: "failed", error });
      return null;
    }
  }

  function stop() {
    running?.abort();
  }

  function again() {
    stop();
    conversation.dropAnswer();
    answer();
  }

  function edit() {
    stop();
    const { text, images } = conversation.lastSaid;
    writing.edit({ text, images: images.filter((each) => each.url) });
  }

  view.draw(conversation);
  return {
    element,
    writing,
    stop,
    redraw() {
      view.draw(conversation);
      writing.offer();
    },
    /** The body as it would be sent now, with what is written as the next message. */
    nextBody() {
      const { text, images } = writing.draft;
      const { settings, messages } = conversation;
      const next = new conversation.constructor({ settings, messages: writing.isEditing ? messages.slice(0, messages.lastIndexOf(conversation.lastSaid)) : messages });
      if (text.trim() || images.length || next.isEmpty) next.say(text.trim() || "Hello!", images);
      else next.dropAnswer();
      return next.body(model()?.id ?? "MODEL", { withImages: Boolean(model()?.supports_image_upload) });
    },
    get isBusy() {
      return running !== null;
    },
  };
}
