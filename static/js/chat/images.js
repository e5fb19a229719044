/** Images before they are sent: which are taken, how they are read, and dropping files on a place. */

import { bytes } from "../format.js";
import { limits } from "../parts/session.js";

export const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const TYPES_IN_WORDS = "PNG, JPEG, WebP or GIF";

/** The rule in words. */
export const rule = () => `${TYPES_IN_WORDS}, up to ${bytes(limits.image)}`;

/** Why a file cannot be sent as an image, or "". */
export function fault(file) {
  const name = file.name || "The image";
  if (!IMAGE_TYPES.includes(file.type)) return `${name} is not an image that models take; ${TYPES_IN_WORDS} are.`;
  return sizeFault(file, limits.image, "an image");
}

/** Why a file is too small or too large, or "". */
export function sizeFault({ name, size }, most, what) {
  if (size === 0) return `${name || "The file"} is empty.`;
  return size > most ? `${name || "The file"} has ${bytes(size)}; ${what} may have up to ${bytes(most)}. Make it smaller first.` : "";
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
