/** Transcription: a recording becomes text, as it was said or in English. */

import { fetchPart } from "../api.js";
import { sizeFault } from "../chat/images.js";
import { h, icon } from "../dom.js";
import { bytes } from "../format.js";
import { busy, part } from "../parts/dialog.js";
import { field } from "../parts/field.js";
import { note } from "../parts/marks.js";
import { limits } from "../parts/session.js";
import { callPanel } from "./call-panel.js";
import { fileField } from "./file-field.js";

const TASKS = {
  transcription: ["Write it down", "Transcribe", "/v1/audio/transcriptions"],
  translation: ["Translate it into English", "Translate", "/v1/audio/translations"],
};
const FORMATS = [
  ["json", "Text (json)"],
  ["verbose_json", "Text with times (verbose_json)"],
  ["text", "Plain text (text)"],
  ["srt", "Subtitles (srt)"],
  ["vtt", "Subtitles for the web (vtt)"],
];
const TIMES = [["", "Segments"], ["word", "Words"], ["segment,word", "Both"]];
const EXTENSIONS = ["mp3", "mp4", "m4a", "mpeg", "mpga", "wav", "flac", "ogg", "oga", "opus", "webm"];

export function panel(context) {
  let recorder = null;
  let visits = 0;
  const record = h("button", { type: "button", onclick: () => busy(record, startRecording) }, icon("audio"), "Record");
  const file = fileField({
    label: "Recording",
    accept: `audio/*,video/mp4,video/webm,${EXTENSIONS.map((each) => `.${each}`)}`,
    hint: `mp3, m4a, mp4, wav, flac, ogg or webm, up to ${bytes(limits.audio)}.`,
    missing: "Choose a recording first, or make one.",
    refuse,
    preview,
    beside: h("div.recorder", record),
  });
  const task = field({ label: "Task", type: "select", options: Object.entries(TASKS).map(([id, [words]]) => [id, words]) });
  const format = field({ label: "Format", type: "select", options: FORMATS });
  const language = field({
    label: "Language",
    placeholder: "en",
    autocapitalize: "off",
    hint: "Blank: the model finds out.",
    check: (value) => value && !language.hidden && !/^[a-z]{2,3}(-[A-Za-z]+)?$/.test(value) && "Two letters, such as en or de.",
  });
  const temperature = field({ label: "Temperature", type: "number", step: "0.1", max: "1", hint: "0 to 1. Blank: as the model likes.", check: (value) => value > 1 && "At most 1." });
  const prompt = field({ label: "Prompt", hint: "Names and words that may occur, as they are spelt. Can be blank." });
  const times = field({ label: "Times of", type: "select", options: TIMES, hint: "Not every model tells those of words." });
  const stream = field({ label: "Show the text while it comes", type: "switch" });

  /** What makes no sense is not asked: translations have no language, only some formats have times or come in pieces. */
  const settle = () => {
    const translates = task.value === "translation";
    language.hidden = translates;
    times.hidden = translates || format.value !== "verbose_json";
    stream.hidden = translates || format.value !== "json";
  };

  async function startRecording() {
    const module = await part(() => import("./microphone.js"));
    if (!module) return;
    file.setError("");
    const visit = visits;
    const begun = await module.recorder({ most: limits.audio, take: file.take, complain: (words) => file.setError(words), over: () => shown(null) });
    shown(begun);
    if (visit !== visits) begun?.end(false); // the question was answered when nobody was here any more
  }

  function shown(face) {
    recorder = face;
    record.hidden = Boolean(face);
    if (face) record.after(face.element);
    else if (document.activeElement === document.body) record.focus();
    face?.focus();
  }

  settle();
  const made = callPanel({
    route: () => [task.value, TASKS[task.value][2]],
    context,
    fields: [file, h("div.fields", task, format, language, temperature), prompt, times, stream],
    file,
    fileName: "recording.mp3",
    submit: () => TASKS[task.value][1],
    idle: "What was said will be written here.",
    body: (model) => ({
      model,
      response_format: format.value,
      ...given(language, "language"),
      ...given(prompt, "prompt"),
      ...given(temperature, "temperature"),
      ...(times.value && !times.hidden ? { timestamp_granularities: times.value.split(",") } : {}),
      ...(stream.value && !stream.hidden ? { stream: true } : {}),
    }),
    growing,
    async render(answer, grown) {
      const { transcript } = await fetchPart(() => import("./transcript.js"));
      return transcript(answer, { format: format.value, written: grown.element.textContent, name: file.value?.name ?? "recording" });
    },
    rest() {
      visits += 1;
      recorder?.end();
    },
  });
  made.element.addEventListener("change", settle, { capture: true });
  return made;
}

const given = (field, name) => (field.hidden || field.value === null || field.value === "" ? {} : { [name]: field.value });

/** What is surely no recording; the server looks at the bytes, and knows more. */
function refuse(file) {
  const mayBe = /^(audio\/|video\/|application\/octet-stream|$)/.test(file.type) || EXTENSIONS.includes(file.name.split(".").at(-1).toLowerCase());
  if (!mayBe) return `${file.name} is no recording, but ${file.type}.`;
  return sizeFault(file, limits.audio, "a recording");
}

function preview(url) {
  const cannot = note("info", "This browser cannot play it; it can be sent all the same.");
  cannot.hidden = true;
  const player = h("audio", { controls: true, preload: "metadata", src: url, "aria-label": "Your recording" });
  player.addEventListener("error", () => {
    player.hidden = true;
    cannot.hidden = false;
  });
  player.addEventListener("loadedmetadata", () => {
    if (player.duration !== Infinity) return;
    // Browsers write no length into what they record; they learn it on the way to the end.
    player.addEventListener("durationchange", () => (player.currentTime = 0), { once: true });
    player.currentTime = 1e9;
  });
  return [player, cannot];
}

/** The text while it comes. */
function growing() {
  const element = h("p.words");
  return { element, event: ({ type, delta }) => type === "transcript.text.delta" && element.append(delta) };
}
