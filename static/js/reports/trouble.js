/** What is wrong with the record of calls, over whatever is read of it. */

import { h } from "../dom.js";
import { note } from "../parts/marks.js";

/** `trouble` is a sentence of the server. */
export const troubleNote = (trouble) =>
  h("div", { role: "alert" }, note("bad", h("strong", "Calls are not recorded as they should be. "), trouble));
