/** The first page: one form for everybody, and on to the page that is theirs. */

import { ApiError } from "./api.js";
import { fill, h } from "./dom.js";
import { connectionBar } from "./parts/connection.js";
import { failed, loading } from "./parts/faces.js";
import { currentUser, homeOf } from "./parts/session.js";
import { signInForm } from "./parts/signin.js";

const card = document.getElementById("card");

/** Where to go: what the address asks for, if it is a page of ours, else the user's own page. A path that begins with two slashes leads elsewhere. */
function destination(user) {
  const asked = new URLSearchParams(location.search).get("next") ?? "";
  const to = new URL(asked || "/", location.origin);
  const isOurs = asked.startsWith("/") && to.origin === location.origin;
  const isAllowed = user.role === "admin" || !to.pathname.startsWith("/admin");
  return isOurs && isAllowed && /^\/\w+\.html$/.test(to.pathname) ? to.href : homeOf(user);
}

async function start() {
  fill(card, loading("Loading", 3));
  try {
    const user = await currentUser();
    if (user) location.replace(destination(user));
    else fill(card, h("h1", "Sign in"), signInForm({ done: (user) => location.replace(destination(user)) }));
    card.querySelector("input")?.focus();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fill(card, failed(error, start));
  }
}

document.body.prepend(connectionBar());
start();
