"""What we answer: a status, headers, and either bytes or a running stream. It knows HTTP and nothing of models."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from .loop import HasFileno

REASONS = {status.value: status.phrase for status in HTTPStatus}
STREAM_TYPE = "text/event-stream"
PAGE_TYPE = "text/html"
JSON_TYPE = "application/json"
JSON_HEADERS = {"content-type": JSON_TYPE}
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # in a header's value it would end the line, and begin the next


class Source(Protocol):
    """Where a stream's bytes come from: an upstream reply. `sock` is what the loop waits on."""

    @property
    def sock(self) -> HasFileno: ...

    def read_ready(self) -> bytes | None:
        """What is there without waiting: b"" for nothing yet, None for the proper end. Raises when the peer breaks."""

    def has_more(self) -> bool:
        """Whether `read_ready` has something to say that no selector would tell: buffered bytes, or the end."""

    def close(self) -> None: ...


class Pipe(Protocol):
    """Turns a source's bytes into what the caller gets. It never reads and never waits."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes:
        """The ending. Raises when the source ended before its answer did."""

    def fail(self, error: Exception) -> bytes | None:
        """The error in the stream's own words, or None when its format has none and the connection must break."""

    def idle(self) -> bytes | None:
        """What to send when the source is silent, so that nobody in between hangs up. None: it has said its last word."""


@dataclass(slots=True, repr=False, eq=False)
class Stream:
    """A body that is still coming. `at_end` is called exactly once with None (complete), or what ended it early."""

    source: Source
    pipe: Pipe
    at_end: Callable[[Exception | None], None]
    first: bytes = b""  # already read from the source, not yet through the pipe
    silence_s: float = 120.0  # the source may be silent for so long
    idle_s: float = 15.0  # the caller hears something at least so often
    ended: bool = field(default=False)


class CallerGone(Exception):
    """The caller hung up before the end."""


class ShuttingDown(Exception):
    """The server ends, and has waited for this long enough."""


class Response:
    """Status, headers (lower-case names), and `body` bytes or a `stream`; `close` ends the connection after it."""

    __slots__ = ("body", "close", "headers", "status", "stream")

    def __init__(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        body: bytes | bytearray | memoryview = b"",
        stream: Stream | None = None,
        close: bool = False,
    ) -> None:
        self.status = status
        self.headers = dict(headers) if headers else {}
        self.body = body
        self.stream = stream
        self.close = close

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        return cls(status, {**JSON_HEADERS, **(headers or {})}, json.dumps(value).encode())


@dataclass(slots=True, repr=False, eq=False)
class Early:
    """The beginning of a stream, sent when nothing better could be said for `after_s`: the `response`, which is a head
    alone, and then `words` as often, until the real answer comes. `sent` tells whether it was; from then on the answer is
    a stream of the same kind or the body of one."""

    response: Response
    words: bytes
    after_s: float
    sent: bool = False


def head_bytes(response: Response, length: int | None, keep_alive: bool, chunked: bool) -> bytes:
    """Status line and headers. `length` None means the length is not announced (a stream, a 204, a 304)."""
    status = response.status
    headers = response.headers
    if not "".join(headers.values()).isprintable():  # nearly always: what is has no control character
        headers = {name: CONTROL.sub(" ", value) for name, value in headers.items()}
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    framing = "transfer-encoding: chunked\r\n" if chunked else "" if length is None else f"content-length: {length}\r\n"
    ending = "\r\n" if keep_alive else "connection: close\r\n\r\n"
    line = f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\ndate: {http_date()}\r\n"
    return f"{line}{fields}{framing}{ending}".encode("latin-1", "replace")


_date: tuple[int, str] = (0, "")


def http_date() -> str:
    """The Date header (RFC 9110 §6.6.1), made anew once a second."""
    global _date
    now = int(time.time())
    made, text = _date
    if made != now:
        text = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
        _date = (now, text)
    return text
