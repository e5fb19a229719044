"""Connections to providers: made, kept for reuse, given up in time.

A connection is `http.client`'s, made in steps (`web/task.py`): a thread is needed to look a name up and to check a certificate,
and none to wait for a host that does not answer. `ssl` is loaded when somebody speaks it; what is handed out never blocks. A kept
connection is given away only when it is open and nothing lies in it. Messages name no host and no address.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any, NamedTuple

from . import descriptors
from .errors import UpstreamTimeout, UpstreamUnreachable
from .web.head import Headers
from .web.standard import client
from .web.task import CONNECTOR, Next, Wait

if TYPE_CHECKING:
    import ssl

CONNECT_S = 10.0
# Of several addresses of a host, each but the last has so long at most: where IPv6 leads nowhere, IPv4 may be well.
ADDRESS_S = 2.0
# Then it comes after the others for so long: not every new connection waits for it (RFC 8305 section 8).
SHUNNED_S = 300.0
BEGUN = (errno.EINPROGRESS, errno.EWOULDBLOCK)  # the second is how Windows says it
# Idle connections are dropped before the other side does it: many Python servers close after 5 s, large ones after 60 s.
IDLE_HTTP_S = 4.0
IDLE_HTTPS_S = 45.0
IDLE_PER_ORIGIN = 64


class Origin(NamedTuple):
    """Where a connection goes, and how far it is trusted. `scheme` is http, https or demo (in-process)."""

    scheme: str
    host: str
    port: int
    ca_file: str = ""
    verify: bool = True

    @property
    def authority(self) -> str:
        """As the Host header has it: with the port unless that is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


class Idle(NamedTuple):
    sock: socket.socket
    until: float


class Connections:
    """The connections to all providers. `in_process` serves the schemes of those that live here. Used from any thread."""

    def __init__(self, in_process: Mapping[str, Callable[[socket.socket], None]], clock: Callable[[], float]) -> None:
        self.in_process = in_process
        self.clock = clock
        self._lock, self._room = threading.Lock(), threading.Lock()
        self._idle: dict[Origin, list[Idle]] = {}
        # Addresses that could not be connected to the last time, and until when others come first.
        self._shunned: dict[Any, float] = {}

    def close(self) -> None:
        """Close all that are idle."""
        with self._lock:
            idle = [each for connections in self._idle.values() for each in connections]
            self._idle.clear()
        for each in idle:
            each.sock.close()

    def drop_stale(self) -> None:
        """Close the idle connections whose time is up. `take` alone would leave those of a past rush open for ever."""
        now = self.clock()
        stale: list[Idle] = []
        with self._lock:
            for origin, connections in list(self._idle.items()):
                stale += [each for each in connections if each.until <= now]
                self._idle[origin] = [each for each in connections if each.until > now]
                if not self._idle[origin]:
                    del self._idle[origin]
            self._shunned = {address: until for address, until in self._shunned.items() if until > now}
        for each in stale:
            each.sock.close()

    def take(self, origin: Origin) -> socket.socket | None:
        """The most recently used idle connection that is still open and holds no left-over bytes."""
        while True:
            with self._lock:
                connections = self._idle.get(origin)
                if not connections:
                    return None
                idle = connections.pop()
            if idle.until > self.clock() and is_quiet(idle.sock):
                return idle.sock
            idle.sock.close()

    def put_back(self, origin: Origin, sock: socket.socket, idle_s: float) -> None:
        idle = Idle(sock, self.clock() + idle_s)
        with self._lock:
            connections = self._idle.setdefault(origin, [])
            if len(connections) < IDLE_PER_ORIGIN:
                connections.append(idle)
                return
        sock.close()

    def connect(self, origin: Origin, deadline: float) -> Generator[Next, None, socket.socket]:
        """A new connection. Raises UpstreamUnreachable, UpstreamTimeout."""
        serve = self.in_process.get(origin.scheme)
        if serve is not None:
            return connected_to(serve, origin.scheme)
        try:
            connection = client.HTTPConnection(origin.host, origin.port)
            yield CONNECTOR  # nobody says how long it takes to look a name up
            with self._room:  # so that nobody goes on before there is any
                if descriptors.are_scarce():
                    self.close()  # those that are idle: each caller was promised a connection of its own
            found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            until = min(deadline, self.clock() + CONNECT_S)
            sock = yield from self._reach(found, until)
            # All that http.client does for a connection, but for waiting.
            connection._create_connection = lambda *_: sock  # type: ignore[attr-defined]
            connection.connect()
            return sock if origin.scheme == "http" else (yield from self._agree(sock, origin, until))
        except TimeoutError as error:
            raise UpstreamTimeout("connecting took too long") from error
        # UnicodeError: a name that cannot be one, such as a..b. HTTPException: one that http.client will not have.
        except (OSError, UnicodeError, client.HTTPException) as error:
            raise UpstreamUnreachable(reason_of(error)) from error

    def _reach(self, found: Sequence[Any], until: float) -> Generator[Next, None, socket.socket]:
        """Connect to the first of these addresses that lets us. Raises what went wrong with the last."""
        begun, shunned = self.clock(), self._shunned
        found = sorted(found, key=lambda each: shunned.get(each[4], begun) > begun)
        for number, (family, kind, protocol, _, address) in enumerate(found, 1):
            now, is_last = self.clock(), number == len(found)
            patience = until if is_last else now + min(ADDRESS_S, (until - now) / 2)
            try:
                sock = yield from self._connect(socket.socket(family, kind, protocol), address, patience)
            except OSError:
                with self._lock:  # who drops what is over goes through them all
                    self._shunned[address] = self.clock() + SHUNNED_S
                if is_last or self.clock() >= until:
                    raise
                continue
            with self._lock:
                self._shunned.pop(address, None)
            return sock
        raise OSError("the name has no address")

    def _connect(self, sock: socket.socket, address: Any, until: float) -> Generator[Next, None, socket.socket]:
        try:
            sock.setblocking(False)
            failure = sock.connect_ex(address)
            if failure in BEGUN:
                yield Wait(sock, until, EVENT_WRITE)
                failure = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not failure and self.clock() >= until:
                    failure = errno.ETIMEDOUT
            if failure:
                raise OSError(failure, os.strerror(failure))
        except BaseException:
            sock.close()
            raise
        return sock

    def _agree(self, sock: socket.socket, origin: Origin, until: float) -> Generator[Next, None, socket.socket]:
        """Speak TLS from here on."""
        try:
            yield CONNECTOR  # certificates are read and checked, which takes longer than the loop has
            context = context_of(origin)
            sock = tls = context.wrap_socket(sock, server_hostname=origin.host, do_handshake_on_connect=False)
            while True:
                try:
                    tls.do_handshake()
                    return tls
                except OSError as error:
                    interest = waits_for(error, 0)
                    if not interest:
                        raise
                if self.clock() >= until:
                    raise TimeoutError
                yield Wait(tls, until, interest)
                yield CONNECTOR
        except BaseException:
            sock.close()
            raise


def connected_to(serve: Callable[[socket.socket], None], name: str) -> socket.socket:
    """A connection to a provider that lives here, in a thread of its own. Raises UpstreamUnreachable."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        threading.Thread(target=serve, args=(theirs,), name=name, daemon=True).start()
    except RuntimeError as error:
        ours.close()
        theirs.close()
        raise UpstreamUnreachable("there is no thread left for it") from error
    return ours


def is_quiet(sock: socket.socket) -> bool:
    """True when an idle connection is open and nothing lies in it: left-over bytes would be the next caller's answer."""
    if type(sock) is socket.socket and hasattr(select, "poll"):
        look = select.poll()
        look.register(sock, select.POLLIN)
        return not look.poll(0)
    try:  # TLS may have something to say that is not for us
        sock.recv(1)
    except OSError as error:
        return bool(waits_for(error, EVENT_READ))
    return False


def waits_for(error: OSError, otherwise: int) -> int:
    """What a socket waits for that would have blocked: `otherwise`, unless TLS says differently (it may have to read
    before it can write; its errors are known by name, since ssl is not imported where nobody speaks it). 0: no such error."""
    if isinstance(error, BlockingIOError):
        return otherwise
    return {"SSLWantReadError": EVENT_READ, "SSLWantWriteError": EVENT_WRITE}.get(type(error).__name__, 0)


def is_closed(error: OSError) -> bool:
    """The other side takes nothing more (TLS says so in its own words)."""
    return isinstance(error, (BrokenPipeError, ConnectionResetError)) or type(error).__name__ in (
        "SSLEOFError",
        "SSLZeroReturnError",
    )


def idle_seconds(origin: Origin, headers: Headers) -> float:
    """How long a connection is kept at most, by what its last reply said of that."""
    limit = IDLE_HTTPS_S if origin.scheme == "https" else IDLE_HTTP_S
    for option in headers["keep-alive"].split(",") if "keep-alive" in headers else ():
        name, _, value = option.strip().partition("=")
        if name.lower() == "timeout" and value.isascii() and value.isdigit():
            return min(120.0, max(0.0, int(value[:6]) - 1.0))
    return limit


def reason_of(error: BaseException) -> str:
    """A reason fit for callers: no host, no address."""
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "its name could not be resolved"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "it closed the connection"
    if type(error).__name__ == "SSLCertVerificationError":
        return "its TLS certificate is not trusted (a private authority can be given as caFile)"
    if type(error).__name__.startswith("SSL"):
        return "TLS could not be agreed on"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the connection failed"


def context_of(origin: Origin) -> ssl.SSLContext:
    """Whom TLS trusts there. Authorities are read anew when their file has changed. Raises UpstreamUnreachable where it is no good."""
    if not origin.ca_file:
        return tls_context("", origin.verify, 0)
    try:
        return tls_context(origin.ca_file, origin.verify, os.stat(origin.ca_file).st_mtime_ns)
    except OSError as error:
        is_read = type(error).__name__.startswith("SSL")
        what = "holds no certificate" if is_read else f"cannot be read ({reason_of(error)})"
        raise UpstreamUnreachable(f"its caFile {what}") from error


@lru_cache(maxsize=64)
def tls_context(ca_file: str, verify: bool, changed_ns: int) -> ssl.SSLContext:
    import ssl

    context: Any = ssl.create_default_context(cafile=ca_file or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context  # type: ignore[no-any-return]
