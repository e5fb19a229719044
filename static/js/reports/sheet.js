/** The style of figures, charts and long tables. */

import { sheet } from "../parts/sheet.js";

await sheet({ href: "/reports.css" });
