"""One caller's socket: bytes into requests, responses into bytes, and a running stream in between.

Everything here runs on the loop's thread, so nothing is locked; what a worker has to say reaches it through `loop.call`.
It never blocks, never waits, and knows nothing of models.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING

from .framing import LAST_CHUNK, Body, FramingError, LengthBody, chunk, request_body
from .head import HeadError, HeadReader, find_end, refuse_early
from .loop import HANG_UP
from .outbox import Outbox, Piece
from .request import BadPath, BodyTooLarge, Request, SlowRequest
from .response import STREAM_TYPE, CallerGone, Early, Response, Stream, head_bytes
from .streaming import Streaming
from .task import Task

if TYPE_CHECKING:
    from .server import Server

# States. A connection is IDLE between requests; "since" counts from the last change.
IDLE, HEAD, BODY, BUSY, WRITING, STREAMING, LINGERING, CLOSED = range(8)

RECV_BYTES = 64 * 1024
BODY_RECV_BYTES = 256 * 1024
CHUNKS_RECV_BYTES = 16 * 1024  # may be thousands of chunks
AHEAD_BYTES = 256 * 1024  # pipelined bytes we keep while a request is being answered
# After a refusal we read on while the body still comes, or a reset would destroy the answer (RFC 9112 §9.6): nginx, which
# sends as fast as it can before it looks, makes a 502 of that.
LINGER_S = 30.0
LINGER_SILENCE_S = 2.0
STUCK_S = 300.0  # a caller who has taken no byte for so long is gone
BODY_RATE = 8 * 1024  # bytes per second a body must reach on average, beyond BODY_TIMEOUT_S

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection:
    """Made by the server for each accepted socket, with the arguments socketserver gives its handlers."""

    __slots__ = (
        "body",
        "heads",
        "heard_at",
        "inbuf",
        "interest",
        "is_begun",
        "is_refusing",
        "keep_alive",
        "loop",
        "out",
        "peer",
        "peer_done",
        "received",
        "recv_bytes",
        "request",
        "scanned",
        "server",
        "since",
        "sock",
        "state",
        "stream",
        "task",
    )

    def __init__(self, sock: socket.socket, peer: tuple[str, int], server: Server) -> None:
        self.sock = sock
        self.peer = peer[0].removeprefix("::ffff:")  # who comes by IPv4 to a socket for both has one address, not two
        self.server = server
        self.loop = server.loop
        self.state = IDLE
        self.since = self.heard_at = self.loop.now
        self.inbuf = bytearray()
        self.recv_bytes = RECV_BYTES
        self.scanned = 0
        self.received = 0
        self.heads = HeadReader()
        self.request: Request | None = None
        self.body: Body | None = None
        self.keep_alive = False
        self.is_begun = False  # a stream, before it was known whose
        self.is_refusing = False  # the request is not read to its end: what still comes of it is noise
        self.peer_done = False  # they closed their side, or the connection broke
        self.out = Outbox(sock)
        self.stream: Streaming | None = None
        self.task: Task | None = None  # what answers the request, until it has
        self.interest = EVENT_READ
        self.loop.register(sock, EVENT_READ, self.on_event)

    # -- reading --------------------------------------------------------------------------------------------------

    def on_event(self, mask: int) -> None:
        if mask & EVENT_WRITE and self.out.size_bytes:
            self.flush()
        if mask & EVENT_READ and self.state != CLOSED:
            if self.interest & EVENT_READ:
                self.on_readable()
            else:
                self.on_hang_up()

    def on_readable(self) -> None:
        try:
            data = self.sock.recv(self.recv_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.inbuf = bytearray()  # nobody is left to be answered
            self.on_hang_up()
            return
        if not data:
            self.on_hang_up()
            return
        if BUSY <= self.state <= STREAMING:
            self.inbuf += data
            self.hold_back()
            return
        self.take(data)

    def on_hang_up(self) -> None:
        """The caller closed its side. Between requests that is the end; during an AI call it cancels the call."""
        self.want(self.interest & EVENT_WRITE)
        self.peer_done = True
        if self.state == BUSY:
            if self.task is not None:
                self.task.cancel(CallerGone("the caller hung up"))
        elif self.state == BODY:
            self.refuse(FramingError("it ended before it was complete"))
        elif self.state == HEAD:
            self.refuse(HeadError("The request ended in the middle of its headers."))
        elif self.state != WRITING and not (self.state == IDLE and self.inbuf):  # then resume() comes to it
            self.close()

    def take(self, data: bytes | bytearray) -> None:
        """Bytes of a request, in any cut."""
        if self.state == LINGERING:
            self.heard_at = self.loop.now
            return
        if self.state == BODY:
            self.take_body(data)
            return
        if self.inbuf:
            self.inbuf += data
            data = self.inbuf
        end = find_end(data, self.scanned)
        if end < 0:
            self.take_part_of_head(data)
            return
        if data is self.inbuf:
            self.inbuf = bytearray()
        self.scanned = 0
        try:
            head = self.heads.read(bytes(data[:end]))
            self.request = request = Request(head, self)
            self.body = body = request_body(head.headers)
        except (HeadError, BadPath) as error:
            self.refuse(error)
            return
        self.keep_alive = head.keeps_alive
        self.begin_body(request, body, data[end:] if len(data) > end else b"")

    def take_part_of_head(self, data: bytes | bytearray) -> None:
        try:
            refuse_early(data)
        except HeadError as error:
            self.refuse(error)
            return
        if data is not self.inbuf:
            self.inbuf += data
        self.scanned = len(self.inbuf)
        if self.state != HEAD:
            self.enter(HEAD)

    def begin_body(self, request: Request, body: Body, rest: bytes | bytearray) -> None:
        if isinstance(body, LengthBody):
            limit = self.server.limits.body_bytes
            if body.length > limit:
                self.refuse(BodyTooLarge(limit))
                return
            if len(rest) == body.length:  # nearly always: it came with its head
                request.body = bytes(rest)
                self.dispatch()
                return
        self.received = 0
        self.recv_bytes = BODY_RECV_BYTES if isinstance(body, LengthBody) else CHUNKS_RECV_BYTES
        self.enter(BODY)
        if not body.done:
            if rest:
                self.take_body(rest)
            if self.state != BODY or body.done:
                return
            refusal = self.server.service.screen(request)
            if refusal is not None:
                self.answer_and_close(refusal)
                return
            if request.most_bytes is not None and isinstance(body, LengthBody) and body.length > request.most_bytes:
                self.refuse(BodyTooLarge(request.most_bytes))
                return
            expect = request.headers.get("expect")
            if expect is not None and expect.lower() == "100-continue" and request.head.minor == 1 and not rest:
                self.write([CONTINUE])
            return
        self.inbuf += rest
        self.dispatch()

    def take_body(self, data: bytes | bytearray) -> None:
        request, body = self.request, self.body
        assert request is not None and body is not None
        self.heard_at = self.loop.now
        try:
            payload = body.feed(data)
            self.received = body.received
            limit = request.most_bytes or self.server.limits.body_bytes
            if body.received + body.announced > limit:
                raise BodyTooLarge(limit)
            if body.done and not request.body and request.file is None:
                request.body = payload
            else:
                request.keep(payload)
            if body.done and request.file is not None:
                request.file.seek(0)  # writes what is still in memory, so this may fail as well
        except (FramingError, BodyTooLarge, OSError) as error:
            self.refuse(error)
            return
        if body.done:
            self.inbuf += body.rest
            self.dispatch()

    def dispatch(self) -> None:
        """The request is whole: the service takes it from here, in steps."""
        request = self.request
        assert request is not None
        self.body = None
        self.recv_bytes = RECV_BYTES
        self.is_begun = False
        self.enter(BUSY)
        self.task = Task(self, self.server.service.handle(request))
        self.task.advance()

    def refuse(self, error: Exception) -> None:
        """Answer a request that never became one, and close: what follows on this connection cannot be trusted."""
        self.answer_and_close(self.server.service.refuse(error, self.request))

    def answer_and_close(self, response: Response) -> None:
        request, self.request = self.request, None
        if request is not None:
            request.close()
        self.keep_alive = False
        self.is_refusing = True
        self.inbuf = bytearray()
        self.enter(WRITING)
        without_body = request is not None and request.method == "HEAD"
        self.write([head_bytes(response, len(response.body), False, False), b"" if without_body else response.body])
        if not self.out.size_bytes:
            self.finished()

    # -- answering ------------------------------------------------------------------------------------------------

    def begin_early(self, early: Early) -> None:
        """The answer takes its time: say that it will be a stream, or again that it is still to come."""
        request = self.request
        if self.state != BUSY or request is None or self.peer_done:
            return
        chunked = request.head.minor == 1
        head = b""
        if not early.sent:
            early.sent = self.is_begun = True
            self.keep_alive = self.keep_alive and chunked and not self.server.draining
            response = self.server.service.finished(request, early.response)
            head = head_bytes(response, None, self.keep_alive, chunked)
        self.write([head + (chunk(early.words) if chunked else early.words)])
        if self.peer_done:
            self.on_hang_up()

    def respond(self, response: Response) -> None:
        """Send the response; what the socket does not take at once follows when it can."""
        request, self.task = self.request, None
        if self.state != BUSY or request is None:
            if request is not None:
                request.close()
            if response.stream is not None:
                Streaming(self, response.stream, chunked=False).end(CallerGone("the caller hung up"))
            return
        request.close()
        if self.is_begun and response.stream is None:
            self.respond_late(request, response)
            return
        self.keep_alive = self.keep_alive and not response.close and not self.server.draining
        if self.keep_alive and request.head.minor == 0 and response.stream is None:
            response.headers["connection"] = "keep-alive"  # HTTP/1.0 clients wait for the end of the connection else
        if response.stream is not None:
            self.respond_with_stream(request, response, response.stream)
            return
        length: int | None = len(response.body)
        body: bytes | bytearray | memoryview = response.body
        if response.status in (204, 304):
            length, body = None, b""
        elif request.method == "HEAD":
            length = int(response.headers.pop("content-length", len(body)))
            body = b""
        self.enter(WRITING)
        pieces = [head_bytes(response, length, self.keep_alive, False), body]
        if self.out.size_bytes:  # a "100 Continue" is still to go: its end must not pass for that of the answer
            self.write(pieces)
            return
        # When everybody of this round has had a turn: a process that wakes up for the first answer is awake for the others.
        self.loop.call(self.send_whole, pieces)

    def send_whole(self, pieces: Sequence[Piece]) -> None:
        if self.state != WRITING:
            return
        self.write(pieces)
        if not self.out.size_bytes:
            self.finished()

    def respond_with_stream(self, request: Request, response: Response, stream: Stream) -> None:
        chunked = request.head.minor == 1
        if not chunked:
            self.keep_alive = False
        head = b"" if self.is_begun else head_bytes(response, None, self.keep_alive, chunked)
        self.send([head + (chunk(stream.first) if chunked else stream.first)])
        self.stream = Streaming(self, stream, chunked)
        if self.peer_done:
            self.close()
            return
        self.enter(STREAMING)
        if self.out.size_bytes:
            self.want(self.interest | EVENT_WRITE)
        self.stream.start()

    def respond_late(self, request: Request, response: Response) -> None:
        """The whole answer as what is left of a stream that has begun. One that is no stream cannot follow."""
        if response.headers.get("content-type") != STREAM_TYPE:
            self.abort()
            return
        body = bytes(response.body)
        self.leave_stream(chunk(body) + LAST_CHUNK if request.head.minor == 1 else body)

    def send(self, pieces: Sequence[Piece]) -> None:
        """Write without waiting; what does not fit is queued, in order."""
        was_empty = not self.out.size_bytes
        try:
            self.out.put(pieces)
        except OSError:
            self.peer_done = True
            self.inbuf = bytearray()
            return
        if was_empty and self.out.size_bytes:
            self.heard_at = self.loop.now  # from here on the caller owes us a read

    def finished(self) -> None:
        """The response is out. Ready for the next request, or the end."""
        self.request = None
        if self.is_refusing:
            self.linger()
            return
        if not self.keep_alive or (self.peer_done and not self.inbuf):
            self.close()
            return
        self.enter(IDLE)
        if self.inbuf:
            self.hold_back()
            self.loop.call(self.resume)  # not from here: a thousand pipelined requests must not be a thousand deep
        elif self.interest != EVENT_READ:
            self.want(EVENT_READ)

    def resume(self) -> None:
        """Pipelined bytes are waiting."""
        if self.state != IDLE:
            return
        data, self.inbuf = self.inbuf, bytearray()
        if data:
            self.take(data)
        if self.peer_done:
            if self.state in (IDLE, HEAD, BODY):
                self.on_hang_up()
        elif len(self.inbuf) <= AHEAD_BYTES:
            self.want(self.interest & ~HANG_UP | EVENT_READ)

    def hold_back(self) -> None:
        """Who sends this far ahead is not read on; that they leave is noticed all the same."""
        if len(self.inbuf) > AHEAD_BYTES:
            self.want(self.interest & ~EVENT_READ | HANG_UP)

    # -- writing what is left -------------------------------------------------------------------------------------

    def write(self, pieces: Sequence[Piece]) -> None:
        self.send(pieces)
        if self.out.size_bytes:
            self.want(self.interest | EVENT_WRITE)

    def flush(self) -> None:
        try:
            if self.out.flush():
                self.heard_at = self.loop.now
        except OSError:
            self.lost()
            return
        if self.out.size_bytes:
            return
        self.want(self.interest & ~EVENT_WRITE)
        if self.state == WRITING:
            self.finished()
        elif self.state == STREAMING and self.stream is not None:
            self.stream.on_flushed()

    def lost(self) -> None:
        """A write failed: nobody is there any more."""
        self.peer_done = True
        self.close()

    def leave_stream(self, ending: bytes) -> None:
        """The stream has ended properly: send its last bytes, then be ready for the next request."""
        if self.state == CLOSED:
            return
        self.stream = None
        self.enter(WRITING)
        if ending:
            self.write([ending])
        if not self.out.size_bytes:
            self.finished()

    # -- the end --------------------------------------------------------------------------------------------------

    def linger(self) -> None:
        """Close our side, and read on briefly so that the answer is not lost to a reset."""
        if self.peer_done:
            self.close()
            return
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self.inbuf = bytearray()
        self.enter(LINGERING)
        self.want(EVENT_READ)

    def abort(self) -> None:
        """Break the connection, so that the caller sees that the answer is not whole."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()

    def close(self) -> None:
        if self.state == CLOSED:
            return
        self.enter(CLOSED)
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.end(CallerGone("the caller hung up"))
        if self.task is not None:
            self.task.cancel(CallerGone("the caller hung up"))
        if self.request is not None and self.task is None:  # else its end closes it: a worker may be reading the file
            self.request.close()
            self.request = None  # which knows us: that would keep a body until the collector comes by
        self.loop.unregister(self.sock)
        self.sock.close()
        self.out.clear()
        self.server.forget(self)

    def enter(self, state: int) -> None:
        self.state = state
        self.since = self.heard_at = self.loop.now

    def want(self, interest: int) -> None:
        if interest != self.interest and self.state != CLOSED:
            self.interest = interest
            self.loop.modify(self.sock, interest, self.on_event)

    def check_time(self, now: float) -> None:
        """Called every tick: end what takes too long."""
        limits, waited = self.server.limits, now - self.since
        if self.state == IDLE:
            if waited > limits.idle_s:
                self.close()
        elif self.state == HEAD:
            if waited > limits.header_s:
                self.refuse(SlowRequest(f"the headers did not arrive within {limits.header_s:g} s"))
        elif self.state == BODY:
            if now - self.heard_at > limits.body_s or waited > limits.body_s + self.received / BODY_RATE:
                self.refuse(SlowRequest(f"the body came too slowly, or not at all for {limits.body_s:g} s"))
        elif self.state == LINGERING:
            # The end of the server waits for nobody who has an answer.
            is_long = waited > (LINGER_SILENCE_S if self.server.draining else LINGER_S)
            if is_long or now - self.heard_at > LINGER_SILENCE_S:
                self.close()
        elif self.state == STREAMING and self.stream is not None:
            self.stream.check_time(now)
        elif self.state == BUSY and self.task is not None:
            self.task.check_time(now)
        if self.out.size_bytes and now - self.heard_at > STUCK_S:
            self.lost()
