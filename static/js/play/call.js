/** One call of the playground that is answered as a whole: JSON or a form out, and JSON, text or bytes back. No page. */

import { ApiError, errorOf, get, send } from "../api.js";
import { Exchange } from "./record.js";

/**
 * Makes the call and notes it in the Exchange, which `exchanged` is given at once. With `file` the members go out as a
 * form, and `onprogress(part)` hears how much of it is sent, from 0 to 1. Answers `{ json, text, blob, exchange }`, of
 * which one of the first three is there. Throws ApiError, and AbortError when stopped.
 */
export async function call(path, body, { file = null, signal, onprogress, exchanged = () => {} }) {
  const told = file ? { ...body, file: `${file.name} (${file.size} bytes, ${file.type || "no type"})` } : body;
  const exchange = new Exchange(path, told, { isForm: Boolean(file) });
  exchanged(exchange);
  try {
    const response = file
      ? await upload(path, form(body, file), signal, onprogress)
      : await send(path, { method: "POST", body, signal, patienceMs: 0, quiet: true, asIs: true, headers: { accept: "*/*" } });
    exchange.answered(response.status, response.headers);
    if (!response.ok) throw noted(await errorOf(response), exchange);
    return { ...(await content(response, exchange)), exchange };
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

async function content(response, exchange) {
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/json")) return { json: (exchange.json = await response.json()) };
  if (type.startsWith("text/")) return { text: (exchange.text = await response.text()) };
  const blob = await response.blob();
  exchange.note = `${blob.size} bytes of ${type || "no told type"}`;
  return { blob };
}

function form(body, file) {
  const made = new FormData();
  // The file last: whoever reads the form knows the model by then.
  for (const [name, value] of Object.entries(body)) made.append(name, value);
  made.append("file", file, file.name);
  return made;
}

/** Sends a form so that its progress is seen, which fetch cannot. A session that is over is renewed, as elsewhere. */
async function upload(path, body, signal, onprogress) {
  const response = await sent(path, body, signal, onprogress);
  if (response.status !== 401) return response;
  await get("/api/user/me", { signal }); // asks to sign in again, and fails if nobody does
  return sent(path, body, signal, onprogress);
}

function sent(path, body, signal, onprogress = () => {}) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    signal.addEventListener("abort", stop, { once: true });
    request.upload.addEventListener("progress", (event) => onprogress(event.lengthComputable ? event.loaded / event.total : null));
    request.addEventListener("load", () => done(new Response(request.status === 204 ? null : request.response, { status: request.status, headers: headersOf(request) })));
    request.addEventListener("error", () => fail(new ApiError("The server does not answer, or broke the upload off. It may be too large.", { code: "unreachable" })));
    request.addEventListener("abort", () => fail(new DOMException("The request was stopped.", "AbortError")));
    request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
    request.open("POST", path);
    request.responseType = "blob";
    request.send(body);
  });
}

const headersOf = (request) =>
  request
    .getAllResponseHeaders()
    .trim()
    .split(/\r?\n/)
    .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
