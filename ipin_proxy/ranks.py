"""The ledger's rows in the order of every column they can be sorted by, so that any page of a million is found at once.

An index for each column would be written with every call, at as many random places as there are columns. So the order is
made later, many rows at a time: a few thousand of the newest are not in it yet, and whoever reads sorts those in. Two orders
are indexes that `calls` has anyway; the tallies of these are made here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import tallies
from .marks import all_values, set_value, value_of
from .tallies import Order

if TYPE_CHECKING:
    import sqlite3

LAZY_ROWS = 16_000  # this many rows may be out of order, mostly
CHUNK_ROWS = 12_000
PREFIX = 40  # characters of a text that it is sorted by

# What rows are sorted by. Their numbers are in the database: new ones come at the end.
KEYS: dict[str, str] = {
    **{name: name for name in ("latency", "upstream", "overhead")},
    "first_chunk": "coalesce(first_chunk, -1)",
    **{name: name for name in ("input", "cached", "cache_write", "output", "reasoning", "total", "seconds", "images")},
    "cost": "coalesce(cost, -1)",
    **{name: name for name in ("bytes_in", "bytes_out", "tries")},
    **{name: f"substr({name}, 1, {PREFIX})" for name in ("address", "user_agent", "error_message")},
}
ORDERS = {
    "time": Order(
        "time",
        -1,
        key="0",
        rows="calls INDEXED BY calls_time WHERE time >= :from_ms AND time < :to_ms",
        columns=("time", "facet", "id"),
        is_live=True,
    ),
    "request_id": Order(
        "request_id",
        -2,
        key="request_id",
        rows="calls INDEXED BY calls_request WHERE 1",
        columns=("request_id", "time", "facet", "id"),
        is_live=True,
    ),
    **{name: Order(name, n, key, f"ranks WHERE col = {n}") for n, (name, key) in enumerate(KEYS.items())},
}


def ordered_up_to(db: sqlite3.Connection, order: Order) -> int:
    """Rows with an id above this are not in this order yet."""
    return newest_in(db) if order.is_live else value_of(db, f"ranked:{order.name}")


def newest_in(db: sqlite3.Connection) -> int:
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()
    return int(newest)


def is_tallied(db: sqlite3.Connection, order: Order) -> bool:
    """Whether but for the newest all rows are in the tallies of an order."""
    upto = tallies.tallied_up_to(db, order)
    return upto > 0 and newest_in(db) - upto < 2 * LAZY_ROWS


def fill(db: sqlite3.Connection, lazy_rows: int) -> bool:
    """Put some rows in one order, or in its tallies, if so many are in none. Raises sqlite3.Error."""
    newest, upto_of = newest_in(db), all_values(db)
    for order in ORDERS.values():
        ordered = newest if order.is_live else upto_of.get(f"ranked:{order.name}", 0)
        tallied = upto_of.get(f"tallied:{order.name}", 0)
        if newest - ordered >= lazy_rows:
            make, upto, until = _rank, ordered, min(ordered + CHUNK_ROWS, newest)
        elif newest - tallied >= lazy_rows and tallied < ordered:
            make, upto, until = _tally, tallied, min(tallied + CHUNK_ROWS, ordered)
        else:
            continue
        db.execute("BEGIN IMMEDIATE")
        try:
            make(db, order, upto, until)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return True
    return False


def _rank(db: sqlite3.Connection, order: Order, upto: int, until: int) -> None:
    db.execute(
        f"INSERT INTO ranks SELECT ?, {order.key}, time, facet, id FROM calls WHERE id > ? AND id <= ? ORDER BY 2, 3, 4, 5",
        (order.number, upto, until),
    )
    set_value(db, f"ranked:{order.name}", until)


def _tally(db: sqlite3.Connection, order: Order, upto: int, until: int) -> None:
    keys = db.execute(
        f"SELECT {order.key}, time, facet, id FROM calls WHERE id > ? AND id <= ? ORDER BY 1, 2, 3, 4", (upto, until)
    ).fetchall()
    tallies.add(db, order, keys, until)


def leave(db: sqlite3.Connection) -> None:
    """Take out the rows that are listed in the temporary table `going`, before they are deleted."""
    for order in ORDERS.values():
        ordered, tallied = ordered_up_to(db, order), tallies.tallied_up_to(db, order)
        keys = db.execute(
            f"SELECT {order.key}, time, facet, id FROM going CROSS JOIN calls USING (id) WHERE id <= ? ORDER BY 1, 2, 3, 4",
            (ordered,),
        ).fetchall()
        tallies.leave(db, order, [key for key in keys if key[-1] <= tallied])
        if not order.is_live:
            # One by one: a list of them all would have SQLite look at every row there is.
            db.executemany(f"DELETE FROM ranks WHERE {tallies.WHICH}", ((order.number, *key) for key in keys))
