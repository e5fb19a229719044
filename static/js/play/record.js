/** What went out and what came back in one call, kept for being shown. No page; it asks nobody. */

import { ApiError } from "../api.js";
import { events } from "../stream.js";

const KEPT_CHARS = 200_000;
const LONG_CHARS = 300;
const SHOWN_NUMBERS = 8;
const MANY_NUMBERS = 16;
const TOLD_HEADERS = ["content-type", "retry-after", "openai-processing-ms"];
const TOLD_PREFIXES = ["x-", "cost", "monthly"];

export class Exchange {
  /** `body` is JSON, or the fields of a form with `isForm`. */
  constructor(path, body, { isForm = false, hasKey = false } = {}) {
    Object.assign(this, { path, body, isForm, hasKey, status: 0, headers: [], text: "", note: "", json: undefined });
    this.startedAt = performance.now();
    this.tookMs = 0;
  }

  /** `headers`: pairs of name and value. */
  answered(status, headers) {
    this.status = status;
    this.headers = [...headers].filter(([name]) => TOLD_HEADERS.includes(name) || TOLD_PREFIXES.some((each) => name.startsWith(each)));
    this.headMs = performance.now() - this.startedAt;
  }

  header(name) {
    return this.headers.find(([each]) => each === name)?.[1] ?? "";
  }

  /** A piece of a stream. */
  heard(text) {
    if (this.text.length < KEPT_CHARS) this.text += text;
    else this.note = "The rest of the stream is not kept.";
  }

  ended() {
    this.tookMs = performance.now() - this.startedAt;
  }

  /** The request as text to read. */
  get request() {
    const head = [`POST ${this.path}`, this.hasKey ? "authorization: Bearer …" : "cookie: (your session)"];
    if (!this.isForm) return [...head, "content-type: application/json", "", pretty(this.body)].join("\n");
    const fields = Object.entries(this.body).map(([name, value]) => `${name}: ${value}`);
    return [...head, "content-type: multipart/form-data", "", ...fields].join("\n");
  }

  /** The response as text to read. */
  get response() {
    if (!this.status) return this.note || "No answer.";
    const head = [`HTTP ${this.status}`, ...this.headers.map((each) => each.join(": "))];
    return [...head, "", this.json === undefined ? this.text : pretty(this.json), this.note].join("\n").trimEnd();
  }
}

/** The events of an answer as objects, while they come; the exchange hears all of them. Throws ApiError for one that tells of a failure. */
export async function* objects(response, exchange) {
  for await (const { event, data } of events(response)) {
    exchange.heard(`${event === "message" ? "" : `event: ${event}\n`}data: ${data}\n\n`);
    const object = parsed(data); // "[DONE]" is none; leaving there would look like hanging up
    if (object?.error) throw refusal(object.error, exchange);
    if (object) yield object;
  }
}

export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refusal(error, exchange) {
  const told = typeof error === "string" ? { message: error } : error;
  const message = told.message || "The provider ended the answer with an error.";
  return new ApiError(message, { code: told.code ?? told.type ?? "", requestId: exchange.header("x-request-id") });
}

const pretty = (value) => JSON.stringify(shortened(value), null, 2);

/** A copy in which what nobody reads is short: base64, and long lists of numbers. */
function shortened(value) {
  if (typeof value === "string") return isPacked(value) ? `${value.slice(0, 60)}… (${value.length} characters)` : value;
  if (Array.isArray(value)) {
    if (value.length > MANY_NUMBERS && value.every((each) => typeof each === "number")) {
      return [...value.slice(0, SHOWN_NUMBERS), `… ${value.length - SHOWN_NUMBERS} more`];
    }
    return value.map(shortened);
  }
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shortened(each)]));
}

const isPacked = (text) => text.length > LONG_CHARS && (text.startsWith("data:") || !/\s/.test(text.slice(0, LONG_CHARS)));
