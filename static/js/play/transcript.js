/** What a recording said, as it came: a text, with its times where they were told, or subtitles. */

import { h } from "../dom.js";
import { count, duration, number } from "../format.js";
import { copyButton } from "../parts/copy.js";
import { saveLink } from "./call-panel.js";

const MOST_ROWS = 1000;
const TYPES = { srt: "application/x-subrip", vtt: "text/vtt" };

/** `answer` { json, text } in this `format`; `written` is what a stream has brought; `name` is that of the recording. */
export function transcript({ json, text }, { format, written, name }) {
  const stem = name.replace(/\.\w{1,5}$/, "");
  const words = String(json?.text ?? text ?? written);
  if (!words.trim()) return h("p.quiet-text", "No words were heard.");
  const type = TYPES[format];
  const isSubtitles = type && !json;
  const label = isSubtitles ? "the subtitles" : "the transcript";
  return [
    json?.duration > 0 && h("p.quiet-text", [json.language, duration(json.duration * 1000)].filter(Boolean).join(" · ")),
    isSubtitles ? h("pre.words", { tabindex: "0", role: "region", "aria-label": "The subtitles" }, words) : h("p.words", words.trim()),
    h(
      "div.actions",
      copyButton(words, { label }),
      saveLink(new Blob([words], { type: isSubtitles ? type : "text/plain" }), `${stem}.${isSubtitles ? format : "txt"}`),
      format === "verbose_json" && json && saveLink(new Blob([JSON.stringify(json, null, 2)], { type: "application/json" }), `${stem}.json`, "Download JSON"),
    ),
    times(json?.segments, "Segments", (each) => [each.speaker, each.text].filter(Boolean).join(": ")),
    times(json?.words, "Words", (each) => each.word),
  ];
}

function times(list, title, textOf) {
  if (!Array.isArray(list) || !list.length) return null;
  const row = (each) => h("tr", h("td.number", clock(each?.start)), h("td.number", clock(each?.end)), h("td", String((each && textOf(each)) ?? "").trim()));
  return h(
    "details.more",
    { open: title === "Segments" },
    h("summary", `${title} with times`),
    h(
      "div.table-scroll.times",
      { tabindex: "0", role: "region", "aria-label": `${title} with times` },
      h("table", h("thead", h("tr", h("th.number", { scope: "col" }, "From"), h("th.number", { scope: "col" }, "To"), h("th", { scope: "col" }, "Text"))), h("tbody", list.slice(0, MOST_ROWS).map(row))),
    ),
    list.length > MOST_ROWS && h("p.hint", `The first ${number(MOST_ROWS)} of ${count(list.length, "row")}; the JSON has all.`),
  );
}

/** 1:02.5, 1:01:02.5; nothing for what was not told. */
function clock(seconds) {
  if (typeof seconds !== "number") return "";
  const tenths = Math.round(seconds * 10);
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(tenths / 36_000), Math.floor(tenths / 600) % 60, (tenths % 600) / 10];
  const tail = `${rest < 10 ? "0" : ""}${rest.toFixed(1)}`;
  return hours ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
}
