"""What administrators read of the ledger: sums, the request log and single calls, its export, the trail of changes."""

from __future__ import annotations

import time
from typing import Any

from .. import downloads, paging, receipts
from ..accounts import Rules
from ..app import App, Visit
from ..bodies import PRIVATE, private_json
from ..call import Caller
from ..errors import NotFound
from ..selection import RequestFilter
from ..trail import TrailFilter
from ..web.response import Response

DAYS = 30  # of sums, unless the query names others
FILTERS = ("q", "model", "provider", "key", "user", "alias", "status", "origin")
NARROWING = ("key", "user", "model", "provider", "alias")
FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


def usage(app: App, visit: Visit) -> Response:
    """`GET /api/admin/usage?from&to&by`, and `key user model provider alias` to narrow it: `{from, to, totals, series}`, and
    `trouble`: what is wrong with the ledger, or null."""
    query = visit.request.query
    from_ms, to_ms = paging.days(query, DAYS, time.time())
    only = {name: query[name] for name in NARROWING if query.get(name)}
    found = app.ledger.usage(from_ms, to_ms, query.get("by") or "day", **only)
    return private_json({**found, "trouble": app.ledger.trouble})


def requests(app: App, visit: Visit) -> Response:
    """`GET /api/admin/requests`: `{items, total, page, pageSize, trouble}`; with `format=csv` or `jsonl` a file of all rows
    of the filter, the oldest first."""
    query = visit.request.query
    filters = filter_in(query)
    format_ = paging.word_in(query, "format", "json", ("json", *FORMATS))
    if format_ != "json":
        return exported(app, visit, filters, format_)
    page, size = paging.page_in(query)
    sort, order = query.get("sort") or "time", query.get("order") or "desc"
    items, total = app.ledger.requests(filters, sort, order, page, size)
    return private_json({"items": items, "total": total, "page": page, "pageSize": size, "trouble": app.ledger.trouble})


def filter_in(query: paging.Query) -> RequestFilter:
    from_ms, to_ms = paging.stretch(query)
    texts: dict[str, Any] = {name: query.get(name, "").strip() for name in FILTERS}
    return RequestFilter(**texts, from_ms=from_ms, to_ms=to_ms)


def exported(app: App, visit: Visit, filters: RequestFilter, format_: str) -> Response:
    pieces = app.ledger.export(filters, format_)
    name = f"ipin-proxy-requests-{time.strftime('%Y-%m-%d', time.gmtime())}.{format_}"
    headers = {
        "content-type": FORMATS[format_],
        **PRIVATE,
        "content-disposition": f'attachment; filename="{name}"',
    }
    if visit.request.method == "HEAD":
        return Response(200, headers)
    return downloads.answer(pieces, headers)


def request(app: App, visit: Visit) -> Response:
    """`GET /api/admin/requests/{requestId}`: an item of the log, with `costLines` where the price of its model gives its cost."""
    id_ = visit.params["requestId"]
    found = app.ledger.request(id_)
    if found is None:
        raise NotFound(
            f"There is no call with the request id '{id_:.100}'. It may be older than what is kept, or never have been one."
        )
    model = app.store.snapshot().models.get(found["servedModel"])
    return private_json({**found, "costLines": receipts.cost_lines(found, model)})


def limits(app: App, visit: Visit) -> Response:
    """`GET /api/admin/limits`: `{keys: {id: [...]}, users: {id: [...]}}`, how each limit stands of those that have any."""
    snapshot = app.store.snapshot()
    keys = {key.id: Caller(key.name, key=key) for key in snapshot.keys.values() if Rules.of(key).any}
    users = {user.id: Caller(user.username, user=user) for user in snapshot.users.values() if Rules.of(user).any}
    return private_json(
        {
            kind: {id_: app.limits.describe(caller) for id_, caller in callers.items()}
            for kind, callers in (("keys", keys), ("users", users))
        }
    )


def audit(app: App, visit: Visit) -> Response:
    """`GET /api/admin/audit?actor&address&action&resource&id&from&to&page&pageSize`: `{items, total, page, pageSize}`, the
    newest first."""
    query = visit.request.query
    from_ms, to_ms = paging.stretch(query)
    page, size = paging.page_in(query)
    texts = {name: query.get(name, "").strip() for name in ("actor", "address", "action", "resource", "id")}
    items, total = app.ledger.audits(page, size, TrailFilter(**texts, from_ms=from_ms, to_ms=to_ms))
    return private_json({"items": items, "total": total, "page": page, "pageSize": size})
