/** Who is signed in, and signing out. The forms are fetched when they are needed (signin.js). */

import { fetchPart, get, onSignedOut, post } from "../api.js";
import { part } from "./dialog.js";

const MB = 1024 * 1024;

/** How many bytes of one file this server takes, once it was asked. */
export const limits = { audio: 25 * MB, image: 20 * MB };

/** The user `{ id, username, role }`, or null. */
export async function currentUser() {
  const { user, limits: told } = await get("/api/session");
  if (told) Object.assign(limits, { audio: told.audioMb * MB, image: told.imageMb * MB });
  return user;
}

/** Where a user begins. */
export const homeOf = (user) => (user.role === "admin" ? "/admin.html" : "/user.html");

/** To the sign-in page, and back here afterwards. */
export function goToSignIn() {
  const here = location.pathname + location.search + location.hash;
  location.assign(`/?next=${encodeURIComponent(here)}`);
}

/** From now on a session that is over is answered by a dialog in place. `user` is who was signed in. */
export function keepSignedIn(user) {
  onSignedOut(async () => (await fetchPart(() => import("./signin.js"))).signInAgain(user));
  // Going back shows a page as it was, even after a sign-out.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

/** Signs out here, or in all browsers, and goes to the sign-in page. */
export async function signOut({ everywhere = false } = {}) {
  await post(`/api/logout${everywhere ? "?everywhere=1" : ""}`, {}, { signingIn: true });
  location.assign("/");
}

/** The dialog to change one's own password. */
export async function changePassword() {
  return (await part(() => import("./signin.js")))?.passwordDialog();
}
