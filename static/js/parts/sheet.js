/** A style that not every page needs. Whoever imports a module that has waited for one shows nothing without it. */

import { h } from "../dom.js";

/** Put a style behind those that are there, as in `sheet({ href: "/reports.css" })`; done when it is in force. */
export const sheet = (link) =>
  new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", ...link, onload: resolve, onerror: reject }));
  });
