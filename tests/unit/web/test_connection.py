"""One caller's socket, driven by a real server in this process with a service that answers what it is told.

What cannot be seen from outside is looked at here: how much of a caller's bytes is kept, and that nothing is begun for
a caller who has left.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import select
import socket
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import IO

import pytest

from ipin_proxy.dialects.passage import Passage
from ipin_proxy.web.connection import AHEAD_BYTES
from ipin_proxy.web.request import Request
from ipin_proxy.web.response import Response, Stream
from ipin_proxy.web.server import Limits, Server
from ipin_proxy.web.task import THREAD, TURN, Steps

PATIENCE_S = 10.0
RESET = struct.pack("ii", 1, 0)
GET = b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n"


class Service:
    """Answers every request with its path, at once or in a thread; `gate` holds the threads back while it is closed."""

    def __init__(self) -> None:
        self.in_thread = True
        self.handled: list[str] = []
        self.padding = ""
        self.most_ahead = 0  # bytes of further requests that were kept while one was answered
        self.errors: list[BaseException] = []
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)

    def screen(self, request: Request) -> Response | None:
        return None

    def handle(self, request: Request) -> Steps:
        self.handled.append(request.path)
        self.most_ahead = max(self.most_ahead, len(request.connection.inbuf))
        self.arrived.release()
        if self.in_thread:
            yield THREAD
            self.gate.wait(PATIENCE_S)
        return Response(body=(request.path + self.padding).encode())

    def refuse(self, error: Exception, request: Request | None) -> Response:
        return Response(400, body=str(error).encode())

    def failed(self, error: BaseException) -> None:
        self.errors.append(error)


class Door:
    """A server that listens, and callers of it."""

    def __init__(self) -> None:
        self.service = Service()
        self.server = Server(("127.0.0.1", 0), self.service, Limits())
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.callers: list[socket.socket] = []

    def call(self, data: bytes = b"") -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.server.port), PATIENCE_S)
        self.callers.append(sock)
        sock.sendall(data)
        return sock

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Until the loop's thread finds that it is so."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found: list[bool] = []
            looked = threading.Event()
            self.server.loop.call(lambda found=found, looked=looked: (found.append(ready()), looked.set()))
            assert looked.wait(PATIENCE_S)
            if found[0]:
                return
            assert time.monotonic() < deadline, f"waited for {what}"

    def close(self) -> None:
        self.service.gate.set()
        self.server.shut_down(0)
        self.thread.join(PATIENCE_S)
        for sock in self.callers:
            sock.close()
        assert not self.thread.is_alive()
        assert self.service.errors == []


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


def answers(sock: socket.socket, count: int, first: int = 0) -> list[bytes]:
    """The bodies of so many answers; each is the path that was asked for."""
    data = b""
    while data.count(b"\r\n\r\n") < count or not data.endswith(b"/%d" % (first + count - 1)):
        piece = sock.recv(65536)
        assert piece, data[-200:]
        data += piece
    return [part.split(b"HTTP/1.1")[0] for part in data.split(b"\r\n\r\n")[1:]]


def test_pipelined_requests_are_answered_in_order(door: Door) -> None:
    sock = door.call(b"".join(GET % number for number in range(300)))
    assert answers(sock, 300) == [b"/%d" % number for number in range(300)]


def test_a_request_that_was_here_before_the_end_is_answered(door: Door) -> None:
    """The server is asked to end between the answer to one request and the beginning of the next."""
    door.service.in_thread = False
    handle = door.service.handle

    def end_meanwhile(request: Request) -> Steps:
        if request.path == "/0":
            door.server.loop.call(door.server.shut_down, PATIENCE_S)
        return handle(request)

    door.service.handle = end_meanwhile  # type: ignore[method-assign]
    sock = door.call(GET % 0 + GET % 1)
    assert answers(sock, 2) == [b"/0", b"/1"]
    assert sock.recv(1) == b""


def test_a_request_that_has_just_come_when_the_server_is_asked_to_end_is_answered(door: Door) -> None:
    """It lies there unread: who sent it had no sign of an end, and a POST is not sent twice by proxies in front."""
    sock, loop = door.call(GET % 0), door.server.loop
    assert answers(sock, 1) == [b"/0"]
    loop.call(lambda: (loop.call(sock.sendall, GET % 1), door.server.shut_down(PATIENCE_S)))
    assert answers(sock, 1, first=1) == [b"/1"]
    assert sock.recv(1) == b""


def test_who_has_just_connected_when_the_server_is_asked_to_end_is_answered(door: Door) -> None:
    """As far as they can know they are connected, though nobody has accepted it; many proxies connect for every request."""
    loop = door.server.loop
    loop.call(lambda: (loop.call(door.call, GET % 0), door.server.shut_down(PATIENCE_S)))
    door.thread.join(PATIENCE_S)
    assert answers(door.callers[0], 1) == [b"/0"]
    assert door.callers[0].recv(1) == b""


def test_the_end_does_not_wait_for_who_was_refused_and_sends_on(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipin_proxy.web.connection.LINGER_SILENCE_S", 0.5)
    sock = door.call(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (Limits().body_bytes + 1))
    assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")
    door.server.shut_down(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while door.thread.is_alive():
        assert time.monotonic() < deadline
        with contextlib.suppress(OSError):
            sock.send(b" ")
        door.thread.join(0.05)


@pytest.mark.parametrize("in_thread", [False, True])
def test_who_sends_ahead_is_slowed_down_and_not_remembered(door: Door, in_thread: bool) -> None:
    """It reads every answer and never stops sending: what is kept of it must not grow."""
    door.service.in_thread = in_thread
    sock = door.call()
    data = b"".join(GET % number for number in range(20_000))
    view, read = memoryview(data), 0
    sock.setblocking(False)
    deadline = time.monotonic() + PATIENCE_S
    while len(door.service.handled) < 200 or not read:
        assert time.monotonic() < deadline
        readable, writable, _ = select.select([sock], [sock] if view else [], [], PATIENCE_S)
        if readable:
            read += len(sock.recv(65536))
        if writable:
            view = view[sock.send(view) :]
    assert door.service.most_ahead <= 3 * AHEAD_BYTES


def test_nothing_is_begun_for_a_caller_whose_connection_broke(door: Door) -> None:
    door.service.gate.clear()
    sock = door.call(b"".join(GET % number for number in range(1000)))
    assert door.service.arrived.acquire(timeout=PATIENCE_S)
    door.wait(lambda: any(len(each.inbuf) > 20_000 for each in door.server.connections), "the requests behind it")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
    door.wait(lambda: any(each.peer_done for each in door.server.connections), "the reset")
    door.service.gate.set()
    door.wait(lambda: not door.server.connections, "the end of the connection")
    assert len(door.service.handled) <= 2


def test_a_caller_who_has_sent_all_it_wants_is_still_answered(door: Door) -> None:
    """It closes its side behind its requests, as simple programs do."""
    sock = door.call(b"".join(GET % number for number in range(20)))
    sock.shutdown(socket.SHUT_WR)
    assert answers(sock, 20) == [b"/%d" % number for number in range(20)]
    assert sock.recv(1) == b""
    door.wait(lambda: not door.server.connections, "the end of the connection")


def test_a_worker_can_read_the_upload_of_a_caller_who_has_gone(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is closed when the worker has done with it, and not under its hands."""
    files: list[IO[bytes]] = []
    sizes: list[int] = []

    def handle(request: Request) -> Steps:
        yield THREAD
        assert request.file is not None
        files.append(request.file)
        door.service.arrived.release()
        door.service.gate.wait(PATIENCE_S)
        sizes.append(len(files[0].read()))
        return Response()

    monkeypatch.setattr(door.service, "handle", handle)
    door.service.gate.clear()
    sock = door.call(
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: 2000000\r\n\r\n" + bytes(2_000_000)
    )
    assert door.service.arrived.acquire(timeout=PATIENCE_S)
    (connection,) = door.server.connections
    door.server.loop.call(connection.lost)
    door.wait(lambda: not door.server.connections, "the end of the connection")
    door.service.gate.set()
    door.wait(lambda: files[0].closed, "the end of the file")
    assert sizes == [2_000_000]
    sock.close()


class FullDisk(io.RawIOBase):
    """A file on it."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return 0

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("buffer_bytes", [8192, 8 * 1024 * 1024], ids=["at once", "with its last bytes"])
def test_an_upload_that_has_no_room_on_the_disk_is_refused_at_once(
    door: Door, monkeypatch: pytest.MonkeyPatch, buffer_bytes: int
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: io.BufferedRandom(FullDisk(), buffer_bytes))
    size = 2_000_000
    sock = door.call(
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: %d\r\n\r\n" % size
    )
    sock.sendall(bytes(size))
    answer = b""
    while piece := sock.recv(65536):
        answer += piece
    assert answer.startswith(b"HTTP/1.1 400") and os.strerror(errno.ENOSPC).encode() in answer
    sock.close()
    door.wait(lambda: not door.server.connections, "the end of the connection")
    assert door.service.handled == []


def test_an_answer_is_not_lost_behind_a_continue_that_was_not_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier answers fill the socket, so "100 Continue" waits, and can go in the moment in which the answer is ready."""
    filled: list[int] = []

    def fill(request: Request) -> Response | None:
        with contextlib.suppress(BlockingIOError):
            while True:
                filled.append(request.connection.sock.send(bytes(4096)))
        return None

    def handle(request: Request) -> Steps:
        yield TURN
        door.service.arrived.release()
        door.service.gate.wait(PATIENCE_S)  # the loop is busy, and the caller reads on
        return Response(body=request.path.encode())

    monkeypatch.setattr(door.service, "screen", fill)
    monkeypatch.setattr(door.service, "handle", handle)
    door.service.gate.clear()
    sock = door.call(b"POST /1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    door.wait(lambda: any(each.out.size_bytes for each in door.server.connections), "the interim answer that waits")
    sock.sendall(b"abc")
    assert door.service.arrived.acquire(timeout=PATIENCE_S)
    left = sum(filled)
    while left:
        left -= len(sock.recv(min(left, 65536)))
    door.service.gate.set()
    assert answers(sock, 2) == [b"", b"/1"]


def test_a_caller_who_never_reads_is_served_no_further(door: Door) -> None:
    door.service.padding = "x" * 200_000
    sock = door.call(b"".join(GET % number for number in range(1000)))
    door.wait(lambda: any(each.out for each in door.server.connections), "a socket that takes no more")
    served = len(door.service.handled)
    assert served < 500
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()
    door.wait(lambda: not door.server.connections, "the end of the connection")
    assert len(door.service.handled) <= served + 1


class Body(bytearray):
    """A body that can be watched."""


class Silence:
    """A provider that has begun to answer and says nothing more."""

    def __init__(self) -> None:
        self.sock, self.theirs = socket.socketpair()
        self.sock.setblocking(False)

    def read_ready(self) -> bytes:
        return b""

    def has_more(self) -> bool:
        return False

    def close(self) -> None:
        self.sock.close()
        self.theirs.close()


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Only what nobody refers to any more is gone; the collector does not come."""
    gc.disable()
    yield
    gc.enable()


def test_a_body_that_is_broken_off_is_not_kept(door: Door, uncollected: None) -> None:
    """It may be large, and the collector comes by when it likes: a dozen uploads that break off must not fill the memory."""
    bodies: list[weakref.ref[Body]] = []

    def screen(request: Request) -> None:
        request.state = [request]  # as the service remembers what it found out
        request.body = body = Body()
        bodies.append(weakref.ref(body))

    door.service.screen = screen  # type: ignore[method-assign, assignment]
    door.call(b"POST /0 HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf").close()
    door.wait(lambda: bool(bodies) and not door.server.connections, "the end of the connection")
    assert bodies[0]() is None


def test_a_stream_whose_reader_leaves_keeps_nothing(door: Door, uncollected: None) -> None:
    bodies: list[weakref.ref[Body]] = []

    def handle(request: Request) -> Steps:
        request.body = body = Body()
        bodies.append(weakref.ref(body))
        yield TURN
        return Response(stream=Stream(Silence(), Passage(), lambda error: None, b"said"))

    door.service.handle = handle  # type: ignore[method-assign]
    reader = door.call(b"GET /0 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert reader.recv(65536)
    reader.close()
    door.wait(lambda: not door.server.connections, "the end of the connection")
    assert bodies[0]() is None
