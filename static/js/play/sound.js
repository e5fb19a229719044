/** Sound as it arrives: what kind it is, and playing it before it is all there where the browser can. */

import { h } from "../dom.js";

// How files begin, and what their types are called. Bytes are believed first: providers often tell what was asked for.
const KINDS = [
  ["wav", /^RIFF....WAVE/s, /wav/],
  ["flac", /^fLaC/, /flac/],
  ["opus", /^OggS/, /ogg|opus/],
  ["webm", /^\x1a\x45\xdf\xa3/, /webm/],
  ["m4a", /^....ftyp/s, /mp4|m4a/],
  ["mp3", /^ID3|^\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]/, /mpeg|mp3/],
  ["aac", /^\xff[\xf0\xf1\xf8\xf9]/, /aac/],
];
const SAMPLES = /pcm|l16/i; // they may begin like anything
const PCM_RATE = 24_000; // what is sent without a head has this many samples a second, of 16 bits, on one channel

/** The kind of a sound that begins with these bytes and was said to be of this type, or undefined. */
export function kindOf(head, type) {
  const text = String.fromCharCode(...head);
  if (SAMPLES.test(type) && !text.startsWith("RIFF")) return "pcm";
  return (KINDS.find(([, starts]) => starts.test(text)) ?? KINDS.find(([, , named]) => named.test(type)))?.[0];
}

/** Bare samples as something that browsers play: they are given a head. */
export function withHead(blob) {
  const rate = Number(/rate=(\d+)/.exec(blob.type)?.[1]) || PCM_RATE;
  const head = new DataView(new ArrayBuffer(44));
  const write = (at, text) => [...text].forEach((letter, further) => head.setUint8(at + further, letter.charCodeAt(0)));
  write(0, "RIFF");
  head.setUint32(4, 36 + blob.size, true);
  write(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // samples as they are
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  write(36, "data");
  head.setUint32(40, blob.size, true);
  return new Blob([head, blob], { type: "audio/wav" });
}

/**
 * `{ element, bytes(piece, type), whole(url, cannot) }`: a player, and what to tell it. It is heard from the first pieces
 * on, or once it is whole. `cannot()` is called when this browser cannot play it at all.
 */
export function playing() {
  const player = h("audio", { controls: true, autoplay: true, "aria-label": "The spoken text" });
  // It may arrive when nobody looks any more.
  player.addEventListener("play", () => player.checkVisibility() || player.pause());
  const waiting = [];
  let source = null;
  let buffer = null;
  let isWhole = false;
  let isBroken = false;

  const next = () => {
    if (isBroken || !buffer || buffer.updating || source.readyState !== "open") return;
    try {
      if (waiting.length) buffer.appendBuffer(waiting.shift());
      else if (isWhole) source.endOfStream();
    } catch {
      isBroken = true; // more than a browser holds of such a stream: then it plays when it is whole
    }
  };

  function begin(type) {
    const plain = type.split(";")[0];
    isBroken = !globalThis.MediaSource?.isTypeSupported(plain);
    if (isBroken) return;
    source = new MediaSource();
    source.addEventListener("sourceopen", () => {
      URL.revokeObjectURL(player.src);
      buffer = source.addSourceBuffer(plain);
      if (buffer.mode !== "sequence") buffer.mode = "sequence";
      buffer.addEventListener("updateend", next);
      next();
    });
    player.src = URL.createObjectURL(source);
    player.addEventListener("error", () => (isBroken = true), { once: true });
  }

  return {
    element: player,
    bytes(piece, type) {
      if (!source && !isBroken) begin(type);
      if (isBroken) return;
      waiting.push(piece);
      next();
    },
    whole(url, cannot) {
      isWhole = true;
      const at = player.currentTime;
      const playIt = () => {
        player.addEventListener("error", cannot, { once: true });
        player.src = url;
        player.currentTime = at;
      };
      if (isBroken || !source) playIt();
      else player.addEventListener("error", playIt, { once: true });
      next();
    },
  };
}
