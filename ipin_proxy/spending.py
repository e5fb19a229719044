"""What was spent, read from the ledger's sums: by key, user, model, provider, alias, and by day and hour, in UTC.

Sums are kept by the hour for a while and by the day for ever, also of rows that are deleted; so a time is taken as the
beginning of its hour, and where only days are left, of its day. Nothing here adds up rows, but `recent`.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from .call import NANO
from .entries import DAY_MS, HOUR_MS, SPLITS, SUMS, middle_of, text
from .errors import BadRequest
from .marks import value_of
from .retention import HOURS_MARK

if TYPE_CHECKING:
    import sqlite3

HOURS = DAY_MS // HOUR_MS
BEYOND = 2**60  # hours: later than any
# What totals can be split by: the column of `lanes`, or None for a span of time.
BY: dict[str, str | None] = {
    "day": None,
    "hour": None,
    "key": "key_id",
    "user": "user_id",
    "model": "model",
    "provider": "provider_id",
    "alias": "alias",
}
NAMED = ("key", "user")
# The columns of the sums, and how they are told.
TOLD = {
    "calls": "calls",
    "errors": "errors",
    "input": "inputTokens",
    "output": "outputTokens",
    "cached": "cachedTokens",
    "cache_write": "cacheWriteTokens",
    "reasoning": "reasoningTokens",
    "audio_in": "audioInputTokens",
    "audio_out": "audioOutputTokens",
    "seconds": "seconds",
    "images": "images",
    "pages": "pages",
    "characters": "characters",
    "cost": "costUsd",
    "unknown": "unknownCostCalls",
}
# A sum of integers that is too large is an error in SQLite, so money is added up in two parts, and the rest as numbers
# that are exact as far as any of them will ever go.
ADDED = ", ".join(f"total({name})" for name in SUMS if name != "cost")
MONEY = f"sum(cost / {NANO}), sum(cost % {NANO})"
ALL = "all"
PERCENTILES = {"latencyP50Ms": 0.50, "latencyP95Ms": 0.95}
CALLS_BITS = 40  # more calls than that are in no bucket of a histogram


class Spent(NamedTuple):
    """What a key or user has spent: calls for which a provider was asked, tokens, nano-dollars as far as they are known."""

    calls: int = 0
    tokens: int = 0
    cost: int = 0


class Month(NamedTuple):
    """What a user or key has spent in a month ("2026-11"); `name` is what it was last called."""

    id: str
    name: str
    month: str
    calls: int
    cost: int


class Piece(NamedTuple):
    """A stretch of spans that are one hour or one day: from which to before which."""

    hours: int
    first: int
    end: int

    def source(self, by: str, is_narrowed: bool) -> str:
        """The table with the fewest rows that knows how this was split, and which of its rows, as the part of a query."""
        between = f"start >= {self.first} AND start < {self.end}"
        column = BY[by]
        if self.hours == HOURS and not is_narrowed:
            return f"splits WHERE by = {SPLITS.index(column or 'all')} AND {between}"
        if column is None and not is_narrowed:
            return f"splits WHERE by = {SPLITS.index('hour')} AND {between}"
        return f"{'hours' if self.hours == 1 else 'days'} CROSS JOIN lanes ON lanes.id = lane WHERE {between}"

    def bucket(self, by: str, is_narrowed: bool) -> str:
        """The column of that which tells the bucket: a number of hours or days, or an id."""
        if by == "hour":
            return "start" if self.hours == 1 else f"start * {HOURS}"
        if by == "day":
            return "start" if self.hours == HOURS else f"start / {HOURS}"
        return "id" if self.hours == HOURS and not is_narrowed else f"lanes.{BY[by]}"


def spent(db: sqlite3.Connection, since_ms: int, by: str, until_ms: int | None = None) -> dict[str, Spent]:
    found: dict[str, Spent] = {}
    end = BEYOND if until_ms is None else max(0, until_ms) // HOUR_MS
    for piece in pieces(db, max(0, since_ms) // HOUR_MS, end):
        for id_, calls, tokens, *money in db.execute(
            f"SELECT {piece.bucket(by, False)}, total(asked), total(input + output), {MONEY}"
            f" FROM {piece.source(by, False)} GROUP BY 1"
        ):
            before = found.get(id_, Spent())
            found[id_] = Spent(before.calls + int(calls), before.tokens + int(tokens), before.cost + nano(*money))
    return found


def sum_of(db: sqlite3.Connection, since_ms: int, by: str, id_: str) -> Spent:
    """The same of one "key" or "user"; of everybody where `by` is empty."""
    found = Spent()
    for piece in pieces(db, max(0, since_ms) // HOUR_MS, BEYOND):
        if not by:
            source = piece.source("hour", False)
        elif piece.hours == HOURS:
            source = of_one(by, piece.first, piece.end)
        else:
            source = f"{piece.source(by, False)} AND {piece.bucket(by, False)} = ?"
        calls, tokens, *money = db.execute(
            f"SELECT total(asked), total(input + output), {MONEY} FROM {source}", [text(id_)] if by else []
        ).fetchone()
        found = Spent(found.calls + int(calls), found.tokens + int(tokens), found.cost + nano(*money))
    return found


def recent(db: sqlite3.Connection, since_ms: int) -> list[tuple[int, str, int]]:
    return db.execute(
        "SELECT time, key_id, total FROM calls INDEXED BY calls_time CROSS JOIN facets ON facets.id = facet"
        " CROSS JOIN ways ON ways.id = way"
        " WHERE time >= ? AND tries > 0 ORDER BY time",
        (since_ms,),
    ).fetchall()


def usage(db: sqlite3.Connection, from_ms: int, to_ms: int, by: str, **only: str) -> dict[str, Any]:
    """What was used between two times: `totals`, and a `series` of the same for each bucket: by time in its order, by any
    other the most expensive first. `only` narrows it, as in `key="k1"`. Where all calls are meant, the totals, and the
    buckets of a time, also say how long calls that went well took. `from` and `to` are what the answer is about."""
    if by not in BY:
        raise BadRequest(f"'by' must be one of {', '.join(BY)}, not {by!r:.40}.", param="by")
    unknown = [name for name in only if not BY.get(name)]
    if unknown:
        raise BadRequest(f"There is no usage by {unknown[0]!r:.40} alone.", param=unknown[0])
    narrowed = {name: text(value) for name, value in only.items() if value}
    where = "".join(f" AND lanes.{BY[name]} = ?" for name in narrowed)
    hours = max(0, from_ms) // HOUR_MS, -(max(0, to_ms) // -HOUR_MS)
    stretch = [*pieces(db, *hours, by_hour=by == "hour")]
    buckets: dict[Any, list[int]] = {}
    for piece in stretch:
        for bucket, *values in db.execute(
            f"SELECT {piece.bucket(by, bool(narrowed))}, {ADDED}, {MONEY} FROM {piece.source(by, bool(narrowed))}{where}"
            " GROUP BY 1",
            [*narrowed.values()],
        ):
            sums = _sums(values)
            buckets[bucket] = _added((buckets[bucket], sums)) if bucket in buckets else sums
    first = min((piece.first * piece.hours for piece in stretch), default=0)
    end = max((piece.end * piece.hours for piece in stretch), default=0)
    totals = _told(_added(buckets.values()))
    if not narrowed:
        totals |= _spread(db, pieces(db, *hours), ALL)[ALL]
    series = [{"bucket": _label(by, bucket), **_told(sums)} for bucket, sums in _ordered(by, buckets)]
    if BY[by] is None and not narrowed:
        spread, nobody = _spread(db, stretch, by), dict.fromkeys(PERCENTILES)
        for bucket, row in zip(sorted(buckets), series, strict=True):
            row.update(spread.get(bucket, nobody))
    if by in NAMED:
        names = _names(db, by)
        for row in series:
            row["name"] = names.get(row["bucket"], row["bucket"])
    return {"from": first * HOUR_MS, "to": end * HOUR_MS, "totals": totals, "series": series}


def months(db: sqlite3.Connection, by: str, id_: str | None) -> list[Month]:
    """By month and user (or key), the newest first; whoever has no user, or no key, is the one with the id ""."""
    source, whose, one = f"splits WHERE by = {SPLITS.index(BY[by] or '')}", "", []
    if id_ is not None:
        source, whose, one = of_one(by, 0, BEYOND), " AND id = ?", [text(id_)]
    found = db.execute(
        f"SELECT id, strftime('%Y-%m', start * {DAY_MS // 1000}, 'unixepoch') AS month, total(asked), {MONEY}"
        f" FROM {source} GROUP BY id, month",
        one,
    ).fetchall()
    names = _names(db, by, whose, one)
    rows = [Month(who, names.get(who, who), month, int(calls), nano(*money)) for who, month, calls, *money in found]
    return sorted(rows, key=lambda row: (row.month, row.cost, row.calls, row.id), reverse=True)


def of_one(by: str, first: int, end: int) -> str:
    """The days of one id, which is to be given, between two days, as the part of a query. Each day there is is found by one
    step along the key, and the id by another: of everybody else's rows in those days none is looked at."""
    split = f"by = {SPLITS.index(BY[by] or '')} AND start"
    return (
        f"splits WHERE {split} IN (WITH RECURSIVE there(day) AS ("
        f"SELECT min(start) FROM splits WHERE {split} >= {first} AND start < {end} UNION ALL"
        f" SELECT (SELECT min(start) FROM splits WHERE {split} > day AND start < {end}) FROM there WHERE day IS NOT NULL"
        ") SELECT day FROM there) AND id = ?"
    )


def pieces(db: sqlite3.Connection, first: int, end: int, *, by_hour: bool = False) -> Iterator[Piece]:
    """What a stretch of hours is made of: the sums of whole days, and of the hours that are left. What is older than the
    sums by hour begins, and ends, with a day; `by_hour` makes days of that alone."""
    kept = value_of(db, HOURS_MARK)
    if first < kept:
        first -= first % HOURS
    if end < kept:
        end += -end % HOURS
    first_day, end_day = -(first // -HOURS), (min(end, kept) if by_hour else end) // HOURS
    if first_day >= end_day:
        yield Piece(1, first, end)
        return
    if first < first_day * HOURS:
        yield Piece(1, first, first_day * HOURS)
    yield Piece(HOURS, first_day, end_day)
    if end_day * HOURS < end:
        yield Piece(1, end_day * HOURS, end)


def nano(whole: int | None, rest: int | None) -> int:
    return (whole or 0) * NANO + (rest or 0)


def _names(db: sqlite3.Connection, by: str, whose: str = "", values: Sequence[str] = ()) -> dict[str, str]:
    """What keys or users were last called, by id. Without an id come the master key and all who have no key: together they are
    called nothing."""
    return dict(db.execute(f"SELECT id, name FROM names WHERE kind = ? AND id <> ''{whose}", [by, *values]))


def _sums(row: list[Any]) -> list[int]:
    """The columns of SUMS, of a row of ADDED and MONEY."""
    *numbers, dollars, rest = row
    return [*map(int, numbers), nano(dollars, rest)]


def _added(sums: Iterable[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*sums, strict=True)] or [0] * len(SUMS)


def _told(sums: list[int]) -> dict[str, Any]:
    values = dict(zip(SUMS, sums, strict=True))
    found: dict[str, Any] = {told: values[name] for name, told in TOLD.items()}
    found["seconds"] /= 1_000_000
    found["costUsd"] = usd(values["cost"])
    return found


def usd(nano_dollars: int | None) -> float | None:
    """A number whose shortest text is the exact amount, up to a million dollars."""
    return None if nano_dollars is None else nano_dollars / NANO


def _label(by: str, bucket: Any) -> str:
    if by == "hour":
        return time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(bucket * HOUR_MS // 1000))
    return time.strftime("%Y-%m-%d", time.gmtime(bucket * DAY_MS // 1000)) if by == "day" else str(bucket)


def _ordered(by: str, buckets: dict[Any, list[int]]) -> list[tuple[Any, list[int]]]:
    if BY[by] is None:
        return sorted(buckets.items())
    calls, cost = list(SUMS).index("calls"), list(SUMS).index("cost")
    return sorted(buckets.items(), key=lambda each: (-each[1][cost], -each[1][calls], each[0]))


def _spread(db: sqlite3.Connection, stretch: Iterable[Piece], by: str) -> dict[Any, dict[str, float | None]]:
    """How long calls that went well took, in milliseconds and exact to 5 %: of each day or hour, or of a whole stretch."""
    found: dict[Any, list[int]] = {ALL: []} if by == ALL else {}
    for piece in stretch:
        span = f"'{ALL}'" if by == ALL else piece.bucket(by, False)
        # A text for each, of buckets and their calls as one number: rows would take four times as long to fetch.
        for start, steps in db.execute(
            f"SELECT {span}, group_concat((bucket << {CALLS_BITS}) + calls) FROM latencies"
            " WHERE hours = ? AND start >= ? AND start < ? GROUP BY 1",
            (piece.hours, piece.first, piece.end),
        ):
            found.setdefault(start, []).extend(map(int, steps.split(",")))
    return {which: _percentiles(sorted(steps)) for which, steps in found.items()}


def _percentiles(steps: list[int]) -> dict[str, float | None]:
    """Of buckets in their order, with the calls in each."""
    found: dict[str, float | None] = dict.fromkeys(PERCENTILES)
    most = (1 << CALLS_BITS) - 1
    passed = list(accumulate([step & most for step in steps]))
    for name, part in PERCENTILES.items() if passed else ():
        found[name] = round(middle_of(steps[bisect_left(passed, part * passed[-1])] >> CALLS_BITS), 1)
    return found
