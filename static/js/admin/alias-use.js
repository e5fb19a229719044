/** How a client is pointed at an alias: the lines to copy. */

import { anthropic, claudeCode, clients } from "../docs/clients.js";
import { h } from "../dom.js";
import { codeBlock, copyLine } from "../parts/copy.js";
import { openDialog } from "../parts/dialog.js";
import { note } from "../parts/marks.js";
import { tabs } from "../parts/tabs.js";

const KEY = "YOUR-KEY";
const OTHERS = ["openai", "codex", "opencode"];

/** The dialog. `base` is the address of this server, `isModel` whether the alias stands for a model. */
export function useWith({ alias, base, isModel }) {
  const address = `${base}/${alias.id}`;
  // Behind its own address a model's alias answers to every name, another one to those it knows.
  const model = isModel ? alias.id : (Object.keys(alias.modelMap)[0] ?? "claude-sonnet-5");
  const known = clients({ base: address, model, key: KEY });
  const shown = [
    claudeCode({ base: address, key: KEY }),
    anthropic({ base: address, key: KEY, model }),
    ...OTHERS.map((id) => known.find((each) => each.id === id)),
  ];
  const dialog = openDialog({
    title: `Use ${alias.name} with…`,
    size: "wide",
    content: [
      alias.trouble && note("warn", alias.trouble),
      h("div.stack-small", h("strong", "Its address, for clients that speak Anthropic's protocol"), copyLine(address, "Address for Anthropic clients")),
      h("div.stack-small", h("strong", "For those that speak OpenAI's"), copyLine(`${address}/v1`, "Address for OpenAI clients")),
      alias.default && h("p.hint", "As the default, it also answers at ", h("code", base), " to all names that no model has."),
      tabs(
        shown.map((each) => ({ id: each.id, label: each.name, content: () => steps(each) })),
        { label: "Client" },
      ),
      h("p.hint", h("code", KEY), " stands for an API key of this server: ", h("a", { href: "#/keys" }, "create one"), "."),
    ],
    actions: [h("span.spring"), h("button.primary", { type: "button", onclick: () => dialog.close() }, "Close")],
  });
  return dialog.closed;
}

function steps({ name, about, steps: all, note: more }) {
  return h(
    "div.stack-small",
    h("p.quiet-text", about),
    all.map(({ where, code }) => [
      h("p.small", where),
      codeBlock(typeof code === "function" ? code("chat") : code, { label: `set-up of ${name}, ${where}` }),
    ]),
    more && h("p.hint", more),
  );
}
