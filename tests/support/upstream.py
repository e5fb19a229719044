"""The scripted upstream: a real socket server with a queue of answers and a history of what it was sent.

Scripts are taken in the order in which requests arrive. It can be as cruel as the network is: see script.py for the
steps. One thread per connection; every wait ends with an event or a deadline, none with a sleep. Connections stay
open for further requests unless a script says otherwise. It knows nothing about the proxy it is used against.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from .script import (
    Drip,
    Headers,
    Lie,
    Mark,
    Raw,
    Script,
    Split,
    Step,
    answer,
    bytewise,
    close_delimited,
    frame,
    goodbye,
    hang_up,
    lie_about_length,
    pause,
    raw,
    reset,
    say,
    split,
    stall,
    stream,
)
from .seen import Part, Seen, complaints, parse_head, read_body

__all__ = [
    "Drip",
    "Event",
    "Part",
    "Raw",
    "Script",
    "Seen",
    "Step",
    "Upstream",
    "answer",
    "bytewise",
    "close_delimited",
    "goodbye",
    "hang_up",
    "lie_about_length",
    "pause",
    "raw",
    "reset",
    "say",
    "split",
    "stall",
    "stream",
]

CERTIFICATE = Path(__file__).with_name("localhost.pem")  # for localhost and 127.0.0.1; its key is public
GRACE_S = 0.5  # for who is about to finish
PATIENCE_S = 30.0  # a stuck script ends by itself, so that a failing test cannot hang the suite
OPENED, HEAD, REQUEST, PAUSED, ANSWERED, PEER_CLOSED, CLOSED = (
    "opened",
    "head",
    "request",
    "paused",
    "answered",
    "closed by peer",
    "closed by us",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on a connection, with the monotonic time it was noticed."""

    what: str
    connection: int
    at: float


class Gone(Exception):
    """The peer has closed the connection."""


class Over(Exception):
    """The script says that we close it."""


class Upstream:
    """Listens on a free port of 127.0.0.1 from its making until `close()`; `with closing(Upstream()) as upstream:`."""

    def __init__(self, *, tls: bool = False) -> None:
        self.history: list[Seen] = []
        self.events: list[Event] = []
        self.complaints: list[str] = []
        self._scripts: deque[Script] = deque()
        self._default: Callable[[Seen], Script] | None = None
        self._changed = threading.Condition()
        self._permits = 0
        self._connections: dict[int, _Connection] = {}
        self._count = 0
        self._tls = _server_context() if tls else None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="upstream", daemon=True)
        self._accepting.start()

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return self.origin + "/v1"

    # What to answer.

    def will(self, *scripts: Script) -> None:
        """Queue answers made by `answer`, `stream` or `say`."""
        with self._changed:
            self._scripts.extend(scripts)

    def will_answer(
        self, status: int = 200, body: object = None, *steps: Step, headers: Headers = (), before: bytes = b""
    ) -> None:
        """Queue a whole reply: dicts and lists as JSON, text and bytes as they are; `steps` follow the body."""
        self.will(answer(status, body, *steps, headers=headers, before=before))

    def will_stream(
        self, *steps: Step, status: int = 200, headers: Headers = (), done: bool = True, before: bytes = b""
    ) -> None:
        """Queue a stream: dicts become `data:` frames, and `data: [DONE]` ends it unless `done` is False."""
        self.will(stream(*steps, status=status, headers=headers, done=done, before=before))

    def will_say(self, *steps: Step) -> None:
        """Queue raw bytes, status line and all."""
        self.will(say(*steps))

    def default(self, handler: Callable[[Seen], Script] | None) -> None:
        """What to answer when the queue is empty; without it, a 500 that says so."""
        self._default = handler

    def resume(self, times: int = 1) -> None:
        """Let so many pauses end, now or when they are reached."""
        with self._changed:
            self._permits += times
        for connection in self._open():
            connection.ring()

    # What happened.

    @property
    def started(self) -> int:
        """Requests of which at least the head has arrived."""
        with self._changed:
            return sum(event.what == HEAD for event in self.events)

    def wait_requests(self, count: int = 1, timeout_s: float = 10.0) -> list[Seen]:
        """Wait until `history` holds so many requests."""
        self._wait(lambda: len(self.history) >= count, timeout_s, f"{count} requests")
        return self.history

    def wait_paused(self, times: int = 1, timeout_s: float = 10.0) -> None:
        """Wait until a script has reached `pause` or `stall` so many times."""
        self._wait(lambda: sum(e.what == PAUSED for e in self.events) >= times, timeout_s, "a pause")

    def wait_closed(self, timeout_s: float = 10.0, connection: int | None = None) -> Event:
        """Wait until the peer has closed a connection: the given one, or that of the last request."""
        wanted = connection or (self.history[-1].connection if self.history else self._count)

        def closed() -> list[Event]:
            return [e for e in self.events if e.connection == wanted and e.what == PEER_CLOSED]

        self._wait(lambda: bool(closed()), timeout_s, f"the peer to close connection {wanted}")
        return closed()[0]

    def wait_answered(self, times: int = 1, timeout_s: float = 10.0) -> None:
        """Wait until so many scripts have been played to their end."""
        self._wait(lambda: sum(e.what == ANSWERED for e in self.events) >= times, timeout_s, "the end of an answer")

    def wait_ended(self, timeout_s: float = 10.0) -> None:
        """Wait until every connection that carried a request of `history` is closed, whoever did it."""
        used = {seen.connection for seen in self.history}
        self._wait(lambda: used.isdisjoint(self._connections), timeout_s, f"the end of connections {used}")

    def clear(self) -> None:
        """Forget scripts, history and events. Connections in the middle of an answer are closed, idle ones stay."""
        with self._changed:
            self._scripts.clear()
            self.history.clear()
            self.events.clear()
            self.complaints.clear()
            self._permits = 0
            self._default = None
        for connection in self._open():
            with self._changed:  # one whose last byte is out is busy for a moment longer
                self._changed.wait_for(connection.is_settled, GRACE_S)
            if connection.busy:
                connection.abort()
                connection.thread.join(PATIENCE_S)

    def close(self) -> None:
        """Close everything and wait for the threads."""
        _shut(self._listener)
        self._accepting.join(PATIENCE_S)
        for connection in self._open():
            connection.abort()
            connection.thread.join(PATIENCE_S)

    # For the connections.

    def next_script(self, seen: Seen) -> Script:
        with self._changed:
            self.history.append(seen)
            self.complaints.extend(complaints(seen))
            script = self._scripts.popleft() if self._scripts else None
        self.note(REQUEST, seen.connection)
        if script is None:
            script = self._default(seen) if self._default else None
        return script or answer(500, {"error": {"message": "The test has no answer for this request.", "type": "test"}})

    def take_permit(self) -> bool:
        with self._changed:
            if self._permits == 0:
                return False
            self._permits -= 1
            return True

    def note(self, what: str, connection: int) -> None:
        with self._changed:
            self.events.append(Event(what, connection, time.monotonic()))
            self._changed.notify_all()

    def complain(self, text: str) -> None:
        with self._changed:
            self.complaints.append(text)

    def forget(self, connection: int) -> None:
        with self._changed:
            self._connections.pop(connection, None)
            self._changed.notify_all()

    def _open(self) -> list[_Connection]:
        with self._changed:
            return list(self._connections.values())

    def _wait(self, ready: Callable[[], bool], timeout_s: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(ready, timeout_s):
                happened = [(event.what, event.connection) for event in self.events]
                raise AssertionError(f"waited {timeout_s:g} s for {what}; what happened: {happened}")

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._count += 1
                connection = _Connection(self, sock, self._count, self._tls)
                self._connections[self._count] = connection
            connection.thread.start()


class _Connection:
    """One accepted connection: read a request, play a script, again."""

    def __init__(self, upstream: Upstream, sock: socket.socket, number: int, tls: ssl.SSLContext | None) -> None:
        self.upstream = upstream
        self.sock = sock
        self.number = number
        self.tls = tls
        self.busy = False
        self.is_held = False  # in the middle of an answer, by a pause or a stall
        self.buffer = b""
        self._bell, self._ringer = socket.socketpair()
        self.thread = threading.Thread(target=self._run, name=f"upstream-{number}", daemon=True)

    def is_settled(self) -> bool:
        """Whether it does nothing by itself: between two requests, or held in an answer."""
        return not self.busy or self.is_held

    def ring(self) -> None:
        with contextlib.suppress(OSError):  # the connection may just have ended
            self._ringer.send(b"!")

    def abort(self) -> None:
        """End it from another thread."""
        with contextlib.suppress(OSError):  # already closed
            self.sock.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        ending = PEER_CLOSED
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.upstream.note(OPENED, self.number)
            if self.tls:
                self.sock.settimeout(PATIENCE_S)
                self.sock = self.tls.wrap_socket(self.sock, server_side=True)
            self.sock.settimeout(None)
            while self._exchange():
                pass
            ending = CLOSED
        except ValueError as error:
            self.upstream.complain(f"malformed request: {error}")
            ending = CLOSED
        except Over:
            ending = CLOSED
        except (Gone, OSError):
            pass  # the peer left, or the test is over
        finally:
            _shut(self.sock)
            self.busy = False
            self.upstream.note(ending, self.number)
            self._bell.close()
            self._ringer.close()
            self.upstream.forget(self.number)

    def _exchange(self) -> bool:
        """One request and its answer; False when the connection is to be closed by us."""
        seen = self._read_request()
        script = self.upstream.next_script(seen)
        keep = self._play(script, seen)
        self.busy = False
        self.upstream.note(ANSWERED, self.number)
        return keep and (seen.header("connection") or "").lower() != "close"

    # Reading.

    def _read_request(self) -> Seen:
        while b"\r\n\r\n" not in self.buffer:
            self._more()
            if not self.buffer[:1].isalpha():
                raise ValueError(f"no HTTP: {self.buffer[:20]!r}")
        self.busy = True
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.upstream.note(HEAD, self.number)
        method, path, headers = parse_head(head)
        if any(name.lower() == "expect" for name, _ in headers):
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = read_body(headers, self._take, self._line)
        return Seen(method, path, headers, body, self.number)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.buffer += data

    def _take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    # Answering.

    def _play(self, script: Script, seen: Seen) -> bool:
        """Carry out a script; True when the connection can serve another request."""
        wire_size = 1 if script.has(bytewise) else 0
        framing = "close" if script.has(close_delimited) else script.framing
        if script.status in (204, 304) or seen.method == "HEAD":
            framing = "none"
        self._send(script.before, wire_size)
        if script.status:
            self._send(_head(script, framing), wire_size)
        steps = deque(step for step in script.steps if not isinstance(step, (Split, Lie)))
        while steps:
            step, behind = steps.popleft(), b""
            while steps and isinstance(steps[0], Raw) and not isinstance(step, (Mark, Drip)):
                behind += steps.popleft().data  # in one piece with what it comes behind: it is there when that is
            if isinstance(step, Mark):
                self._do(step)
            elif isinstance(step, Raw):
                self._send(step.data + behind, wire_size)
            elif isinstance(step, Drip):
                self._drip(step)
            elif not (script.status and framing == "none"):
                wire = [
                    b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece
                    for piece in _pieces(frame(step), script.piece_size)
                ] or [b""]
                for piece in (*wire[:-1], wire[-1] + behind):
                    self._send(piece, wire_size)
            else:
                self._send(behind, wire_size)
        if framing == "chunked":
            self._send(b"0\r\n\r\n", wire_size)
        return bool(script.status) and framing != "close" and not script.has(goodbye) and script.lie <= 0

    def _do(self, step: Mark) -> None:
        if step in (pause, stall):
            self.is_held = True
            self.upstream.note(PAUSED, self.number)
            self._wait(self.upstream.take_permit if step == pause else lambda: False)
            self.is_held = False
        elif step == hang_up:
            raise Over
        elif step == reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()  # without a shutdown before it, which would send a FIN first
            raise Over

    def _drip(self, step: Drip) -> None:
        for byte in step.data:
            self.sock.sendall(bytes([byte]))
            if select.select([self.sock], [], [], step.every_s)[0]:
                self._more()

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Until ready() is true. A peer who leaves meanwhile is noticed at once."""
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            readable, _, _ = select.select([self.sock, self._bell], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                self.upstream.complain("a pause was never resumed")
                raise Over
            if self._bell in readable:
                self._bell.recv(4096)
            if self.sock in readable:
                self._more()

    def _send(self, data: bytes, piece_size: int) -> None:
        for piece in _pieces(data, piece_size):
            self.sock.sendall(piece)


def _head(script: Script, framing: str) -> bytes:
    phrase = next((status.phrase for status in HTTPStatus if status == script.status), "Odd")
    lines = [f"HTTP/1.1 {script.status} {phrase}", *(f"{name}: {value}" for name, value in script.headers)]
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif framing == "length":
        size = sum(len(frame(step)) for step in script.steps)
        lines.append(f"Content-Length: {size + script.lie}")
    if script.has(goodbye) or framing == "close":
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _pieces(data: bytes, size: int) -> list[bytes]:
    if not size:
        return [data] if data else []
    return [data[start : start + size] for start in range(0, len(data), size)]


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was first
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
