/** A request that is seen on its way out, which fetch does not tell of: for what is large. */

import { ApiError, get } from "./api.js";

/**
 * Posts `body` with the session. `onprogress(sent, total)` hears how many bytes are out. Answers the Response, refusals too;
 * events can be read while they come. A session that is over is renewed, as elsewhere.
 */
export async function upload(path, body, options) {
  const response = await sent(path, body, options);
  if (response.status !== 401) return response;
  await get("/api/user/me", { signal: options.signal }); // asks to sign in again, and fails if nobody does
  return sent(path, body, options);
}

function sent(path, body, { signal, headers = {}, onprogress = () => {} }) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    let feed = null;
    const respond = (content) => done(new Response(content, { status: request.status, headers: headersOf(request) }));

    request.upload.addEventListener("progress", ({ loaded, total }) => onprogress(loaded, total));
    request.addEventListener("readystatechange", () => {
      if (request.readyState !== XMLHttpRequest.HEADERS_RECEIVED) return;
      const isStream = request.getResponseHeader("content-type")?.startsWith("text/event-stream");
      request.responseType = isStream ? "text" : "blob";
      if (isStream) respond((feed = feeding(request)).body);
    });
    request.addEventListener("progress", () => feed?.more());
    request.addEventListener("load", () => (feed ? feed.end() : respond(request.status === 204 ? null : request.response)));
    request.addEventListener("error", () => {
      feed?.fail(new TypeError("The connection broke."));
      fail(new ApiError("The upload was broken off. The server may be away, the file too large, or changed since it was chosen.", { code: "unreachable" }));
    });
    request.addEventListener("abort", () => {
      const error = new DOMException("The request was stopped.", "AbortError");
      feed?.fail(error);
      fail(error);
    });
    request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
    signal.addEventListener("abort", stop, { once: true });
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
    if (signal.aborted) stop();
  });
}

/** What arrives of a text, as the body of a Response. */
function feeding(request) {
  const encoder = new TextEncoder();
  let feed;
  let read = 0;
  const body = new ReadableStream({ start: (controller) => (feed = controller), cancel: () => request.abort() });
  const more = () => {
    const text = request.responseText.slice(read);
    read += text.length;
    if (text) feed.enqueue(encoder.encode(text));
  };
  const settle = (act) => {
    try {
      act();
    } catch {
      // Whoever read it has left.
    }
  };
  return { body, more: () => settle(more), end: () => settle(() => (more(), feed.close())), fail: (error) => settle(() => feed.error(error)) };
}

const headersOf = (request) =>
  request
    .getAllResponseHeaders()
    .trim()
    .split(/\r?\n/)
    .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
