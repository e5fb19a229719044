"""The door: accept connections, keep threads for whatever blocks, stop politely.

`Server` is a ThreadingHTTPServer whose handler is `Connection` and whose `serve_forever` is our loop. Where the standard
server has a thread for every connection, ours has one for every piece of work that blocks; idle connections, slow
requests, calls that wait for a provider and running streams all wait in the loop. What to answer is the service's
business (dispatch.py).
"""

from __future__ import annotations

import errno
import queue
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from selectors import EVENT_READ
from typing import Any, NamedTuple, Protocol

from .connection import BODY, BUSY, HEAD, IDLE, STREAMING, Connection
from .loop import Loop
from .request import Request
from .response import Response, ShuttingDown, head_bytes
from .standard import ThreadingHTTPServer
from .task import Steps

ACCEPTS_PER_ROUND = 128
ACCEPT_PAUSE_S = 0.25  # when the process is out of descriptors
SPARE_THREAD_S = 20.0  # an idle worker above the minimum ends after this long
MIN_THREADS = 4
TICK_S = 0.25  # how late a time limit may be noticed
MOST_TURNED_AWAY = 32  # connections beyond the limit whose request is read for a moment


class Service(Protocol):
    """What the server asks of the house above it. None of these raises."""

    def screen(self, request: Request) -> Response | None:
        """Only the head is here. A response refuses the body before it is sent. Called on the loop: be quick."""

    def handle(self, request: Request) -> Steps:
        """The steps that answer a request. Their beginning runs on the loop: be quick, or go on in a THREAD."""

    def refuse(self, error: Exception, request: Request | None) -> Response:
        """The answer to something that never became a request."""

    def finished(self, request: Request | None, response: Response) -> Response:
        """The response with the headers that every one has."""

    def failed(self, error: BaseException) -> None:
        """An unexpected exception in the server itself, for the log."""


class Limits(NamedTuple):
    """Seconds and bytes a caller may take."""

    connections: int = 4096
    body_bytes: int = 50 * 1024 * 1024
    header_s: float = 15.0
    body_s: float = 60.0
    idle_s: float = 75.0
    threads: int = 256


class Pool:
    """Worker threads, as many as are needed at once, for what would hold the loop up."""

    def __init__(self, most: int, on_error: Callable[[BaseException], None]) -> None:
        self._most = most
        self._on_error = on_error
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0  # pieces of work, waiting or being done: as many threads are wanted
        self._threads = 0

    def submit(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._unfinished += 1
            is_short = self._threads < min(self._unfinished, self._most)
            self._threads += is_short
        self._queue.put(work)
        if is_short:
            try:
                threading.Thread(target=self._run, name="worker", daemon=True).start()
            except RuntimeError as error:
                # The system has no more, for the moment: the work is for those there are, or the next that is started.
                with self._lock:
                    self._threads -= 1
                self._on_error(error)

    def _run(self) -> None:
        while True:
            try:
                work = self._queue.get(timeout=SPARE_THREAD_S)
            except queue.Empty:
                with self._lock:
                    if self._threads > max(MIN_THREADS, self._unfinished):
                        self._threads -= 1
                        return
                continue
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a worker outlives its work
                self._on_error(error)
            del work  # it holds its call, and whoever waits here for the next may wait for long
            with self._lock:
                self._unfinished -= 1


class Server(ThreadingHTTPServer):
    """Listens at once; `serve_forever` runs until `shut_down` has let the running requests finish."""

    request_queue_size = 1024  # the default of 5 drops bursts

    def __init__(self, address: tuple[str, int], service: Service, limits: Limits) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Connection)  # type: ignore[arg-type]  # made as socketserver makes handlers
        self.service = service
        self.limits = limits
        self.draining = False
        self.connections: set[Connection] = set()
        self.turned_away: set[Connection] = set()  # of these, those for which there was no room
        self.pool = Pool(limits.threads, service.failed)
        self.connectors = Pool(limits.threads, service.failed)
        tick_s = min(TICK_S, limits.header_s / 4, limits.body_s / 4, limits.idle_s / 4)
        self.loop = Loop(self._tick, service.failed, tick_s)
        self.socket.setblocking(False)
        self._accept_again_at = 0.0
        self._drain_until = 0.0

    def server_bind(self) -> None:
        """As socketserver does it; HTTPServer would ask the name service for our own name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        self.loop.register(self.socket, EVENT_READ, self._on_accept)
        try:
            self.loop.run()
        finally:
            for connection in list(self.connections):
                connection.abort()
            self.socket.close()
            self.loop.close()

    def shut_down(self, within_s: float) -> None:
        """Stop accepting, let running requests and streams finish for so long, then end. Safe in a signal handler."""
        self.loop.call(self._drain, within_s)

    # -- accepting (loop's thread) --------------------------------------------------------------------------------

    def _on_accept(self, mask: int) -> None:
        for _ in range(ACCEPTS_PER_ROUND):
            try:
                sock, peer = self.get_request()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._accept_again_at = self.loop.now + ACCEPT_PAUSE_S
                    self.loop.modify(self.socket, 0, self._on_accept)
                self.service.failed(error)
                return
            self.process_request(sock, peer)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection in, or say honestly that there is no room."""
        request.setblocking(False)
        has_room = len(self.connections) - len(self.turned_away) < self.limits.connections
        if not has_room and len(self.turned_away) >= MOST_TURNED_AWAY:
            self._turn_away(request)
            return
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(request, client_address, self)
        self.connections.add(connection)
        if not has_room:
            self.turned_away.add(connection)
            connection.refuse(ConnectionError("too many connections"))

    def _turn_away(self, sock: socket.socket) -> None:
        """In a flood: who is still sending will not see the answer."""
        response = self.service.refuse(ConnectionError("too many connections"), None)
        try:
            sock.sendall(head_bytes(response, len(response.body), False, False) + bytes(response.body))
            sock.shutdown(socket.SHUT_WR)
            sock.recv(65536)  # read what they sent already, or closing would reset the answer away
        except OSError:
            pass
        finally:
            sock.close()

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.turned_away.discard(connection)
        if self.draining and not self.connections:
            self.loop.stop()

    # -- time -----------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        for connection in list(self.connections):
            connection.check_time(now)
        if self._accept_again_at and now >= self._accept_again_at and not self.draining:
            self._accept_again_at = 0.0
            self.loop.modify(self.socket, EVENT_READ, self._on_accept)
        if self.draining:
            self._drain_on(now)

    def _drain(self, within_s: float) -> None:
        if self.draining:
            return
        self.draining = True
        self._drain_until = time.monotonic() + within_s
        self._on_accept(EVENT_READ)  # who is connected already, as far as they can know
        self.loop.unregister(self.socket)
        self.socket.close()
        self._drain_on(self.loop.now)

    def _drain_on(self, now: float) -> None:
        late = now >= self._drain_until
        for connection in list(self.connections):
            if connection.state == IDLE:
                connection.on_readable()  # a request that has just come is one to finish
            if connection.state == IDLE and not connection.inbuf:  # else there is one already
                connection.close()
            elif late and connection.state == STREAMING and connection.stream is not None:
                connection.stream.fail(ShuttingDown("the server is shutting down"))
            elif late and connection.state == BUSY and connection.task is not None:
                connection.task.cancel(ShuttingDown("the server is shutting down"))
            elif late and connection.state in (HEAD, BODY):
                connection.abort()
        if not self.connections or now >= self._drain_until + 1.0:
            self.loop.stop()
