/** The API docs as a screen of the administration. */

export { screen } from "../docs/screen.js";
