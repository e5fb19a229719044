"""What of the ledger can wait: of its newest rows, orders and texts of ids are made, a step at a time.

A step holds the interpreter's lock for a part of its time, and calls that come meanwhile wait for it. So it is put off while
many come, as long as readers can bear that, and then there is one now and again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import idtexts, ranks

if TYPE_CHECKING:
    import sqlite3

STEP_S = 0.05  # between two steps
RUSH = 100  # calls a second
RESTS = 19  # times as long as a step took there is none in a rush
LAZY_ROWS_IN_A_RUSH = 60_000  # may be in no order, which takes a reader a fifth of a second to sort


class Upkeep:
    """When the next step is due."""

    def __init__(self) -> None:
        self._next = self._asked_at = 0.0
        self._calls = 0

    def step(self, db: sqlite3.Connection, calls: int) -> float:
        """Do a step if there is one to do; how many seconds there is none after it, or 0 when nothing is left to do. `calls` is
        how many have been recorded so far. Raises sqlite3.Error."""
        now = time.monotonic()
        is_rush = calls - self._calls > RUSH * max(STEP_S, now - self._asked_at)
        self._calls, self._asked_at = calls, now
        if now < self._next:
            return self._next - now
        lazy = LAZY_ROWS_IN_A_RUSH if is_rush else ranks.LAZY_ROWS
        if not (idtexts.fill(db, lazy) or ranks.fill(db, lazy)):
            return 0.0
        took_s = time.monotonic() - now
        rest_s = max(STEP_S, RESTS * took_s if is_rush else 0.0)
        self._next = now + took_s + rest_s
        return rest_s
