/** The playground as a screen of the administration. */

export { playground as screen } from "../play/playground.js";
