/** Signing in: the form of the first page, the dialog when a session is over, and a new password. */

import { ApiError, post, put } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { number } from "../format.js";
import { busy, formDialog, openDialog } from "./dialog.js";
import { checkFields, field } from "./field.js";
import { dropAll } from "./guard.js";
import { toast } from "./toast.js";

/**
 * The sign-in form. `username` fixes the name (signing in again). `done(user)` is called after a good sign-in; a wrong
 * one and a slowed-down one are said in the form, the latter with its seconds counting down.
 */
export function signInForm({ username = "", done }) {
  const name = field({
    label: "User name",
    name: "username",
    value: username,
    required: true,
    missing: "Enter your user name.",
    autocomplete: "username",
    autocapitalize: "off",
    spellcheck: "false",
    readonly: Boolean(username),
    autofocus: !username,
  });
  const password = field({
    label: "Password",
    name: "password",
    type: "password",
    required: true,
    missing: "Enter your password.",
    autocomplete: "current-password",
    autofocus: Boolean(username),
  });
  const problem = h("div.problem", { role: "alert", hidden: true });
  const button = h("button.primary.wide", { type: "submit" }, "Sign in");
  const form = h("form.sign-in", { novalidate: true }, name, password, problem, button);
  let pause = 0;

  const complain = (...words) => {
    problem.replaceChildren(icon("bad"), h("span", ...words));
    problem.hidden = false;
  };
  const waitFor = (seconds, message) => {
    clearInterval(pause);
    const left = h("strong", number(seconds));
    const [why] = message.split(/\.(?: |$)/); // wrong passwords, or many people
    // Said once; the ticking number is for the eyes only.
    complain(h("span.visually-hidden", message), h("span", { "aria-hidden": "true" }, `${why}. You can try again in `, left, " s."));
    button.disabled = true;
    const until = Date.now() + seconds * 1000;
    pause = setInterval(() => {
      const rest = Math.ceil((until - Date.now()) / 1000);
      left.textContent = number(Math.max(0, rest));
      if (rest > 0 && form.isConnected) return;
      clearInterval(pause);
      button.disabled = false;
      problem.hidden = true;
      announce("You can try again now.");
    }, 250);
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled || !checkFields(form)) return;
    problem.hidden = true;
    await busy(button, async () => {
      try {
        const answer = await post("/api/user/login", { username: name.value, password: password.value }, { signingIn: true });
        await done(answer.user);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 429) waitFor(error.retryAfter || 1, error.message);
        else complain(error.message);
        if (error.status === 401) {
          password.control.select();
          password.focus();
        }
      }
    });
  });
  return form;
}

/** The dialog when the session of `user` is over. Answers whether they signed in again. */
export async function signInAgain(user) {
  const dialog = openDialog({
    title: "Sign in again",
    content: [
      h("p.lead", "Your session is over. Sign in again, and what you were doing goes on; nothing you typed is lost."),
      signInForm({
        username: user.username,
        done: () => {
          dialog.close(true);
          toast("Signed in again.");
        },
      }),
      h("p.hint", h("a", { href: "/", onclick: () => dropAll() }, "Sign in as somebody else")),
    ],
  });
  return Boolean(await dialog.closed);
}

/** The dialog to change one's own password. */
export function passwordDialog() {
  const next = field({
    label: "New password",
    name: "newPassword",
    type: "password",
    required: true,
    autocomplete: "new-password",
    hint: "At least 8 characters. A few words in a row are good.",
    check: (value) => value.length < 8 && "At least 8 characters, please.",
  });
  return formDialog({
    title: "Change your password",
    intro: "Afterwards you stay signed in here and are signed out everywhere else.",
    submit: "Change password",
    content: [
      field({ label: "Current password", name: "currentPassword", type: "password", required: true, autocomplete: "current-password" }),
      next,
    ],
    save: async (values) => {
      await put("/api/user/password", values);
      toast("Your password is changed.");
    },
  });
}
