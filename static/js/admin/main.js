/**
 * The administration: who is here, which screen the address names, and the way between screens. A screen is a module of
 * its own, loaded when it is first seen: `screen(root, params, app)` fills `root` and may answer `{ change(params), leave() }`:
 * to take new parameters without being built anew, and to end what it has running.
 */

import { ApiError, fetchPart } from "../api.js";
import { announce, fill, focusOn, h, icon, on } from "../dom.js";
import { asksToLeave, attempt, confirmLeaving } from "../parts/dialog.js";
import { connectionBar, loadAnew } from "../parts/connection.js";
import { failed, loading } from "../parts/faces.js";
import { dropAll, isAnyDirty } from "../parts/guard.js";
import { menuButton } from "../parts/menu.js";
import { changePassword, currentUser, goToSignIn, homeOf, keepSignedIn, signOut } from "../parts/session.js";
import { themePicker } from "../parts/theme.js";

const SCREENS = {
  overview: ["Overview", () => import("./overview.js")],
  start: ["Set-up guide", () => import("./start.js")],
  providers: ["Providers", () => import("./providers.js")],
  models: ["Models", () => import("./models.js")],
  aliases: ["Aliases", () => import("./aliases.js")],
  keys: ["API keys", () => import("./keys.js")],
  users: ["Users", () => import("./users.js")],
  playground: ["Playground", () => import("./playground.js")],
  docs: ["API docs", () => import("./docs.js")],
  requests: ["Requests", () => import("./requests.js")],
  "requests/": ["Request", () => import("./request.js")], // with the id of one
  audit: ["Audit", () => import("./audit.js")],
  settings: ["Settings", () => import("./settings.js")],
};

const main = document.getElementById("main");
const side = document.getElementById("side");
let shown = { hash: "", name: "", live: null };
let turn = 0;

/** What screens may ask of the page. */
const app = {
  /** The administrator who is signed in: { id, username, role }. */
  user: null,
  /** This server's address, as callers use it. */
  base: location.origin,

  /** To a screen: app.go("models", { provider: "x" }). Parameters that are blank are left out. */
  go(name, params = {}) {
    location.hash = address(name, params);
  },

  /** The administrator's own name is another one: whoever has to sign in again does so with that. */
  renamed(username) {
    app.user.username = username;
    account();
  },
};

/** What one screen may ask: `app`, and what changes the address, which is refused once the address names another place. */
function appOf(screen) {
  const isHere = () => shown === screen && location.hash === screen.hash;
  return {
    ...app,

    /** The address of the screen as it is now, for reloading and sending on; nothing is built anew, Back is not filled. */
    setParams(params) {
      if (!isHere()) return;
      screen.hash = address(screen.name, params);
      history.replaceState(history.state, "", screen.hash);
    },

    /** On to another screen, as if this one had never been asked for. */
    giveWayTo(name) {
      if (isHere()) location.replace(address(name, {}));
    },
  };
}

function address(name, params) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== "" && value !== null && value !== undefined));
  return `#/${name}${query.size ? `?${query}` : ""}`;
}

function parsed(hash) {
  const [, place, id, query] = /^#?\/?([^/?]*)\/?([^?]*)\??(.*)$/.exec(hash);
  const name = id ? `${place}/` : place;
  const params = new URLSearchParams(query);
  if (id) params.set("id", id);
  return { name: Object.hasOwn(SCREENS, name) ? name : "overview", params };
}

async function route() {
  if ((location.hash === shown.hash && shown.live) || asksToLeave(shown.hash)) return;
  // A dialog belongs to the screen it was opened on.
  for (const dialog of document.querySelectorAll("dialog:modal")) dialog.close();
  dropAll();
  const { name, params } = parsed(location.hash);
  const isSame = name === shown.name && shown.live?.change;
  shown.hash = location.hash;
  if (isSame) shown.live.change(params);
  else await show(name, params);
}

async function show(name, params) {
  const mine = (turn += 1);
  const [title, load] = SCREENS[name];
  const isFirst = !shown.name;
  shown.live?.leave?.();
  shown = { hash: location.hash, name, live: {} };
  document.title = `${title} – iPin Proxy`;
  for (const link of side.querySelectorAll("li a")) {
    if (link.hash === `#/${name.replace("/", "")}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (side.matches(":popover-open")) side.hidePopover();
  const root = h("div.screen");
  const waiting = setTimeout(() => mine === turn && fill(main, h("div.screen", loading(title))), 200);
  try {
    const module = await fetchPart(load);
    if (mine !== turn) return;
    shown.live = module.screen(root, params, appOf(shown)) ?? {};
    fill(main, root);
    scrollTo(0, 0);
    if (!isFirst) {
      focusOn(root.querySelector("h1"));
      announce(title);
    }
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof ApiError)) throw error;
    fill(main, h("div.screen", failed(error, loadAnew)));
  } finally {
    clearTimeout(waiting);
  }
}

function account() {
  const button = menuButton({
    label: "Your account",
    kind: "quiet",
    face: [icon("user"), h("span", app.user.username)],
    items: [
      { label: "Change password", image: "lock", run: () => changePassword() },
      { label: "Your own page", image: "user", run: () => location.assign("/user.html") },
      null,
      { label: "Sign out", image: "leave", run: () => leave(() => signOut()) },
      { label: "Sign out everywhere", image: "leave", run: () => leave(() => signOut({ everywhere: true })) },
    ],
  });
  fill(document.getElementById("side-foot"), themePicker(), button);
}

async function leave(act) {
  if (isAnyDirty() && !(await confirmLeaving())) return;
  dropAll();
  await attempt(null, act, "Signing out did not work");
}

async function start() {
  fill(main, loading());
  try {
    app.user = await currentUser();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fill(main, failed(error, start));
    return;
  }
  if (!app.user) return goToSignIn();
  if (app.user.role !== "admin") return location.replace(homeOf(app.user));
  keepSignedIn(app.user);
  account();
  addEventListener("hashchange", route);
  on(document.getElementById("skip"), "click", () => main.focus());
  await route();
}

document.body.prepend(connectionBar());
start();
