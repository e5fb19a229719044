/** One call of the playground: JSON or a form out, and JSON, text, events or bytes back. No page. */

import { ApiError, errorOf, send } from "../api.js";
import { upload } from "../upload.js";
import { Exchange, objects } from "./record.js";

/**
 * Makes the call and notes it in the Exchange, which `exchanged` is given at once. With `file` the members go out as a
 * form, and `onprogress(sent, total)` hears how many bytes are out. What comes piece by piece is told meanwhile:
 * `onevent(object)`, `onbytes(piece, type)`. Answers `{ json, text, blob, exchange }`, of which one of the first three is
 * there; `json` is the last event of a stream. Throws ApiError, and AbortError when stopped.
 */
export async function call(path, body, { file = null, signal, onprogress, onevent, onbytes, exchanged = () => {} }) {
  const told = file ? { ...named(body), file: `${file.name} (${file.size} bytes, ${file.type || "no type"})` } : body;
  const exchange = new Exchange(path, told, { isForm: Boolean(file) });
  exchanged(exchange);
  try {
    const response = file
      ? await upload(path, form(body, file), { signal, onprogress })
      : await send(path, { method: "POST", body, signal, patienceMs: 0, quiet: true, asIs: true, headers: { accept: "*/*" } });
    exchange.answered(response.status, response.headers);
    if (!response.ok) throw noted(await errorOf(response), exchange);
    return { ...(await content(response, exchange, { onevent, onbytes })), exchange };
  } catch (error) {
    if (signal.aborted) exchange.note = "Stopped on this page.";
    throw asApiError(error, exchange, signal);
  } finally {
    exchange.ended();
  }
}

function noted(error, exchange) {
  if (typeof error.body === "object" && error.body) exchange.json = error.body;
  else exchange.text = String(error.body ?? "");
  return error;
}

function asApiError(error, exchange, signal) {
  if (error instanceof ApiError || signal.aborted) return error;
  const requestId = exchange.header("x-request-id");
  return new ApiError("The connection broke before the answer was complete. Try again.", { code: "cut_off", requestId });
}

async function content(response, exchange, { onevent = () => {}, onbytes = () => {} }) {
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/json")) return { json: (exchange.json = await response.json()) };
  if (type.startsWith("text/event-stream")) {
    let last = null;
    for await (const object of objects(response, exchange)) onevent((last = object));
    return { json: last };
  }
  if (type.startsWith("text/")) return { text: (exchange.text = await response.text()) };
  const pieces = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    onbytes(value, type);
  }
  const blob = new Blob(pieces, { type });
  exchange.note = `${blob.size} bytes of ${type || "no told type"}`;
  return { blob };
}

/** The members by the names they have in a form, where a list is one field for each. */
const named = (body) => Object.fromEntries(Object.entries(body).map(([name, value]) => [Array.isArray(value) ? `${name}[]` : name, value]));

function form(body, file) {
  const made = new FormData();
  // The file last: whoever reads the form knows the model by then.
  for (const [name, value] of Object.entries(named(body))) for (const each of [value].flat()) made.append(name, each);
  made.append("file", file, file.name);
  return made;
}
