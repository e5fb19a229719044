"""Bodies that come compressed although nobody asked for it. Some gateways do that whatever `accept-encoding` says."""

from __future__ import annotations

import zlib

from .framing import Body, FramingError
from .head import Headers

WINDOW = 32 + zlib.MAX_WBITS  # gzip or zlib, as the data says
MOST_AT_ONCE = 32 * 1024 * 1024  # what one piece from the socket (64 KB) may unfold to: a bomb unfolds to more


class InflatedBody(Body):
    """A body whose payload is inflated on the way; where it ends is still the framing's affair."""

    __slots__ = ("_inflate", "framing")

    def __init__(self, framing: Body) -> None:
        super().__init__()
        self.framing = framing
        self._inflate = zlib.decompressobj(WINDOW)
        self.done = framing.done

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        payload = self.framing.feed(data)
        self.done, self.rest = self.framing.done, self.framing.rest
        try:
            plain = self._inflate.decompress(payload, MOST_AT_ONCE)
        except zlib.error as error:
            raise FramingError("its compressed body is broken") from error
        if self._inflate.unconsumed_tail:
            raise FramingError("its compressed body unfolds to too much")
        if self.done and not self._inflate.eof:
            raise FramingError("its compressed body was cut short")
        self.received += len(plain)
        return plain

    def end(self) -> None:
        self.framing.end()
        self.done = self.framing.done
        if not self._inflate.eof:
            raise FramingError("its compressed body was cut short")


def inflated(body: Body, headers: Headers) -> Body:
    """The body without its content coding. Raises FramingError for codings the standard library does not know."""
    coding = (headers.get("content-encoding") or "identity").strip().lower()
    if coding == "identity" or body.done:
        return body
    if coding in ("gzip", "x-gzip", "deflate"):
        return InflatedBody(body)
    raise FramingError("its body is compressed in a way nobody asked for")
