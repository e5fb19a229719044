/** One turn of a conversation on the page: what was said, or an answer while it grows and when it is there. */

import { fill, h, icon } from "../dom.js";
import { bytes, count, duration, number } from "../format.js";
import { copyButton } from "../parts/copy.js";
import { status } from "../parts/marks.js";
import { trouble } from "../play/trouble.js";
import { isRunning } from "./conversation.js";
import { growing } from "./markdown.js";

const ENDS = new Map([["length", "cut off at the limit of tokens"], ["content_filter", "ended by a content filter"]]);

/** `{ node, settle(isLast) }`. `edit()` is offered for the last one. */
export function said(message, edit) {
  const pictures = message.images.map(picture);
  const foot = h("div.turn-foot");
  const node = h(
    "article.turn",
    { data: { role: "user" }, "aria-label": "You" },
    h("div.said", pictures.length > 0 && h("div.pictures", pictures), message.text && h("p", message.text)),
    foot,
  );
  const settle = (isLast) => {
    for (const each of pictures) each.settle();
    fill(foot, copyButton(message.text, { label: "what you said", words: false }), isLast && small("Edit this message", "edit", edit));
  };
  return { node, settle };
}

/** An image, with what the server found wrong with it beside it. */
function picture(image) {
  const complaint = h("figcaption.complaint");
  const settle = () => {
    fill(complaint, image.fault && [icon("bad"), h("span", image.fault)]);
    complaint.hidden = !image.fault;
  };
  return Object.assign(h("figure", image.url ? h("img", { src: image.url, alt: image.name }) : h("span.tag", `Image not kept: ${image.name}`), complaint), { settle });
}

/** `{ node, grow(), settle(isLast) }`. `regenerate()` is offered for the last one; `extra(error)`: more buttons. */
export function answered(message, regenerate, extra) {
  const prose = h("div.prose");
  const thought = h("div.thought");
  const thinking = h("details.thinking", { hidden: true }, h("summary", "Thinking"), thought);
  const tools = h("div.stack-small");
  const dots = h("span", h("span.dots", { "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span.visually-hidden", "Waiting for the first word"));
  const waiting = h("div");
  const bar = h("progress", { "aria-label": "Upload" });
  const stage = h("p.hint.number");
  const end = h("div");
  const foot = h("div.turn-foot");
  const node = h("article.turn", { data: { role: "assistant" }, "aria-label": message.model }, h("h2.turn-head", message.model), thinking, prose, tools, waiting, end, foot);
  const update = growing(prose);
  const grow = () => {
    update(message.text);
    thought.textContent = message.reasoning;
    thinking.hidden = !message.reasoning;
    waiting.hidden = message.state !== "waiting";
    if (message.sent) {
      const [sent, total] = message.sent;
      Object.assign(bar, { max: total, value: sent });
      stage.textContent = `${bytes(sent)} of ${bytes(total)} sent`;
    }
    fill(waiting, message.sent ? [bar, stage] : dots);
    if (message.tools.length) fill(tools, message.tools.map(toolCall));
  };
  const settle = (isLast) => {
    grow();
    const isOver = !isRunning(message);
    node.setAttribute("aria-busy", String(!isOver));
    const isEmpty = message.state === "done" && !message.text && !message.reasoning && !message.tools.length;
    fill(end, isEmpty && h("p.quiet-text", "The answer is empty."), message.state === "failed" && trouble(message.error, { retry: isLast ? regenerate : null, actions: extra(message.error) }));
    fill(
      foot,
      isOver && message.text && copyButton(() => message.text, { label: "the answer", words: false }),
      isLast && isOver && message.state !== "failed" && small("Answer again", "refresh", regenerate),
      isOver && stats(message),
    );
  };
  return { node, grow, settle };
}

const small = (label, image, onclick) => h("button.quiet.square", { type: "button", "aria-label": label, title: label, onclick }, icon(image));

function toolCall({ name, arguments: given }) {
  return h("div.tool-call", h("p", "The model asks to call ", h("code", name)), h("pre", { tabindex: "0", role: "region", "aria-label": `Arguments for ${name}` }, h("code", given)));
}

/** Tokens, times and speed, as far as they are known. */
function stats({ state, stats: told }) {
  if (!told) return state === "stopped" && status("off", "stopped");
  const { inputTokens, outputTokens, firstMs, tookMs, perSecond, finish } = told;
  const parts = [
    inputTokens !== null && `${count(inputTokens, "token")} in`,
    outputTokens !== null && `${number(outputTokens)} out`,
    firstMs !== null && `first word ${duration(firstMs)}`,
    state !== "failed" && `${duration(tookMs)} in all`,
    perSecond !== null && `${number(perSecond, perSecond < 10 ? 1 : 0)} tokens/s`,
  ];
  const about = inputTokens === null ? "How many tokens it took was not told." : "Tokens in and out, the time to the first word and in all, and the speed.";
  return h("span.stats", { title: about }, state === "stopped" && status("off", "stopped"), ENDS.has(finish) && status("warn", ENDS.get(finish)), h("span", parts.filter(Boolean).join(" · ")));
}
