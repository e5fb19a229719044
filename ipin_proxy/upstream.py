"""Talking to providers: a request out, a `Reply` back, nothing waited for without a limit.

`connections.py` connects. The socket never blocks: what waits is a generator (`web/task.py`), so replies are read by the
same lean head reader and body decoders as requests are. Every limit is a point in time, not a
time per read: a provider that drips one byte a second is as late as a silent one. Redirects are not followed, ever,
since the provider's key would go with them. Messages name the provider, never its host, address or key.
"""

from __future__ import annotations

import re
import socket
from binascii import b2a_base64
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE
from typing import IO, NamedTuple

from .connections import Connections, Origin, idle_seconds, is_closed, reason_of, waits_for
from .errors import DO_NOT_RETRY, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from .web.framing import Body, FramingError, reply_body
from .web.head import MAX_REPLY_HEAD, HeadError, Headers, find_reply_end, parse_reply
from .web.inflate import inflated
from .web.response import JSON_TYPE, PAGE_TYPE, STREAM_TYPE
from .web.task import TURN, Next, Wait

RECV_BYTES = 64 * 1024
FRAMES_AT_ONCE = 200  # of a stream: each may take a tenth of a millisecond in which nobody else is served
FEW_BYTES = 1024
FILE_PIECE_BYTES = 256 * 1024
BASE64_PIECE_BYTES = 192 * 1024  # whole groups of three: the pieces make one text
REPLY_BYTES = 128 * 1024 * 1024  # a reply that is read whole; the largest real ones are images in base64
PIECES_A_TURN = 2
INTERIM_REPLIES = 16  # 1xx heads before the real one
INTERIM = re.compile(rb"HTTP/1\.[01] 1")
INTERIM_BYTES = 10  # it takes to see that
BEFORE_A_BODY = b"\xef\xbb\xbf \t\r\n"
FIELDS = (b":", b"data:", b"event:", b"id:", b"retry:")  # one of which a stream of events begins with
FAILURES = (OSError, HeadError, FramingError, UpstreamUnreachable, UpstreamTimeout)


@dataclass(frozen=True, slots=True, repr=False)
class FileRange:
    """A stretch of a file, from byte `begin` to `end`, that is sent as it lies on disk."""

    file: IO[bytes]
    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def pieces(self) -> Iterator[bytes]:
        self.file.seek(self.begin)
        left = self.end - self.begin
        while left and (piece := self.file.read(min(left, FILE_PIECE_BYTES))):
            left -= len(piece)
            yield piece


@dataclass(frozen=True, slots=True, repr=False)
class Base64Range(FileRange):
    """The same stretch as base64, made on the way; its length is known before."""

    def __len__(self) -> int:
        return 4 * ((self.end - self.begin + 2) // 3)

    def pieces(self) -> Iterator[bytes]:
        self.file.seek(self.begin)
        left = self.end - self.begin
        while left and (piece := self.file.read(min(left, BASE64_PIECE_BYTES))):
            left -= len(piece)
            yield b2a_base64(piece, newline=False)


Piece = bytes | bytearray | memoryview | FileRange


class Outbound(NamedTuple):
    """What we send: `path` with its query, headers without Host and Content-Length, and the body in pieces."""

    provider: str
    origin: Origin
    method: str
    path: str
    headers: Mapping[str, str]
    body: Sequence[Piece] = ()
    timeout_s: float = 120.0

    @property
    def length(self) -> int:
        return sum(map(len, self.body))


class Heard(NamedTuple):
    """A refusal, or the answer to a dialect's own question: as much of its body as is looked at."""

    status: int
    body: bytes


class Content(NamedTuple):
    """A whole body, and what it is."""

    media_type: str
    body: bytes


class Upstreams:
    """All providers, and the `connections` to them. `in_process` serves the schemes of those that live here."""

    def __init__(self, in_process: Mapping[str, Callable[[socket.socket], None]], clock: Callable[[], float]) -> None:
        self.connections = Connections(in_process, clock)
        self.clock = clock

    def send(self, outbound: Outbound, when_sent: Callable[[], object] = lambda: None) -> Generator[Next, None, Reply]:
        """Send a request; done as soon as the head of the reply is in. `when_sent` hears that all of the request is out.

        Raises UpstreamUnreachable, UpstreamTimeout, UpstreamError.
        """
        deadline = self.clock() + outbound.timeout_s
        yield TURN  # what is sent at once wakes a provider next door once, and finds our own code in the caches
        try:
            sock = self.connections.take(outbound.origin)
            if sock is not None:
                reply = yield from self._exchange(sock, outbound, deadline, when_sent, is_new=False)
                if reply is not None:
                    return reply
            sock = yield from self._connect(outbound.origin, deadline)
            reply = yield from self._exchange(sock, outbound, deadline, when_sent, is_new=True)
            assert reply is not None
            return reply
        except FAILURES as error:
            raise explained(error, outbound.provider) from error

    def _connect(self, origin: Origin, deadline: float) -> Generator[Next, None, socket.socket]:
        sock = yield from self.connections.connect(origin, deadline)
        try:
            yield TURN  # seconds in which the caller may have left: then nothing is sent, and nothing billed
        except BaseException:
            sock.close()
            raise
        return sock

    def _exchange(
        self,
        sock: socket.socket,
        outbound: Outbound,
        deadline: float,
        when_sent: Callable[[], object],
        *,
        is_new: bool,
    ) -> Generator[Next, None, Reply | None]:
        """Send, and read the head of the reply. None: the connection had been closed over there while it was idle, and
        took nothing."""
        heard, is_sent = b"", False
        try:
            try:
                heard = yield from send_request(sock, outbound, deadline, self.clock)
                is_sent = True
                when_sent()
            except EarlyAnswer as early:
                heard = early.heard
            except OSError as error:
                if not is_closed(error):
                    raise
                # A server may refuse a long body half-way and answer all the same.
                if not is_new and outbound.length < RECV_BYTES:
                    sock.close()
                    return None
            try:
                reply = yield from self._read_head(sock, outbound, deadline, heard)
            except (OSError, UpstreamUnreachable):
                if is_new or is_sent or heard:
                    raise
                sock.close()  # a request that was cut short and has no answer is one that nobody has acted on
                return None
            reply.keep_alive = reply.keep_alive and is_sent
            return reply
        except BaseException:
            sock.close()
            raise

    def _read_head(
        self, sock: socket.socket, outbound: Outbound, deadline: float, buffer: bytes
    ) -> Generator[Next, None, Reply]:
        for _ in range(INTERIM_REPLIES):
            searched = 0
            if not buffer:
                yield Wait(sock, deadline)  # it cannot have answered yet
                buffer = yield from receive(sock, deadline, self.clock)
                if not buffer:
                    raise UpstreamUnreachable("it closed the connection before an answer came")
            while (end := find_reply_end(buffer, searched)) < 0:
                if len(buffer) > MAX_REPLY_HEAD:
                    raise HeadError("The headers of the reply are too long.")
                searched = len(buffer)
                data = yield from receive(sock, deadline, self.clock)
                if not data:
                    raise FramingError("it closed the connection in the middle of its headers")
                buffer += data
            head = parse_reply(buffer[:end])
            buffer = buffer[end:]
            if head.status >= 200:
                body = inflated(reply_body(outbound.method, head.status, head.headers), head.headers)
                return Reply(
                    *(self, outbound, sock, head.status, head.headers, body, buffer, deadline),
                    keep_alive=head.keeps_alive,
                    media_type=head.headers.media_type,
                )
            if head.status == 101:
                break
        raise HeadError("The reply is a protocol switch or an endless row of interim answers.")


@dataclass(slots=True, repr=False, eq=False)
class Reply:
    """What came back: status and headers, and a body still unread. `close` must be called, read or not."""

    upstreams: Upstreams
    outbound: Outbound
    sock: socket.socket
    status: int
    headers: Headers
    body: Body
    unparsed: bytes
    deadline: float
    keep_alive: bool
    media_type: str
    ahead: bytes = b""  # of the payload: looked at, and still to be read
    pieces: int = 0  # waited for so far
    recv_bytes: int = RECV_BYTES  # at once
    closed: bool = False

    def look(self) -> Generator[Next, None, None]:
        """Find out by its beginning whether a body that is not called events is some, or JSON. Clients that asked for a stream
        do not care what it is called, and some servers call it JSON, a page, or nothing at all. Raises as `read_all`."""
        if self.media_type == STREAM_TYPE:
            return
        begin = b""
        try:
            while may_become_an_event(begin) and (piece := (yield from self._read(self.deadline))) is not None:
                begin = (begin + piece).lstrip(BEFORE_A_BODY)
        except FAILURES as error:
            raise explained(error, self.outbound.provider) from error
        self.ahead = begin
        if begin.startswith(FIELDS):
            self.media_type = STREAM_TYPE
        elif begin.startswith(b"{") and self.media_type != PAGE_TYPE:
            self.media_type = JSON_TYPE

    def read_all(self) -> Generator[Next, None, bytes]:
        """The whole body, before the deadline. Raises UpstreamError when it is cut, too long or too late."""
        pieces: list[bytes] = []
        size = 0
        try:
            if self.unparsed:
                pieces.append(self._unparsed())
                if self.body.done:
                    return pieces[0]  # nearly always: it came with its head
                size = len(pieces[0])
            while (piece := (yield from self._read(self.deadline))) is not None:
                pieces.append(piece)
                size += len(piece)
                if size > REPLY_BYTES:
                    raise FramingError("it is too long")
        except FAILURES as error:
            raise explained(error, self.outbound.provider) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_beginning(self, size_bytes: int) -> Generator[Next, None, bytes]:
        """As much of the body, or a little more, and all of it where it is shorter. Raises as `read_all`."""
        found = b""
        try:
            while len(found) < size_bytes and (piece := (yield from self._read(self.deadline))) is not None:
                found += piece
        except FAILURES as error:
            raise explained(error, self.outbound.provider) from error
        return found

    def read_first(self, within_s: float) -> Generator[Next, None, bytes | None]:
        """The first bytes of a stream; b"" when none came in time, None when there are none at all."""
        until = min(self.deadline, self.upstreams.clock() + within_s)
        try:
            while (piece := (yield from self._read(until))) == b"":
                pass
            return piece
        except FAILURES as error:
            if isinstance(error, UpstreamTimeout) and until < self.deadline:
                return b""
            raise explained(error, self.outbound.provider) from error

    def _read(self, deadline: float) -> Generator[Next, None, bytes | None]:
        """The next piece of payload, waiting for it; None at the proper end."""
        if self.ahead:
            return self._ahead()
        if self.unparsed:
            return self._unparsed()
        if self.body.done:
            return None
        self.pieces += 1
        if not self.pieces % PIECES_A_TURN:
            yield TURN  # a fast provider must not have the loop to itself
        if self.body.pending:
            return self.body.feed(b"")
        return self._decode((yield from receive(self.sock, deadline, self.upstreams.clock, self.recv_bytes)))

    def _ahead(self) -> bytes:
        data, self.ahead = self.ahead, b""
        return data

    def _unparsed(self) -> bytes:
        data, self.unparsed = self.unparsed, b""
        return self.body.feed(data)

    def _decode(self, data: bytes) -> bytes | None:
        if data:
            if len(data) > FEW_BYTES and self.media_type == STREAM_TYPE:
                self.recv_bytes = piece_of(data)
            return self.body.feed(data)
        self.keep_alive = False
        self.body.end()
        return None

    def read_ready(self) -> bytes | None:
        """For a running stream: what is there without waiting. Raises UpstreamError when it breaks off."""
        try:
            if self.ahead:
                return self._ahead()
            if self.unparsed:
                return self._unparsed()
            if self.body.pending:
                return self.body.feed(b"")
            if self.body.done:
                return None
            payload = self._decode(self.sock.recv(self.recv_bytes))
            return payload if payload or not self.body.done else None
        except (OSError, FramingError) as error:
            if isinstance(error, OSError) and waits_for(error, EVENT_READ):
                return b""
            raise UpstreamError("The connection broke.", code="upstream_stream_interrupted") from error

    def has_more(self) -> bool:
        if self.ahead or self.unparsed or self.body.done or self.body.pending:
            return True
        pending = getattr(self.sock, "pending", None)  # a TLS socket's, of decrypted bytes
        return pending is not None and pending() > 0

    def close(self) -> None:
        """Keep the connection for the next call if the reply was read to its end and nothing came after it."""
        if self.closed:
            return
        self.closed = True
        origin = self.outbound.origin
        whole = self.body.done and not self.body.rest and not self.unparsed
        if whole and self.keep_alive and not self.body.ends_with_connection:
            self.upstreams.connections.put_back(origin, self.sock, idle_seconds(origin, self.headers))
        else:
            self.sock.close()


class EarlyAnswer(Exception):
    """The other side answers before it has the whole request, and takes no more of it. `heard`: what it said so far."""

    def __init__(self, heard: bytes) -> None:
        super().__init__()
        self.heard = heard


def may_become_an_event(begin: bytes) -> bool:
    """Whether so little of a body does not tell yet if it is events."""
    return any(len(begin) < len(each) and each.startswith(begin) for each in FIELDS)


def explained(error: Exception, provider: str) -> UpstreamError:
    """Each way a connection can fail as an error that names the provider and gives nothing away."""
    if isinstance(error, UpstreamUnreachable):
        return UpstreamUnreachable(f"Provider '{provider}' could not be reached: {error.message}.")
    if isinstance(error, (UpstreamTimeout, TimeoutError)):
        return UpstreamTimeout(f"Provider '{provider}' did not answer in time.")
    if isinstance(error, HeadError):
        return UpstreamError(f"Provider '{provider}' answered with something that is not HTTP.")
    if isinstance(error, FramingError):
        return UpstreamError(f"Provider '{provider}' broke off its answer: {error.message}.")
    return UpstreamUnreachable(f"Provider '{provider}' could not be reached: {reason_of(error)}.")


def send_request(
    sock: socket.socket, outbound: Outbound, deadline: float, clock: Callable[[], float]
) -> Generator[Next, None, bytes]:
    """Send head and body; what the other side has said meanwhile, which is nothing or interim. Raises EarlyAnswer."""
    method, length = outbound.method, outbound.length
    fields = "".join([f"{name}: {value}\r\n" for name, value in outbound.headers.items()])
    ending = "\r\n" if method == "GET" else f"content-length: {length}\r\n\r\n"
    text = f"{method} {outbound.path} HTTP/1.1\r\nhost: {outbound.origin.authority}\r\n{fields}{ending}"
    try:
        head = text.encode("latin-1")
    except UnicodeEncodeError:  # not as its cause: the text at fault holds the key
        raise UpstreamError(
            f"The API key of provider '{outbound.provider}' has a character that no HTTP header can carry. "
            "An administrator has to copy it again from its source.",
            code="upstream_auth_failed",
            headers=DO_NOT_RETRY,
        ) from None
    if length < RECV_BYTES:
        body = outbound.body
        first = body[0] if len(body) == 1 else None
        rest = first if isinstance(first, bytes) else b"".join(flat(body))
        return (yield from transmit(sock, head + rest, deadline, clock))
    heard = yield from transmit(sock, head, deadline, clock)
    for piece in flat(outbound.body):
        heard = yield from transmit(sock, piece, deadline, clock, heard)
        yield TURN  # a provider that takes whatever comes must not have the loop to itself
    return heard


def transmit(
    sock: socket.socket,
    data: bytes | bytearray | memoryview,
    deadline: float,
    clock: Callable[[], float],
    heard: bytes = b"",
) -> Generator[Next, None, bytes]:
    """Send all of it, waiting while the other side does not take it; listening too, because one who refuses a request
    by its head may never take the rest. `heard` is what was heard before. As `send_request`."""
    view = memoryview(data)
    listens = len(heard) < MAX_REPLY_HEAD
    while view:
        try:
            view = view[sock.send(view) :]
            continue
        except OSError as error:
            interest = waits_for(error, EVENT_WRITE)
            if not interest:
                raise
        if clock() >= deadline:
            raise UpstreamTimeout("The request was not taken in time.")
        said = overhear(sock) if listens else None
        if said is not None:
            heard += said
            if said and is_answer(heard):
                raise EarlyAnswer(heard)
            listens = bool(said) and len(heard) < MAX_REPLY_HEAD
        yield Wait(sock, deadline, interest | EVENT_READ if listens else interest)
    return heard


def is_answer(heard: bytes) -> bool:
    """Whether this has come to an answer, behind interim ones, which are whole by then."""
    while INTERIM.match(heard) and (end := find_reply_end(heard, 0)) >= 0:
        heard = heard[end:]
    return len(heard) >= INTERIM_BYTES and not INTERIM.match(heard)


def overhear(sock: socket.socket) -> bytes | None:
    """What has come without waiting: None for nothing, b"" for the end of the connection."""
    try:
        return sock.recv(RECV_BYTES)
    except OSError as error:
        if waits_for(error, EVENT_READ):
            return None
        raise


def piece_of(data: bytes) -> int:
    """How much of a stream to read at once that sends events as short as these: no more than the others can wait for."""
    frames = data.count(b"\n\n") + data.count(b"\n\r\n")
    return min(RECV_BYTES, max(FEW_BYTES, len(data) * FRAMES_AT_ONCE // max(1, frames)))


def receive(
    sock: socket.socket, deadline: float, clock: Callable[[], float], most_bytes: int = RECV_BYTES
) -> Generator[Next, None, bytes]:
    """The next bytes, b"" at the end of the connection."""
    while True:
        try:
            return sock.recv(most_bytes)
        except OSError as error:
            interest = waits_for(error, EVENT_READ)
            if not interest:
                raise
            if clock() >= deadline:
                raise UpstreamTimeout("The answer did not come in time.") from None
            yield Wait(sock, deadline, interest)


def flat(body: Sequence[Piece]) -> Iterator[bytes | bytearray | memoryview]:
    for piece in body:
        if isinstance(piece, FileRange):
            yield from piece.pieces()
        else:
            yield piece
