/** Images before they are sent: which are taken, how they are read, and dropping files on a place. */

import { bytes } from "../format.js";

export const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
// The server refuses larger ones, so it is said before they travel.
const IMAGE_BYTES = 10 * 1024 * 1024;
const TYPES_IN_WORDS = "PNG, JPEG, WebP or GIF";

/** The rule in words. */
export const RULE = `${TYPES_IN_WORDS}, up to ${bytes(IMAGE_BYTES)} each`;

/** Why a file cannot be sent as an image, or "". */
export function fault(file) {
  const name = file.name || "The image";
  if (!IMAGE_TYPES.includes(file.type)) return `${name} is not an image that models take; ${TYPES_IN_WORDS} are.`;
  if (file.size > IMAGE_BYTES) return `${name} has ${bytes(file.size)}; an image may have up to ${bytes(IMAGE_BYTES)}. Make it smaller first.`;
  return "";
}

/** A promise of a file as a data URL. */
export function asDataUrl(file) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(file);
  });
}

/** Lets files be dropped anywhere on `place`. `add(files)`. */
export function takeDrops(place, add) {
  const isFile = (event) => event.dataTransfer?.types.includes("Files");
  place.addEventListener("dragover", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    place.classList.add("is-dropping");
  });
  place.addEventListener("dragleave", (event) => !place.contains(event.relatedTarget) && place.classList.remove("is-dropping"));
  place.addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    place.classList.remove("is-dropping");
    add([...event.dataTransfer.files]);
  });
}
