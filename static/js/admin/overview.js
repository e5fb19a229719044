/** The overview: what was used, what needs a look, the address to hand out, and what there is. */

import { ApiError, get } from "../api.js";
import { announce, fill, h, icon } from "../dom.js";
import { count, names, number } from "../format.js";
import { copyLine } from "../parts/copy.js";
import { failed, load } from "../parts/faces.js";
import { pageHead, status } from "../parts/marks.js";
import { mostUsed, partOf } from "../reports/limits.js";
import { PERIODS, periodLinks, periodOf } from "../reports/period.js";
import { isLeft } from "./guide.js";
import { lastTest } from "./probe.js";
import { fetchUsage, usageFaces } from "./usage.js";

export function screen(root, params, app) {
  let days = periodOf(params);
  const place = h("div.stack");
  const periods = h("div.row");
  const used = h("div.stack");
  const known = { base: app.base, model: "demo", names: new Map() };
  root.append(
    pageHead({
      title: "Overview",
      lead: "One address for all your AI providers.",
      actions: [
        h("a.button", { href: "#/start" }, icon("guide"), "Set-up guide"),
        h("a.button.primary", { href: "#/playground" }, icon("chat"), "Try it"),
      ],
    }),
    place,
  );

  const usageOr = () => fetchUsage(days).catch(unlessOurs);
  const face = (usage) =>
    usage instanceof ApiError ? failed(usage, showUsage) : usageFaces(usage, known);
  const showUsage = () => load(used, usageOr, face, { label: "Usage" });

  load(
    place,
    async () => {
      const [usage, limits, providers, models, keys, users] = await Promise.all([
        usageOr(),
        get("/api/admin/limits"),
        ...["providers", "models", "apikeys", "users"].map((each) => get(`/api/admin/${each}`)),
      ]);
      return { usage, limits, providers: providers.providers, models: models.models, keys: keys.apiKeys, users: users.users };
    },
    (found) => {
      const isNew =
        !found.models.length && !found.keys.length && !found.providers.some((each) => each.source !== "environment");
      // Somebody who comes for the first time wants to be led; who has left the guide wants to be left alone.
      if (isNew && !isLeft()) app.giveWayTo("start");
      known.model = found.models.find((each) => each.enabled && each.type === "chat")?.id ?? known.model;
      known.names = new Map(found.providers.map((each) => [each.id, each.name]));
      drawPeriods();
      used.dataset.face = "there";
      fill(used, face(found.usage));
      return [
        isNew && invitation(),
        h("section.stack", { "aria-label": "Usage" }, periods, used),
        attention(found),
        addressCard(app),
        tiles(found),
      ];
    },
  );

  function drawPeriods() {
    fill(periods, periodLinks(days), h("span.quiet-text.small", "Days are those of UTC, as for budgets."));
  }

  return {
    change(next) {
      days = periodOf(next);
      drawPeriods();
      periods.querySelector("[aria-current]").focus();
      showUsage().then((isThere) => isThere && announce(PERIODS.find(([each]) => each === days)[1]));
    },
  };
}

/** An answer that the ledger could not give leaves the rest of the screen as it is. */
function unlessOurs(error) {
  if (error instanceof ApiError && !error.isSilence) return error;
  throw error;
}

function addressCard(app) {
  return h(
    "section.card.pad.stack-small",
    { "aria-labelledby": "address" },
    h("h2", { id: "address" }, "Base URL"),
    copyLine(`${app.base}/v1`, "Base URL"),
    h(
      "p.hint",
      "What a client needs besides an API key. It speaks OpenAI's language; ",
      h("a", { href: "#/docs" }, "how to set up well-known clients"),
      ".",
    ),
  );
}

function invitation() {
  return h(
    "section.card.pad.row.invitation",
    h("span.empty-image", icon("guide")),
    h(
      "div.grow",
      h("h2", "Not set up yet"),
      h(
        "p.quiet-text",
        "Until a model is added, the built-in demo answers. The guide leads to a working chat in two minutes.",
      ),
    ),
    h("a.button.primary", { href: "#/start" }, "Open the set-up guide"),
  );
}

function tiles({ providers, models, keys, users }) {
  const on = (list) => list.filter((each) => each.enabled).length;
  const tile = (name, image, list, hash, noun) =>
    h(
      "li",
      h(
        "a.card.tile",
        { href: hash },
        h("span.tile-name", icon(image), name),
        h("strong.tile-number", number(list.length)),
        h(
          "span.quiet-text.small",
          list.length === on(list) ? (list.length ? "all enabled" : `no ${noun} yet`) : `${number(on(list))} enabled`,
        ),
      ),
    );
  return h(
    "ul.tiles",
    tile("Providers", "provider", providers, "#/providers", "provider"),
    tile("Models", "model", models, "#/models", "model"),
    tile("API keys", "key", keys, "#/keys", "key"),
    tile("Users", "users", users, "#/users", "user"),
  );
}

/** How much of its budget that is used most a key or user has used. */
function used(limits, { id }) {
  const budget = mostUsed(limits.keys[id] ?? limits.users[id]);
  return budget ? partOf(budget) : 0;
}

function attention({ providers, models, keys, users, limits }) {
  const findings = [];
  const add = (kind, word, text, href, label) =>
    findings.push(h("li", status(kind, word), h("span.grow", text), h("a", { href }, label)));
  const failing = providers.filter((each) => each.enabled && lastTest(each.id)?.ok === false);
  const bare = providers.filter(
    (each) =>
      each.enabled &&
      each.source !== "environment" &&
      !models.some(
        (model) => model.providerId === each.id || model.deployments?.some((place) => place.providerId === each.id),
      ),
  );
  const orphans = models.filter(
    (model) =>
      model.enabled &&
      ![model, ...(model.deployments ?? [])].some((place) =>
        providers.some((each) => each.id === place.providerId && each.enabled),
      ),
  );
  const soon = keys.filter(
    (each) => each.enabled && each.expiresAt > Date.now() && each.expiresAt < Date.now() + 14 * 86_400_000,
  );
  const over = keys.filter((each) => each.enabled && each.expiresAt && each.expiresAt <= Date.now());
  for (const [kind, list, hash, label] of [
    ["API key", keys, "#/keys?sort=spend&down=1", "See keys"],
    ["user", users, "#/users?sort=spend&down=1", "See users"],
  ]) {
    const near = list.filter((each) => each.enabled && used(limits, each) >= 0.8);
    if (!near.length) continue;
    const isOver = near.some((each) => used(limits, each) >= 1);
    const who = names(near.map((each) => each.name || each.username || each.id), 3);
    const text = `${near.length === 1 ? `The ${kind}` : `The ${kind}s`} ${who} ${near.length === 1 ? "has" : "have"} used 80 % of a budget${isOver ? ", or all of it" : ""}.`;
    add(isOver ? "bad" : "warn", isOver ? "used up" : "budget", text, hash, label);
  }
  if (failing.length)
    add(
      "bad",
      "failing",
      `The last test of ${names(
        failing.map((each) => each.name),
        3,
      )} failed.`,
      "#/providers",
      "See providers",
    );
  if (orphans.length)
    add(
      "warn",
      "unreachable",
      `${count(orphans.length, "enabled model")} ${orphans.length === 1 ? "has" : "have"} no enabled provider.`,
      "#/models",
      "See models",
    );
  if (bare.length)
    add(
      "info",
      "unused",
      `${names(
        bare.map((each) => each.name),
        3,
      )} ${bare.length === 1 ? "has" : "have"} no models yet.`,
      bare.length === 1 ? `#/models?provider=${encodeURIComponent(bare[0].id)}` : "#/models",
      "Add models",
    );
  if (over.length)
    add(
      "warn",
      "expired",
      `${count(over.length, "API key")} ${over.length === 1 ? "has" : "have"} expired.`,
      "#/keys?status=expired",
      "See them",
    );
  if (soon.length)
    add(
      "info",
      "soon",
      `${count(soon.length, "API key")} ${soon.length === 1 ? "expires" : "expire"} within two weeks.`,
      "#/keys",
      "See keys",
    );
  if (models.length && !keys.length)
    add("info", "no key", "Nobody has an API key yet; only the master key works.", "#/keys?new=1", "Create one");
  if (!findings.length)
    findings.push(
      h(
        "li",
        status("ok", "all well"),
        h(
          "span.grow",
          models.length ? "Nothing needs your attention." : "Nothing needs your attention; there is not much here yet.",
        ),
      ),
    );
  return h("section.stack-small", h("h2", "Worth a look"), h("ul.card.findings", findings));
}
