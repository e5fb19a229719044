"""The spans of time that limits count in: the last minute, and days, weeks, months as the calendar in UTC has them.

A day is a number, the days since 1970; a week begins on Monday (ISO 8601). Nobody here looks at a clock: what time it is
is told, so that a test, a thread and a start after years off say the same of the same moment.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

MINUTE_S = 60.0
DAY_S = 86_400
BEGINNING = -(10**9)  # before every day there can be


class Sliding:
    """What was counted in the last 60 seconds, exactly. Times never go back: they come from a monotonic clock."""

    __slots__ = ("_entries", "_sum")

    def __init__(self) -> None:
        self._entries: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, now: float, amount: int = 1) -> None:
        self._entries.append((now, amount))
        self._sum += amount

    def used(self, now: float) -> int:
        """The sum of what was added less than a minute ago."""
        entries = self._entries
        while entries and entries[0][0] + MINUTE_S <= now:
            self._sum -= entries.popleft()[1]
        return self._sum

    def below_at(self, limit: int) -> float | None:
        """When the sum is below a limit again, if nothing is added; None when it never is, or is already."""
        left = self._sum
        if left < limit:
            return None
        for at, amount in self._entries:
            left -= amount
            if left < limit:
                return at + MINUTE_S
        return None

    def empty_at(self) -> float | None:
        """When there is nothing left of it; None when there is nothing now."""
        return self._entries[-1][0] + MINUTE_S if self._entries else None


class Today(NamedTuple):
    """A day, with the first days of the week and the month it is in, and of the next month."""

    day: int
    week: int
    month: int
    next_month: int

    @classmethod
    def of(cls, day: int) -> Today:
        month = first_of_month(day)
        return cls(day, day - (day + 3) % 7, month, first_of_month(month + 31))  # 1970 began on a Thursday

    def first(self, window: str, days: int | None = None) -> int:
        """The first day of the window that is running."""
        if window == "day":
            return self.day
        if window == "week":
            return self.week
        if window == "month":
            return self.month
        return self.day - (days or 1) + 1 if window == "rolling" else BEGINNING

    def next(self, window: str) -> int | None:
        """The first day of the next one; None for a window that does not end (total) or that every day moves (rolling)."""
        if window == "day":
            return self.day + 1
        if window == "week":
            return self.week + 7
        return self.next_month if window == "month" else None


def day_of(time_s: float) -> int:
    """The day in UTC that a time (seconds since 1970) is in."""
    return int(time_s // DAY_S)


def first_of_month(day: int) -> int:
    return day - time.gmtime(day * DAY_S).tm_mday + 1
