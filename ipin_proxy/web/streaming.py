"""A running stream: an upstream's bytes through a pipe to a caller, driven by the loop, without a thread of its own.

It ends exactly once, whoever ends it: the source, the caller, a time limit or a shutdown.
"""

from __future__ import annotations

from selectors import EVENT_READ
from typing import TYPE_CHECKING

from .framing import LAST_CHUNK, chunk
from .response import CallerGone, Stream

if TYPE_CHECKING:
    from .connection import Connection

PIECES_A_TURN = 4
UNSENT_BYTES = 256 * 1024  # a caller who lags behind by this much stops us reading the upstream


class Streaming:
    """A stream between an upstream's socket and a caller's, driven by the loop. It ends exactly once."""

    __slots__ = ("chunked", "connection", "heard_at", "paused", "sent_at", "stream")

    def __init__(self, connection: Connection, stream: Stream, chunked: bool) -> None:
        self.connection = connection
        self.stream = stream
        self.chunked = chunked
        self.paused = False
        self.heard_at = self.sent_at = connection.loop.now

    def start(self) -> None:
        self.connection.loop.register(self.stream.source.sock, EVENT_READ, self.on_source)
        self.on_source(EVENT_READ)

    def on_source(self, mask: int) -> None:
        """Move on what has come. Bytes that lie in a buffer of the source are not waited for: no selector sees them."""
        stream, connection = self.stream, self.connection
        more, turns = True, 0
        while more and not self.paused and not stream.ended:
            if turns == PIECES_A_TURN:
                connection.loop.call(self.on_source, mask)  # the others first
                return
            turns += 1
            try:
                data = stream.source.read_ready()
                more = stream.source.has_more()
                out = stream.pipe.finish() if data is None else stream.pipe.feed(data) if data else b""
            except Exception as error:  # noqa: BLE001 - whatever it is, the stream ends with it
                self.fail(error)
                return
            if data is None:
                self.finish(out)
                return
            if data:
                self.heard_at = connection.loop.now
            if out:
                self.send(out)

    def send(self, data: bytes) -> None:
        connection = self.connection
        self.sent_at = connection.loop.now
        connection.write([chunk(data) if self.chunked else data])
        if connection.peer_done:
            connection.lost()
        elif connection.out.size_bytes > UNSENT_BYTES and not self.paused:
            self.paused = True
            connection.loop.modify(self.stream.source.sock, 0, self.on_source)

    def on_flushed(self) -> None:
        if self.paused:
            self.paused = False
            self.heard_at = self.connection.loop.now
            self.connection.loop.modify(self.stream.source.sock, EVENT_READ, self.on_source)
            self.on_source(EVENT_READ)

    def finish(self, tail: bytes) -> None:
        """The proper end: what the pipe still had, then the end of the framing."""
        self.end(None)
        self.close_body(tail)

    def fail(self, error: Exception) -> None:
        """The improper end: said in the stream's own words where it has some, else the connection breaks."""
        words = None if isinstance(error, CallerGone) else self.stream.pipe.fail(error)
        self.end(error)
        if words is None:
            self.connection.abort()
        else:
            self.close_body(words)

    def close_body(self, tail: bytes) -> None:
        self.connection.leave_stream((chunk(tail) if tail else b"") + LAST_CHUNK if self.chunked else tail)

    def end(self, error: Exception | None) -> None:
        stream = self.stream
        if stream.ended:
            return
        stream.ended = True
        self.connection.loop.park(stream.source.sock)
        stream.source.close()
        stream.at_end(error)

    def check_time(self, now: float) -> None:
        if self.paused:
            return
        if now - self.heard_at > self.stream.silence_s:
            self.fail(TimeoutError(f"no data for {self.stream.silence_s:g} s"))
        elif now - self.sent_at >= self.stream.idle_s:
            words = self.stream.pipe.idle()
            if words is None:  # whoever reads to the end need not wait until a forgotten connection is closed
                self.finish(self.stream.pipe.finish())
                return
            if words:
                self.send(words)
            self.sent_at = now
