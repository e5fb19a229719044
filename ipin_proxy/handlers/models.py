"""`GET /v1/models` and `/v1/models/{id}`: what this caller may use, in OpenAI's shape with members of ours."""

from __future__ import annotations

from typing import Any

from .. import keys
from ..app import App, Visit
from ..errors import ModelNotFound
from ..records import Model
from ..web.response import Response


def list_all(app: App, visit: Visit) -> Response:
    keys.check_use(visit.caller, "models", visit.address)
    catalog = app.catalog()
    served = [
        model
        for model in catalog.models.values()
        if visit.caller.may_use(model.id) and catalog.serves(model, visit.pin)
    ]
    return Response.json({"object": "list", "data": [described(model, visit.pin) for model in served]})


def retrieve(app: App, visit: Visit) -> Response:
    keys.check_use(visit.caller, "models", visit.address)
    name = visit.params["id"]
    keys.check_model(visit.caller, name, name)
    catalog = app.catalog()
    model = catalog.models.get(name)
    if model is None or not catalog.serves(model, visit.pin):
        where, prefix = (f" at provider '{visit.pin}'", f"/{visit.pin}") if visit.pin else ("", "")
        raise ModelNotFound(
            f"The model '{name}' does not exist{where}. GET {prefix}/v1/models lists those that do.", param="model"
        )
    return Response.json(described(model, visit.pin))


def described(model: Model, pin: str | None) -> dict[str, Any]:
    created = model.extra.get("createdAt")
    return {
        "id": model.id,
        "object": "model",
        "created": created // 1000 if isinstance(created, int) else 0,
        "owned_by": pin or model.provider_id,
        "name": model.name,
        "type": model.type,
        "supports_image_upload": model.supports_image_upload,
        "supports_video_upload": model.supports_video_upload,
    }
