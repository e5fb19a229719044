"""Bodies that are in nobody's dialect: bytes through, whatever they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..call import Bill

BEGINS_JSON = b"{"
BLANKS = b" \t\r\n"
MOST_HELD = 64 * 1024  # of what begins as JSON: an error is shorter, and samples may begin so by chance


class Passage:
    """The pipe of a body that is not a stream of events, such as speech: bytes through, and a break stays a break."""

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def fail(self, error: Exception) -> bytes | None:
        return None

    def idle(self) -> bytes:
        return b""


class Sounds(Passage):
    """The same, where an error may come in place of sounds or pictures and under their name: what begins as JSON is held until it is
    whole, and raised if it is one. `raise_if_error` gets what it says. What went out is counted in the bill."""

    def __init__(self, bill: Bill, raise_if_error: Callable[[Any], None]) -> None:
        self._bill = bill
        self._raise_if_error = raise_if_error
        self._held = b""
        self._is_looked_at = False

    def feed(self, data: bytes) -> bytes:
        if self._is_looked_at:
            return self._count(data)
        self._held += data
        begin = self._held.lstrip(BLANKS)
        if (not begin or begin.startswith(BEGINS_JSON)) and len(self._held) <= MOST_HELD:
            return b""
        return self._let_go()

    def finish(self) -> bytes:
        if self._is_looked_at:
            return b""
        try:
            told = json.loads(self._held)
        except (ValueError, RecursionError):
            told = None
        self._raise_if_error(told)
        return self._let_go()

    def _let_go(self) -> bytes:
        held, self._held, self._is_looked_at = self._held, b"", True
        return self._count(held)

    def _count(self, data: bytes) -> bytes:
        self._bill.bytes_out += len(data)
        return data
