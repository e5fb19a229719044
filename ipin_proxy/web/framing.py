"""Where a body ends: by its length, by its chunks, by the end of the connection, or before it began.

Each decoder takes bytes in whatever cut they arrive and gives back payload; none of them reads, waits or keeps payload.
Chunks of requests are read strictly, because a second opinion about where a request ends is a smuggled request. Upstreams
are forgiven a bare LF and blanks behind a size. How large a body may be is the caller's business: see `received`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import NoReturn

from .head import Headers

LAST_CHUNK = b"0\r\n\r\n"

# Bytes. Real extensions are a signature of some 80 bytes; nobody here reads them, so all of a body's share one budget.
MAX_SIZE_LINE = 256
MAX_EXTENSION_BYTES = 16 * 1024
MAX_TRAILER_BYTES = 8 * 1024

# The common case: a plain size line (RFC 9112 7.1; 16 digits are 64 bits).
_PLAIN_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
PLAIN_SIZE_BYTES = 18
# `*( BWS ";" BWS chunk-ext-name [...] )`: whatever stands behind the semicolon is skipped, if it is text.
_STRICT_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)\r\n")
_TOLERANT_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*(?:;[^\r\n]*)?)\r?\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n")

_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


class FramingError(ValueError):
    """A body that is not framed as it claims, or was cut short. `message` is what a sentence for people ends with, without its stop."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Body(ABC):
    """A body being received: `done` tells its end, `rest` the bytes that came behind it, `received` its size so far."""

    __slots__ = ("done", "received", "rest")

    def __init__(self) -> None:
        self.done = False
        self.received = 0
        self.rest = b""

    @property
    def pending(self) -> bool:
        """Whether `feed` has more to give without any further bytes."""
        return False

    @property
    def announced(self) -> int:
        """How much it says is still to come, as far as that tells more than what its head did."""
        return 0

    @property
    def ends_with_connection(self) -> bool:
        """Whether it has no end of its own but the connection's: a cut would look the same."""
        return False

    @abstractmethod
    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        """The payload in the next bytes of the connection. Raises FramingError."""

    @abstractmethod
    def end(self) -> None:
        """The connection has ended. Raises FramingError if the body had not."""


class NoBody(Body):
    """Nothing: everything that comes belongs to the next message."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.done = True

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        self.rest += data
        return b""

    def end(self) -> None:
        return


class LengthBody(Body):
    """As many bytes as Content-Length announced."""

    __slots__ = ("length",)

    def __init__(self, length: int) -> None:  # all of it here, since nearly every message has one
        self.length = length
        self.done = length == 0
        self.received = 0
        self.rest = b""

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        if self.done:
            self.rest += data
            return b""
        left = self.length - self.received
        size = len(data)
        if size > left:
            self.rest = bytes(data[left:])
            data = data[:left]
            size = left
        self.received += size
        self.done = size == left
        return data if type(data) is bytes else bytes(data)

    def end(self) -> None:
        if not self.done:
            raise FramingError(f"the body ended after {self.received} of the {self.length} bytes announced")


class UntilCloseBody(Body):
    """Everything up to the end of the connection: the only framing of HTTP/1.0 replies without a length."""

    __slots__ = ()

    @property
    def ends_with_connection(self) -> bool:
        return True

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        self.received += len(data)
        return data if type(data) is bytes else bytes(data)

    def end(self) -> None:
        self.done = True


class ChunkedBody(Body):
    """Chunked transfer coding (RFC 9112 7.1). Extensions and trailers are checked, counted and dropped."""

    __slots__ = ("_extension_bytes", "_left", "_line", "_state", "_strict", "_trailer_bytes")

    def __init__(self, strict: bool = True) -> None:
        super().__init__()
        self._strict = strict
        self._state = _SIZE
        self._left = 0  # of the chunk that is being read
        self._line = b""  # the beginning of a line whose end has not come
        self._extension_bytes = 0
        self._trailer_bytes = 0

    @property
    def announced(self) -> int:
        return self._left

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        if not isinstance(data, bytes):
            data = bytes(data)
        if self.done:
            self.rest += data
            return b""
        if self._state == _DATA and len(data) <= self._left:
            return self._inside(data)
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._state == _SIZE and not self._line:
                at = self._take_chunks(data, at, pieces)
            if at < end:
                at = self._take_any(data, at, pieces)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        if self.done:
            return
        if self._state == _TRAILERS and not self._strict:
            self.done = True  # "0 CR LF" and goodbye: the payload is whole, so nobody is helped by an error
            return
        raise FramingError(f"the body ended in the middle of its chunks, after {self.received} bytes")

    def _take_chunks(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Streams come in small whole chunks, mostly one to a piece: no state to keep, one slice each. Where it ends."""
        while at < len(data):
            begin = data.find(b"\r\n", at, at + PLAIN_SIZE_BYTES) + 2
            size = plain_size(data[at:begin])
            behind = begin + size
            if not size or data[behind : behind + 2] != b"\r\n":
                break
            self.received += size
            pieces.append(data[begin:behind])
            at = behind + 2
        return at

    def _inside(self, data: bytes) -> bytes:
        self._left -= len(data)
        self.received += len(data)
        if not self._left:
            self._state = _DATA_END
        return data

    def _take_any(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """What is next in any cut: a stretch of a chunk, or a line. Where it ends."""
        if self._state == _DATA:
            piece = data[at : at + self._left]
            pieces.append(piece)
            self._left -= len(piece)
            self.received += len(piece)
            if not self._left:
                self._state = _DATA_END
            return at + len(piece)
        line, at = self._take_line(data, at)
        if line and self._ends_body(line):
            self.done = True
            self.rest = data[at:]
            return len(data)
        return at

    def _take_line(self, data: bytes, at: int) -> tuple[bytes, int]:
        """The next whole line with its end, or b"" and what there is of it kept for the next piece."""
        room = MAX_SIZE_LINE if self._state != _TRAILERS else MAX_TRAILER_BYTES
        newline = data.find(b"\n", at, at + room + 1)
        if newline < 0:
            begin = data[at : at + room + 1]
            self._line += begin
            if len(self._line) > room or (self._state == _DATA_END and len(self._line) > 1):
                self._refuse(self._line)
            return b"", at + len(begin)
        line = self._line + data[at : newline + 1]
        self._line = b""
        if len(line) > room:
            self._refuse(line)
        return line, newline + 1

    def _ends_body(self, line: bytes) -> bool:
        """Go on to what this line announces; say whether it was the last one."""
        if self._state == _DATA_END:
            if line != b"\r\n" and (self._strict or line != b"\n"):
                self._refuse(line)
            self._state = _SIZE
        elif self._state == _SIZE:
            match = (_STRICT_SIZE if self._strict else _TOLERANT_SIZE).fullmatch(line)
            if match is None:
                self._refuse(line)
            self._extension_bytes += len(match[2])
            if self._extension_bytes > MAX_EXTENSION_BYTES and self._strict:
                raise FramingError(f"the chunks carry more than {MAX_EXTENSION_BYTES} bytes of extensions")
            self._left = int(match[1], 16)
            self._state = _DATA if self._left else _TRAILERS
        elif line == b"\r\n" or (line == b"\n" and not self._strict):
            return True
        else:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_TRAILER_BYTES or (self._strict and not _TRAILER.fullmatch(line)):
                self._refuse(line)
        return False

    def _refuse(self, line: bytes) -> NoReturn:
        shown = ascii(line[:32].decode("latin-1"))
        if self._state == _DATA_END:
            raise FramingError(f"a chunk is not as long as it says: behind it comes {shown} instead of a line end")
        if self._state == _SIZE:
            raise FramingError(f"the size line of a chunk is malformed: {shown}")
        raise FramingError(
            f"the trailers of the chunked body are malformed or above {MAX_TRAILER_BYTES} bytes: {shown}"
        )


def request_body(headers: Headers) -> Body:
    """The body of a request whose head `parse_request` has let through (RFC 9112 6.3)."""
    if "transfer-encoding" in headers:
        return ChunkedBody()
    length = int(headers.get("content-length", "0"))
    return LengthBody(length) if length else NoBody()


def reply_body(method: str, status: int, headers: Headers) -> Body:
    """The body of a reply that `parse_reply` has read, to a request with this method (RFC 9112 6.3).

    Raises FramingError for codings we cannot take off: the end of the body would be unknown.
    """
    if method == "HEAD" or status < 200 or status in (204, 304):
        return NoBody()
    if "transfer-encoding" in headers:
        codings = ",".join(headers.all("transfer-encoding")).lower().replace(" ", "").replace("\t", "")
        if codings == "chunked":
            return ChunkedBody(strict=False)
        if codings != "identity":  # said by servers of the last century for "none"
            raise FramingError(f"it uses a Transfer-Encoding that is not understood here: {codings[:60]!a}")
    length = headers.get("content-length")
    return UntilCloseBody() if length is None else LengthBody(int(length))


@lru_cache(1024)  # the chunks of a stream are of few sizes
def plain_size(line: bytes) -> int:
    """The size that a plain line tells; 0 where it is the last one, or not plain."""
    match = _PLAIN_SIZE.fullmatch(line)
    return int(match[1], 16) if match is not None else 0


def chunk(data: bytes) -> bytes:
    """One chunk on the wire. Of nothing it makes nothing, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
