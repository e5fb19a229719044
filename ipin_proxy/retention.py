"""What the ledger no longer keeps: rows older than asked for, in small steps, so that nobody waits for them to go.

Sums stay: a day's for ever, an hour's for a quarter of a year.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import idtexts, ranks
from .entries import DAY_MS, HOUR_MS, SPLITS
from .marks import set_value, value_of

if TYPE_CHECKING:
    import sqlite3

STEP_ROWS = 1_000
HOURS_KEPT_DAYS = 92
HOURS_MARK = "hours"  # from this hour on, sums by the hour are kept


def sweep(db: sqlite3.Connection, before_ms: int) -> int:
    """Delete up to `STEP_ROWS` of the rows that arrived before a time; how many. Raises sqlite3.Error, and then none."""
    oldest = "SELECT id FROM calls INDEXED BY calls_time WHERE time < ? ORDER BY time LIMIT ?"
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("CREATE TEMP TABLE IF NOT EXISTS going (id INTEGER PRIMARY KEY)")
        db.execute("DELETE FROM going")
        gone = db.execute(f"INSERT INTO going {oldest}", (before_ms, STEP_ROWS)).rowcount
        if gone > 0:
            ranks.leave(db)
            for facet, rows in db.execute(
                "SELECT facet, count(*) FROM going CROSS JOIN calls USING (id) GROUP BY 1"
            ).fetchall():
                db.execute("UPDATE facets SET rows = rows - ? WHERE id = ?", (rows, facet))
            db.execute("DELETE FROM facets WHERE rows <= 0")
            db.execute("DELETE FROM calls WHERE id IN (SELECT id FROM going)")
            db.execute("DELETE FROM going")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return max(gone, 0)


def fold(db: sqlite3.Connection, now_ms: int) -> None:
    """Let go of the sums by the hour that only the days need to know any more, and of what no row refers to. Raises
    sqlite3.Error."""
    today = now_ms // DAY_MS
    first_hour = (today - HOURS_KEPT_DAYS) * (DAY_MS // HOUR_MS)
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("DELETE FROM hours WHERE start < ?", (first_hour,))
        db.execute("DELETE FROM splits WHERE by = ? AND start < ?", (SPLITS.index("hour"), first_hour))
        db.execute("DELETE FROM latencies WHERE hours = 1 AND start < ?", (first_hour,))
        set_value(db, HOURS_MARK, max(first_hour, value_of(db, HOURS_MARK)))  # clocks are set back, too
        db.execute("DELETE FROM ways WHERE id NOT IN (SELECT way FROM facets)")
        db.execute("DELETE FROM outcomes WHERE id NOT IN (SELECT outcome FROM facets)")
        idtexts.drop(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
