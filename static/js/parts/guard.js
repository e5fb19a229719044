/** What is not saved yet: asked before the page, the screen or a dialog is left. */

const guards = new Map();

/** `isDirty` answers whether something would be lost; `drop` gives it up. The answer ends the watch. */
export function guard(isDirty, drop = () => {}) {
  guards.set(isDirty, drop);
  return () => guards.delete(isDirty);
}

export const isAnyDirty = () => [...guards.keys()].some((isDirty) => isDirty());

/** Gives up whatever is unsaved, and closes what shows it. */
export function dropAll() {
  for (const [isDirty, drop] of [...guards]) {
    guards.delete(isDirty);
    drop();
  }
}

addEventListener("beforeunload", (event) => {
  if (isAnyDirty()) event.preventDefault();
});
