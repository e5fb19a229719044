/** The pasted key of the chat page: it stays in this tab, or in this browser if that is wished. */

import { get } from "../api.js";
import { sessionModels } from "../play/models.js";

const NAME = "ipin-chat-key";

/** The remembered key, or "". */
export const rememberedKey = () => storedIn("sessionStorage") || storedIn("localStorage");

export const isKeptForLong = () => Boolean(storedIn("localStorage"));

function storedIn(storage) {
  try {
    return window[storage].getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

/** Takes the place of what was remembered; "" remembers nothing. */
export function remember(key, isForLong) {
  try {
    sessionStorage.removeItem(NAME);
    localStorage.removeItem(NAME);
    if (key) (isForLong ? localStorage : sessionStorage).setItem(NAME, key);
  } catch {
    // No storage in this browser: it holds until the page is left.
  }
}

/** `{ data, refusal }`: the models that may be used, with a key or (without) the session of `user`. Throws ApiError. */
export const modelsOf = (key, user) => (key ? get("/v1/models", { key }) : sessionModels(user));
