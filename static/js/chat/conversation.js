/**
 * A conversation as data: what was said, how the model is to be asked, and what can be made of it. It knows nothing of a
 * page and asks nobody.
 *
 * A message is `{ role: "user", text, images: [{ name, url, fault }] }` or `{ role: "assistant", text, reasoning, tools, model,
 * state, error, stats }`, where `state` is "waiting", "growing", "done", "stopped" or "failed", and `url` a data URL.
 */

const DEFAULTS = { system: "", temperature: null, maxTokens: null, topP: null, other: "", stream: true };
const OURS = ["model", "messages", "stream"];

export class Conversation {
  constructor({ messages = [], settings = {} } = {}) {
    this.settings = { ...DEFAULTS, ...settings };
    // A page that was closed while an answer came knows no more than this of it.
    this.messages = messages.map((each) => (isRunning(each) ? { ...each, state: "stopped" } : each));
  }

  get isEmpty() {
    return this.messages.length === 0;
  }

  /** The last thing a person said, or undefined. */
  get lastSaid() {
    return this.messages.findLast((each) => each.role === "user");
  }

  say(text, images = []) {
    this.messages.push({ role: "user", text, images });
  }

  /** A new, empty answer of this model, to be filled while it comes. */
  beginAnswer(model) {
    const answer = { role: "assistant", text: "", reasoning: "", tools: [], model, state: "waiting", error: null, stats: null };
    this.messages.push(answer);
    return answer;
  }

  /** Takes away what came after the last thing said, so that it can be answered anew. */
  dropAnswer() {
    this.messages.length = this.messages.lastIndexOf(this.lastSaid) + 1;
  }

  /** Takes away the last thing said as well, and answers it. */
  takeBack() {
    this.dropAnswer();
    return this.messages.pop();
  }

  clear() {
    this.messages = [];
  }

  /** The messages that are sent. */
  get told() {
    return this.messages.filter((each) => each.role === "user" || each.text);
  }

  /** Forgets what was found wrong with images: they are sent anew. */
  forgive() {
    for (const { images = [] } of this.messages) for (const image of images) delete image.fault;
  }

  /** The body of a request. A model without eyes is told that there was an image, since it cannot be shown one. */
  body(model, { withImages = true } = {}) {
    const { values } = parameters(this.settings);
    const { system, stream } = this.settings;
    const said = this.told.map((each) => asMessage(each, withImages));
    return {
      model,
      messages: [...(system.trim() ? [{ role: "system", content: system }] : []), ...said],
      ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
      ...values,
    };
  }

  toJSON() {
    return { settings: this.settings, messages: this.messages };
  }
}

export const isRunning = (message) => message.state === "waiting" || message.state === "growing";

/** `{ values, problem }`: the members that settings add to a body, and a complaint about "other parameters" or "". */
export function parameters({ temperature, maxTokens, topP, other }) {
  const values = {};
  if (temperature !== null) values.temperature = temperature;
  if (maxTokens !== null) values.max_tokens = maxTokens;
  if (topP !== null) values.top_p = topP;
  const { object, problem } = asObject(other);
  return { values: { ...values, ...object }, problem };
}

function asObject(text) {
  if (!text.trim()) return { object: {}, problem: "" };
  let object;
  try {
    object = JSON.parse(text);
  } catch (error) {
    return { object: {}, problem: `This is not JSON: ${error.message}.` };
  }
  if (object === null || typeof object !== "object" || Array.isArray(object)) return { object: {}, problem: 'An object is needed, such as {"seed": 7}.' };
  const taken = OURS.find((name) => name in object);
  return taken ? { object: {}, problem: `"${taken}" is set elsewhere on this page; leave it out here.` } : { object, problem: "" };
}

/** Images that the browser had no room to keep are as good as not shown. */
function asMessage({ role, text, images = [] }, withImages) {
  const shown = withImages ? images.filter(({ url }) => url) : [];
  const words = [text, ...images.slice(shown.length).map(() => "[an image that is not shown to you]")].filter(Boolean).join("\n\n");
  if (!shown.length) return { role, content: words };
  return { role, content: [...(words ? [{ type: "text", text: words }] : []), ...shown.map(({ url }) => ({ type: "image_url", image_url: { url } }))] };
}
