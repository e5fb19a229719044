"""What an alias would do, before it is saved: `POST /api/admin/aliases/preview`."""

from __future__ import annotations

from typing import Any

from .. import aliases, prompts
from ..app import App, Visit
from ..bodies import json_object, private_json
from ..deployments import Catalog, name_at
from ..errors import BadRequest
from ..kinds import ALIASES
from ..records import Alias
from ..web.response import Response

UNNAMED = "new"
# What a coding agent writes at its head, in short.
SAMPLE = """You are a coding agent. You help people with their programs.

# Environment
You have been invoked in the following environment:
 - Primary working directory: /srv/project
 - Is a git repository: true
 - Platform: linux
 - You are powered by the model named Sample 1. The exact model ID is sample-1.
 - Knowledge cutoff: January 2026.

# MCP Server Instructions
The following MCP servers have provided instructions for how to use their tools and resources:

## tracker
Look up an issue before you change it."""


def preview(app: App, visit: Visit) -> Response:
    """`{alias, model, system}` → `{model, leadsTo: {model, provider, upstreamModel} | null, trouble, system, sections, prompt}`.
    `alias` is a record as it stands in a form; without `system` a sample of an agent's prompt is taken."""
    body = json_object(visit.request)
    given = body.get("alias")
    if not isinstance(given, dict):
        raise BadRequest("The body has no 'alias', the record to look at.", param="alias")
    model, system = text_in(body, "model"), text_in(body, "system")
    alias = Alias.from_json({"id": UNNAMED, **{k: v for k, v in ALIASES.known(given).items() if v not in ("", None)}})
    catalog = app.catalog()
    led = aliases.lead(catalog, alias, model or None)
    found = place_of(catalog, led)
    system = system if "system" in body else SAMPLE
    prompt = system
    if alias.system_prompt is not None:
        prompt = str(prompts.for_responses({"instructions": system}, alias.system_prompt).get("instructions", system))
    return private_json(
        {
            "model": model or alias.id,
            "leadsTo": found,
            "trouble": "" if found is not None else trouble(led, model),
            "system": system,
            "sections": prompts.sections(system),
            "prompt": prompt,
        }
    )


def place_of(catalog: Catalog, led: aliases.Lead) -> dict[str, str] | None:
    row = catalog.place(led.model, led.pin) if led.model is not None else None
    if led.model is None or row is None:
        return None
    return {"model": led.model.id, "provider": row.provider_id, "upstreamModel": name_at(led.model, row)}


def trouble(led: aliases.Lead, model: str) -> str:
    if led.trouble:
        return f"It {led.trouble}."
    return f"It {aliases.unserved(led.model)}." if led.model is not None else f"There is no model '{model}' there."


def text_in(body: dict[str, Any], name: str) -> str:
    text = body.get(name, "")
    if not isinstance(text, str):
        raise BadRequest(f"'{name}' must be a text.", param=name)
    return text
