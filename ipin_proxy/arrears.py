"""What processes before this one left in the journal, as long as the database does not take it: it was spent, and a start has to
know of it. Values in, values out: who reads the journal, and when, is the ledger's affair.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import spending
from .entries import HOUR_MS, MOST_TIME, Entry, money, read, text, whole
from .marks import value_of
from .spending import Spent

if TYPE_CHECKING:
    import sqlite3

    from .journal import Line


class Arrear(NamedTuple):
    """A call for which a provider was asked: who left it as the how-manieth, and what of it is in sums. `ids` go by "key"
    and "user"."""

    process: str
    number: int
    time_ms: int
    ids: dict[str, str]
    tokens: int
    cost: int


def of(lines: Iterable[Line]) -> list[Arrear]:
    found = []
    for line in lines:
        values = read(line.text)
        fields: dict[str, Any] = dict(zip(Entry._fields, values or (), strict=False))
        if fields.get("attempts"):
            found.append(
                Arrear(
                    line.process,
                    line.number,
                    whole(fields["time_ms"], MOST_TIME),
                    {"key": text(fields["key_id"]), "user": text(fields["user_id"])},
                    whole(fields["input_tokens"]) + whole(fields["output_tokens"]),
                    money(fields["cost"]) or 0,
                )
            )
    return found


def spent(
    db: sqlite3.Connection, arrears: Iterable[Arrear], since_ms: int, by: str, until_ms: int | None
) -> dict[str, Spent]:
    """As `spending.spent`, with those that are not in the database yet."""
    db.execute("BEGIN")  # one state of it for sums and marks
    found = spending.spent(db, since_ms, by, until_ms)
    marks: dict[str, int] = {}
    first = max(0, since_ms) // HOUR_MS
    end = spending.BEYOND if until_ms is None else until_ms // HOUR_MS
    for each in arrears:
        if each.process not in marks:
            marks[each.process] = value_of(db, f"journal:{each.process}")
        if each.number > marks[each.process] and first <= each.time_ms // HOUR_MS < end:
            calls, tokens, cost = found.get(each.ids[by], Spent())
            found[each.ids[by]] = Spent(calls + 1, tokens + each.tokens, cost + each.cost)
    return found
