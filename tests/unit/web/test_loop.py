"""The waiting room: callbacks, calls from other threads, time, and one callback's failure that ends nothing else."""

from __future__ import annotations

import os
import select
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from selectors import EVENT_READ, EVENT_WRITE

import pytest

from ipin_proxy.web.loop import EpollPoller, Loop, PortablePoller

PATIENCE_S = 10.0


class Room:
    """A loop on a thread of its own, and pairs of sockets that end with it."""

    def __init__(self, tick_s: float) -> None:
        self.errors: list[BaseException] = []
        self.ticks = threading.Semaphore(0)
        self.loop = Loop(lambda now: self.ticks.release(), self.errors.append, tick_s)
        self.sockets: list[socket.socket] = []
        self.thread = threading.Thread(target=self.loop.run, daemon=True)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.sockets += [ours, theirs]
        return ours, theirs

    def do(self, action: Callable[[], object]) -> None:
        """Run this on the loop, and wait until it has run."""
        done = threading.Event()

        def run() -> None:
            try:
                action()
            finally:
                done.set()

        self.loop.call(run)
        assert done.wait(PATIENCE_S)

    def stop(self) -> None:
        if self.thread.is_alive():
            self.loop.call(self.loop.stop)
            self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        self.loop.close()
        for each in self.sockets:
            each.close()


@pytest.fixture(params=["epoll", "portable"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    if request.param == "portable":
        monkeypatch.delattr(select, "epoll", raising=False)
    elif not hasattr(select, "epoll"):
        pytest.skip("this system has no epoll")
    room = Room(tick_s=0.05)
    poller = EpollPoller if request.param == "epoll" else PortablePoller
    assert type(room.loop._poller) is poller
    room.thread.start()
    yield room
    room.stop()


class Heard:
    """A callback that reads, and tells whoever waits."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""
        self.masks: list[int] = []
        self._changed = threading.Condition()

    def __call__(self, mask: int) -> None:
        with self._changed:
            self.masks.append(mask)
            if mask & EVENT_READ:
                self.data += self.sock.recv(65536)
            self._changed.notify_all()

    def wait(self, times: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.masks) >= times, PATIENCE_S)


def test_a_callback_is_called_again_and_again(room: Room) -> None:
    ours, theirs = room.pair()
    heard = Heard(ours)
    room.do(lambda: room.loop.register(ours, EVENT_READ, heard))
    for times, word in enumerate((b"one ", b"two ", b"three"), 1):
        theirs.sendall(word)
        heard.wait(times)
    assert heard.data == b"one two three"


def test_what_is_waited_for_can_change_and_end(room: Room) -> None:
    ours, theirs = room.pair()
    other, its_peer = room.pair()
    heard, witness = Heard(ours), Heard(other)
    room.do(lambda: room.loop.register(other, EVENT_READ, witness))
    room.do(lambda: room.loop.register(ours, EVENT_READ, heard))
    room.do(lambda: room.loop.modify(ours, 0, heard))
    theirs.sendall(b"unheard")
    its_peer.sendall(b"!")
    witness.wait()
    assert heard.masks == []
    room.do(lambda: room.loop.modify(ours, EVENT_READ | EVENT_WRITE, heard))
    heard.wait()
    assert heard.masks[0] == EVENT_READ | EVENT_WRITE
    room.do(lambda: room.loop.unregister(ours))
    room.do(lambda: room.loop.unregister(ours))
    told = len(heard.masks)
    theirs.sendall(b"unheard")
    its_peer.sendall(b"!")
    witness.wait(2)
    assert len(heard.masks) == told


def test_a_file_has_one_callback(room: Room) -> None:
    ours, _ = room.pair()
    room.do(lambda: room.loop.register(ours, EVENT_READ, Heard(ours)))
    room.do(lambda: room.loop.register(ours, EVENT_READ, Heard(ours)))
    assert [type(error) for error in room.errors] == [ValueError]


def test_a_hang_up_is_told_to_whoever_waits(room: Room) -> None:
    ours, theirs = room.pair()
    heard = Heard(ours)
    room.do(lambda: room.loop.register(ours, EVENT_READ, heard))
    theirs.close()
    heard.wait()
    assert heard.data == b""


def test_one_failure_ends_nothing_else(room: Room) -> None:
    bad, bads_peer = room.pair()
    good, goods_peer = room.pair()
    heard = Heard(good)

    def fail(mask: int) -> None:
        bad.recv(100)
        raise RuntimeError("of a callback")

    def fail_too() -> None:
        raise RuntimeError("of a call")

    room.do(lambda: room.loop.register(bad, EVENT_READ, fail))
    room.do(lambda: room.loop.register(good, EVENT_READ, heard))
    for times in (1, 2):
        bads_peer.sendall(b"x")
        room.loop.call(fail_too)
        goods_peer.sendall(b"y")
        heard.wait(times)
    room.do(lambda: None)
    told = [str(error) for error in room.errors]
    assert told.count("of a call") == 2
    assert "of a callback" in told


def test_a_callback_may_end_others_of_the_same_round(room: Room) -> None:
    """Both are ready at once; the first to be called closes the other, whose descriptor a third may have by then."""
    (one, ones_peer), (two, twos_peer) = room.pair(), room.pair()
    called: list[str] = []
    ended = threading.Event()

    def end(name: str, other: socket.socket) -> Callable[[int], None]:
        def callback(mask: int) -> None:
            called.append(name)
            room.loop.unregister(other)
            other.close()
            room.loop.unregister(one if name == "one" else two)
            ended.set()

        return callback

    def begin() -> None:
        room.loop.register(one, EVENT_READ, end("one", two))
        room.loop.register(two, EVENT_READ, end("two", one))
        ones_peer.sendall(b"x")
        twos_peer.sendall(b"x")

    room.do(begin)
    assert ended.wait(PATIENCE_S)
    room.do(lambda: None)
    assert len(called) == 1
    assert room.errors == []


def test_calls_from_many_threads_all_arrive_in_the_order_of_each(room: Room) -> None:
    arrived: list[tuple[int, int]] = []

    def send(who: int) -> None:
        for number in range(500):
            room.loop.call(lambda who=who, number=number: arrived.append((who, number)))

    threads = [threading.Thread(target=send, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    room.do(lambda: None)
    assert len(arrived) == 2000
    for who in range(4):
        assert [number for each, number in arrived if each == who] == list(range(500))


def test_a_call_that_calls_does_not_keep_the_others_waiting(room: Room) -> None:
    ours, theirs = room.pair()
    heard = Heard(ours)
    endless = True

    def again() -> None:
        if endless:
            room.loop.call(again)

    room.do(lambda: room.loop.register(ours, EVENT_READ, heard))
    room.loop.call(again)
    theirs.sendall(b"x")
    heard.wait()
    for _ in range(3):
        assert room.ticks.acquire(timeout=PATIENCE_S)
    endless = False


def test_time_passes_although_nothing_happens(room: Room) -> None:
    before = room.loop.now
    for _ in range(3):
        assert room.ticks.acquire(timeout=PATIENCE_S)
    assert room.loop.now > before


def test_calling_after_the_end_does_no_harm(room: Room) -> None:
    room.loop.call(room.loop.stop)
    room.thread.join(PATIENCE_S)
    room.loop.call(lambda: None)
    room.loop.call(lambda: None)


def test_what_is_parked_is_waited_for_again(room: Room) -> None:
    ours, theirs = room.pair()
    heard: list[bytes] = []
    arrived = threading.Event()

    def on_ready(mask: int) -> None:
        heard.append(ours.recv(100))
        room.loop.park(ours)
        arrived.set()

    for word in (b"one", b"two"):
        arrived.clear()
        room.do(lambda: room.loop.register(ours, EVENT_READ, on_ready))
        theirs.send(word)
        assert arrived.wait(PATIENCE_S)
    assert heard == [b"one", b"two"]


def test_what_comes_to_a_parked_file_is_kept_for_who_waits_next(room: Room) -> None:
    ours, theirs = room.pair()
    arrived = threading.Event()
    room.do(lambda: room.loop.register(ours, EVENT_READ, lambda mask: None))
    room.do(lambda: room.loop.park(ours))
    theirs.send(b"early")
    for _ in range(2):  # the loop has been round, and found it
        room.ticks.acquire(timeout=PATIENCE_S)

    def on_ready(mask: int) -> None:
        room.loop.unregister(ours)
        arrived.set()

    room.do(lambda: room.loop.register(ours, EVENT_READ, on_ready))
    assert arrived.wait(PATIENCE_S)
    assert ours.recv(100) == b"early"


@pytest.mark.parametrize("interest", [EVENT_READ, EVENT_WRITE])
def test_a_parked_file_may_be_closed_and_its_number_used_again(room: Room, interest: int) -> None:
    ours, _ = room.pair()
    room.do(lambda: room.loop.register(ours, EVENT_READ, lambda mask: None))
    room.do(lambda: room.loop.park(ours))
    number = ours.fileno()
    ours.close()
    other, theirs = room.pair()
    if other.fileno() != number:
        os.dup2(other.fileno(), number)
        other.close()
        other = socket.socket(fileno=number)
        room.sockets.append(other)
    theirs.send(b"hello")
    ready = threading.Event()

    def on_ready(mask: int) -> None:
        room.loop.unregister(other)
        ready.set()

    room.do(lambda: room.loop.register(other, interest, on_ready))
    assert ready.wait(PATIENCE_S)
    assert room.errors == []


def test_what_is_closed_while_it_is_parked_leaves_nothing_behind(room: Room) -> None:
    left = parked_and_closed(room)
    while room.ticks.acquire(blocking=False):  # those of before
        pass
    for _ in range(2):  # one may be on its way
        assert room.ticks.acquire(timeout=PATIENCE_S)
    assert left() is None


def parked_and_closed(room: Room) -> weakref.ref[socket.socket]:
    ours, theirs = socket.socketpair()
    room.do(lambda: room.loop.register(ours, EVENT_READ, lambda mask: None))
    room.do(lambda: room.loop.park(ours))
    room.do(ours.close)
    theirs.close()
    return weakref.ref(ours)


def test_a_parked_file_can_be_waited_for_otherwise(room: Room) -> None:
    ours, _ = room.pair()
    writable = threading.Event()
    room.do(lambda: room.loop.register(ours, EVENT_READ, lambda mask: None))
    room.do(lambda: room.loop.park(ours))

    def on_ready(mask: int) -> None:
        room.loop.unregister(ours)
        writable.set()

    room.do(lambda: room.loop.register(ours, EVENT_WRITE, on_ready))
    assert writable.wait(PATIENCE_S)
