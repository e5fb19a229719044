"""What is remembered of a call: the Entry, and how many of them go into the ledger's database at once.

Nothing here trusts a number or a text: what is negative, not finite, huge or of the wrong kind counts as nothing, so that no
entry can keep others out or spoil a sum. Rows and all the sums they belong to change in the same transaction. Prompts and
answers have no place in an Entry.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from math import log2
from typing import TYPE_CHECKING, Any, NamedTuple

from .call import Attempt
from .logs import redact

if TYPE_CHECKING:
    import sqlite3

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MOST_TIME = 10**13  # ms: the year 2286
MOST_COUNT = 10**12  # of tokens, images, bytes: more is garbage
MOST_COST = 10**15  # nano-dollars: a million dollars for one call
MOST_MICROS = 10**12  # 11 days
MOST_NUMBER = 10**30  # a larger one is no float in the end, and nothing that can be meant
MOST_NAME = 200  # characters
MOST_AGENT = 300
MOST_MESSAGE = 1_000
MOST_ATTEMPTS = 50
MOST_WRITTEN = 16_000  # bytes of an entry
MOST_KNOWN = 5_000  # facets whose numbers are kept in memory
BOUND = 999  # values one statement may have in an old SQLite
STEPS = 8  # of a histogram of latencies, for every doubling: half of one is 4 %


class Entry(NamedTuple):
    """One settled call. `time_ms` is when it arrived; "" stands for what there is none of, None for what is not known.
    `model` is the name that was asked for, `served_model` the record that answered, or was the last to be asked. Money is
    in nano-dollars, and `cost_basis` says how the cost is known: reported, priced, estimated or unknown. An error's origin
    is client, proxy or upstream."""

    request_id: str
    time_ms: int
    key_id: str = ""
    key_name: str = ""
    user_id: str = ""
    user_name: str = ""
    address: str = ""
    user_agent: str = ""
    dialect: str = ""
    endpoint: str = ""
    alias: str = ""
    model: str = ""
    upstream_model: str = ""
    provider_id: str = ""
    served_model: str = ""
    stream: bool = False
    media: str = ""
    status: int = 200
    latency_ms: float = 0.0
    upstream_ms: float = 0.0
    overhead_ms: float = 0.0
    first_chunk_ms: float | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    seconds: float = 0.0
    images: int = 0
    pages: int = 0
    characters: int = 0
    cost: int | None = None
    upstream_cost: int | None = None
    cost_basis: str = "unknown"
    finish_reason: str = ""
    error_origin: str = ""
    error_code: str = ""
    error_message: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    attempts: tuple[Attempt, ...] = ()


# The columns of `calls` in the order of `_row`.
COLUMNS = (
    *("time", "facet", "request_id", "address", "user_agent", "latency", "upstream", "overhead", "first_chunk"),
    *("input", "cached", "cache_write", "output", "reasoning", "audio_in", "audio_out", "total", "seconds"),
    *("images", "pages", "characters", "cost", "upstream_cost", "error_message", "bytes_in", "bytes_out"),
    *("tries", "attempts"),
)
# Whose a call was and where it went, in the order of an entry; how it ended, likewise.
WAY = (
    *("key_id", "key_name", "user_id", "user_name", "dialect", "endpoint", "alias", "model", "upstream_model"),
    *("provider_id", "served_model"),
)
OUTCOME = ("stream", "media", "status", "cost_basis", "finish_reason", "error_origin", "error_code")
LATENCY_COLUMN = COLUMNS.index("latency")
AT_ONCE = BOUND // len(COLUMNS)  # rows in one statement, which lets go of the interpreter's lock once
LANE = ("key_id", "user_id", "model", "provider_id", "alias")
SPLITS = ("all", "key_id", "user_id", "model", "provider_id", "alias", "hour")  # their numbers are in the database
# What is summed up, and how; the names are those of the columns of `hours` and `days`.
SUMS = {
    "calls": "count(*)",
    "asked": "sum(tries > 0)",
    "errors": "sum(failed)",
    "unknown": "sum(tries > 0 AND cost IS NULL)",
    **{
        name: f"sum({name})"
        for name in (
            *("input", "cached", "cache_write", "output", "reasoning", "audio_in", "audio_out", "seconds", "images"),
            *("pages", "characters"),
        )
    },
    "cost": "sum(coalesce(cost, 0))",
}
MOST_SUM = 9 * 10**18  # where a sum stops growing, short of what a column can hold

# -- as the journal writes them ----------------------------------------------------------------------------------------

DURATIONS = {
    "latency_ms": 1_000,
    "upstream_ms": 1_000,
    "overhead_ms": 1_000,
    "first_chunk_ms": 1_000,
    "seconds": 1_000_000,
}
_place = Entry._fields.index
REQUEST_ID, TIME, ADDRESS, AGENT = map(_place, ("request_id", "time_ms", "address", "user_agent"))
LATENCY, SECONDS, COST, UPSTREAM_COST, BASIS = map(
    _place, ("latency_ms", "seconds", "cost", "upstream_cost", "cost_basis")
)
MESSAGE, ATTEMPTS = map(_place, ("error_message", "attempts"))
# Numbers that stand together, and two places in the first of these.
TOKENS, UNITS = slice(_place("input_tokens"), SECONDS), slice(_place("images"), COST)
BYTES = slice(_place("bytes_in"), _place("attempts"))
INPUT, OUTPUT = 0, _place("output_tokens") - _place("input_tokens")
USUAL = [Entry._field_defaults.get(name) for name in Entry._fields]

_encoder = json.JSONEncoder(separators=(",", ":"))
# What `encode` makes itself anew each time, which takes as long as its work. Not every Python has it.
_make = getattr(json.encoder, "c_make_encoder", None)
_quoted = json.encoder.encode_basestring_ascii
_pieces = _make(None, _encoder.default, _quoted, None, ":", ",", False, False, True) if _make is not None else None


def _encode(value: Any) -> str:
    """Compact JSON. Raises TypeError, ValueError, RecursionError."""
    return "".join(_pieces(value, 0)) if _pieces is not None else _encoder.encode(value)


def written(entry: Entry) -> bytes:
    """An entry as a line of JSON: its fields in their order, durations as whole microseconds, which are written in a third
    of the time. Never raises, whatever is in it, and of texts without end it takes the beginning."""
    try:
        first_chunk = entry.first_chunk_ms
        values = (
            *entry[:LATENCY],
            round(entry.latency_ms * 1000),
            round(entry.upstream_ms * 1000),
            round(entry.overhead_ms * 1000),
            None if first_chunk is None else round(first_chunk * 1000),
            *entry[LATENCY + 4 : SECONDS],
            round(entry.seconds * 1_000_000),
            *entry[SECONDS + 1 :],
        )
        text = _encode(values).encode()
        if len(text) <= MOST_WRITTEN:
            return text
    except Exception:  # noqa: BLE001 a call must not fail because of what is remembered of it
        pass
    return _encode([*_mended(entry)]).encode()


def masked(entry: Entry) -> Entry:
    """An entry of a call that failed, without what looks like a secret: providers repeat what they were sent, and people paste
    keys where a model's name belongs. Never raises."""
    try:
        message, model, agent = redact([entry.error_message, entry.model, entry.user_agent], MOST_MESSAGE)
        if model != entry.model:  # a provider that takes any name was asked for that one
            upstream, served = redact([entry.upstream_model, entry.served_model], MOST_MESSAGE)
            entry = entry._replace(upstream_model=upstream, served_model=served)
        return entry._replace(error_message=message, model=model, user_agent=agent)
    except Exception:  # noqa: BLE001 as in `written`
        return entry._replace(error_message="", model="", user_agent="")


def read(text: bytes) -> list[Any] | None:
    """The fields of what `written` wrote, durations as it wrote them; also in an older version, with fewer fields. None when
    it is nothing of ours."""
    try:
        values = json.loads(text)
    except ValueError:
        return None
    if not isinstance(values, list) or len(values) < 2:
        return None
    if len(values) != len(USUAL):
        values = [*values, *USUAL[len(values) :]][: len(USUAL)]
    return values


def _mended(entry: Entry) -> Iterator[Any]:
    """What can be kept of an entry with values of the wrong kind."""
    for name, value in zip(entry._fields, entry, strict=True):
        if name in DURATIONS:
            yield micros(value, DURATIONS[name]) if value is not None else None
        elif name == "attempts":
            yield _attempts(value)
        elif value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < MOST_NUMBER):
            yield value
        else:
            try:
                yield text(value, MOST_MESSAGE)
            except Exception:  # noqa: BLE001 not even that
                yield ""


# -- into the database ------------------------------------------------------------------------------------------------


class Writer:
    """Puts entries into the database. It remembers the numbers of facets and lanes that it has seen."""

    def __init__(self, db: sqlite3.Connection, wall: Callable[[], float] = time.time) -> None:
        self._db = db
        self._wall = wall
        self._facets: dict[tuple[Any, ...], tuple[int, bool]] = {}  # → number, and whether these calls failed
        self._names: dict[tuple[str, str], str] = {}
        db.execute(f"CREATE TEMP TABLE fresh (start INTEGER, lane INTEGER, {', '.join(SUMS)})")

    def forget(self) -> None:
        """What was remembered may not be there any more."""
        self._facets.clear()
        self._names.clear()

    def insert(self, batch: Sequence[tuple[int, bytes]], process: str) -> None:
        """All lines of a batch or none, each once: those that are in the database already are known by the mark of their
        process. Raises sqlite3.Error, and then nothing has happened."""
        db, mark = self._db, f"journal:{process}"
        db.execute("BEGIN IMMEDIATE")
        try:
            last = value_of(db, mark)
            fresh = [text for number, text in batch if number > last]
            if fresh:
                self._insert(fresh)
                set_value(db, mark, max(number for number, _ in batch))
            db.execute("COMMIT")
        except BaseException:
            self.forget()
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        if len(self._facets) > MOST_KNOWN:
            self.forget()

    def _insert(self, lines: Sequence[bytes]) -> None:
        db = self._db
        per_facet: Counter[int] = Counter()
        latencies: Counter[tuple[int, int, int]] = Counter()
        (before,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'calls'").fetchone()
        for start in range(0, len(lines), AT_ONCE):
            rows: list[tuple[Any, ...]] = []
            for line in lines[start : start + AT_ONCE]:
                values = read(line)
                if values is None:
                    continue
                if values[COST] is not None and money(values[COST]) is None:
                    values[COST], values[BASIS] = None, "unknown"
                facet, failed = self._facet(values)
                row = _row(values, facet, whole(values[TIME], MOST_TIME) or int(self._wall() * 1000))
                rows.append(row)
                per_facet[facet] += 1
                if not failed and values[ATTEMPTS]:
                    for hours in (1, 24):
                        latencies[hours, row[0] // (hours * HOUR_MS), bucket_of(row[LATENCY_COLUMN])] += 1
            if rows:
                db.execute(_insertion(len(rows)), [*chain.from_iterable(rows)])
        self._add_up(before)
        db.executemany("UPDATE facets SET rows = rows + ? WHERE id = ?", [(n, id_) for id_, n in per_facet.items()])
        db.executemany(
            "INSERT INTO latencies VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls",
            [(*which, n) for which, n in latencies.items()],
        )

    def _add_up(self, before: int) -> None:
        """Add the rows above an id to all the sums they belong to."""
        db = self._db
        db.execute("DELETE FROM fresh")
        db.execute(
            f"INSERT INTO fresh SELECT time / {HOUR_MS}, lane, {', '.join(SUMS.values())} FROM calls"
            " CROSS JOIN facets ON facets.id = facet CROSS JOIN ways ON ways.id = way"
            " CROSS JOIN outcomes ON outcomes.id = outcome WHERE calls.id > ? GROUP BY 1, 2",
            (before,),
        )
        day = f"start / {DAY_MS // HOUR_MS}"
        db.execute(_adding("hours", start="start", lane="lane"))
        db.execute(_adding("days", start=day, lane="lane"))
        for number, column in enumerate(SPLITS):
            start, id_ = ("start" if column == "hour" else day), (column if column in LANE else "''")
            db.execute(_adding("splits", by=str(number), start=start, id=id_))

    def _facet(self, values: list[Any]) -> tuple[int, bool]:
        """The number of what a call has in common with others, and whether those failed."""
        common = (*values[2:6], *values[8:18], *values[35:39])  # WAY and OUTCOME, as a test of their order says
        try:
            known = self._facets.get(common)
            if known is None:
                known = self._facets[common] = self._find_facet(common)
            return known
        except TypeError:  # something in it that is no text
            return self._find_facet(common)

    def _find_facet(self, common: tuple[Any, ...]) -> tuple[int, bool]:
        way = dict(zip(WAY, map(text, common), strict=False))
        stream, media, status, *others = common[len(WAY) :]
        outcome = dict(
            zip(OUTCOME, (int(bool(stream)), text(media), whole(status, 999), *map(text, others)), strict=True)
        )
        failed = bool(outcome["error_code"] or outcome["error_origin"]) or not 0 < whole(status, 999) < 400
        # The model of a lane is a record, not whatever a caller asked for: totals are kept for ever.
        model = way["served_model"] or (way["model"] if way["provider_id"] else "")
        lane = self._number("lanes", {name: way[name] for name in LANE} | {"model": model})
        ids = {
            "way": self._number("ways", way, lane=lane),
            "outcome": self._number("outcomes", outcome, failed=failed),
        }
        for kind in ("key", "user"):
            self._note_name(kind, way[f"{kind}_id"], way[f"{kind}_name"])
        return self._number("facets", ids), failed

    def _number(self, table: str, which: Mapping[str, Any], **more: Any) -> int:
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
                "INSERT INTO names VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name", (kind, id_, name)
            )
            self._names[kind, id_] = name


def value_of(db: sqlite3.Connection, mark: str) -> int:
    row = db.execute("SELECT value FROM marks WHERE name = ?", (mark,)).fetchone()
    return int(row[0]) if row is not None else 0


def set_value(db: sqlite3.Connection, mark: str, value: int) -> None:
    db.execute("INSERT INTO marks VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (mark, value))


def bucket_of(micros: int) -> int:
    """Where a latency belongs in the histogram; `middle_of` is the way back."""
    return int(log2(micros) * STEPS) if micros > 1 else 0


def middle_of(bucket: int) -> float:
    """Milliseconds."""
    return float(2 ** ((bucket + 0.5) / STEPS)) / 1000


@cache
def _insertion(rows: int) -> str:
    marks = f"({', '.join('?' * len(COLUMNS))})"
    return f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES {', '.join([marks] * rows)}"


def _adding(table: str, **key: str) -> str:
    """Add what is in `fresh` to the sums of a table; `key` says to which of its rows."""
    sums = ", ".join(f"sum({name})" for name in SUMS)
    grown = ", ".join(f"{name} = min({name} + excluded.{name}, {MOST_SUM})" for name in SUMS)
    return (
        f"INSERT INTO {table} ({', '.join((*key, *SUMS))}) SELECT {', '.join(key.values())}, {sums}"
        f" FROM fresh CROSS JOIN lanes ON lanes.id = lane GROUP BY {', '.join(map(str, range(1, len(key) + 1)))}"
        f" ON CONFLICT DO UPDATE SET {grown}"
    )


# -- values that can be trusted ---------------------------------------------------------------------------------------


def _row(values: list[Any], facet: int, time_ms: int) -> tuple[Any, ...]:
    """A row of `calls`, in the order of COLUMNS, of the fields of an entry."""
    latency, upstream, overhead, first_chunk = values[LATENCY : LATENCY + 4]
    attempts = _attempts(values[ATTEMPTS])
    # Almost all of them are as they should be, and a call for each would take longer than all the rest.
    tokens = [n if type(n) is int and 0 <= n <= MOST_COUNT else whole(n) for n in values[TOKENS]]
    counts = [n if type(n) is int and 0 <= n <= MOST_COUNT else whole(n) for n in values[UNITS] + values[BYTES]]
    images, pages, characters, bytes_in, bytes_out = counts
    return (
        time_ms,
        facet,
        text(values[REQUEST_ID]),
        text(values[ADDRESS]),
        text(values[AGENT], MOST_AGENT),
        whole(latency, MOST_MICROS),
        whole(upstream, MOST_MICROS),
        whole(overhead, MOST_MICROS),
        None if first_chunk is None else whole(first_chunk, MOST_MICROS),
        *tokens,
        tokens[INPUT] + tokens[OUTPUT],
        whole(values[SECONDS], MOST_MICROS),
        images,
        pages,
        characters,
        money(values[COST]),
        money(values[UPSTREAM_COST]),
        text(values[MESSAGE], MOST_MESSAGE),
        bytes_in,
        bytes_out,
        len(attempts),
        _encode(attempts),
    )


def _attempts(values: Any) -> list[list[Any]]:
    found = []
    for each in values if isinstance(values, (list, tuple)) else ():
        if isinstance(each, (list, tuple)) and len(each) >= 3:
            provider, status, ms, error = (*each, "")[:4]
            found.append([text(provider), whole(status, 999), whole(ms), text(error)])
    return found[:MOST_ATTEMPTS]


def whole(value: Any, most: int = MOST_COUNT) -> int:
    """A sane count; else 0."""
    if type(value) is int:
        return value if 0 <= value <= most else 0
    return int(value) if isinstance(value, (int, float)) and 0 <= value <= most else 0


def micros(value: Any, factor: int = 1_000) -> int:
    """A sane duration in microseconds; else 0."""
    if not isinstance(value, (int, float)) or not 0 <= value <= MOST_MICROS:
        return 0
    return min(round(value * factor), MOST_MICROS)


def money(value: Any) -> int | None:
    """Nano-dollars; None when it is no price, since what is unknown is not 0."""
    sane = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MOST_COST
    return int(value) if sane else None


def text(value: Any, most: int = MOST_NAME) -> str:
    """A text the database can hold and search: of Unicode's characters, and not without end."""
    found: str = value if type(value) is str else "" if value is None else str(value)
    if len(found) > most:
        found = found[: most - 1] + "…"
    if found.isascii() and "\0" not in found:
        return found
    return found.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
