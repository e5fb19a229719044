"""Who changed what: everything an administrator, or a person for themselves, has changed is a line in the log and a row in the
trail, with what was before and after.

Records are in it as the API shows them, so without secrets: masks stand for keys, of a password it says that it was changed.
A change that is made stands, even where it cannot be written down: then the log says so, and the ledger is in trouble,
which `/ready` tells.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import config
from .errors import ProxyError
from .kinds import ALIASES, KEYS, MODELS, PROVIDERS, USERS, Collection, Json
from .records import User
from .trail import Change

if TYPE_CHECKING:
    from .app import App, Visit
    from .snapshot import Snapshot
    from .store import Draft

KINDS = (PROVIDERS, MODELS, KEYS, USERS, ALIASES)
NOISE = frozenset({"lastUsedAt", "trouble"})  # what changes without being changed


class Touched(NamedTuple):
    """What was done: `action` is a verb (create, update, delete, rotate …), `resource` the plural of what it was done to."""

    action: str
    resource: str
    id: str = ""
    before: Any = None
    after: Any = None


def note(
    app: App, visit: Visit, action: str, resource: str, id_: str = "", before: Any = None, after: Any = None
) -> None:
    note_all(app, visit, [Touched(action, resource, id_, before, after)])


def note_all(app: App, visit: Visit, touched: Sequence[Touched]) -> None:
    """Several changes of one request: all of them are in the trail, or none. Waits for the disk, and raises nothing of its."""
    if not touched:
        return
    who: dict[str, Any] = {"request_id": visit.id, "actor": visit.caller.name, "address": visit.address}
    lines = [{**who, "action": each.action, "resource": each.resource, "id": each.id} for each in touched]
    for line in lines:
        app.log.info("admin", **line)
    now_ms = int(time.time() * 1000)
    try:
        app.ledger.audit(*(Change(now_ms, visit.caller.name, visit.address, *each) for each in touched))
    except ProxyError as error:
        for line in lines:  # the lines above are not in every log
            app.log.error("change_not_in_trail", **line, message=error.message)


# -- what is shown of a record ----------------------------------------------------------------------------------------


def state(app: App, kind: Collection, record: Any, before: Any = None) -> Json:
    """A record as it may be kept for good; `before` is what it was, to say whether its password is another one."""
    from .interchange import FREE_NAMES, without_hidden  # a large room, that calls have no use for

    found = {name: value for name, value in kind.shown(app, record).items() if name not in NOISE}
    found = {name: value if name in FREE_NAMES else without_hidden(value) for name, value in found.items()}
    if isinstance(record, User) and record.password_hash != (before.password_hash if before is not None else None):
        found["password"] = "changed" if before is not None else "set"
    return found


def carried(
    app: App, before: Snapshot, after: Snapshot | Draft, of: Collection | None = None, ids: Sequence[str] = ()
) -> Iterator[Touched]:
    """What has become of every other record than these: what went or changed along with them, such as a provider's models or
    the link of a user to their key; without any, all that is different."""
    told = frozenset(ids)
    for kind in KINDS:
        old, new = kind.rows(before), kind.rows(after)
        for id_ in {**old, **new}:
            record, left = old.get(id_), new.get(id_)
            if left is record or (kind is of and id_ in told):
                continue
            was = state(app, kind, record, record) if record is not None else None
            now = state(app, kind, left, record) if left is not None else None
            if was != now:
                action = "create" if was is None else "delete" if now is None else "update"
                yield Touched(action, kind.plural, id_, was, now)


def settings_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Touched]:
    """The settings in the database that are others, or gone."""
    for name in {**before, **after}:
        was, now = before.get(name), after.get(name)
        if was != now:
            yield setting(name, was, now)


def setting(name: str, before: Any, after: Any) -> Touched:
    """A setting in the database that was set, or taken out (None); of a secret, that it was is all."""
    from .interchange import OURS, is_hidden, without_hidden

    is_secret = name in OURS or is_hidden(name) or any(line.secret for line in config.SETTINGS if line.name == name)
    was, now = (config.MASK if is_secret and value else without_hidden(value) for value in (before, after))
    return Touched("update", "settings", name, {"value": was}, {"value": now})


def counts(snapshot: Snapshot) -> Json:
    """How many records there are of which kind: what is said of a whole database."""
    return {kind.plural: len(kind.rows(snapshot)) for kind in KINDS}
