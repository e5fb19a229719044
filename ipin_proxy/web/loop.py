"""The waiting room: one selector for every socket nobody is working on.

Idle connections, requests that are still arriving, readers that are slow and running streams all wait here, so that a
thousand of them cost a thousand small objects and not a thousand threads. Callbacks run on the loop's thread and must
be quick; other threads reach it through `call` alone.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

Callback = Callable[[int], None]


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Loop:
    """`now` is the monotonic time of the present round; `on_tick` is called about every `tick_s` seconds."""

    def __init__(
        self, on_tick: Callable[[float], None], on_error: Callable[[BaseException], None], tick_s: float
    ) -> None:
        self.now = time.monotonic()
        self._on_tick = on_tick
        self._on_error = on_error
        self._tick_s = tick_s
        self._selector = selectors.DefaultSelector()
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._asleep = False
        self._running = True
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._on_wake)

    def register(self, file: HasFileno, interest: int, callback: Callback) -> None:
        self._selector.register(file, interest, callback)

    def modify(self, file: HasFileno, interest: int, callback: Callback) -> None:
        """Change what is waited for. Nothing (0) means unregistered: a hang-up would be reported without end else."""
        if not interest:
            self.unregister(file)
            return
        try:
            self._selector.modify(file, interest, callback)
        except KeyError:
            self._selector.register(file, interest, callback)

    def unregister(self, file: HasFileno) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(file)

    def call(self, action: Callable[..., None], *args: Any) -> None:
        """Have `action` run on the loop's thread, soon. Safe from any thread and from signal handlers."""
        self._calls.append((action, args))
        if self._asleep:
            self._asleep = False
            with contextlib.suppress(OSError):  # full: it is awake already; closed: it has ended
                self._wake_in.send(b"\0")

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Wait and call back until `stop`. One callback's failure is reported and ends nothing else."""
        next_tick = time.monotonic() + self._tick_s
        while self._running:
            self._asleep = True
            timeout = 0.0 if self._calls else max(0.0, next_tick - time.monotonic())
            events = self._selector.select(timeout)
            self._asleep = False
            self.now = now = time.monotonic()
            for key, mask in events:
                # An earlier callback of this round may have unregistered or replaced this one.
                if self._selector.get_map().get(key.fd) is key:
                    self._guard(key.data, mask)
            for _ in range(len(self._calls)):
                action, args = self._calls.popleft()
                self._guard(action, *args)
            if now >= next_tick:
                next_tick = now + self._tick_s
                self._guard(self._on_tick, now)

    def close(self) -> None:
        self._selector.close()
        self._wake_out.close()
        self._wake_in.close()

    def _guard(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except Exception as error:  # noqa: BLE001 - one callback must not end the others
            self._on_error(error)

    def _on_wake(self, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)
