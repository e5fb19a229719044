/** Reads what arrives piece by piece in the body of a fetch: server-sent events, or lines of JSON. */

/**
 * The events of a body, `{ event, data, id }` each, as they arrive. Pieces may be cut anywhere, inside a character too.
 * Ends with the body; leaving the loop early cancels the rest. An aborted fetch throws its AbortError.
 */
export async function* events(response) {
  let event = "";
  let data = [];
  let id = "";
  for await (const line of lines(response)) {
    if (line === "") {
      if (data.length) yield { event: event || "message", data: data.join("\n"), id };
      event = "";
      data = [];
    } else if (!line.startsWith(":")) {
      const at = line.indexOf(":");
      const name = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (name === "data") data.push(value);
      else if (name === "event") event = value;
      else if (name === "id") id = value;
    }
  }
  // The standard drops an event that no blank line ends; some servers forget that line after the last one.
  if (data.length) yield { event: event || "message", data: data.join("\n"), id };
}

/** The lines of a body, each parsed as JSON; blank ones are left out. */
export async function* jsonLines(response) {
  for await (const line of lines(response)) if (line.trim()) yield JSON.parse(line);
}

/** The lines of a body, without their ends (CR, LF or both). */
export async function* lines(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let ended = false;
  try {
    while (!ended) {
      const { done, value } = await reader.read();
      ended = done;
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A CR at the very end may be half of a CRLF: it waits for what comes.
      const found = rest.slice(0, rest.endsWith("\r") && !done ? -1 : undefined).split(/\r\n|\n|\r/);
      rest = rest.slice(rest.length - found.at(-1).length - (rest.endsWith("\r") && !done ? 1 : 0));
      yield* found.slice(0, -1);
    }
    if (rest) yield rest;
  } finally {
    if (!ended) reader.cancel().catch(() => {});
  }
}
