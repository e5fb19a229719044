/** People's own page: who is here, which of its screens the address names, and the way between them. */

import { ApiError, fetchPart } from "../api.js";
import { announce, fill, focusOn, h, icon, on } from "../dom.js";
import { connectionBar, loadAnew } from "../parts/connection.js";
import { asksToLeave, attempt } from "../parts/dialog.js";
import { failed, loading } from "../parts/faces.js";
import { menuButton } from "../parts/menu.js";
import { changePassword, currentUser, goToSignIn, keepSignedIn, signOut } from "../parts/session.js";
import { themePicker } from "../parts/theme.js";

const SCREENS = {
  overview: ["Your page", () => import("./overview.js")],
  playground: ["Playground", async () => ({ screen: (await import("../play/playground.js")).playground })],
  docs: ["API docs", () => import("../docs/screen.js")],
};

const main = document.getElementById("main");
const side = document.getElementById("side");
let shown = { hash: null, name: "", live: null };
let turn = 0;

/** What screens may ask of the page, as in the administration. */
const app = {
  user: null,
  base: location.origin,
  /** To a screen of this page, or of the administration. */
  go: (name, params = {}) => location.assign((Object.hasOwn(SCREENS, name) ? "" : "/admin.html") + address(name, params)),
};

/** What one screen may ask: `app`, and to name itself in the address while the address still names it. */
function appOf(screen) {
  return {
    ...app,
    setParams(params) {
      if (shown !== screen || location.hash !== screen.hash) return;
      screen.hash = address(screen.name, params);
      history.replaceState(history.state, "", screen.hash);
    },
  };
}

function address(name, params) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value));
  return `#/${name}${query.size ? `?${query}` : ""}`;
}

async function route() {
  if (location.hash === shown.hash || asksToLeave(shown.hash)) return;
  const [asked, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const name = Object.hasOwn(SCREENS, asked) ? asked : "overview";
  const params = new URLSearchParams(query);
  for (const dialog of document.querySelectorAll("dialog:modal")) dialog.close();
  const isSame = name === shown.name && shown.live?.change;
  shown.hash = location.hash;
  if (isSame) shown.live.change(params);
  else await show(name, params);
}

async function show(name, params) {
  const mine = (turn += 1);
  const [title, fetched] = SCREENS[name];
  const isFirst = !shown.name;
  shown.live?.leave?.();
  shown = { hash: location.hash, name, live: null };
  document.title = `${title} – iPin Proxy`;
  for (const link of side.querySelectorAll("li a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (side.matches(":popover-open")) side.hidePopover();
  const root = h("div.screen");
  try {
    const module = await fetchPart(fetched);
    if (mine !== turn) return;
    shown.live = module.screen(root, params, appOf(shown)) ?? null;
    fill(main, root);
    scrollTo(0, 0);
    if (isFirst) return;
    focusOn(root.querySelector("h1"));
    announce(title);
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof ApiError)) throw error;
    fill(main, h("div.screen", failed(error, loadAnew)));
  }
}

function account() {
  const leave = (options) => attempt(null, () => signOut(options), "Signing out did not work");
  const button = menuButton({
    label: "Your account",
    kind: "quiet",
    face: [icon("user"), h("span", app.user.username)],
    items: [
      { label: "Change password", image: "lock", run: () => changePassword() },
      ...(app.user.role === "admin" ? [{ label: "Administration", image: "settings", run: () => location.assign("/admin.html") }] : []),
      null,
      { label: "Sign out", image: "leave", run: () => leave() },
      { label: "Sign out everywhere", image: "leave", run: () => leave({ everywhere: true }) },
    ],
  });
  fill(document.getElementById("side-foot"), themePicker(), button);
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
  keepSignedIn(app.user);
  account();
  addEventListener("hashchange", route);
  on(document.getElementById("skip"), "click", () => main.focus());
  await route();
}

document.body.prepend(connectionBar());
start();
