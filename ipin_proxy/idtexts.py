"""The request ids of the ledger, thousands in one text: so a piece of one is found among a million in no time.

The texts are made later, as `ranks.py` makes its orders, and in small letters; the newest ids are not in them yet. A line is a
row, the first line the row after `first`; a row that is gone leaves its line until the whole text goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .entries import set_value, value_of

if TYPE_CHECKING:
    import sqlite3

LAZY_ROWS = 16_000
CHUNK_ROWS = 12_000
MARK = "idtexts"


def fill(db: sqlite3.Connection) -> bool:
    """Make one more text, if it is time for it. Raises sqlite3.Error."""
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()
    first = value_of(db, MARK)
    if newest - first < LAZY_ROWS:
        return False
    last = min(first + CHUNK_ROWS, newest)
    lines = [""] * (last - first)
    for id_, request_id in db.execute("SELECT id, request_id FROM calls WHERE id > ? AND id <= ?", (first, last)):
        lines[id_ - first - 1] = request_id.replace("\n", " ")
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("INSERT INTO idtexts VALUES (?, ?)", (first, "\n".join(lines).lower().encode()))
        set_value(db, MARK, last)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return True


def drop(db: sqlite3.Connection) -> None:
    """Let go of the texts without any rows, within somebody's transaction."""
    (oldest,) = db.execute("SELECT min(id) FROM calls").fetchone()
    if oldest is None:
        db.execute("DELETE FROM idtexts")
    else:
        db.execute("DELETE FROM idtexts WHERE first + ? < ?", (CHUNK_ROWS, oldest))


def find(db: sqlite3.Connection, piece: str) -> Iterator[int]:
    """The ids of rows in whose request id there is this text, in capitals or not. Some of them may be deleted."""
    wanted = piece.lower()
    for id_, request_id in db.execute("SELECT id, request_id FROM calls WHERE id > ?", (value_of(db, MARK),)):
        if wanted in request_id.lower():
            yield id_
    needle = wanted.encode("utf-8", "replace")
    if b"\n" in needle:
        return
    for first, text in db.execute("SELECT first, text FROM idtexts ORDER BY first DESC"):
        at, line, since = text.find(needle), 0, 0
        while at >= 0:
            line += text.count(b"\n", since, at)
            yield first + line + 1
            since = text.find(b"\n", at)
            at = text.find(needle, since) if since >= 0 else -1
