/** Speech: a text, read aloud by a model. */

import { h } from "../dom.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { callPanel, saveLink } from "./call-panel.js";

const VOICES = ["alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse"];
const FORMATS = ["mp3", "wav", "opus", "aac", "flac", "pcm"];

export function panel(context) {
  const text = field({ label: "Text", type: "textarea", rows: 5, required: true, missing: "Write a text first.", value: "Good morning! This is how I sound." });
  const voice = field({ label: "Voice", required: true, missing: "Name a voice.", value: VOICES[0], suggestions: VOICES, hint: "Each model has its own; these are common names." });
  const format = field({ label: "Format", type: "select", options: FORMATS.map((each) => [each, each]) });
  const speed = field({ label: "Speed", type: "number", step: "0.05", min: "0.25", max: "4", hint: "Blank: normal." });
  return callPanel({
    operation: "speech",
    path: "/v1/audio/speech",
    context,
    fields: [text, voice, h("div.fields", format, speed)],
    submit: "Speak",
    idle: "A player and a download will be here.",
    body: (model) => ({ model, input: text.value, voice: voice.value, response_format: format.value, ...(speed.value ? { speed: speed.value } : {}) }),
    render: ({ blob, json }) => shown(blob, json, format.value),
  });
}

function shown(blob, json, format) {
  if (!blob) return h("p", json ? "JSON came instead of sound; the raw response shows it." : "Text came instead of sound; the raw response shows it.");
  const save = saveLink(blob, `speech.${format}`);
  const cannot = note("info", `This browser cannot play ${format}. The download is complete; another program may play it.`);
  cannot.hidden = format !== "pcm";
  const player = h("audio", { controls: true, src: save.href, hidden: format === "pcm", "aria-label": "The spoken text" });
  player.addEventListener("error", () => {
    player.hidden = true;
    cannot.hidden = false;
  });
  return [player, cannot, h("div.actions", save)];
}
