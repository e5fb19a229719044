"""The ledger's rows in the order of every column they can be sorted by, so that any page of a million is found at once.

An index for each column would be written with every call, at as many random places as there are columns. So the order is
made later, many rows at a time: a few thousand of the newest are not in it yet, and whoever reads sorts those in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entries import set_value, value_of

if TYPE_CHECKING:
    import sqlite3

LAZY_ROWS = 16_000  # this many rows may be out of order
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
NUMBERS = {name: number for number, name in enumerate(KEYS)}


def ranked_up_to(db: sqlite3.Connection, name: str) -> int:
    """Rows with an id above this are not in the order of this column yet."""
    return value_of(db, f"ranked:{name}")


def fill(db: sqlite3.Connection) -> bool:
    """Put some rows in the order of one column, if it is time for it. Raises sqlite3.Error."""
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()
    for name, key in KEYS.items():
        upto = ranked_up_to(db, name)
        if newest - upto < LAZY_ROWS:
            continue
        until = min(upto + CHUNK_ROWS, newest)
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute(
                f"INSERT INTO ranks SELECT ?, {key}, time, facet, id FROM calls WHERE id > ? AND id <= ?"
                " ORDER BY 2, 3, 4, 5",
                (NUMBERS[name], upto, until),
            )
            set_value(db, f"ranked:{name}", until)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return True
    return False


def leave(db: sqlite3.Connection) -> None:
    """Take out the rows that are listed in the temporary table `going`, before they are deleted."""
    for name, key in KEYS.items():
        db.execute(
            "DELETE FROM ranks WHERE (col, value, time, facet, id) IN"
            f" (SELECT ?, {key}, time, facet, id FROM going CROSS JOIN calls USING (id) WHERE id <= ?)",
            (NUMBERS[name], ranked_up_to(db, name)),
        )
