"""Bodies that are in nobody's dialect: bytes through, whatever they are."""

from __future__ import annotations

from ..call import Bill


class Passage:
    """The pipe of a body that is not a stream of events, such as speech: bytes through, and a break stays a break."""

    def __init__(self, bill: Bill | None = None) -> None:
        self._bill = bill

    def feed(self, data: bytes) -> bytes:
        if self._bill is not None:
            self._bill.bytes_out += len(data)
        return data

    def finish(self) -> bytes:
        return b""

    def fail(self, error: Exception) -> bytes | None:
        return None

    def idle(self) -> bytes:
        return b""
