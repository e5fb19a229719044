/** The chat page: a key or the session, a model, and a conversation that stays in this browser. */

import { ApiError } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { exactly } from "../format.js";
import { connectionBar } from "../parts/connection.js";
import { attempt, confirmDialog, openDialog, part } from "../parts/dialog.js";
import { empty, failed, loading } from "../parts/faces.js";
import { menuButton } from "../parts/menu.js";
import { currentUser, homeOf, keepSignedIn, signOut } from "../parts/session.js";
import { themePicker } from "../parts/theme.js";
import { toast } from "../parts/toast.js";
import { modelPicker } from "../play/model-picker.js";
import { Conversation } from "./conversation.js";
import { keep, restore } from "./keeping.js";
import { modelsOf, rememberedKey } from "./key.js";
import { talk } from "./talk.js";

const NAME = "ipin-chat";

const main = document.getElementById("main");
const tools = document.getElementById("tools");
const heading = main.querySelector("h1");
const storage = () => localStorage;
const conversation = new Conversation();
let name = ""; // of what is kept: with a session, of that person alone
let model = new URLSearchParams(location.search).get("model") ?? "";
let draft = "";
let pictures = []; // of the draft; browsers have room for words only
let user = null;
let key = rememberedKey();
let chat = null;
let isFull = false;

/** Out of the browser's storage, once it is known who is there. */
function recall() {
  name = user ? `${NAME}:${user.id}` : NAME;
  const kept = restore(storage, name) ?? {};
  take(kept.conversation);
  model ||= kept.model ?? "";
  draft = kept.draft ?? "";
}

function take(other) {
  const { messages, settings } = new Conversation(other);
  conversation.messages = messages;
  Object.assign(conversation.settings, settings); // the same object, which a dialog may be writing into
}

/** Into the browser's storage, so that nothing is lost with the tab. */
function save() {
  if (!name) return;
  const how = keep(storage, name, { conversation, model, draft: chat?.writing.draft.text ?? draft });
  if (how === "words" && !isFull) toast("This browser has no room for the images; the words are kept.", { kind: "warn" });
  if (how === "nothing" && !isFull) toast("This browser does not keep the conversation. Export it before you leave.", { kind: "warn" });
  isFull = how !== "all";
}

function fillMain(...content) {
  fill(main, heading, ...content);
}

async function start() {
  fillMain(loading("Loading", 4));
  try {
    user = await currentUser();
    if (user) keepSignedIn(user);
    recall();
    document.getElementById("way-home").href = user ? homeOf(user) : "/";
    if (!user && !key) unconnected();
    else show(await modelsOf(key, user));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (key && (error.status === 401 || error.status === 403)) unconnected(error.message);
    else fillMain(failed(error, start));
  }
}

function unconnected(why = "") {
  fill(tools, h("span.spring"), optionsMenu());
  fillMain(
    empty({
      image: "key",
      title: "Connect first",
      text: why || "Paste an API key of this server, or sign in to use your session. The conversation stays in this browser.",
      actions: [h("button.primary", { type: "button", onclick: connect }, icon("key"), "Paste an API key"), !user && h("a.button", { href: "/?next=/chat.html" }, "Sign in")],
    }),
  );
}

async function connect() {
  const chosen = await (await part(() => import("./connection.js")))?.connectionDialog({ user, key });
  if (!chosen) return;
  key = chosen.key;
  show(chosen);
}

/** The models of a connection, or why there are none. */
function show({ data, refusal }) {
  if (refusal) unconnected(refusal);
  else connected(data.filter((each) => each.type === "chat"));
}

function connected(models) {
  const { text, images } = chat?.writing.draft ?? { text: draft, images: pictures };
  [draft, pictures] = [text, images];
  chat?.stop();
  chat = null;
  if (!models.length) {
    fill(tools, h("span.spring"), connectionButton(), optionsMenu());
    fillMain(
      empty({
        image: "model",
        title: "No chat model here",
        text: "Nothing that can chat may be used with this connection. An administrator can add a model, or allow one for the key.",
        actions: [h("button", { type: "button", onclick: connect }, "Change the connection")],
      }),
    );
    return;
  }
  const picker = modelPicker({ models, value: model, bare: true, onchange: (chosen) => choose(chosen) });
  model = picker.chosen().id;
  chat = talk({ conversation, model: picker.chosen, models: () => models, key: () => key, onchange: save, extra: keyButtons });
  chat.writing.setDraft({ text, images });
  fill(tools, picker, h("span.spring"), connectionButton(), settingsButton(), optionsMenu());
  fillMain(chat.element);
  chat.writing.focus();
}

function choose(chosen) {
  model = chosen.id;
  chat.writing.complain("");
  chat.redraw();
  save();
}

const keyButtons = ({ status }) => (status === 401 ? [h("button", { type: "button", onclick: connect }, icon("key"), "Change the key")] : []);

function connectionButton() {
  const words = key ? "API key" : user.username;
  return h("button.quiet.connection-button", { type: "button", "aria-label": `Connection: ${words}`, title: "Connection", onclick: connect }, icon(key ? "key" : "user"), h("span", words));
}

function settingsButton() {
  const label = "System prompt and parameters";
  return h("button.quiet.square", { type: "button", "aria-label": label, title: label, onclick: openSettings }, icon("settings"));
}

async function openSettings() {
  const module = await part(() => import("./settings.js"));
  if (!module) return;
  const dialog = openDialog({
    title: "How the model is asked",
    content: h("div.stack", module.settingFields(conversation.settings, save)),
    actions: [h("span.spring"), h("button.primary", { type: "button", onclick: () => dialog.close() }, "Done")],
  });
}

function optionsMenu() {
  const ofConversation = [
    { label: "Export as Markdown", image: "download", run: () => exportAs("md") },
    { label: "Export as JSON", image: "download", run: () => exportAs("json") },
    { label: "Clear the conversation", image: "trash", danger: true, run: clear },
    null,
  ];
  const toSignIn = { label: "Sign in", image: "user", run: () => location.assign("/?next=/chat.html") };
  const items = () => [
    ...(conversation.isEmpty ? [] : ofConversation),
    { label: "Theme", image: "sun", run: chooseTheme },
    ...(user ? ofUser(user) : [toSignIn]),
  ];
  return menuButton({ label: "More", items });
}

const ofUser = ({ role }) => [
  { label: role === "admin" ? "Administration" : "Your page", image: "home", run: () => location.assign(homeOf(user)) },
  { label: "Sign out", image: "leave", run: () => attempt(null, signOut, "Signing out did not work") },
];

function chooseTheme() {
  const dialog = openDialog({ title: "Theme", content: themePicker(), actions: [h("span.spring"), h("button.primary", { type: "button", onclick: () => dialog.close() }, "Done")] });
}

async function exportAs(kind) {
  const module = await part(() => import("./export.js"));
  if (!module) return;
  const json = { exportedAt: new Date().toISOString(), model, ...conversation.toJSON() };
  const text = kind === "md" ? module.asMarkdown(conversation, `Conversation with ${model}`, exactly(Date.now())) : JSON.stringify(json, null, 2);
  const url = URL.createObjectURL(new Blob([text], { type: kind === "md" ? "text/markdown" : "application/json" }));
  h("a", { href: url, download: `conversation-${new Date().toISOString().slice(0, 10)}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  toast("The conversation is exported.");
}

function clear() {
  const before = conversation.messages;
  chat?.stop();
  conversation.clear();
  chat?.redraw();
  save();
  chat?.writing.focus();
  toast("The conversation is cleared.", { action: { label: "Undo", run: () => putBack(before) } });
}

async function putBack(before) {
  if (!conversation.isEmpty && !(await confirmDialog({ title: "Put the old conversation back?", text: "What was said since then goes.", action: "Put back" }))) return;
  conversation.messages = before;
  chat?.redraw();
  save();
}

addEventListener("pagehide", save);
// Another tab with this page has gone on: show that, unless something is going on here too.
addEventListener("storage", (event) => {
  if (event.key !== name || chat?.isBusy) return;
  const other = restore(storage, name)?.conversation;
  if (!other) return;
  take(other);
  chat?.redraw();
});

document.body.prepend(connectionBar());
start();
