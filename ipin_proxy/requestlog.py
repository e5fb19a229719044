"""The request log: pages of the ledger's rows, in any order; of a million of them in well under a second.

Since it is known how many rows there are of what, it is known what it costs to find a page. There are two ways: walk along an
order there is, past what does not belong, or gather what does and sort it; and both begin at the nearer end. In the order of
time the walk begins shortly before the page, since what lies before that can be counted without a look at it. Whatever is
told has the names the contract gives it. Nothing here writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ranks
from .entries import text
from .errors import BadRequest
from .selection import RequestFilter, Selection, belonging, check, count_facets, marked_ids, select
from .spending import usd

if TYPE_CHECKING:
    import sqlite3

MOST_PAGE = 1_000
CHUNK_ROWS = 1_000  # of an export
# What a step costs, in microseconds: only which of two ways is the shorter depends on it.
WALK_US = 0.13
GATHER_US = 0.5
LOOK_UP_US = 3.0
SEEK_US = 3.0
COUNT_US = 0.06
COUNT_FACET_US = 1.0
MOST_COUNTS = 6
SHORT_OF = 0.01  # of what is left, so far before a guess it is counted

# The columns of an item, in the order they are told and exported: from the row or from its facet.
ITEM: dict[str, str] = {
    "requestId": "request_id",
    "time": "time",
    "keyId": "key_id",
    "keyName": "key_name",
    "userId": "user_id",
    "userName": "user_name",
    "address": "address",
    "userAgent": "user_agent",
    "dialect": "dialect",
    "endpoint": "endpoint",
    "alias": "alias",
    "model": "model",
    "servedModel": "served_model",
    "upstreamModel": "upstream_model",
    "providerId": "provider_id",
    "stream": "stream",
    "media": "media",
    "status": "status",
    "latencyMs": "latency",
    "upstreamMs": "upstream",
    "overheadMs": "overhead",
    "firstChunkMs": "first_chunk",
    "inputTokens": "input",
    "cachedTokens": "cached",
    "cacheWriteTokens": "cache_write",
    "outputTokens": "output",
    "reasoningTokens": "reasoning",
    "audioInputTokens": "audio_in",
    "audioOutputTokens": "audio_out",
    "totalTokens": "total",
    "seconds": "seconds",
    "images": "images",
    "pages": "pages",
    "characters": "characters",
    "costUsd": "cost",
    "upstreamCostUsd": "upstream_cost",
    "costBasis": "cost_basis",
    "finishReason": "finish_reason",
    "errorOrigin": "error_origin",
    "errorCode": "error_code",
    "errorMessage": "error_message",
    "bytesIn": "bytes_in",
    "bytesOut": "bytes_out",
    "attempts": "attempts",
}
OF_WAYS = frozenset(
    (
        *("keyId", "keyName", "userId", "userName", "dialect", "endpoint", "alias", "model", "servedModel"),
        *("upstreamModel", "providerId"),
    )
)
OF_OUTCOMES = frozenset(("stream", "media", "status", "costBasis", "finishReason", "errorOrigin", "errorCode"))
TIME, REQUEST_ID, ATTEMPTS = "time", "requestId", "attempts"
SORTS = tuple(
    name
    for name in ITEM
    if name in OF_WAYS | OF_OUTCOMES or name in (TIME, REQUEST_ID, ATTEMPTS) or ITEM[name] in ranks.KEYS
)
IN_MS = {"latencyMs", "upstreamMs", "overheadMs", "firstChunkMs"}


class Page(NamedTuple):
    items: list[dict[str, Any]]
    total: int


def page(db: sqlite3.Connection, filters: RequestFilter, sort: str, order: str, number: int, size: int) -> Page:
    """A page of the log. Raises BadRequest for a sort, an order or a status there is not."""
    check(filters)
    if sort not in SORTS:
        raise BadRequest(f"There is no sorting by {sort!r:.40}. It can be: {', '.join(SORTS)}.", param="sort")
    if order not in ("asc", "desc"):
        raise BadRequest(f"'order' must be asc or desc, not {order!r:.40}.", param="order")
    size = min(max(1, size), MOST_PAGE)
    db.execute("BEGIN")  # all that is read is of the same moment
    selection = select(db, filters)
    total, offset = selection.total, (max(1, number) - 1) * size
    rows = min(size, total - offset)
    if rows <= 0:
        return Page([], total)
    descends = order == "desc"
    find = _by_facet if sort in OF_WAYS | OF_OUTCOMES else _by_row
    if offset + rows // 2 <= total // 2:
        ids = find(db, selection, sort, descends, offset, rows)
    else:  # it is nearer from the other end
        ids = find(db, selection, sort, not descends, total - offset - rows, rows)[::-1]
    return Page(_items(db, ids), total)


def one(db: sqlite3.Connection, request_id: str) -> dict[str, Any] | None:
    row = db.execute(
        "SELECT id FROM calls INDEXED BY calls_request WHERE request_id = ? ORDER BY time DESC, facet DESC, id DESC LIMIT 1",
        (text(request_id),),
    ).fetchone()
    return _items(db, [row[0]])[0] if row is not None else None


def rows(db: sqlite3.Connection, filters: RequestFilter) -> Iterator[list[dict[str, Any]]]:
    """All rows of a filter, in the order they were written, some at a time, so that no reading lasts long enough to keep
    the writer from tidying up. What comes later is not among them."""
    db.execute("BEGIN")
    selection = select(db, filters)
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()
    db.execute("COMMIT")
    where, values = belonging(selection)
    after = 0
    while after < last and selection.total:
        ids = [
            row[0]
            for row in db.execute(
                f"SELECT id FROM calls NOT INDEXED WHERE id > :after AND id <= :last{where} ORDER BY id LIMIT :most",
                {**values, "after": after, "last": last, "most": CHUNK_ROWS},
            )
        ]
        if not ids:
            return
        after = ids[-1]
        yield _items(db, ids)


# -- in which order ---------------------------------------------------------------------------------------------------


def _by_facet(
    db: sqlite3.Connection, selection: Selection, sort: str, descends: bool, offset: int, size: int
) -> list[int]:
    """The ids of a page that is sorted by what many calls have in common: groups, each in the order of time."""
    groups = _groups(db, selection, sort)
    ids: list[int] = []
    for value in sorted(groups, key=_for_people, reverse=descends):
        total = groups[value]
        if offset >= total:
            offset -= total
            continue
        group = selection if len(groups) == 1 else _group(db, selection, sort, value, total)
        wanted = min(size - len(ids), total - offset)
        if offset + wanted // 2 <= total // 2:
            ids += _by_row(db, group, TIME, descends, offset, wanted)
        else:
            ids += _by_row(db, group, TIME, not descends, total - offset - wanted, wanted)[::-1]
        offset = 0
        if len(ids) >= size:
            break
    return ids


def _groups(db: sqlite3.Connection, selection: Selection, sort: str) -> dict[Any, int]:
    """How many rows of a selection have each value of a column."""
    table = "way" if sort in OF_WAYS else "outcome"
    values = dict(db.execute(f"SELECT id, {ITEM[sort]} FROM {table}s"))
    groups: Counter[Any] = Counter()
    if selection.facets is None and not selection.has_times:
        for id_, rows in db.execute(f"SELECT {table}, sum(rows) FROM facets INDEXED BY facets_way GROUP BY 1"):
            groups[values[id_]] += rows
    else:
        counted = count_facets(db, selection)
        for facet, id_ in db.execute(f"SELECT id, {table} FROM facets INDEXED BY facets_way"):
            if facet in counted:
                groups[values[id_]] += counted[facet]
    return +groups


def _group(db: sqlite3.Connection, selection: Selection, sort: str, value: Any, total: int) -> Selection:
    """The rows of a selection with one of these values."""
    table = "way" if sort in OF_WAYS else "outcome"
    facets = {
        facet: rows if selection.facets is None else selection.facets[facet]
        for facet, rows in db.execute(
            f"SELECT id, rows FROM facets INDEXED BY facets_way WHERE {table} IN"
            f" (SELECT id FROM {table}s WHERE {ITEM[sort]} = ?)",
            (value,),
        )
        if selection.facets is None or facet in selection.facets
    }
    return selection._replace(total=total, facets=facets, partly=selection.partly & facets.keys())


def _for_people(value: Any) -> tuple[str, Any]:
    return (value.casefold(), value) if isinstance(value, str) else ("", value)


def _by_row(
    db: sqlite3.Connection, selection: Selection, sort: str, descends: bool, offset: int, size: int
) -> list[int]:
    """The ids of a page that is sorted by what is of one call alone."""
    walk = _walked if sort in (TIME, REQUEST_ID) else _ranked
    total, facets, in_table = selection.total, selection.facets, selection.in_table
    if facets is None:
        return walk(db, selection, sort, descends, offset, size, in_table) or []
    in_order = selection.in_times if sort == TIME else in_table
    gather_us = total * (GATHER_US if sort == TIME else LOOK_UP_US) + len(facets) * SEEK_US
    walk_us = (offset + size) * in_order // max(1, total) * WALK_US  # if what belongs lies evenly
    count_us = offset * COUNT_US + len(facets) * COUNT_FACET_US
    can_list = selection.can_be_listed
    if sort == TIME and can_list and not selection.partly and 2 * count_us < walk_us:
        return _counted(db, selection, descends, offset, size)
    if can_list and gather_us < in_order * WALK_US:
        if 2 * walk_us < gather_us:
            # It may lie at the other end of the order, so no further than gathering would have taken.
            found = walk(db, selection, sort, descends, offset, size, int(gather_us / WALK_US))
            if found is not None:
                return found
        return _gathered(db, selection, sort, descends, offset, size)
    return walk(db, selection, sort, descends, offset, size, in_table) or []


def _counted(db: sqlite3.Connection, selection: Selection, descends: bool, offset: int, size: int) -> list[int]:
    """In the order of time, from shortly before the page: what lies before that is counted."""
    if descends:
        return _counted(db, selection, False, selection.total - offset - size, size)[::-1]
    time, before = _shortly_before(db, selection, offset)
    rest = selection._replace(from_ms=time)
    return _walked(db, rest, TIME, False, offset - before, size, selection.in_table) or []


def _shortly_before(db: sqlite3.Connection, selection: Selection, offset: int) -> tuple[int, int]:
    """A time before the row at this offset, and how many rows of the selection are older than it: guessed as if they lay
    evenly, and counted facet by facet, again and again until it is near enough."""
    assert selection.facets is not None
    facets = ", ".join(map(str, selection.facets))
    first, last = db.execute("SELECT (SELECT min(time) FROM calls), (SELECT max(time) FROM calls)").fetchone()
    low, high = max(first, selection.from_ms), min(last + 1, selection.to_ms)
    before, below = 0, selection.total  # rows older than each of the two
    for _ in range(MOST_COUNTS):
        time = low + int((high - low) * ((offset - before) / (below - before) - SHORT_OF))
        if time <= low:
            break
        (counted,) = db.execute(
            f"SELECT count(*) FROM calls INDEXED BY calls_facet WHERE facet IN ({facets}) AND time >= ? AND time < ?",
            (low, time),
        ).fetchone()
        if before + counted > offset:
            high, below = time, before + counted
        else:
            low, before = time, before + counted
    return low, before


def _walked(
    db: sqlite3.Connection, selection: Selection, sort: str, descends: bool, offset: int, size: int, most: int
) -> list[int] | None:
    """Along an index that is always up to date, so many steps at most; None when the page was not reached."""
    if sort == TIME:
        rows = "time, facet, id FROM calls INDEXED BY calls_time WHERE time >= :from_ms AND time < :to_ms"
        order = _ordered("time, facet, id", descends)
    else:
        rows = "time, facet, id FROM calls INDEXED BY calls_request WHERE request_id >= ''"
        order = _ordered("request_id, time, facet, id", descends)
    found = _along(db, rows, order, selection, offset, size, most)
    return [row[-1] for row in found] if len(found) == size or most >= selection.in_table else None


def _ranked(
    db: sqlite3.Connection, selection: Selection, sort: str, descends: bool, offset: int, size: int, most: int
) -> list[int] | None:
    """Along the order that was made some time ago, with the newest rows sorted in. As `_walked`."""
    name = "tries" if sort == ATTEMPTS else ITEM[sort]
    order = _ordered("value, time, facet, id", descends)
    where, values = belonging(selection)
    newest = db.execute(
        f"SELECT {ranks.KEYS[name]} AS value, time, facet, id FROM calls NOT INDEXED WHERE id > :upto{where}"
        f" ORDER BY {order} LIMIT :needed",
        {**values, "upto": ranks.ranked_up_to(db, name), "needed": offset + size},
    ).fetchall()
    skipped = max(0, offset - len(newest))  # so many at least come from the old ones
    wanted = offset - skipped + size
    rows = f"value, time, facet, id FROM ranks WHERE col = {ranks.NUMBERS[name]}"
    older = _along(db, rows, order, selection, skipped, wanted, most)
    if len(older) < wanted and most < selection.in_table:
        return None
    both = sorted(older + newest, reverse=descends)
    return [row[-1] for row in both[offset - skipped :][:size]]


def _along(
    db: sqlite3.Connection, rows: str, order: str, selection: Selection, offset: int, size: int, most: int
) -> list[tuple[Any, ...]]:
    """Rows of a selection along an order, of the first so many of that."""
    where, values = belonging(selection)
    limits = {"size": size, "offset": offset, "most": most, "from_ms": selection.from_ms, "to_ms": selection.to_ms}
    if most >= selection.in_table:  # without a second query around it many rows are skipped in a third of the time
        query = f"SELECT {rows}{where} ORDER BY {order} LIMIT :size OFFSET :offset"
    else:
        query = f"SELECT * FROM (SELECT {rows} ORDER BY {order} LIMIT :most) WHERE 1{where} LIMIT :size OFFSET :offset"
    return db.execute(query, {**values, **limits}).fetchall()


def _gathered(
    db: sqlite3.Connection, selection: Selection, sort: str, descends: bool, offset: int, size: int
) -> list[int]:
    """All rows that belong, sorted."""
    key = {TIME: "0", REQUEST_ID: "request_id"}.get(sort) or ranks.KEYS["tries" if sort == ATTEMPTS else ITEM[sort]]
    columns, partly = f"{key} AS value, time, facet, id", selection.partly
    whole = ", ".join(str(facet) for facet in selection.facets or () if facet not in partly)
    rows = (
        f"SELECT {columns} FROM calls INDEXED BY calls_facet"
        f" WHERE facet IN ({whole}) AND time >= :from_ms AND time < :to_ms"
    )
    if partly:
        some = ", ".join(map(str, partly))
        ids = ", ".join(map(str, marked_ids(selection)))
        rows += (
            f" UNION ALL SELECT {columns} FROM calls NOT INDEXED WHERE id IN ({ids}) AND facet IN ({some})"
            " AND time >= :from_ms AND time < :to_ms"
        )
    found = db.execute(
        f"SELECT id FROM ({rows}) ORDER BY {_ordered('value, time, facet, id', descends)} LIMIT :size OFFSET :offset",
        {"from_ms": selection.from_ms, "to_ms": selection.to_ms, "size": size, "offset": offset},
    )
    return [id_ for (id_,) in found]


def _ordered(columns: str, descends: bool) -> str:
    return columns.replace(",", " DESC,") + " DESC" if descends else columns


# -- what is told -----------------------------------------------------------------------------------------------------


def _items(db: sqlite3.Connection, ids: list[int]) -> list[dict[str, Any]]:
    """These rows, in this order. One that was deleted meanwhile is left out."""
    columns = ", ".join(ITEM.values())
    found = {
        id_: _item(values)
        for id_, *values in db.execute(
            f"SELECT calls.id, {columns} FROM calls CROSS JOIN facets ON facets.id = facet"
            " CROSS JOIN ways ON ways.id = way CROSS JOIN outcomes ON outcomes.id = outcome"
            f" WHERE calls.id IN ({', '.join(map(str, ids))})"
        )
    }
    return [found[id_] for id_ in ids if id_ in found]


def _item(values: list[Any]) -> dict[str, Any]:
    item = dict(zip(ITEM, values, strict=True))
    for name in IN_MS:
        if item[name] is not None:
            item[name] /= 1000
    item["seconds"] /= 1_000_000
    item["stream"] = bool(item["stream"])
    item["costUsd"], item["upstreamCostUsd"] = usd(item["costUsd"]), usd(item["upstreamCostUsd"])
    item["attempts"] = [
        dict(zip(("provider", "status", "ms", "error"), each, strict=True)) for each in json.loads(item["attempts"])
    ]
    return item
