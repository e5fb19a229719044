"""How entries get into the ledger's database, hundreds at once: SQLite itself reads the journal's lines.

A statement of SQLite runs without the interpreter's lock, and a line of Python that does the same for one row does not: the
loop, which wants that lock, would wait for it. So there is next to nothing here that Python does for each row. Hundreds of
lines are laid into the temporary table `taken`, a column for a field; what calls have in common is one text there, whose numbers
are remembered in `known`; the body of a trigger makes rows, sums and histogram of both, in one step. Only what is not as
`written` should have made it is read by Python first, and put right.

Rows and all the sums they belong to change in the same transaction.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from .entries import (
    DAY_MS,
    HOUR_MS,
    MOST_AGENT,
    MOST_ATTEMPTS,
    MOST_COST,
    MOST_COUNT,
    MOST_MESSAGE,
    MOST_MICROS,
    MOST_NAME,
    MOST_STATUS,
    MOST_TIME,
    SPLITS,
    STEPS,
    SUMS,
    Entry,
    attempts_of,
    bucket_of,
    money,
    read,
    text,
    whole,
)
from .marks import set_value, value_of

PIECE = 900  # lines at once: a statement has room for so many
MOST_KNOWN = 5_000  # facets whose numbers are remembered
MOST_SUM = 9 * 10**18  # where a sum stops growing, short of what a column can hold

# Whose a call was and where it went; how it ended. Many calls have these in common.
WAY = (
    *("key_id", "key_name", "user_id", "user_name", "dialect", "endpoint", "alias", "model", "upstream_model"),
    *("provider_id", "served_model"),
)
OUTCOME = ("stream", "media", "status", "cost_basis", "finish_reason", "error_origin", "error_code")
LANE = ("key_id", "user_id", "model", "provider_id", "alias")


class Column(NamedTuple):
    """A column of `calls`: the field of an entry it is, and what is sound there: a whole number, a text, a flag, an amount of
    money or a list of attempts."""

    field: str
    kind: str = "number"
    most: int = MOST_COUNT
    least: int = 0
    may_be_null: bool = False


# What is of one call alone.
COLUMNS: Mapping[str, Column] = {
    "time": Column("time_ms", most=MOST_TIME, least=1),
    "request_id": Column("request_id", "text", MOST_NAME),
    "address": Column("address", "text", MOST_NAME),
    "user_agent": Column("user_agent", "text", MOST_AGENT),
    "latency": Column("latency_ms", most=MOST_MICROS),
    "upstream": Column("upstream_ms", most=MOST_MICROS),
    "overhead": Column("overhead_ms", most=MOST_MICROS),
    "first_chunk": Column("first_chunk_ms", most=MOST_MICROS, may_be_null=True),
    "input": Column("input_tokens"),
    "cached": Column("cached_tokens"),
    "cache_write": Column("cache_write_tokens"),
    "output": Column("output_tokens"),
    "reasoning": Column("reasoning_tokens"),
    "audio_in": Column("audio_input_tokens"),
    "audio_out": Column("audio_output_tokens"),
    "seconds": Column("seconds", most=MOST_MICROS),
    "images": Column("images"),
    "pages": Column("pages"),
    "characters": Column("characters"),
    "cost": Column("cost", "money", MOST_COST, may_be_null=True),
    "upstream_cost": Column("upstream_cost", "money", MOST_COST, may_be_null=True),
    "error_message": Column("error_message", "text", MOST_MESSAGE),
    "bytes_in": Column("bytes_in"),
    "bytes_out": Column("bytes_out"),
    "attempts": Column("attempts", "attempts"),
}
# What calls have in common: texts, but for two of it.
COMMON: Mapping[str, Column] = {
    **{name: Column(name, "text", MOST_NAME) for name in (*WAY, *OUTCOME)},
    "stream": Column("stream", "flag"),
    "status": Column("status", most=MOST_STATUS),
}
ATTEMPT = ("text", "integer", "integer", "text")


class Writer:
    """Puts entries into the database. It remembers the numbers of facets and lanes that it has seen."""

    def __init__(self, db: sqlite3.Connection, wall: Callable[[], float] = time.time) -> None:
        self._db = db
        self._wall = wall
        self._names: dict[tuple[str, str], str] = {}
        self._is_renamed = False
        db.execute(f"CREATE TEMP TABLE taken (n INTEGER PRIMARY KEY, common, tries, {', '.join(COLUMNS)})")
        db.execute("CREATE TEMP TABLE known (common PRIMARY KEY, facet, lane, failed) WITHOUT ROWID")
        db.execute(f"CREATE TEMP TABLE fresh (start INTEGER, lane INTEGER, {', '.join(SUMS)})")
        db.execute("CREATE TEMP TABLE buckets (least INTEGER PRIMARY KEY, bucket INTEGER)")
        db.execute("CREATE TEMP VIEW settling AS SELECT 1 AS once")
        db.execute(f"CREATE TEMP TRIGGER settle INSTEAD OF INSERT ON settling BEGIN {'; '.join(SETTLING)}; END")
        db.executemany("INSERT INTO buckets VALUES (?, ?)", _buckets())

    def forget(self) -> None:
        """What was remembered may not be there any more."""
        self._db.execute("DELETE FROM known")
        self._names.clear()
        self._is_renamed = False

    def insert(self, batch: Sequence[tuple[int, bytes]], process: str) -> None:
        """All lines of a batch or none, each once: those that are in the database already are known by the mark of their
        process. Raises sqlite3.Error, and then nothing has happened."""
        db, mark = self._db, f"journal:{process}"
        db.execute("BEGIN IMMEDIATE")
        try:
            last = value_of(db, mark)
            fresh = [text for number, text in batch if number > last]
            if fresh:
                for start in range(0, len(fresh), PIECE):
                    self._take(fresh[start : start + PIECE])
                    self._number_commons()
                    db.execute("INSERT INTO settling VALUES (1)")
                set_value(db, mark, max(number for number, _ in batch))
            db.execute("COMMIT")
        except BaseException:
            self._names.clear()
            if db.in_transaction:
                db.execute("ROLLBACK")  # temporary tables too
            raise
        if self._is_renamed or db.execute("SELECT count(*) FROM known").fetchone()[0] > MOST_KNOWN:
            self.forget()

    def _take(self, lines: Sequence[bytes]) -> None:
        """Lay lines into `taken`, in their order, sound ones alone."""
        now_ms = int(self._wall() * 1000)
        readable = [*_readable(lines, now_ms)]
        if strange := self._lay(readable):
            for place in strange:
                readable[place] = _put_right(lines[place], now_ms)
            if self._lay(readable):
                raise ValueError("a line of the journal cannot be put right")

    def _lay(self, lines: Sequence[str | None]) -> list[int]:
        """Lay lines into `taken`, None left out; the places of those that have to be put right before."""
        self._db.execute("DELETE FROM taken")
        try:
            self._db.execute(TAKING, [*lines, *[None] * (PIECE - len(lines))])
        except sqlite3.OperationalError as error:
            if "malformed JSON" not in str(error):
                raise
            return [*range(len(lines))]
        return [place for (place,) in self._db.execute(STRANGE)]

    def _number_commons(self) -> None:
        """Make `known` what the calls have in common that were taken."""
        for (common,) in self._db.execute(UNKNOWN).fetchall():
            self._db.execute("INSERT INTO known VALUES (?, ?, ?, ?)", (common, *self._find_facet(json.loads(common))))

    def _find_facet(self, common: Sequence[Any]) -> tuple[int, int, bool]:
        """The numbers of a facet and a lane, and whether such calls failed."""
        way = dict(zip(WAY, map(text, common), strict=False))
        stream, media, answered, *others = common[len(WAY) :]
        status = whole(answered, MOST_STATUS)
        outcome = dict(zip(OUTCOME, (int(bool(stream)), text(media), status, *map(text, others)), strict=True))
        failed = bool(outcome["error_code"] or outcome["error_origin"]) or not 0 < status < 400
        # The model of a lane is a record, not whatever a caller asked for: totals are kept for ever.
        model = way["served_model"] or (way["model"] if way["provider_id"] else "")
        lane = self._number_of("lanes", {name: way[name] for name in LANE} | {"model": model})
        ids = {
            "way": self._number_of("ways", way, lane=lane),
            "outcome": self._number_of("outcomes", outcome, failed=failed),
        }
        for kind in ("key", "user"):
            self._note_name(kind, way[f"{kind}_id"], way[f"{kind}_name"])
        return self._number_of("facets", ids), lane, failed

    def _number_of(self, table: str, which: Mapping[str, Any], **more: Any) -> int:
        """The id of a row with these values, which is made if it is not there."""
        where = " AND ".join(f"{name} = ?" for name in which)
        row = self._db.execute(f"SELECT id FROM {table} WHERE {where}", [*which.values()]).fetchone()
        if row is None:
            made = {**which, **more}
            self._db.execute(
                f"INSERT INTO {table} ({', '.join(made)}) VALUES ({', '.join('?' * len(made))})", [*made.values()]
            )
            row = self._db.execute("SELECT last_insert_rowid()").fetchone()
        return int(row[0])

    def _note_name(self, kind: str, id_: str, name: str) -> None:
        """The latest name of a key or a user, for when its record is gone."""
        if name and self._names.get((kind, id_)) != name:
            self._db.execute(
                "INSERT INTO names VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET name = excluded.name",
                (kind, id_, name),
            )
            # It may get its old name back, and calls with that must not be known then. What has no id has many names.
            self._is_renamed |= bool(id_) and (kind, id_) in self._names
            self._names[kind, id_] = name


# -- lines that SQLite cannot be trusted with --------------------------------------------------------------------------

# Escapes in JSON, of which the second kind is half a pair of surrogates or a NUL.
_ESCAPES = re.compile(rb"\\\\|\\ud[89ab]..\\ud[c-f]..|(\\ud|\\u0000)", re.IGNORECASE)
if sqlite3.sqlite_version_info < (3, 31, 0):  # takes a whole pair for two halves
    _ESCAPES = re.compile(rb"\\\\|(\\ud|\\u0000)", re.IGNORECASE)


def _readable(lines: Sequence[bytes], now_ms: int) -> Iterator[str | None]:
    """Lines as texts that can be read back from a column; None is none of ours."""
    for line in lines:
        if (b"\\" in line and any(found[1] for found in _ESCAPES.finditer(line))) or not line.isascii():
            yield _put_right(line, now_ms)
        else:
            yield line.decode()


def _put_right(line: bytes, now_ms: int) -> str | None:
    """A line with what can be kept of it; None when it is none of ours. Raises RecursionError."""
    values = read(line)
    if values is None:
        return None
    if values[_COST] is not None and money(values[_COST]) is None:
        values[_BASIS] = "unknown"
    for place, mend in _MENDS:
        values[place] = mend(values[place])
    values[_TIME] = values[_TIME] or now_ms
    return json.dumps(values, ensure_ascii=False)


def _mend(column: Column) -> Callable[[Any], Any]:
    if column.kind == "attempts":
        return attempts_of
    if column.kind == "money":
        return money
    if column.kind == "flag":
        return bool
    if column.kind == "text":
        return lambda value: text(value, column.most)
    return lambda value: None if value is None and column.may_be_null else whole(value, column.most)


_place = Entry._fields.index
_TIME, _COST, _BASIS = map(_place, ("time_ms", "cost", "cost_basis"))
_MENDS = [(_place(column.field), _mend(column)) for column in (*COLUMNS.values(), *COMMON.values())]


# -- the statements ----------------------------------------------------------------------------------------------------


def _at(field: str) -> str:
    """Where a field is in a line."""
    return f"'$[{_place(field)}]'"


def _taken(column: Column) -> str:
    """What is taken out of a line for a column. What is of another kind and would look the same is made unsound."""
    at = _at(column.field)
    value = f"json_extract(line, {at})"
    if column.kind == "money":  # true is no dollar
        return f"CASE WHEN json_type(line, {at}) IN ('true', 'false') THEN -1 ELSE {value} END"
    return value


def _is_sound(name: str, column: Column) -> str:
    if column.kind == "text":
        return f"typeof({name}) = 'text' AND length({name}) <= {column.most}"
    if column.kind == "attempts":
        one, each = _is_attempt("'$[0]'"), _is_attempt("fullkey")
        several = f"NOT EXISTS (SELECT 1 FROM json_each(attempts) WHERE {_unless(each)})"
        return f"(tries = 0 AND attempts = '[]' OR tries = 1 AND {one} OR tries BETWEEN 2 AND {MOST_ATTEMPTS} AND {several})"
    return f"{_number(name, column)} BETWEEN {column.least} AND {column.most}"


def _number(name: str, column: Column) -> str:
    return f"coalesce({name}, 0)" if column.may_be_null else name


def _is_attempt(at: str) -> str:
    """A provider, a status, milliseconds and an error, as `attempts_of` leaves them."""
    types = (f"json_type(attempts, {at} || '[{n}]') = '{type_}'" for n, type_ in enumerate(ATTEMPT))
    provider, status, ms, error = (f"json_extract(attempts, {at} || '[{n}]')" for n in range(len(ATTEMPT)))
    return (
        f"json_array_length(attempts, {at}) = {len(ATTEMPT)} AND {' AND '.join(types)}"
        f" AND length({provider}) <= {MOST_NAME} AND length({error}) <= {MOST_NAME}"
        f" AND {status} BETWEEN 0 AND {MOST_STATUS} AND {ms} BETWEEN 0 AND {MOST_COUNT}"
    )


def _unless(condition: str) -> str:
    """Whether something is false or NULL. As a case, it is looked at up to its first part that is false and no further."""
    return f"CASE WHEN {condition} THEN 0 ELSE 1 END"


def _adding(table: str, **key: str) -> str:
    """Add what is in `fresh` to the sums of a table; `key` says to which of its rows."""
    sums = ", ".join(f"sum({name})" for name in SUMS)
    grown = ", ".join(f"{name} = min({name} + excluded.{name}, {MOST_SUM})" for name in SUMS)
    return (
        f"INSERT INTO {table} ({', '.join((*key, *SUMS))}) SELECT {', '.join(key.values())}, {sums}"
        f" FROM fresh CROSS JOIN lanes ON lanes.id = lane GROUP BY {', '.join(map(str, range(1, len(key) + 1)))}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {grown}"
    )


def _splitting(number: int, column: str) -> str:
    start, id_ = ("start" if column == "hour" else _DAY), (column if column in LANE else "''")
    return _adding("splits", by=str(number), start=start, id=id_)


_NUMBERS = [_number(name, column) for name, column in COLUMNS.items() if column.kind in ("number", "money")]
_FIELDS = len(Entry._fields)
_COMMON = ", ".join(map(_at, COMMON))
_DAY = f"start / {DAY_MS // HOUR_MS}"
_TAKEN = "taken CROSS JOIN known USING (common)"
_KEPT = ", ".join(COLUMNS)

# Lines to what is in them, one row each, in their order.
TAKING = (
    f"INSERT INTO taken (n, common, tries, {_KEPT})"
    f" SELECT n, CASE json_array_length(line) WHEN {_FIELDS} THEN json_extract(line, {_COMMON}) END,"
    f" json_array_length(line, {_at('attempts')}), {', '.join(map(_taken, COLUMNS.values()))}"
    " FROM (SELECT column1 AS n, column2 AS line FROM"
    f" (VALUES {', '.join(f'({n}, ?)' for n in range(PIECE))})) WHERE line IS NOT NULL"
)
# Rows with something that is not as it should be. A sum is whole if all its parts are, and one question instead of twenty.
STRANGE = "SELECT n FROM taken WHERE " + _unless(
    f"common IS NOT NULL AND {' AND '.join(_is_sound(*each) for each in COLUMNS.items())}"
    f" AND typeof({' + '.join(_NUMBERS)}) = 'integer'"
)
UNKNOWN = "SELECT common FROM taken WHERE common NOT IN (SELECT common FROM known) GROUP BY common ORDER BY min(n)"
# What makes rows and sums of what was taken. As the body of a trigger all of it is one step of SQLite: between two, the lock
# would be asked for, and every system call of the loop would wake a thread that does not get it.
SETTLING = (
    f"INSERT INTO calls (facet, total, tries, {_KEPT}) SELECT facet, input + output, tries, {_KEPT} FROM {_TAKEN} ORDER BY n",
    # All of these facets are there: only their numbers of rows change.
    f"INSERT INTO facets (id, way, outcome, rows) SELECT facet, 0, 0, count(*) FROM {_TAKEN} WHERE 1 GROUP BY facet"
    " ON CONFLICT (id) DO UPDATE SET rows = rows + excluded.rows",
    "INSERT INTO latencies SELECT hours, start / hours, bucket, sum(calls) FROM"
    f" (SELECT time / {HOUR_MS} AS start, count(*) AS calls,"
    " (SELECT bucket FROM buckets WHERE least <= latency ORDER BY least DESC LIMIT 1) AS bucket"
    f" FROM {_TAKEN} WHERE tries > 0 AND NOT failed GROUP BY start, bucket)"
    f" CROSS JOIN (SELECT 1 AS hours UNION ALL SELECT {DAY_MS // HOUR_MS}) WHERE 1 GROUP BY 1, 2, 3"
    " ON CONFLICT (hours, start, bucket) DO UPDATE SET calls = calls + excluded.calls",
    "DELETE FROM fresh",
    f"INSERT INTO fresh SELECT time / {HOUR_MS}, lane, {', '.join(SUMS.values())} FROM {_TAKEN} GROUP BY 1, 2",
    _adding("hours", start="start", lane="lane"),
    _adding("days", start=_DAY, lane="lane"),
    *(_splitting(number, column) for number, column in enumerate(SPLITS)),
)


def _buckets() -> Iterator[tuple[int, int]]:
    """The least latency of every bucket of the histogram that one can be in."""
    for bucket in range(bucket_of(MOST_MICROS) + 1):
        least = ceil(2 ** (bucket / STEPS)) if bucket else 0
        if bucket_of(least) == bucket:
            yield least, bucket
