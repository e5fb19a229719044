"""Time for tests: it stands still until it is told to move."""

from __future__ import annotations


class Clock:
    """Call it for the seconds since some beginning; `advance` moves it."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
