/** The style of the screens that are like no other: the API docs, the settings, the set-up guide. */

import { sheet } from "../parts/sheet.js";

await sheet({ href: "/screens.css" });
