"""The waiting room: one selector for every socket nobody is working on.

Idle connections, requests that are still arriving, calls that wait for a provider, readers that are slow and running
streams all wait here, so that a thousand of them cost a thousand small objects and not a thousand threads. Callbacks run
on the loop's thread and must be quick; other threads reach it through `call` alone.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any, Protocol

Callback = Callable[[int], None]

HANG_UP = 4  # beside EVENT_READ and EVENT_WRITE: only that the other side has closed, whatever lies unread before it


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Poller(Protocol):
    """Which descriptors are ready: `wait` answers (descriptor, EVENT_READ | EVENT_WRITE) pairs; a hang-up is EVENT_READ.

    `knows` holds the bits of interest it understands; others are not given to it."""

    knows: int

    def add(self, fd: int, interest: int) -> None: ...
    def change(self, fd: int, interest: int) -> None: ...
    def remove(self, fd: int) -> None: ...
    def wait(self, timeout_s: float) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class EpollPoller:
    """Linux. `selectors` would do, but what it does around each event costs more than the event."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.knows = EVENT_READ | EVENT_WRITE | HANG_UP
        bits = {EVENT_READ: select.EPOLLIN, EVENT_WRITE: select.EPOLLOUT, HANG_UP: select.EPOLLRDHUP}
        self._bits = [sum(bit for each, bit in bits.items() if each & interest) for interest in range(self.knows + 1)]
        self._masks: dict[int, int] = {}  # of the few combinations of events there are
        self.close = self._epoll.close
        self.remove = self._epoll.unregister

    def add(self, fd: int, interest: int) -> None:
        self._epoll.register(fd, self._bits[interest])

    def change(self, fd: int, interest: int) -> None:
        self._epoll.modify(fd, self._bits[interest])

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        masks = self._masks
        return [(fd, masks.get(event) or self._mask_of(event)) for fd, event in self._epoll.poll(timeout_s)]

    def _mask_of(self, event: int) -> int:
        """A hang-up or an error is an answer to whoever waits, whatever for: reading and writing will tell it."""
        readable, writable = ~select.EPOLLOUT, ~select.EPOLLIN
        mask = (EVENT_READ if event & readable else 0) | (EVENT_WRITE if event & writable else 0)
        self._masks[event] = mask
        return mask


class PortablePoller:
    """Everywhere else: what the standard library finds."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.knows = EVENT_READ | EVENT_WRITE
        self.close = self._selector.close

    def add(self, fd: int, interest: int) -> None:
        self._selector.register(fd, interest)

    def change(self, fd: int, interest: int) -> None:
        self._selector.modify(fd, interest)

    def remove(self, fd: int) -> None:
        self._selector.unregister(fd)

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        return [(key.fd, mask) for key, mask in self._selector.select(timeout_s)]


class Loop:
    """`now` is the monotonic time of the present round; `on_tick` is called about every `tick_s` seconds."""

    def __init__(
        self, on_tick: Callable[[float], None], on_error: Callable[[BaseException], None], tick_s: float
    ) -> None:
        self.now = time.monotonic()
        self._on_tick = on_tick
        self._on_error = on_error
        self._tick_s = tick_s
        self._poller: Poller = EpollPoller() if hasattr(select, "epoll") else PortablePoller()
        self._callbacks: dict[int, Callback] = {}
        self._parked: dict[int, HasFileno] = {}
        self._calls: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._asleep = False
        self._running = True
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self.register(self._wake_out, EVENT_READ, self._on_wake)

    def register(self, file: HasFileno, interest: int, callback: Callback) -> None:
        """Have `callback` called with what is ready, again and again, until `unregister`. One callback a file."""
        fd = file.fileno()
        if fd in self._callbacks:
            raise ValueError(f"descriptor {fd} is waited for already")
        parked = self._parked.pop(fd, None)
        if parked is not None and (parked is not file or interest != EVENT_READ):
            self._remove(fd)
            parked = None
        if parked is None:
            self._poller.add(fd, interest)
        self._callbacks[fd] = callback

    def modify(self, file: HasFileno, interest: int, callback: Callback) -> None:
        """Change what is waited for. Nothing (0) means unregistered: a hang-up would be reported without end else."""
        interest &= self._poller.knows
        if not interest:
            self.unregister(file)
        elif file.fileno() in self._callbacks:
            self._poller.change(file.fileno(), interest)
        else:
            self.register(file, interest, callback)

    def unregister(self, file: HasFileno) -> None:
        """Stop waiting. Before the file is closed, or its descriptor would be mistaken for the next one's."""
        fd = file.fileno()
        if self._callbacks.pop(fd, None) is not None:
            self._poller.remove(fd)

    def park(self, file: HasFileno) -> None:
        """Stop waiting to read, for a moment: the next `register` of this very file costs no system call. It may be
        closed at any time; something that comes before anybody waits for it again ends the parking."""
        fd = file.fileno()
        if self._callbacks.pop(fd, None) is not None:
            self._parked[fd] = file

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
        callbacks = self._callbacks
        while self._running:
            self._asleep = True
            timeout_s = 0.0 if self._calls else max(0.0, next_tick - time.monotonic())
            events = self._poller.wait(timeout_s)
            self._asleep = False
            self.now = now = time.monotonic()
            for fd, mask, callback in [(fd, mask, callbacks.get(fd)) for fd, mask in events]:
                if callback is None:
                    if self._parked.pop(fd, None) is not None:
                        self._remove(fd)
                # An earlier callback of this round may have ended this one, and another may have its descriptor now.
                elif callbacks.get(fd) is callback:
                    try:
                        callback(mask)
                    except Exception as error:  # noqa: BLE001 - one callback must not end the others
                        self._on_error(error)
            for _ in range(len(self._calls)):  # not those that are added meanwhile
                action, args = self._calls.popleft()
                try:
                    action(*args)
                except Exception as error:  # noqa: BLE001 - likewise
                    self._on_error(error)
            if now >= next_tick:
                next_tick = now + self._tick_s
                self._forget_closed()
                self.call(self._on_tick, now)

    def close(self) -> None:
        self._poller.close()
        self._wake_out.close()
        self._wake_in.close()

    def _forget_closed(self) -> None:
        """Nobody tells that a parked file was closed, and with a socket the whole state of its TLS would stay."""
        for fd, file in list(self._parked.items()):
            if file.fileno() < 0:
                del self._parked[fd]
                self._remove(fd)

    def _remove(self, fd: int) -> None:
        """Forget a parked descriptor. The system has forgotten it already if its file was closed."""
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._poller.remove(fd)

    def _on_wake(self, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)
