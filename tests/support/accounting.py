"""What tests of limits share: a time of day that can be set, keys and users with limits, and a ledger that adds up naively."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ipin_proxy.call import NANO, Caller
from ipin_proxy.limits import Estimate, Limits, Reservation
from ipin_proxy.records import Budget, User, VirtualKey

from .clock import Clock

DAY_S = 86_400
USD = NANO


def at(text: str) -> float:
    """Seconds since 1970 of an ISO time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def budget(usd: float, window: str = "month", **more: Any) -> Budget:
    return Budget.from_json({"usd": usd, "window": window, **more})


def key(id_: str = "k", **fields: Any) -> VirtualKey:
    return VirtualKey(**{"id": id_, "name": "Class 7b", "key_hash": "0" * 64, **fields})


def user(id_: str = "u", **fields: Any) -> User:
    return User(**{"id": id_, "username": "ann", **fields})


def caller(key: VirtualKey | None = None, user: User | None = None, **limits: Any) -> Caller:
    """Somebody with a key; `limits` are the key's."""
    from . import accounting

    return Caller("somebody", key=key or accounting.key(**limits), user=user)


class Sum(NamedTuple):
    calls: int = 0
    tokens: int = 0
    cost: int = 0


class Row(NamedTuple):
    time: float
    key: str
    user: str
    tokens: int
    cost: int


class House:
    """Limits with a clock on the wall and one that only counts seconds, and the rows a ledger would have."""

    def __init__(self, now: str = "2026-11-27T12:00:00") -> None:
        self.wall = Clock(at(now))
        self.clock = Clock()
        self.limits = Limits(self.wall, self.clock)
        self.rows: list[Row] = []

    def advance(self, seconds: float) -> None:
        self.wall.advance(seconds)
        self.clock.advance(seconds)

    def be(self, now: str) -> None:
        """It is that time, and so much time has passed."""
        self.advance(at(now) - self.wall())

    def call(self, who: Caller, cost: int | None = 0, tokens: int = 0, *, estimate: int = 0) -> Reservation:
        """A whole call."""
        held = self.limits.admit(who, Estimate(tokens, estimate))
        self.settle(held, cost, tokens)
        return held

    def settle(self, held: Reservation, cost: int | None = 0, tokens: int = 0) -> None:
        self.limits.settle(held, tokens, cost)
        of = held.user.id if held.user is not None else ""
        self.rows.append(Row(held.time, held.key.id, of, tokens, held.charged))

    def spent(self, since_ms: int, by: str, until_ms: int | None = None) -> Mapping[str, Sum]:
        """The reading side of a ledger: sums since a moment, and until before another."""
        found: dict[str, Sum] = {}
        for row in self.rows:
            id_ = row.key if by == "key" else row.user
            if row.time * 1000 >= since_ms and (until_ms is None or row.time * 1000 < until_ms):
                calls, tokens, cost = found.get(id_, Sum())
                found[id_] = Sum(calls + 1, tokens + row.tokens, cost + row.cost)
        return found

    def recent(self) -> list[tuple[int, str, int]]:
        since = self.wall() - 60
        return [(round(row.time * 1000), row.key, row.tokens) for row in self.rows if row.time > since]

    def restarted(self, days: int = 1) -> House:
        """The same after a restart: nothing in memory but what the ledger knows. Monotonic clocks begin anew."""
        other = House()
        other.wall, other.clock = Clock(self.wall()), Clock(5.0)
        other.limits = Limits(other.wall, other.clock)
        other.rows = self.rows
        other.limits.restore(self.spent, self.recent(), days=days)
        return other
