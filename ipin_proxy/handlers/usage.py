"""What the holder of a key, or of a pass, may see of their own usage without any account: `GET /v1/usage` and `GET /usage`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .. import keys, paging, statements
from ..app import App, Visit
from ..bodies import private_json
from ..call import Caller
from ..errors import BadRequest
from ..records import User
from ..spending import usd
from ..web.response import Response

MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
MOST_SKIPPED = 10**9
SORTS = ("email", "month", "monthlyCost", "monthlyRequests")


def own(app: App, visit: Visit) -> Response:
    """`GET /v1/usage`: `{object, key, user, spent, limits, resets}`. Asking is no call, so it works when nothing else does;
    the master key, which is nobody's, sees what everybody has spent."""
    caller = visit.caller
    keys.check_address(caller, visit.address)
    found: dict[str, Any] = {"object": "usage", "key": None, "user": None}
    if caller.key is not None:
        key = caller.key
        found["key"] = {"id": key.id, "name": key.name, "expiresAt": key.expires_at}
    if caller.user is not None:
        found["user"] = {"id": caller.user.id, "username": caller.user.username}
    return private_json({**found, **statements.statement(app, caller)})


class Row(NamedTuple):
    """A line of `GET /usage`; its members are called as they are told."""

    email: str
    month: str
    monthlyCost: float
    monthlyRequests: int


def months(app: App, visit: Visit) -> Response:
    """`GET /usage?skip&limit&month&email&sort`: `{data: [{email, month, monthlyCost, monthlyRequests}], total}`, of oneself,
    and for administrators of everybody. Who has no address is called by another name; the calls of nobody have none."""
    caller, query = visit.caller, visit.request.query
    keys.check_address(caller, visit.address)
    skip = paging.number_in(query, "skip", 0, 0, MOST_SKIPPED)
    limit = paging.number_in(query, "limit", 100, 1, paging.MOST_PAGE_SIZE)
    sort = paging.word_in(query, "sort", "-month", [*SORTS, *(f"-{name}" for name in SORTS)])
    month, email = query.get("month", "").strip(), query.get("email", "").strip().casefold()
    if month and not MONTH.fullmatch(month):
        raise BadRequest(f"'month' must be a month such as 2026-11, not {month!r:.40}.", param="month")
    rows = everybodys(app) if caller.is_admin else of_one(app, caller)
    rows = [row for row in rows if month in ("", row.month) and email in ("", row.email.casefold())]
    rows.sort(key=lambda row: row.email.casefold())
    rows.sort(key=lambda row: getattr(row, sort.lstrip("-")), reverse=sort.startswith("-"))
    return private_json({"data": [row._asdict() for row in rows[skip : skip + limit]], "total": len(rows)})


def everybodys(app: App) -> list[Row]:
    users = app.store.snapshot().users
    found = []
    for each in app.ledger.own_usage():
        user = users.get(each.id)
        found.append(row_of(each, address_of(user) if user is not None else each.name))
    return found


def of_one(app: App, caller: Caller) -> list[Row]:
    """By the user where there is one, as administrators see it: a person may have had several keys, and a key other people."""
    user, key = caller.user, caller.key
    if user is not None:
        return [row_of(each, address_of(user)) for each in app.ledger.own_usage("user", user.id)]
    name = (key.username or key.name or key.id) if key is not None else ""
    return [row_of(each, name) for each in app.ledger.own_usage("key", key.id if key is not None else "")]


def address_of(user: User) -> str:
    return user.email or user.username


def row_of(month: Any, name: str) -> Row:
    return Row(name, month.month, usd(month.cost) or 0.0, month.calls)
