"""Bodies that come compressed although nobody asked for it. Some gateways do that whatever `accept-encoding` says."""

from __future__ import annotations

import zlib

from .framing import Body, FramingError
from .head import Headers

WINDOW = 32 + zlib.MAX_WBITS  # gzip or zlib, as the data says
# What `feed` gives at once: 64 KB from the socket may unfold to a thousand times as much, and that to events of three bytes.
STEP_BYTES = 8 * 1024


class InflatedBody(Body):
    """A body whose payload is inflated on the way, step by step; where it ends is still the framing's affair."""

    __slots__ = ("_inflate", "_is_full", "framing")

    def __init__(self, framing: Body) -> None:
        super().__init__()
        self.framing = framing
        self._inflate = zlib.decompressobj(WINDOW)
        self._is_full = False  # the last step filled its measure, so there may be more
        self.done = framing.done

    @property
    def pending(self) -> bool:
        return self._is_full or bool(self._inflate.unconsumed_tail)

    @property
    def ends_with_connection(self) -> bool:
        return self.framing.ends_with_connection

    def feed(self, data: bytes | bytearray | memoryview) -> bytes:
        payload = self._inflate.unconsumed_tail + self.framing.feed(data)
        try:
            plain = self._inflate.decompress(payload, STEP_BYTES)
        except zlib.error as error:
            raise FramingError("its compressed body is broken") from error
        self.rest = self.framing.rest
        self._is_full = len(plain) == STEP_BYTES
        self.done = self.framing.done and not self.pending
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
    coding = headers.get("content-encoding")
    if not coding or body.done or (coding := coding.strip(" \t").lower()) == "identity":
        return body
    if coding in ("gzip", "x-gzip", "deflate"):
        return InflatedBody(body)
    raise FramingError("its body is compressed in a way nobody asked for")
