"""The request ids of the ledger, thousands in one text: so a piece of one is found among a million in no time.

The texts are made later, as `ranks.py` makes its orders, and in small letters; the newest ids are not in them yet. A line is a
row, the first line the row after `first`; a row that is gone leaves its line until the whole text goes. `letters` are the
bytes there are in a text: most of what people look for is no piece of an id, and then no text needs to be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .marks import set_value, value_of

if TYPE_CHECKING:
    import sqlite3

CHUNK_ROWS = 12_000
MANY_LINES = 500  # from so many on it is quicker to look at each line of a text
MARK = "idtexts"


def fill(db: sqlite3.Connection, lazy_rows: int) -> bool:
    """Make one more text, if so many rows are in none. Raises sqlite3.Error."""
    (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()
    first = value_of(db, MARK)
    if newest - first < lazy_rows:
        return False
    last = min(first + CHUNK_ROWS, newest)
    lines = [""] * (last - first)
    for id_, request_id in db.execute("SELECT id, request_id FROM calls WHERE id > ? AND id <= ?", (first, last)):
        lines[id_ - first - 1] = request_id.replace("\n", " ")
    db.execute("BEGIN IMMEDIATE")
    try:
        text = "\n".join(lines).lower().encode()
        db.execute("INSERT INTO idtexts VALUES (?, ?, ?)", (first, bytes(sorted(set(text))), text))
        set_value(db, MARK, last)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return True


def drop(db: sqlite3.Connection) -> None:
    """Let go of the texts without any rows, within somebody's transaction."""
    db.execute(
        "DELETE FROM idtexts WHERE NOT EXISTS (SELECT 1 FROM calls WHERE id > first AND id <= first + ?)", (CHUNK_ROWS,)
    )


def mark(db: sqlite3.Connection, piece: str, marks: bytearray, first: int) -> None:
    """Put a 1 for each row in whose request id there is this text, in capitals or not: `marks` has a byte for every row
    from `first` on. Rows that are deleted may be marked."""
    wanted = piece.lower()
    newest = db.execute("SELECT id, request_id FROM calls WHERE id > ?", (value_of(db, MARK),))
    found = [id_ - first for id_, request_id in newest if wanted in request_id.lower()]
    needle = wanted.encode("utf-8", "replace")
    texts = db.execute("SELECT first, letters FROM idtexts").fetchall() if b"\n" not in needle else ()
    for before, letters in texts:
        if not set(needle) <= set(letters):
            continue
        (text,) = db.execute("SELECT text FROM idtexts WHERE first = ?", (before,)).fetchone()
        begin = before + 1 - first
        times = text.count(needle)
        if not times:
            continue
        if times < MANY_LINES:
            found += [begin + line for line in _lines_with(needle, text)]
        else:  # a piece of what many ids of ours begin with
            lines = text.count(b"\n") + 1
            is_in_all = _begins_all(text[: text.find(needle) + len(needle)], text, lines)
            found_in = b"\x01" * lines if is_in_all else bytes([needle in line for line in text.split(b"\n")])
            found_in = found_in[max(0, -begin) :]
            begin = max(0, begin)
            marks[begin : begin + len(found_in)] = found_in[: max(0, len(marks) - begin)]
    for at in found:
        if 0 <= at < len(marks):
            marks[at] = 1


def _begins_all(head: bytes, text: bytes, lines: int) -> bool:
    return b"\n" not in head and text.count(b"\n" + head) == lines - 1


def _lines_with(needle: bytes, text: bytes) -> Iterator[int]:
    """The numbers of the lines that have this, from 0."""
    at, line, since = text.find(needle), 0, 0
    while at >= 0:
        line += text.count(b"\n", since, at)
        yield line
        since = text.find(b"\n", at)
        at = text.find(needle, since) if since >= 0 else -1
