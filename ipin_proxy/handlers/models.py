"""`GET /v1/models` and `/v1/models/{id}`: what this caller may use, in OpenAI's shape with members of ours.

An alias is a model among others. Behind the prefix of one, it is what its maps name and its provider serves; behind that of a
provider that the environment offers, which takes any name, what that provider says.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime, timezone
from typing import Any

from .. import keys, probe
from ..app import App, Visit
from ..bodies import private_json
from ..call import IMAGE_PART, VIDEO_PART
from ..dialects import OPENAI, vision
from ..entries import MOST_TIME
from ..errors import ModelNotFound
from ..records import Model, Provider
from ..web.task import THREAD, Next, Steps

Json = dict[str, Any]


def list_all(app: App, visit: Visit) -> Steps:
    keys.check_use(visit.caller, "models", visit.address)
    yield THREAD
    rows = yield from usable(app, visit)
    found = list(rows.values())
    if visit.dialect == OPENAI:
        return private_json({"object": "list", "data": found})
    return private_json(page([for_both(row) for row in found], visit.request.query))


def retrieve(app: App, visit: Visit) -> Steps:
    keys.check_use(visit.caller, "models", visit.address)
    yield THREAD
    name, pin, catalog = visit.params["id"], visit.pin, app.catalog()
    row = through_aliases(app, visit).get(name)
    if row is None:
        at = provider_of(app, pin)
        model = catalog.find(name, at) if at is not None and catalog.passes_on(at) else None
        keys.check_model(visit.caller, model.id if model is not None else name, name)
        row = (yield from usable(app, visit)).get(name)
    if row is None:
        where, prefix = (f" behind '{pin}'", f"/{pin}") if pin else ("", "")
        raise ModelNotFound(
            f"The model '{name}' does not exist{where}. GET {prefix}/v1/models lists those that do.", param="model"
        )
    return private_json(row if visit.dialect == OPENAI else for_both(row))


def for_both(row: Json) -> Json:
    """A model with the members that the other kind of clients reads beside those of OpenAI's; what its type is stands in another one."""
    at = datetime.fromtimestamp(row["created"], timezone.utc).isoformat().replace("+00:00", "Z")
    kind = {"model_type": row["type"]} if "type" in row else {}
    return {**row, **kind, "type": "model", "display_name": row["name"], "created_at": at}


def page(rows: list[Json], query: Mapping[str, str]) -> Json:
    """A page of the list, as `limit`, `after_id` and `before_id` ask for it. Without them it is all."""
    names = [row["id"] for row in rows]
    begin = names.index(query["after_id"]) + 1 if query.get("after_id") in names else 0
    end = names.index(query["before_id"]) if query.get("before_id") in names else len(rows)
    limit = query.get("limit", "")
    most = max(1, int(limit)) if limit.isascii() and limit.isdigit() and len(limit) < 6 else len(rows)
    if query.get("before_id") in names:
        begin = max(begin, end - most)
    found = rows[begin:end][:most]
    ends = {"first_id": found[0]["id"] if found else None, "last_id": found[-1]["id"] if found else None}
    more = begin > 0 if query.get("before_id") in names else begin + len(found) < end
    return {"object": "list", "data": found, **ends, "has_more": more}


def usable(app: App, visit: Visit) -> Generator[Next, None, dict[str, Json]]:
    """What this caller may use where it asks, by the name it has there. Raises ProxyError when a provider has to be
    asked and does not say."""
    caller, catalog = visit.caller, app.catalog()
    rows, pin = through_aliases(app, visit), provider_of(app, visit.pin)
    if pin is not None or visit.pin is None:
        served = [model for model in catalog.models.values() if caller.may_use(model.id) and catalog.serves(model, pin)]
        rows = {**{model.id: describe(model, pin) for model in served}, **rows}
    if pin is not None and catalog.passes_on(pin):
        for told in (yield from probe.list_models(app, catalog.providers[pin])):
            model = catalog.find(told["id"], pin)
            if model is not None and caller.may_use(model.id):
                rows.setdefault(told["id"], passed_on(told, pin, model))
    return rows


def through_aliases(app: App, visit: Visit) -> dict[str, Json]:
    """What this caller may use through an alias: by its own name, or behind its prefix. As without one, a model is not
    offered while none of its providers is enabled."""
    catalog, caller = app.catalog(), visit.caller
    if not catalog.aliases:
        return {}
    from .. import aliases

    if visit.pin is None:
        named = aliases.models_named(catalog, caller)
        return {
            id_: {**describe(model, pin, id_), "name": catalog.aliases[id_].name}
            for id_, (model, pin) in named.items()
            if catalog.place(model, pin) is not None
        }
    alias = catalog.aliases.get(visit.pin)
    if alias is None:
        return {}
    behind = aliases.models_behind(catalog, alias, caller)
    return {
        name: describe(model, None, name)
        for name, model in behind.items()
        if name not in aliases.FAMILIES and catalog.place(model, None) is not None
    }


def provider_of(app: App, pin: str | None) -> str | None:
    """The provider that a path is pinned to: what is in it, or what the alias in it stands for."""
    catalog = app.catalog()
    alias = catalog.aliases.get(pin) if pin is not None else None
    if alias is None:
        return pin
    from .. import aliases

    target = aliases.target_of(catalog, alias)
    return target.id if isinstance(target, Provider) else None


def describe(model: Model, pin: str | None, id_: str = "") -> Json:
    created = model.extra.get("createdAt")
    return {
        "id": id_ or model.id,
        "object": "model",
        "created": created // 1000 if type(created) is int and 0 < created < MOST_TIME else 0,
        "owned_by": pin or model.provider_id,
        "name": model.name,
        "type": model.type,
        **uploads(model),
    }


def uploads(model: Model) -> Json:
    """What a model is known to take. One that nobody knows may be sent images too: then its provider says whether it does."""
    return {
        "supports_image_upload": vision.takes(model, IMAGE_PART) is True,
        "supports_video_upload": vision.takes(model, VIDEO_PART) is True,
    }


def passed_on(told: Json, pin: str, model: Model) -> Json:
    """A model by its provider's own word, of which nobody knows the type."""
    row = {"id": told["id"], "object": "model", "created": 0, "owned_by": pin, "name": told["name"]}
    return {**row, **uploads(model)}
