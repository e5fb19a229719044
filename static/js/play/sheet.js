/** The style of conversations and the playground. */

import { sheet } from "../parts/sheet.js";

await sheet({ href: "/chat.css" });
