/** One chat completion: asks for it, fills the answer while it comes, and takes the time. No page. */

import { ApiError, errorOf, fetchPart, send } from "../api.js";
import { Exchange, objects, parsed } from "../play/record.js";

const PATH = "/v1/chat/completions";

/**
 * Asks, and fills `answer` (a message of a conversation): text, reasoning, tools, state, error, stats. `changed()` is
 * called whenever something came. Images take a while to go out: `answer.sent` is `[sent, total]` bytes meanwhile. Never
 * throws: a failure is in the answer, and a stop keeps what there is. Answers the Exchange.
 */
export async function ask(body, answer, { key, signal, changed = () => {} } = {}) {
  const exchange = new Exchange(PATH, body, { hasKey: Boolean(key) });
  const taken = { firstAt: 0, usage: null, finish: "" };
  try {
    const hasImages = body.messages.some(({ content }) => Array.isArray(content));
    // With a key no cookie may go out, which only fetch can promise.
    const response = await (hasImages && !key ? uploaded(body, answer, { signal, changed }) : send(PATH, { method: "POST", body, key, signal, patienceMs: 0, quiet: true, asIs: true }));
    exchange.answered(response.status, response.headers);
    if (!response.ok) throw await errorOf(response);
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
    if (isStream) await stream(response, exchange, answer, taken, changed);
    else await whole(response, exchange, answer, taken);
    answer.state = "done";
  } catch (error) {
    failure(error, exchange, answer, signal);
  }
  exchange.ended();
  answer.stats = measured(exchange, taken);
  changed();
  return exchange;
}

/** Notes on an image of a conversation what the server found wrong with it, if that is what an error says: it tells its place. */
export function blame({ told, settings }, error) {
  const [, message, part] = /^messages\[(\d+)\]\.content\[(\d+)\]/.exec(error?.param ?? "") ?? [];
  const { text, images } = told[message - (settings.system.trim() ? 1 : 0)] ?? {};
  const image = images?.filter(({ url }) => url)[part - (text ? 1 : 0)];
  if (image) image.fault = error.message;
}

async function uploaded(body, answer, { signal, changed }) {
  const { upload } = await fetchPart(() => import("../upload.js"));
  const onprogress = (sent, total) => {
    answer.sent = sent < total ? [sent, total] : null;
    changed();
  };
  try {
    return await upload(PATH, JSON.stringify(body), { signal, onprogress, headers: { "content-type": "application/json", accept: "application/json" } });
  } finally {
    delete answer.sent;
  }
}

async function stream(response, exchange, answer, taken, changed) {
  for await (const chunk of objects(response, exchange)) {
    const choice = chunk.choices?.[0];
    if (grow(answer, choice?.delta)) {
      taken.firstAt ||= performance.now();
      answer.state = "growing";
    }
    taken.usage = chunk.usage ?? taken.usage;
    taken.finish = choice?.finish_reason ?? taken.finish;
    changed();
  }
}

async function whole(response, exchange, answer, taken) {
  const json = (exchange.json = parsed(await response.text()));
  if (!json?.choices?.length) throw new ApiError("The answer is not a chat completion; the raw response shows what came.", { status: response.status, code: "bad_answer", requestId: exchange.header("x-request-id") });
  grow(answer, json.choices[0].message);
  taken.usage = json.usage ?? null;
  taken.finish = json.choices[0].finish_reason ?? "";
}

/** Adds what a delta, or a whole message, brings. Answers whether that was anything to see. */
function grow(answer, delta) {
  if (!delta) return false;
  // Providers disagree about the name of what a model thinks before it speaks.
  const reasoning = delta.reasoning_content ?? delta.reasoning ?? "";
  const text = textOf(delta.content) || delta.refusal || "";
  if (typeof reasoning === "string") answer.reasoning += reasoning;
  answer.text += text;
  if (Array.isArray(delta.tool_calls)) for (const call of delta.tool_calls) growTool(answer.tools, call ?? {});
  return Boolean(text || reasoning || delta.tool_calls?.length);
}

const textOf = (content) => (Array.isArray(content) ? content.map((part) => (typeof part === "string" ? part : (part?.text ?? ""))).join("") : (content ?? ""));

function growTool(tools, call) {
  // Not every server counts from 0.
  const index = call.index ?? tools.length;
  let tool = tools.find((each) => each.index === index);
  if (!tool) tools.push((tool = { index, name: "", arguments: "" }));
  tool.name ||= call.function?.name ?? "";
  const more = call.function?.arguments ?? "";
  tool.arguments += typeof more === "string" ? more : JSON.stringify(more); // some servers give them as an object
}

function failure(error, exchange, answer, signal) {
  if (signal?.aborted) {
    answer.state = "stopped";
    exchange.note = "Stopped on this page.";
    return;
  }
  const told = error instanceof ApiError ? error : cut(error, exchange);
  answer.state = "failed";
  answer.error = { message: told.message, code: told.code, param: told.param, status: told.status, requestId: told.requestId };
  if (told.body && exchange.json === undefined && !exchange.text) {
    if (typeof told.body === "object") exchange.json = told.body;
    else exchange.note = told.body;
  }
}

/** A connection that broke in the middle of an answer. Anything else is a fault of ours, and is thrown. */
function cut(error, exchange) {
  if (!exchange.status) throw error;
  const requestId = exchange.header("x-request-id");
  return new ApiError("The connection broke before the answer was complete. Try again.", { code: "cut_off", requestId });
}

/** `{ firstMs, tookMs, inputTokens, outputTokens, perSecond, finish }`; null is "not told". */
function measured(exchange, { firstAt, usage, finish }) {
  const firstMs = firstAt ? firstAt - exchange.startedAt : null;
  const outputTokens = usage?.completion_tokens ?? null;
  const growingS = (exchange.tookMs - (firstMs ?? 0)) / 1000;
  return {
    firstMs,
    tookMs: exchange.tookMs,
    inputTokens: usage?.prompt_tokens ?? null,
    outputTokens,
    // Too short a time says nothing about a speed.
    perSecond: outputTokens && growingS > 0.05 ? outputTokens / growingS : null,
    finish,
  };
}
