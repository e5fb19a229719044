"""Who changed what: one line in the log for everything an administrator, or a person for themselves, has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import App, Visit


def note(app: App, visit: Visit, action: str, resource: str, id_: str = "") -> None:
    """`action` is a verb (create, update, delete, rotate …), `resource` the plural of what it was done to."""
    app.log.info(
        "admin",
        request_id=visit.id,
        actor=visit.caller.name,
        address=visit.address,
        action=action,
        resource=resource,
        id=id_,
    )
