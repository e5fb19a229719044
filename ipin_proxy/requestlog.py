"""The request log: pages of the ledger's rows, in any order; of a million of them in well under a second.

Since it is known how many rows there are of what, it is known what it costs to find a page. There are three ways: walk along
an order there is, past what does not belong; count what lies before by the tallies of that order, and walk from there; or
gather what belongs and sort it. All begin at the nearer end. Whatever is told has the names the contract gives it. Nothing
here writes.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from . import ranks, tallies
from .entries import text
from .errors import BadRequest
from .marks import by_column
from .paging import MOST_PAGE_SIZE
from .ranks import ORDERS
from .selection import RequestFilter, Selection, belonging, check, facets_of, listed, marked_ids, rows_of_facets, select
from .spending import usd
from .tallies import FOREVER, KEY, Key, Order, in_order

if TYPE_CHECKING:
    import sqlite3

CHUNK_ROWS = 1_000  # of an export
# What a step costs, in microseconds: only which of two ways is the shorter depends on it.
WALK_US = 0.13
GATHER_US = 0.5
LOOK_UP_US = 3.0
SEEK_US = 3.0
MOST_SEEKS = 5_000  # facets that are looked up one by one, and not among all
TALLY_US = 0.02  # counting a row in a tally

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
TIME, ATTEMPTS = "time", "attempts"
SORTS = tuple(
    name
    for name in ITEM
    if name in OF_WAYS | OF_OUTCOMES or name in (TIME, "requestId", ATTEMPTS) or ITEM[name] in ranks.KEYS
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
    size = min(max(1, size), MOST_PAGE_SIZE)
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
        total, facets = groups[value]
        if offset >= total:
            offset -= total
            continue
        group = selection
        if len(groups) > 1:
            if facets is None:
                facets = _facets_with(db, sort, value)
            group = selection._replace(total=total, facets=facets, partly=selection.partly & facets.keys())
        wanted = min(size - len(ids), total - offset)
        if offset + wanted // 2 <= total // 2:
            ids += _by_row(db, group, TIME, descends, offset, wanted)
        else:
            ids += _by_row(db, group, TIME, not descends, total - offset - wanted, wanted)[::-1]
        offset = 0
        if len(ids) >= size:
            break
    return ids


def _groups(db: sqlite3.Connection, selection: Selection, sort: str) -> dict[Any, tuple[int, dict[int, int] | None]]:
    """How many rows of a selection have each value of a column, and of which facets these are, unless it is all there are."""
    table = "way" if sort in OF_WAYS else "outcome"
    values = dict(db.execute(f"SELECT id, {ITEM[sort]} FROM {table}s"))
    if selection.facets is None and not selection.has_times:
        totals: Counter[Any] = Counter()
        counted = f"FROM (SELECT {table}, sum(rows) AS rows FROM facets INDEXED BY facets_way GROUP BY 1)"
        for id_, rows in zip(*by_column(db, (table, "rows"), counted), strict=True):
            totals[values[id_]] += rows
        return {value: (total, None) for value, total in totals.items() if total}
    facets = facets_of(db, selection)
    some = f"WHERE id IN ({', '.join(map(str, facets))})" if len(facets) < MOST_SEEKS else ""
    groups: defaultdict[Any, dict[int, int]] = defaultdict(dict)
    for facet, id_ in zip(*by_column(db, ("id", table), f"FROM facets {some}"), strict=True):
        if facet in facets:
            groups[values[id_]][facet] = facets[facet]
    return {value: (sum(found.values()), found) for value, found in groups.items()}


def _facets_with(db: sqlite3.Connection, sort: str, value: Any) -> dict[int, int]:
    """The facets with a value in a column, and how many rows each has."""
    table = "way" if sort in OF_WAYS else "outcome"
    with_it = f"SELECT id FROM {table}s WHERE {ITEM[sort]} = ?"
    return rows_of_facets(db, f"rows > 0 AND {table} IN ({with_it})", (value,))


def _for_people(value: Any) -> tuple[str, Any]:
    return (value.casefold(), value) if isinstance(value, str) else ("", value)


def _by_row(
    db: sqlite3.Connection, selection: Selection, sort: str, descends: bool, offset: int, size: int
) -> list[int]:
    """The ids of a page that is sorted by what is of one call alone."""
    order = ORDERS["tries" if sort == ATTEMPTS else ITEM[sort]]
    length = selection.in_times if sort == TIME else selection.in_table
    steps = (offset + size) * length // max(1, selection.total)  # if what belongs lies evenly
    is_even = selection.facets is None and (sort == TIME or not selection.has_times)
    is_tallied = not selection.partly and ranks.is_tallied(db, order)
    knows_times = sort == TIME or not selection.has_times  # tallies do: of other orders they say where nothing can be
    # What each costs, and whether a short walk may come before it.
    ways: list[tuple[float, bool, Callable[[], list[int]]]] = []
    if is_tallied:
        row_us = TALLY_US if knows_times else WALK_US
        ways.append((length * row_us, knows_times, lambda: _sought(db, selection, order, descends, offset, size)))
    if is_even or not is_tallied:
        walk_us = (steps if is_even else length) * WALK_US
        ways.append((walk_us, False, lambda: _walked(db, selection, order, descends, offset, size)))
    if selection.can_be_listed:
        row_us = GATHER_US if sort == TIME else LOOK_UP_US
        gather_us = selection.total * row_us + len(selection.facets or ()) * SEEK_US
        ways.append((gather_us, True, lambda: _gathered(db, selection, order, descends, offset, size)))
    cost_us, may_walk, find = min(ways, key=lambda way: way[0])
    if may_walk and 2 * steps * WALK_US < cost_us:
        # What belongs may lie at the other end of the order, so not much further than it should be.
        found = _walked(db, selection, order, descends, offset, size, *_near(db, order, descends, 2 * steps))
        if found:
            return found
    return find()


def _near(db: sqlite3.Connection, order: Order, descends: bool, steps: int) -> tuple[Key | None, Key | None]:
    """The part of an order that has so many rows at its beginning, and a few thousand more; all of it has no tallies."""
    stretches = tallies.stretches(db, order)
    for each in stretches[::-1] if descends else stretches:
        steps -= each.rows
        if steps < 0:
            return (each.low, None) if descends else (None, each.high)
    return None, None


def _sought(
    db: sqlite3.Connection, selection: Selection, order: Order, descends: bool, offset: int, size: int
) -> list[int]:
    """Along an order from that stretch on where the page begins: the rows before it are counted. Where their times matter,
    and tallies do not know them, from the first stretch on that can have any."""
    where, values = belonging(selection)
    kinds: list[int] | None = None
    if selection.facets is not None:
        (last,) = db.execute("SELECT max(id) FROM facets").fetchone()
        kinds = [*values["kinds"].ljust(last + 1, b"\0")]
    upto = tallies.tallied_up_to(db, order)
    newest = db.execute(
        f"SELECT {order.key} AS value, time, facet, id FROM calls NOT INDEXED WHERE id > :upto{where}"
        " ORDER BY 1, 2, 3, 4",
        {**values, "upto": upto},
    ).fetchall()
    stretches = tallies.stretches(db, order)
    for each in stretches[::-1] if descends else stretches:
        if order.name == TIME and each.is_outside(selection.from_ms, selection.to_ms):
            rows = 0
        elif order.name == TIME and not each.is_within(selection.from_ms, selection.to_ms):
            between, where, values = _belonging(selection, order, each.low, each.high)
            counted = f"SELECT count(*) FROM {order.rows}{between}{where} AND id <= :upto"
            (rows,) = db.execute(counted, {**values, "upto": upto}).fetchone()
        else:
            rows = each.rows if kinds is None else tallies.tally(db, order, each).count(kinds)
        rows += bisect_left(newest, each.high) if each.high else len(newest)
        rows -= bisect_left(newest, each.low) if each.low else 0
        if rows > (offset if order.name == TIME or not selection.has_times else 0):
            ends = (None, each.high) if descends else (each.low, None)
            return _walked(db, selection, order, descends, offset, size, *ends)
        offset -= rows
    return _walked(db, selection, order, descends, offset, size)  # every row that was in a tally is gone


def _walked(
    db: sqlite3.Connection,
    selection: Selection,
    order: Order,
    descends: bool,
    offset: int,
    size: int,
    low: Key | None = None,
    high: Key | None = None,
) -> list[int]:
    """Along an order between two of its keys; the newest rows, if it lacks some, are sorted in. Nothing when that
    is not far enough."""
    between, where, values = _belonging(selection, order, low, high)
    newest = []
    if not order.is_live:
        newest = db.execute(
            f"SELECT {order.key} AS value, time, facet, id FROM calls NOT INDEXED WHERE id > :upto{between}{where}"
            f" ORDER BY {in_order(order.columns, descends)} LIMIT :needed",
            {**values, "upto": ranks.ordered_up_to(db, order), "needed": offset + size},
        ).fetchall()
    skipped = max(0, offset - len(newest))  # so many at least come from the old ones
    found = db.execute(
        f"SELECT {', '.join(order.columns)} FROM {order.rows}{between}{where}"
        f" ORDER BY {in_order(order.columns, descends)} LIMIT :wanted OFFSET :skipped",
        {**values, "wanted": offset - skipped + size, "skipped": skipped},
    ).fetchall()
    if len(found) < offset - skipped + size and (low if descends else high) is not None:
        return []  # the page may begin among these, and go on behind them
    if newest:
        found = sorted(found + newest, reverse=descends)
    return [row[-1] for row in found[offset - skipped :][:size]]


def _belonging(
    selection: Selection, order: Order, low: Key | None = None, high: Key | None = None
) -> tuple[str, str, dict[str, Any]]:
    """The conditions on rows between two keys of an order, and on those that belong to a selection, with their values. The
    order of time has its times among the first."""
    is_time = order.name == TIME
    between, values = order.between(low, high, selection.from_ms, selection.to_ms)
    where, more = belonging(selection._replace(from_ms=0, to_ms=FOREVER) if is_time else selection)
    return between, where, more | values


def _gathered(
    db: sqlite3.Connection, selection: Selection, order: Order, descends: bool, offset: int, size: int
) -> list[int]:
    """All rows that belong, sorted."""
    columns, partly = f"{order.key} AS value, time, facet, id", selection.partly
    among = "calls INDEXED BY calls_time WHERE"
    if selection.facets is not None:
        whole = listed(facet for facet in selection.facets if facet not in partly)
        among = f"calls INDEXED BY calls_facet WHERE facet IN ({whole}) AND"
    rows = f"SELECT {columns} FROM {among} time >= :from_ms AND time < :to_ms"
    if partly:
        some = ", ".join(map(str, partly))
        ids = ", ".join(map(str, marked_ids(selection)))
        rows += (
            f" UNION ALL SELECT {columns} FROM calls NOT INDEXED WHERE id IN ({ids}) AND facet IN ({some})"
            " AND time >= :from_ms AND time < :to_ms"
        )
    found = db.execute(
        f"SELECT id FROM ({rows}) ORDER BY {in_order(KEY, descends)} LIMIT :size OFFSET :offset",
        {"from_ms": selection.from_ms, "to_ms": selection.to_ms, "size": size, "offset": offset},
    )
    return [id_ for (id_,) in found]


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
