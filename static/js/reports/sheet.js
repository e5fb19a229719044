/** The style of figures, charts and long tables. Whoever imports this module has waited for it, so nothing is seen without. */

import { h } from "../dom.js";

await new Promise((resolve, reject) => {
  document.head.append(h("link", { rel: "stylesheet", href: "/reports.css", onload: resolve, onerror: reject }));
});
