"""`/api/admin/settings`: what is in force and where it comes from, and a change of what the database may hold."""

from __future__ import annotations

from typing import Any

from .. import audit, config, keys
from ..app import App, Visit
from ..bodies import json_object, private_json
from ..errors import BadRequest
from ..web.response import Response

STRONGER = ("flag", "environment", "envFile")


def show(app: App, visit: Visit) -> Response:
    """`{"settings": [{name, value, source, help, settable, stored}]}`."""
    return private_json({"settings": describe(app)})


def change(app: App, visit: Visit) -> Response:
    """`PUT {NAME: value, …}`: all of them or none, in force at once. null takes a setting out of the database.
    `overridden` names those that something stronger than the database keeps from being in force."""
    checked = {name: config.check_database_setting(name, value) for name, value in json_object(visit.request).items()}
    if not checked:
        raise BadRequest('The body names no setting; it must be an object such as {"LOG_LEVEL": "debug"}.')
    changes = []
    with app.store.edit() as draft:
        for name, value in checked.items():
            changes.append(audit.setting(name, draft.settings.get(name), value))
            if value is None:
                draft.settings.pop(name, None)
            else:
                draft.settings[name] = value
        keys.note_use(app, draft)
    audit.note_all(app, visit, changes)
    app.take_settings()
    sources = {line.name: app.config.sources[line.attribute] for line in config.SETTINGS}
    overridden = [name for name, value in checked.items() if value is not None and sources[name] in STRONGER]
    return private_json({"settings": describe(app), "overridden": overridden})


def describe(app: App) -> list[dict[str, Any]]:
    stored = app.store.snapshot().settings
    return [
        {**line, "stored": stored.get(line["name"]) if line["settable"] else None}
        for line in config.describe(app.config)
    ]
