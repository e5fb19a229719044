/** Keeping a conversation in the browser. No page. */

/** What was kept under this name, or null. `storage()` answers where, or throws where browsers have none. */
export function restore(storage, name) {
  try {
    return JSON.parse(storage().getItem(name));
  } catch {
    return null;
  }
}

/**
 * Keeps `{ conversation, … }`. Answers "all", "words" when the browser has no room for the images, or "nothing".
 */
export function keep(storage, name, kept) {
  const wordsOnly = (key, value) => (key === "images" ? value.map(({ name }) => ({ name, url: "" })) : value);
  for (const [how, replacer] of [["all"], ["words", wordsOnly]]) {
    try {
      storage().setItem(name, JSON.stringify(kept, replacer));
      return how;
    } catch {
      // Full: with less, or not at all.
    }
  }
  return "nothing";
}
