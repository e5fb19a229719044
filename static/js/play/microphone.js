/** A recording from the microphone, with its time, until it is stopped or as large as may be sent. */

import { announce, h, icon } from "../dom.js";

const TYPES = [["audio/webm;codecs=opus", "webm"], ["audio/mp4", "m4a"], ["audio/ogg;codecs=opus", "ogg"]];
const PIECE_MS = 1000;
const ELSE = "Record with another program, and choose the file.";
const REFUSALS = {
  NotAllowedError: "This page may not use the microphone. Allow it in the browser's settings for this page, and try again.",
  NotFoundError: "No microphone was found. Connect one, and try again.",
  NotReadableError: "The microphone cannot be used now; another program may have it.",
};

/**
 * Asks for the microphone and begins. `take(file)` is given the recording, `complain(words)` hears why there is none, and
 * `over()` that it has ended. Answers `{ element, end(isKept), focus() }`, or null when it cannot begin; `most` bytes end it.
 */
export async function recorder({ most, take, complain, over }) {
  const known = TYPES.find(([type]) => globalThis.MediaRecorder?.isTypeSupported(type));
  if (!navigator.mediaDevices || !known) {
    complain(isSecureContext ? `This browser cannot record. ${ELSE}` : `Browsers lend the microphone only to pages over https or on localhost. ${ELSE}`);
    return null;
  }
  let sound = null;
  try {
    sound = await navigator.mediaDevices.getUserMedia({ audio: true });
    return running(sound, known, { most, take, over });
  } catch (error) {
    if (sound) free(sound);
    complain(REFUSALS[error.name] ?? `The microphone did not open: ${error.message}. ${ELSE}`);
    return null;
  }
}

const free = (sound) => sound.getTracks().forEach((track) => track.stop());

function running(sound, [type, extension], { most, take, over }) {
  const media = new MediaRecorder(sound, { mimeType: type });
  const began = performance.now();
  const pieces = [];
  let size = 0;
  let isKept = true;
  const time = h("span.number", { role: "timer", "aria-label": "Recorded" }, "0:00");
  const stop = h("button.primary", { type: "button", "aria-label": "Stop recording", onclick: () => end() }, icon("stop"), "Stop");
  const drop = h("button.quiet", { type: "button", onclick: () => end(false) }, "Discard");
  const element = h("div.row", h("span.recording", { "aria-hidden": "true" }), time, stop, drop);
  const timer = setInterval(() => {
    const seconds = Math.floor((performance.now() - began) / 1000);
    time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }, 250);
  const end = (keep = true) => {
    isKept &&= keep;
    if (media.state !== "inactive") media.stop();
  };

  media.addEventListener("dataavailable", ({ data }) => {
    pieces.push(data);
    size += data.size;
    // What comes in the next moments must have its place too.
    if (size > most * 0.98) end();
  });
  media.addEventListener("stop", () => {
    clearInterval(timer);
    free(sound);
    element.remove();
    over();
    if (isKept) take(new File(pieces, `recording.${extension}`, { type: type.split(";")[0] }));
    else announce("The recording is discarded.");
  });
  // The microphone may be taken away by the system, or be pulled out.
  for (const track of sound.getTracks()) track.addEventListener("ended", () => end());
  media.start(PIECE_MS);
  announce("Recording.");
  return { element, end, focus: () => stop.focus() };
}
