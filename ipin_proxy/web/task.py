"""Work in steps, so that no thread waits for a peer.

A handler that has to wait is a generator: between its yields it runs without waiting, and each yield says what comes next.
`Wait` lets the loop call it back when a socket is ready; `THREAD` moves it to a worker, for what would block (disks, long
computations), and `CONNECTOR` to one of those that make connections (names, certificates), so that those who wait for slow
name servers are not missing elsewhere; for who is there already, either asks whether to go on. `TURN` lets the others have
theirs first; an `Early` says what may be answered already if all this takes long. It returns the Response. When the caller
leaves, CallerGone is thrown into it at the yield where it waits (ShuttingDown when the server does), so `finally` and `except`
are all the cancelling there is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from .loop import HasFileno
from .response import Early, Response

if TYPE_CHECKING:
    from .connection import Connection


class Wait(NamedTuple):
    """Until `file` is ready, or the clock shows `until` (monotonic seconds); which of the two is for the waiter to see."""

    file: HasFileno
    until: float
    interest: int = EVENT_READ


class Worker:
    """Go on in a worker thread."""


class Turn:
    """Go on when everybody else who is ready has had a turn."""


THREAD: Final = Worker()
CONNECTOR: Final = Worker()
TURN: Final = Turn()

Next = Wait | Worker | Turn | Early
Steps = Generator[Next, None, Response]
T = TypeVar("T")


class Task:
    """Drives the steps that answer one request. Its methods belong to the loop's thread, but for `_run` and `_run_in_pool`."""

    __slots__ = ("_connection", "_early", "_early_at", "_end", "_steps", "wait")

    def __init__(self, connection: Connection, steps: Steps) -> None:
        self._connection = connection
        self._steps = steps
        self._end: Exception | None = None  # why it is to be cut short
        self._early: Early | None = None
        self._early_at = 0.0
        self.wait: Wait | None = None

    def _step(self, end: Exception | None) -> Next:
        """To the next yield that says what to wait for; `end` is thrown into the one where it stands."""
        steps = self._steps
        wanted = steps.send(None) if end is None else steps.throw(end)
        while isinstance(wanted, Early):
            self._early_at = self._connection.loop.now + wanted.after_s
            self._early = wanted
            wanted = steps.send(None)
        return wanted

    def advance(self) -> None:
        """Run to the next yield, here and now."""
        connection = self._connection
        try:
            wanted = self._step(self._end)
        except StopIteration as end:
            connection.respond(end.value)
            return
        except Exception:
            connection.abort()
            raise
        if isinstance(wanted, Wait):
            self._enter(wanted)
        elif isinstance(wanted, Turn):
            connection.loop.call(self.advance)
        elif wanted is CONNECTOR:
            connection.server.connectors.submit(self._run)
        else:
            connection.server.pool.submit(self._run_in_pool)

    def _run_in_pool(self) -> None:
        self._run(in_pool=True)

    def _run(self, in_pool: bool = False) -> None:
        """The same in a worker; what follows is the loop's affair again."""
        loop = self._connection.loop
        try:
            wanted = self._step(None)  # what a worker has been given it begins, whoever has left
            while not isinstance(wanted, Wait):
                if in_pool and wanted is CONNECTOR:
                    self._connection.server.connectors.submit(self._run)
                    return
                wanted = self._step(self._end)
        except StopIteration as end:
            self._early = None  # too late for it: the answer is on its way
            loop.call(self._connection.respond, end.value)
        except Exception:
            loop.call(self._connection.abort)
            raise
        else:
            loop.call(self._enter, wanted)

    def _enter(self, wait: Wait) -> None:
        if self._end is not None:
            self.advance()
            return
        self.wait = wait
        self._connection.loop.register(wait.file, wait.interest, self._on_ready)

    def _on_ready(self, mask: int) -> None:
        self._leave()
        self.advance()

    def _leave(self) -> None:
        wait, self.wait = self.wait, None
        if wait is None:
            return
        if wait.interest == EVENT_READ:
            self._connection.loop.park(wait.file)  # there is more to read, now or in the next call
        else:
            self._connection.loop.unregister(wait.file)

    def check_time(self, now: float) -> None:
        if self.wait is not None and now >= self.wait.until:
            self._leave()
            self.advance()
        elif self._early is not None and now >= self._early_at:
            self._early_at = now + self._early.after_s
            self._connection.begin_early(self._early)

    def cancel(self, reason: Exception) -> None:
        """The caller has left, or has to: tell the steps where they wait, or as soon as they would."""
        if self._end is not None:
            return
        self._end = reason
        if self.wait is not None:
            self._leave()
            self.advance()


def run(steps: Generator[Next, None, T], clock: Callable[[], float]) -> T:
    """Steps to their end, here: for a thread of its own, which waits where they would have the loop wait."""
    with DefaultSelector() as selector:
        while True:
            try:
                wanted = steps.send(None)
            except StopIteration as end:
                found: T = end.value
                return found
            if isinstance(wanted, Wait):
                selector.register(wanted.file, wanted.interest)
                selector.select(max(0.0, wanted.until - clock()))
                selector.unregister(wanted.file)
