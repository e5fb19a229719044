"""The trail in the ledger: every change by an administrator, what was before and what after. Written and read, never changed.

Whoever writes it has taken the secrets out. It is not subject to the retention of calls: it is small, and kept for the day
when somebody asks who did that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from .entries import MOST_NAME, MOST_TIME, text, whole
from .paging import MOST_PAGE_SIZE

if TYPE_CHECKING:
    import sqlite3

MOST_STATE = 200_000  # characters of a record as it was or is; what is longer is told by its size

# What can be filtered by: the name outside, the column.
FILTERS = {"actor": "actor", "address": "address", "action": "action", "resource": "resource", "id": "resource_id"}


class Change(NamedTuple):
    """Who did what, to which record of which kind, from where; `before` and `after` are JSON values without secrets."""

    time_ms: int
    actor: str
    address: str
    action: str
    resource: str
    id: str = ""
    before: Any = None
    after: Any = None


class TrailFilter(NamedTuple):
    """Which changes; what is "" or None does not matter. `to_ms` is the first moment after."""

    actor: str = ""
    address: str = ""
    action: str = ""
    resource: str = ""
    id: str = ""
    from_ms: int | None = None
    to_ms: int | None = None


def write(db: sqlite3.Connection, *changes: Change) -> None:
    """All of them or none; durable when it returns. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany(
            "INSERT INTO audit (time, actor, address, action, resource, resource_id, before, after)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    whole(change.time_ms, MOST_TIME),
                    *(text(each, MOST_NAME) for each in change[1:6]),
                    _state(change.before),
                    _state(change.after),
                )
                for change in changes
            ],
        )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def page(db: sqlite3.Connection, filters: TrailFilter, number: int, size: int) -> tuple[list[dict[str, Any]], int]:
    """A page of the changes, the newest first, and how many there are in all."""
    size, where = min(max(1, size), MOST_PAGE_SIZE), ["1"]
    values: list[Any] = []
    for name, column in FILTERS.items():
        if wanted := getattr(filters, name):
            where.append(f"{column} = ?")
            values.append(text(wanted))
    for bound, sign in ((filters.from_ms, ">="), (filters.to_ms, "<")):
        if bound is not None:
            where.append(f"time {sign} ?")
            values.append(min(max(0, bound), MOST_TIME))
    condition = " AND ".join(where)
    (total,) = db.execute(f"SELECT count(*) FROM audit WHERE {condition}", values).fetchone()
    rows = db.execute(
        "SELECT time, actor, address, action, resource, resource_id, before, after FROM audit"
        f" WHERE {condition} ORDER BY time DESC, id DESC LIMIT ? OFFSET ?",
        [*values, size, min((max(1, number) - 1) * size, total)],
    )
    return [_item(*row) for row in rows], total


def _item(
    time: int, actor: str, address: str, action: str, resource: str, id_: str, before: str | None, after: str | None
) -> dict[str, Any]:
    return {
        "time": time,
        "actor": actor,
        "address": address,
        "action": action,
        "resource": resource,
        "id": id_,
        "before": None if before is None else json.loads(before),
        "after": None if after is None else json.loads(after),
    }


def _state(value: Any) -> str | None:
    """A record as JSON. One that is too long, or that JSON cannot hold, is told and not kept: the change itself counts."""
    if value is None:
        return None
    try:
        found = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        found = json.dumps({"notKept": "not JSON"})
    return found if len(found) <= MOST_STATE else json.dumps({"notKept": f"{len(found)} characters"})
