/**
 * Every fetch of the pages. Answers come as parsed JSON, failures as ApiError with a sentence to show.
 *
 * When the session is over, the page asks to sign in again in place (`onSignedOut`) and the request is repeated, so that
 * nothing typed is lost. `network` tells of a slow server ("slow", "quick") and a silent one ("lost", "found").
 */

const PATIENCE_MS = 60_000;
const SLOW_MS = 4_000;

export const network = new EventTarget();

/**
 * What went wrong: `status` (0: no answer at all), `code` and `param` as the server says them, `retryAfter` in seconds.
 * The codes "unreachable" and "timeout" are ours.
 */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "", param = "", retryAfter = 0, requestId = "", body = null } = {}) {
    super(message);
    this.name = "ApiError";
    Object.assign(this, { status, code, param: param ?? "", retryAfter, requestId, body });
  }

  /** Whether nothing was answered, so that the same request may do better in a moment. */
  get isSilence() {
    return this.status === 0;
  }
}

let askToSignIn = null;
let asking = null;
let slow = 0;
let isLost = false;

/** `ask` opens the sign-in dialog and answers whether somebody signed in. */
export function onSignedOut(ask) {
  askToSignIn = ask;
}

export const get = (path, options) => json("GET", path, undefined, options);
export const post = (path, body, options) => json("POST", path, body, options);
export const put = (path, body, options) => json("PUT", path, body, options);
export const remove = (path, options) => json("DELETE", path, undefined, options);

/** A path whose last segments are ids: at("/api/admin/models", id, "rotate"). */
export const at = (path, ...segments) => [path, ...segments.map(encodeURIComponent)].join("/");

async function json(method, path, body, options = {}) {
  const response = await send(path, { ...options, method, body });
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The answer of the server was cut off or is not what this page expects. Try again.", { status: response.status, code: "bad_answer" });
  }
}

/**
 * The Response, when it is good; ApiError otherwise. `body`: an object goes out as JSON, anything else as it is.
 * `key`: an API key to use instead of the session. `patienceMs`: how long to wait for the head of an answer, 0 for
 * ever. `quiet`: no notice when it is slow (calls to models may take their time). `asIs`: refusals are Responses too.
 */
export async function send(path, options = {}) {
  for (;;) {
    const response = await once(path, options);
    if (response.ok) return response;
    const isOver = response.status === 401 && !options.key && !options.signingIn && askToSignIn;
    if (isOver && (await signedInAgain())) continue;
    if (options.asIs) return response;
    throw await errorOf(response);
  }
}

async function once(path, { method = "GET", body, headers = {}, key, signal, patienceMs = PATIENCE_MS, quiet = false }) {
  const isJson = body !== undefined && (body === null || body.constructor === Object || Array.isArray(body));
  const limit = new AbortController();
  const stop = () => limit.abort(signal.reason);
  // It stays after the head has come: the body may still be stopped.
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  const late = patienceMs ? setTimeout(() => limit.abort("late"), patienceMs) : 0;
  try {
    const answer = fetch(path, {
      method,
      body: isJson ? JSON.stringify(body) : body,
      headers: { accept: "application/json", ...(isJson ? { "content-type": "application/json" } : {}), ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
      credentials: key ? "omit" : "same-origin",
      cache: "no-store",
      signal: limit.signal,
    });
    const response = await (quiet ? answer : noticed(answer));
    heard();
    return response;
  } catch (error) {
    if (signal?.aborted) throw new DOMException("The request was stopped.", "AbortError");
    if (limit.signal.aborted) {
      throw new ApiError("The server has not answered for a minute. It may be overloaded. Try again.", { code: "timeout" });
    }
    unheard();
    throw new ApiError("The server does not answer. Is it running, and are you online?", { code: "unreachable", body: String(error) });
  } finally {
    clearTimeout(late);
  }
}

/** A module that is only needed now: fetchPart(() => import("./form.js")). Throws ApiError. */
export async function fetchPart(load) {
  try {
    return await noticed(load());
  } catch (error) {
    console.error(error);
    throw new ApiError("A part of this page could not be fetched. The server may be restarting; try again, or load the page anew.", { code: "no_part" });
  }
}

/** The same promise; while it takes long, the page says that the server is slow. */
export async function noticed(promise) {
  const tell = (by) => {
    slow += by;
    network.dispatchEvent(new Event(slow > 0 ? "slow" : "quick"));
  };
  let isSlow = false;
  const timer = setTimeout(() => {
    isSlow = true;
    tell(1);
  }, SLOW_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    if (isSlow) tell(-1);
  }
}

/** The server was silent: "lost" once, until it is heard again. */
function unheard() {
  if (!isLost) {
    isLost = true;
    network.dispatchEvent(new Event("lost"));
  }
}

function heard() {
  if (isLost) {
    isLost = false;
    network.dispatchEvent(new Event("found"));
  }
}

/** One dialog for however many requests found the session over. */
async function signedInAgain() {
  asking ??= Promise.resolve(askToSignIn()).finally(() => (asking = null));
  return asking;
}

/** The ApiError a refusal stands for. */
export async function errorOf(response) {
  const text = await response.text().catch(() => "");
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A page of some server in between: the status has to say it.
  }
  const told = typeof body?.error === "string" ? { message: body.error } : (body?.error ?? {});
  return new ApiError(told.message || plainly(response.status), {
    status: response.status,
    code: told.code ?? "",
    param: told.param ?? "",
    retryAfter: Number(response.headers.get("retry-after")) || 0,
    requestId: response.headers.get("x-request-id") ?? "",
    body: body ?? text,
  });
}

function plainly(status) {
  if (status === 413) return "This is more than the server takes.";
  if (status >= 500) return `The server, or one on the way to it, failed (status ${status}). Try again in a moment.`;
  return `The server refused this without saying why (status ${status}).`;
}
