"""Connections to providers: what cannot be connected to is told as that."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import threading
import time
from collections.abc import Generator

import pytest
from support.clock import Clock

from ipin_proxy.connections import Connections, Origin
from ipin_proxy.errors import UpstreamUnreachable
from ipin_proxy.web.task import Next, Wait, run


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["::1%a b", "::1%a\r\nx: y", "a..b", "a" * 300])
def test_a_host_that_cannot_be_one_is_unreachable(scheme: str, host: str) -> None:
    connections = Connections({}, time.monotonic)
    with pytest.raises(UpstreamUnreachable):
        run(connections.connect(Origin(scheme, host, 80), time.monotonic() + 5), time.monotonic)


def test_a_provider_in_the_process_needs_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limit is reached: that is no fault of ours, and passes."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    connections = Connections({"demo": socket.socket.close}, time.monotonic)
    with pytest.raises(UpstreamUnreachable):
        run(connections.connect(Origin("demo", "demo", 0), time.monotonic() + 5), time.monotonic)


@pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's queues")
def test_an_address_that_leads_nowhere_leaves_time_for_the_next(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where IPv6 is set up and goes no further: a host has several addresses, and the first takes no connection."""
    with socket.create_server(("127.0.0.2", 0)) as good, socket.socket() as hole, contextlib.ExitStack() as fillers:
        fill(hole, fillers)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each.getsockname()) for each in (hole, good)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: found)
        connections, begun = Connections({}, clock), clock()
        with at_once(connections.connect(Origin("http", "two.test", 80), begun + 3), clock) as sock:
            assert sock.getpeername() == good.getsockname()
        found_out = clock()
        assert begun < found_out < begun + 3
        with at_once(connections.connect(Origin("http", "two.test", 80), found_out + 3), clock) as sock:
            assert sock.getpeername() == good.getsockname()
        assert clock() == found_out, "it is known now where nobody answers"
        clock.now_s += 400
        connections.drop_stale()
        with at_once(connections.connect(Origin("http", "two.test", 80), clock() + 3), clock) as sock:
            assert sock.getpeername() == good.getsockname()
        assert clock() > found_out + 400, "in the end it is tried again"


@pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's queues")
def test_an_address_that_connects_again_is_as_good_as_before(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the one that leads nowhere would be waited for again and again, once the other had been started anew."""
    with socket.create_server(("127.0.0.2", 0)) as good, socket.socket() as hole, contextlib.ExitStack() as fillers:
        fill(hole, fillers)
        there = good.getsockname()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in (hole.getsockname(), there)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: found)
        connections = Connections({}, clock)
        good.close()
        with pytest.raises(UpstreamUnreachable):
            at_once(connections.connect(Origin("http", "two.test", 80), clock() + 3), clock)
        with socket.create_server(there):
            at_once(connections.connect(Origin("http", "two.test", 80), clock() + 3), clock).close()
            found_out = clock()
            at_once(connections.connect(Origin("http", "two.test", 80), clock() + 3), clock).close()
            assert clock() == found_out, "it is known now where nobody answers"


def test_addresses_that_fail_while_those_of_before_are_dropped_disturb_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who drops them has a thread, and nobody to start another one."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    addresses = [(f"127.1.{number // 250}.{number % 250 + 1}", port) for number in range(1_000)]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: found)
    connections = Connections({}, time.monotonic)

    def connect() -> None:
        with pytest.raises(UpstreamUnreachable):
            run(connections.connect(Origin("http", "many.test", 80), time.monotonic() + 60), time.monotonic)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=connect)
    thread.start()
    try:
        while thread.is_alive():
            connections.drop_stale()
    finally:
        thread.join()
        sys.setswitchinterval(before)


def fill(hole: socket.socket, fillers: contextlib.ExitStack) -> None:
    """An address that leads nowhere: from its second connection on all wait for ever, as does whoever comes after them."""
    hole.bind(("127.0.0.1", 0))
    hole.listen(0)
    for _ in range(4):
        filler = fillers.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(hole.getsockname())


def at_once(steps: Generator[Next, None, socket.socket], clock: Clock) -> socket.socket:
    """What these steps come to. What they wait for is there, or their time is up."""
    while True:
        try:
            wanted = next(steps)
        except StopIteration as end:
            sock: socket.socket = end.value
            return sock
        if isinstance(wanted, Wait) and not select.select([], [wanted.file], [], 0)[1]:
            clock.now_s = wanted.until
