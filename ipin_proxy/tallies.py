"""How many calls of each facet lie in every stretch of an order, so that a page deep in a long list is found without walking there.

An order is cut into stretches of some thousand rows. Of each it is kept which facets its rows have, and how many rows each of
these; and since a filter is a set of facets, the rows of a filter that lie before a stretch are counted without a look at
them. Tallies are made later, as the orders are (`ranks.py`): rows with an id above a mark are in none yet. The first stretch
begins where the order does, whatever its key says.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from .marks import set_value, value_of

if TYPE_CHECKING:
    import sqlite3

FOREVER = 2**62  # ms
MOST_ROWS = 24_000  # of a stretch: one that has more is cut
WHICH = "col = ? AND value = ? AND time = ? AND facet = ? AND id = ?"

Key = tuple[Any, int, int, int]  # where a row lies in an order
KEY = ("value", "time", "facet", "id")


class Order(NamedTuple):
    """`key` is the value of a row of `calls`, `rows` where rows lie in this order, as the part of a query, and `columns`
    their keys there. One that `is_live` is an index, and has every row at once. Its number is in the database."""

    name: str
    number: int
    key: str
    rows: str
    columns: tuple[str, ...] = KEY
    is_live: bool = False

    def between(
        self, low: Key | None, high: Key | None, from_ms: int = 0, to_ms: int = FOREVER
    ) -> tuple[str, dict[str, Any]]:
        """The condition on rows from one key on and before another, as the end of a WHERE clause, and its values with all
        that `rows` asks for: in the order of time they say from which times these are."""
        where, values = "", dict[str, Any]()
        for name, sign, key in (("low", ">=", low), ("high", "<", high)):
            if key is not None:
                names = [f"{name}_{column}" for column in self.columns]
                where += f" AND ({', '.join(self.columns)}) {sign} ({', '.join(f':{each}' for each in names)})"
                values |= dict(zip(names, key[-len(names) :], strict=True))
        if low is not None and self.columns[0] == "time":
            from_ms = max(from_ms, low[1])
        if high is not None and self.columns[0] == "time":
            to_ms = min(to_ms, high[1] + 1)
        return where, {**values, "from_ms": from_ms, "to_ms": to_ms}


class Stretch(NamedTuple):
    """`key` is that of the tally, `low` where its rows begin, `high` where those of the next do: None at either end of all."""

    key: Key
    low: Key | None
    high: Key | None
    rows: int

    def is_within(self, from_ms: int, to_ms: int) -> bool:
        """In the order of time: whether all its rows are from these times."""
        first, last = self.low[1] if self.low else 0, self.high[1] if self.high else FOREVER - 1
        return from_ms <= first and last < to_ms

    def is_outside(self, from_ms: int, to_ms: int) -> bool:
        """In the order of time: whether none of its rows is."""
        first, last = self.low[1] if self.low else 0, self.high[1] if self.high else FOREVER
        return last < from_ms or to_ms <= first


class Tally:
    """Facets in their order, and how many rows each has."""

    def __init__(self, facets: Iterable[int] = (), rows: Iterable[int] = ()) -> None:
        self.facets = array("I", facets)
        self.rows = array("I", rows)

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Tally:
        counted = sorted(Counter(facet for _, _, facet, _ in keys).items())
        return cls((facet for facet, _ in counted), (rows for _, rows in counted))

    @classmethod
    def read(cls, content: bytes) -> Tally:
        numbers = array("I", content)
        if sys.byteorder == "big":
            numbers.byteswap()
        half = len(numbers) // 2
        return cls(numbers[:half], numbers[half:])

    def written(self) -> bytes:
        numbers = self.facets + self.rows
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tobytes()

    def change(self, facet: int, by: int) -> None:
        at = bisect_left(self.facets, facet)
        if at == len(self.facets) or self.facets[at] != facet:
            self.facets.insert(at, facet)
            self.rows.insert(at, 0)
        self.rows[at] = max(0, self.rows[at] + by)
        if not self.rows[at]:
            del self.facets[at], self.rows[at]

    def add_to(self, counted: list[int]) -> None:
        for facet, rows in zip(self.facets, self.rows, strict=True):
            counted[facet] += rows

    def count(self, kinds: list[int]) -> int:
        """How many rows have facets for which there is a 1; in a list these are found sooner than in bytes."""
        return sum(compress(self.rows, map(kinds.__getitem__, self.facets)))


def in_order(columns: Iterable[str], descends: bool = False) -> str:
    return ", ".join(f"{column} DESC" if descends else column for column in columns)


def tallied_up_to(db: sqlite3.Connection, order: Order) -> int:
    """Rows with an id above this are in no tally of this order."""
    return value_of(db, f"tallied:{order.name}")


def stretches(db: sqlite3.Connection, order: Order) -> list[Stretch]:
    """In their order."""
    found = db.execute(
        "SELECT value, time, facet, id, rows FROM tallies WHERE col = ? ORDER BY value, time, facet, id",
        (order.number,),
    ).fetchall()
    keys = [tuple(row[:4]) for row in found]
    ends = zip(found, keys, [None, *keys[1:]], [*keys[1:], None], strict=True) if found else ()
    return [Stretch(key, low, high, row[4]) for row, key, low, high in ends]


def tally(db: sqlite3.Connection, order: Order, stretch: Stretch) -> Tally:
    (content,) = db.execute(f"SELECT facets FROM tallies WHERE {WHICH}", (order.number, *stretch.key)).fetchone()
    return Tally.read(content)


def add(db: sqlite3.Connection, order: Order, keys: Sequence[Key], upto: int) -> None:
    """Count rows in, whose keys are sorted and whose ids end with this one, within somebody's transaction."""
    set_value(db, f"tallied:{order.name}", upto)
    cut = stretches(db, order)
    if not cut and keys:
        cut = [Stretch(keys[0], None, None, 0)]
        _put(db, order, keys[0], Tally())
    for each, rows in _change(db, order, cut, keys, 1):
        if rows > MOST_ROWS:
            _cut(db, order, each, upto)


def leave(db: sqlite3.Connection, order: Order, keys: Sequence[Key]) -> None:
    """Count rows out that are in a tally, before they are deleted."""
    for each, rows in _change(db, order, stretches(db, order), keys, -1):
        if not rows:
            db.execute(f"DELETE FROM tallies WHERE {WHICH}", (order.number, *each.key))


def _change(
    db: sqlite3.Connection, order: Order, cut: list[Stretch], keys: Sequence[Key], by: int
) -> list[tuple[Stretch, int]]:
    """Add so much for every key to the stretch it is in; which stretches these are, and how many rows each has now."""
    changed, at = [], 0
    for each in cut:
        end = len(keys) if each.high is None else bisect_left(keys, each.high, at)
        if end > at:
            found = tally(db, order, each)
            for _, _, facet, _ in keys[at:end]:
                found.change(facet, by)
            changed.append((each, _put(db, order, each.key, found)))
        at = end
    return changed


def _put(db: sqlite3.Connection, order: Order, key: Key, found: Tally) -> int:
    rows = sum(found.rows)
    db.execute("REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?, ?)", (order.number, *key, rows, found.written()))
    return rows


def _cut(db: sqlite3.Connection, order: Order, stretch: Stretch, upto: int) -> None:
    """Make a stretch several that are half as long as one may be."""
    where, values = order.between(stretch.low, stretch.high)
    keys = db.execute(
        f"SELECT {', '.join(('0', *order.columns)[-4:])} FROM {order.rows}{where} AND id <= :upto ORDER BY {in_order(order.columns)}",
        {**values, "upto": upto},
    ).fetchall()
    # The key of the first stretch may lie behind most of its rows, and so behind the other pieces.
    db.execute(f"DELETE FROM tallies WHERE {WHICH}", (order.number, *stretch.key))
    parts = -(-len(keys) // (MOST_ROWS // 2))
    for part in range(parts):
        piece = keys[len(keys) * part // parts : len(keys) * (part + 1) // parts]
        _put(db, order, piece[0], Tally.of(piece))
