"""Which rows of the ledger a filter and a search select: a set of facets, and how many rows these have.

What many calls have in common is written once, so it is there that a filter is looked up, and counted before any row is
looked at. A text is looked for there too, and in what only the rows have: their request ids and error messages. Nothing here
writes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import idtexts, ranks, tallies
from .entries import DAY_MS, text
from .errors import BadRequest
from .marks import by_column
from .ranks import ORDERS
from .tallies import FOREVER, Key

if TYPE_CHECKING:
    import sqlite3

# What looking up a facet in an index costs, counting a row there, and counting one of a time, in microseconds.
SEEK_US = 3.0
COUNT_US = 0.06
GROUP_US = 0.4
ADD_US = 0.04  # counting it in a tally
# And looking at a row for a text, and looking for it in all ids at once.
LOOK_AT_US = 3.0
LOOK_FOR_US = 0.06
MOST_LISTED = 50_000  # facets that are written into a query
MOST_SOUGHT = 50_000  # rows that are looked up one by one
IS_MARKED = "substr(:marked, id - :first + 1, 1) = x'01'"
IN_MESSAGE = "error_message <> '' AND error_message LIKE :like ESCAPE '\\'"
MARK, NO_MARK = re.compile(rb"\x01"), re.compile(rb"\x00")
STATUS = re.compile(r"(ok|error)|([1-9])xx|([1-9][0-9]{2})", re.ASCII)


class RequestFilter(NamedTuple):
    """Which rows; what is "" or None does not matter. `model` is the one asked for or the one that answered, `key` and `user`
    are ids or names, `status` is a code, `4xx`, `5xx`, `ok` or `error`, `origin` that of an error; `to_ms` is the first
    moment after. `q` is looked for in request id (as it is written), model, names of key and user, and error."""

    q: str = ""
    model: str = ""
    provider: str = ""
    key: str = ""
    user: str = ""
    alias: str = ""
    status: str = ""
    origin: str = ""
    from_ms: int | None = None
    to_ms: int | None = None


TEXTS = RequestFilter._fields.index("from_ms")


class Selection(NamedTuple):
    """What a filter selects: `total` rows, of these facets (None: of all) and from these times. Of the facets in `partly`
    only the rows that are `marked` belong to it: a byte for every row from `first` on, 1 for those. `facets` says how many
    rows of each belong; `in_table` is how many there are in all, `in_times` about how many from these times."""

    total: int
    facets: Mapping[int, int] | None
    partly: frozenset[int]
    from_ms: int
    to_ms: int
    in_table: int
    in_times: int
    marked: bytes = b""
    first: int = 0

    @property
    def has_times(self) -> bool:
        return self.from_ms > 0 or self.to_ms < FOREVER

    @property
    def can_be_listed(self) -> bool:
        """Whether its facets, and the rows that are marked, are few enough to be written into a query, or its times all there
        is to it."""
        if self.facets is None:
            return self.has_times
        return len(self.facets) < MOST_LISTED and (not self.partly or self.marked.count(1) < MOST_SOUGHT)


def check(filters: RequestFilter) -> None:
    """Raises BadRequest for a status that is none."""
    if filters.status and not STATUS.fullmatch(filters.status):
        raise BadRequest(f"'status' must be a code, 4xx, 5xx, ok or error, not {filters.status!r:.40}.", param="status")


def select(db: sqlite3.Connection, filters: RequestFilter) -> Selection:
    texts: list[Any] = [text(each) for each in filters[:TEXTS]]  # treated as what is stored was
    filters = RequestFilter(*texts, *filters[TEXTS:])
    from_ms = min(max(0, filters.from_ms or 0), FOREVER)
    to_ms = FOREVER if filters.to_ms is None else min(max(0, filters.to_ms), FOREVER)
    (in_table,) = db.execute("SELECT coalesce(sum(rows), 0) FROM facets").fetchone()
    selection = Selection(in_table, None, frozenset(), from_ms, to_ms, in_table, in_table)
    if selection.has_times:
        selection = selection._replace(in_times=min(_rows_of_days(db, from_ms, to_ms), in_table))
    where, is_filtered = _facets_where(filters)
    if filters.q:
        selection = _search(db, selection, filters, where, is_filtered)
    elif is_filtered:
        facets = rows_of_facets(db, where, filters._asdict())
        if selection.has_times:
            facets = _in_times(db, selection, facets)
        selection = selection._replace(total=sum(facets.values()), facets=facets)
    elif selection.has_times:
        selection = selection._replace(total=_count(db, selection))
    return selection


def _facets_where(filters: RequestFilter) -> tuple[str, bool]:
    """The condition on facets, and whether it keeps any out."""
    where = "rows > 0"
    ways, outcomes = _conditions(filters)
    if ways:
        where += f" AND way IN (SELECT id FROM ways WHERE {' AND '.join(ways)})"
    if outcomes:
        where += f" AND outcome IN (SELECT id FROM outcomes WHERE {' AND '.join(outcomes)})"
    return where, bool(ways or outcomes)


def _conditions(filters: RequestFilter) -> tuple[list[str], list[str]]:
    """On ways and on outcomes."""
    ways, outcomes = [], []
    if filters.model:
        ways.append("(model = :model OR served_model = :model)")
    if filters.provider:
        ways.append("provider_id = :provider")
    if filters.key:
        ways.append("(key_id = :key OR key_name = :key)")
    if filters.user:
        ways.append("(user_id = :user OR user_name = :user)")
    if filters.alias:
        ways.append("alias = :alias")
    if filters.origin:
        outcomes.append("error_origin = :origin")
    status = STATUS.fullmatch(filters.status)
    if status is not None:
        word, hundred, code = status.groups()
        if word:
            outcomes.append("failed" if word == "error" else "NOT failed")
        else:
            low = int(code or hundred) * (1 if code else 100)
            outcomes.append(f"status BETWEEN {low} AND {low if code else low + 99}")
    return ways, outcomes


def _count(db: sqlite3.Connection, selection: Selection) -> int:
    """How many of all rows are from the times of a selection: counted there, or elsewhere if that is less to count."""
    is_inside, parts = _parts(selection)
    counted = 0
    for part in parts:
        (n,) = db.execute("SELECT count(*) FROM calls WHERE time >= ? AND time < ?", part).fetchone()
        counted += n
    return counted if is_inside else selection.total - counted


def facets_of(db: sqlite3.Connection, selection: Selection) -> Mapping[int, int]:
    """How many rows of each facet belong to a selection."""
    if selection.facets is not None:
        return selection.facets
    return _in_times(db, selection, None) if selection.has_times else rows_of_facets(db)


def rows_of_facets(
    db: sqlite3.Connection, where: str = "rows > 0", values: Mapping[str, Any] | Sequence[Any] = ()
) -> dict[int, int]:
    """Facets, and how many rows each has."""
    return dict(zip(*by_column(db, ("id", "rows"), f"FROM facets WHERE {where}", values), strict=True))


def _in_times(db: sqlite3.Connection, selection: Selection, facets: Mapping[int, int] | None) -> dict[int, int]:
    """How many rows of all facets, or of those whose rows at all times are given, are from the times of a selection."""
    is_inside, parts = _parts(selection)
    length = selection.in_times if is_inside else selection.in_table - selection.in_times
    if facets is not None and len(facets) < MOST_LISTED:
        part = selection.in_times / max(1, selection.in_table)
        seek_us = len(facets) * SEEK_US + sum(facets.values()) * part * COUNT_US
        if seek_us < min(length, 2 * tallies.MOST_ROWS) * GROUP_US + length * ADD_US:
            of_one = (
                "SELECT count(*) FROM calls INDEXED BY calls_facet WHERE facet = facets.id AND time >= ? AND time < ?"
            )
            found = db.execute(
                f"SELECT id, ({of_one}) FROM facets WHERE id IN ({', '.join(map(str, facets))})",
                (selection.from_ms, selection.to_ms),
            )
            return {facet: rows for facet, rows in found if rows}
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM facets").fetchone()
    counted = [0] * (last + 1)
    for start, end in parts:
        _count_times(db, start, end, counted)
    if not is_inside:
        facets = rows_of_facets(db) if facets is None else facets
        return {facet: rows - counted[facet] for facet, rows in facets.items() if rows > counted[facet]}
    if facets is None:
        return {facet: rows for facet, rows in enumerate(counted) if rows}
    return {facet: counted[facet] for facet in facets if counted[facet]}


def _count_times(db: sqlite3.Connection, from_ms: int, to_ms: int, counted: list[int]) -> None:
    """Add to the place of each facet how many of its rows are from some time: by the tallies of the stretches that are in it,
    and row by row at its ends and of the newest, which are in no tally."""
    order = ORDERS["time"]
    upto = tallies.tallied_up_to(db, order)
    inner = [each for each in tallies.stretches(db, order) if each.is_within(from_ms, to_ms)]
    newest: Iterable[tuple[int]] = ()
    ends: list[tuple[Key | None, Key | None]] = [(None, None)]
    if inner and ranks.is_tallied(db, order):
        for each in inner:
            tallies.tally(db, order, each).add_to(counted)
        low, high = inner[0].low, inner[-1].high
        where, values = order.between(low, high)
        newest = db.execute(f"SELECT facet FROM calls NOT INDEXED WHERE id > :upto{where}", {**values, "upto": upto})
        ends = [end for end in ((None, low), (high, None)) if end != (None, None)]
    for (facet,) in newest:
        counted[facet] += 1
    for end in ends:
        where, values = order.between(*end, from_ms, to_ms)
        for (facet,) in db.execute(
            f"SELECT facet FROM {order.rows}{where}", values
        ):  # GROUP BY takes three times as long
            counted[facet] += 1


def _parts(selection: Selection) -> tuple[bool, list[tuple[int, int]]]:
    """The times of a selection, or, when there are fewer rows in them, all others; and which of the two it is."""
    start, end = selection.from_ms, max(selection.from_ms, selection.to_ms)
    if selection.in_times <= selection.in_table / 2:
        return True, [(start, end)]
    return False, [(0, start), (end, FOREVER)]


def _rows_of_days(db: sqlite3.Connection, from_ms: int, to_ms: int) -> int:
    """About how many rows there are between two times."""
    row = db.execute(
        "SELECT CAST(total(calls) AS INTEGER) FROM splits WHERE by = 0 AND start BETWEEN ? AND ?",
        (from_ms // DAY_MS, to_ms // DAY_MS),
    ).fetchone()
    return int(row[0])


def _search(
    db: sqlite3.Connection, selection: Selection, filters: RequestFilter, where: str, is_filtered: bool
) -> Selection:
    """The rows that a text is found in: all of some facets, and some of others."""
    ways = _found_in(db, "ways", ("model", "served_model", "key_name", "user_name"), filters.q)
    outcomes = _found_in(db, "outcomes", ("error_code",), filters.q)
    found, values = f"(way IN ({ways}) OR outcome IN ({outcomes}))", filters._asdict()
    whole = rows_of_facets(db, f"{found} AND {where}", values)
    others: dict[int, int] | None = None
    if is_filtered:
        others = rows_of_facets(db, f"NOT {found} AND {where}", values)
    if others is not None and _are_few(others, selection):
        selection, partly = _looked_through(db, selection, filters.q, others)
    else:
        first, marks = _unmarked(db)
        idtexts.mark(db, filters.q, marks, first)
        selection = selection._replace(marked=bytes(marks), first=first)
        mixed = None
        if marks.count(0) < min(MOST_SOUGHT, marks.count(1)):  # a piece of what all ids of ours begin with
            mixed = _not_all_marked(db, selection)
            whole |= {facet: rows for facet, rows in rows_of_facets(db, where, values).items() if facet not in mixed}
        counted = Counter(dict(_count_marked(db, selection, mixed)))
        counted.update(_mark_messages(db, selection, filters.q, marks, others))
        partly = {
            facet: n for facet, n in counted.items() if facet not in whole and (others is None or facet in others)
        }
        selection = selection._replace(marked=bytes(marks))
    if selection.has_times:
        whole = _in_times(db, selection, whole)
    facets = {**whole, **partly}
    return selection._replace(total=sum(facets.values()), facets=facets, partly=frozenset(partly))


def _are_few(facets: Mapping[int, int], selection: Selection) -> bool:
    """Whether it is quicker to look at all rows of some facets than to look for a text in all ids there are."""
    return len(facets) < MOST_LISTED and sum(facets.values()) * LOOK_AT_US < selection.in_table * LOOK_FOR_US


def _looked_through(
    db: sqlite3.Connection, selection: Selection, q: str, facets: Mapping[int, int]
) -> tuple[Selection, dict[int, int]]:
    """The selection with those rows of some facets marked that have a text in them, and how many of each facet these are."""
    first, marks = _unmarked(db)
    found: Counter[int] = Counter()
    wanted = q.lower()
    rows = db.execute(
        f"SELECT id, facet, request_id, {IN_MESSAGE} FROM calls INDEXED BY calls_facet"
        f" WHERE facet IN ({listed(facets)}) AND time >= :from_ms AND time < :to_ms",
        {"like": _like(q), "from_ms": selection.from_ms, "to_ms": selection.to_ms},
    )
    for id_, facet, request_id, is_in_message in rows:
        if is_in_message or wanted in request_id.lower():
            marks[id_ - first] = 1
            found[facet] += 1
    return selection._replace(marked=bytes(marks), first=first), dict(found)


def listed(facets: Iterable[int]) -> str:
    """Facets for IN where an index is named. There is no facet 0; but for an empty list older SQLite uses no index."""
    return ", ".join(map(str, (0, *facets)))


def _not_all_marked(db: sqlite3.Connection, selection: Selection) -> set[int]:
    """The facets with rows that are not marked, where there are few of these."""
    ids = ", ".join(str(selection.first + found.start()) for found in NO_MARK.finditer(selection.marked))
    return {facet for (facet,) in db.execute(f"SELECT DISTINCT facet FROM calls NOT INDEXED WHERE id IN ({ids})")}


def _found_in(db: sqlite3.Connection, table: str, columns: tuple[str, ...], q: str) -> str:
    """The ids of rows that a text is found in, as a list for IN; capitals are like small letters."""
    if q.isascii():  # these are the capitals that LIKE knows
        where = " OR ".join(f"{column} LIKE :like ESCAPE '\\'" for column in columns)
        found = [id_ for (id_,) in db.execute(f"SELECT id FROM {table} WHERE {where}", {"like": _like(q)})]
    else:
        needle = q.casefold()
        rows = db.execute(f"SELECT id, {', '.join(columns)} FROM {table}")
        found = [id_ for id_, *texts in rows if any(needle in each.casefold() for each in texts)]
    return ", ".join(map(str, found))


def _like(q: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", q) + "%"


def _mark_messages(
    db: sqlite3.Connection, selection: Selection, q: str, marks: bytearray, others: Mapping[int, int] | None
) -> Counter[int]:
    """Mark those rows of some facets, or of all, whose error message has a text in it, and that are not marked already; how
    many of each facet these are."""
    rows = db.execute(
        f"SELECT id, facet FROM calls INDEXED BY calls_error WHERE {IN_MESSAGE} AND time >= :from_ms AND time < :to_ms",
        {"like": _like(q), "from_ms": selection.from_ms, "to_ms": selection.to_ms},
    )
    found: Counter[int] = Counter()
    for id_, facet in rows:
        if not marks[id_ - selection.first] and (others is None or facet in others):
            marks[id_ - selection.first] = 1
            found[facet] += 1
    return found


def _unmarked(db: sqlite3.Connection) -> tuple[int, bytearray]:
    """The id of the first row, and a byte for every row from it on."""
    first, last = db.execute(
        "SELECT coalesce((SELECT min(id) FROM calls), 1), coalesce((SELECT max(id) FROM calls), 0)"
    ).fetchone()
    return first, bytearray(last - first + 1)


def marked_ids(selection: Selection) -> list[int]:
    return [selection.first + found.start() for found in MARK.finditer(selection.marked)]


def _count_marked(db: sqlite3.Connection, selection: Selection, among: set[int] | None) -> sqlite3.Cursor:
    """Facets, or some of them, and how many of their rows are marked and from these times."""
    values: dict[str, Any] = {"from_ms": selection.from_ms, "to_ms": selection.to_ms}
    if selection.marked.count(1) < MOST_SOUGHT:
        ids = ", ".join(map(str, marked_ids(selection)))
        rows = f"calls NOT INDEXED WHERE id IN ({ids})"
    else:
        some = "" if among is None else f"facet IN ({listed(among)}) AND "
        rows = f"calls INDEXED BY calls_facet WHERE {some}{IS_MARKED}"
        values |= {"marked": selection.marked, "first": selection.first}
    return db.execute(f"SELECT facet, count(*) FROM {rows} AND time >= :from_ms AND time < :to_ms GROUP BY 1", values)


def belonging(selection: Selection) -> tuple[str, dict[str, Any]]:
    """The condition on rows that belong to a selection, as the end of a WHERE clause, and its values."""
    where, values = "", dict[str, Any]()
    if selection.from_ms > 0:
        where, values = f"{where} AND time >= :from_ms", {"from_ms": selection.from_ms}
    if selection.to_ms < FOREVER:
        where, values = f"{where} AND time < :to_ms", {**values, "to_ms": selection.to_ms}
    if selection.facets is None:
        return where, values
    # A byte for every facet: to look one up takes half as long as IN with a long list does.
    kinds = bytearray(max(selection.facets, default=0) + 1)
    for facet in selection.facets:
        kinds[facet] = 1
    for facet in selection.partly:
        kinds[facet] = 2
    values["kinds"] = bytes(kinds)
    belongs = "substr(:kinds, facet + 1, 1) = x'01'"
    if selection.partly:
        belongs = f"({belongs} OR (substr(:kinds, facet + 1, 1) = x'02' AND {IS_MARKED}))"
        values |= {"marked": selection.marked, "first": selection.first}
    return f"{where} AND {belongs}", values
