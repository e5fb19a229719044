/** Speech: a text, read aloud by a model; it is heard as soon as it can be. */

import { fetchPart } from "../api.js";
import { h } from "../dom.js";
import { bytes, duration } from "../format.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { callPanel, saveLink } from "./call-panel.js";

// OpenAI's, then some of Kokoro's.
const VOICES = "alloy ash ballad coral echo fable nova onyx sage shimmer verse af_heart af_bella am_adam am_michael bf_emma".split(" ");
const FORMATS = ["mp3", "wav", "opus", "aac", "flac", "pcm"];

export function panel(context) {
  const text = field({ label: "Text", type: "textarea", rows: 5, required: true, missing: "Write a text first.", value: "Good morning! This is how I sound." });
  const voice = field({ label: "Voice", required: true, missing: "Name a voice.", value: VOICES[0], suggestions: VOICES, hint: "Each model has its own." });
  const format = field({ label: "Format", type: "select", options: FORMATS.map((each) => [each, each]) });
  const speed = field({ label: "Speed", type: "number", step: "0.05", min: "0.25", max: "4", hint: "Blank: normal.", check: (value) => value !== null && (value < 0.25 || value > 4) && "From 0.25 to 4." });
  const manner = field({ label: "Instructions", type: "textarea", rows: 2, hint: "How it is to be read, for models that understand that. Can be blank." });
  return callPanel({
    operation: "speech",
    path: "/v1/audio/speech",
    context,
    fields: [text, h("div.fields", voice, format, speed), manner],
    submit: "Speak",
    idle: "What is spoken will be heard here, and can be kept.",
    body: (model) => ({
      model,
      input: text.value,
      voice: voice.value,
      response_format: format.value,
      ...(speed.value ? { speed: speed.value } : {}),
      ...(manner.value.trim() ? { instructions: manner.value.trim() } : {}),
    }),
    growing: async () => (await sounds()).playing(),
    render: (answer, grown) => shown(answer, grown, format.value),
  });
}

const sounds = () => fetchPart(() => import("./sound.js"));

async function shown({ blob, json }, { element: player, whole }, asked) {
  if (!blob) return h("p", json ? "JSON came instead of sound; the raw response shows it." : "Text came instead of sound; the raw response shows it.");
  if (!blob.size) return h("p", "No sound came: the answer is empty.");
  const { kindOf, withHead } = await sounds();
  const kind = kindOf(new Uint8Array(await blob.slice(0, 16).arrayBuffer()), blob.type) ?? asked;
  const save = saveLink(blob, `speech.${kind}`);
  const facts = h("span");
  const tell = () => (facts.textContent = [kind, bytes(blob.size), Number.isFinite(player.duration) && duration(player.duration * 1000)].filter(Boolean).join(" · "));
  const cannot = note("info", `This browser cannot play ${kind}. The download is complete; another program may play it.`);
  cannot.hidden = true;
  player.addEventListener("durationchange", tell);
  tell();
  whole(kind === "pcm" ? URL.createObjectURL(withHead(blob)) : save.href, () => {
    player.hidden = true;
    cannot.hidden = false;
  });
  return [player, cannot, h("div.row", save, facts), kind !== asked && h("p.hint", `You asked for ${asked}; the provider answered with ${kind}.`)];
}
