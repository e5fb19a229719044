/** Transcription: a recording becomes text. */

import { h } from "../dom.js";
import { duration, number } from "../format.js";
import { copyButton } from "../parts/copy.js";
import { field } from "../parts/field.js";
import { callPanel, saveLink } from "./call-panel.js";
import { fileField } from "./file-field.js";

const FORMATS = [
  ["json", "Text (json)"],
  ["verbose_json", "Text with times (verbose_json)"],
  ["text", "Plain text (text)"],
  ["srt", "Subtitles (srt)"],
  ["vtt", "Subtitles for the web (vtt)"],
];

export function panel(context) {
  const file = fileField({
    label: "Recording",
    accept: "audio/*,video/mp4,video/webm,.mp3,.m4a,.wav,.flac,.ogg,.opus,.webm,.mp4",
    hint: "mp3, m4a, wav, flac, ogg, webm. Many models take up to 25 MB.",
    missing: "Choose a recording first.",
    refuse: (given) => (given.size === 0 ? "This file is empty." : ""),
    preview: (url) => h("audio", { controls: true, src: url, "aria-label": "Your recording" }),
  });
  const language = field({
    label: "Language",
    placeholder: "en",
    autocapitalize: "off",
    hint: "Two letters. Blank: the model finds out.",
    check: (value) => value && !/^[a-z]{2,3}(-[A-Za-z]+)?$/.test(value) && "Two letters, such as en or de.",
  });
  const prompt = field({ label: "Prompt", hint: "Names and words that may occur, as they are spelt. Can be blank." });
  const format = field({ label: "Format", type: "select", options: FORMATS });
  return callPanel({
    operation: "transcription",
    path: "/v1/audio/transcriptions",
    context,
    fields: [file, h("div.fields", language, format), prompt],
    file: () => file.value,
    fileName: "recording.mp3",
    submit: "Transcribe",
    idle: "What was said will be written here.",
    body: (model) => ({
      model,
      response_format: format.value,
      ...(language.value ? { language: language.value } : {}),
      ...(prompt.value.trim() ? { prompt: prompt.value.trim() } : {}),
    }),
    render: ({ json, text }) => shown(json, text, format.value),
  });
}

function shown(json, text, format) {
  const words = json?.text ?? text ?? "";
  const about = [json?.language, json?.duration && duration(json.duration * 1000)].filter(Boolean).join(" · ");
  const name = `transcript.${["srt", "vtt"].includes(format) ? format : "txt"}`;
  return [
    about && h("p.quiet-text", about),
    words ? h("p.words", words) : h("p.quiet-text", "No words were heard."),
    json?.segments?.length > 0 && h("ol.segments", json.segments.map((each) => h("li", h("span.number.quiet-text", `${number(each.start, 1, 1)} s`), h("span", each.text)))),
    words && h("div.actions", copyButton(words, { label: "the transcript" }), saveLink(new Blob([words], { type: "text/plain" }), name)),
  ];
}
