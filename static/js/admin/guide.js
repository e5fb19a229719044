/** Whether the set-up guide was left on purpose, so that it does not open by itself again in this browser. */

const LEFT = "ipin-guide-left";

export function isLeft() {
  try {
    return localStorage.getItem(LEFT) === "1";
  } catch {
    return true;
  }
}

export function leaveGuide() {
  try {
    localStorage.setItem(LEFT, "1");
  } catch {
    // Then it opens by itself once more.
  }
}
