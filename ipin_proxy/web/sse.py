"""Server-sent events and lines of JSON, both directions, cut anywhere.

The splitters find where frames end and hand them on byte for byte, so that a stream can pass through unchanged; what is in
a frame is read by `parse_event`, if anybody asks. Lines of an event stream end in LF, CR LF or CR and in nothing else
(WHATWG HTML 9.2.5): U+2028 and its kind are text. Nothing here reads a socket or knows what the data means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

# Bytes. An image in base64 is the largest thing ever seen in one frame; above this it is no stream but a leak.
MAX_FRAME = 64 * 1024 * 1024
MAX_LINES = 100_000  # of one frame: each is read for itself, and a real one has a handful

Buffer = bytes | bytearray

_BOM = b"\xef\xbb\xbf"
_LF = 0x0A

# A line end and then an empty line. A CR before an LF is no line end of its own.
FRAME_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_EMPTY_LINES = re.compile(rb"[\r\n]+")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class FrameTooLong(ValueError):
    """A frame or line grew beyond MAX_FRAME, or MAX_LINES, without an end."""


class Event(NamedTuple):
    """What one frame says. A member it does not mention is None; a frame without data is no event for the reader. Its id,
    and when to come back (`retry`), are for readers that begin a broken stream anew, which no client of a model does."""

    event: str | None = None
    data: bytes | None = None


class FrameSplitter:
    """Bytes of an event stream in, whole frames out, each with its empty line: joined they are the input again.

    A frame is given out as soon as its empty line has begun: after CR we do not wait to see whether LF follows, since that
    could hold back the last word of a stream for ever. An LF that does follow is given out as a frame of its own, as
    every run of surplus empty lines is; to readers they are empty lines and mean nothing.
    """

    __slots__ = ("_lines", "_scanned", "_tail")

    def __init__(self) -> None:
        self._tail = bytearray()  # the unfinished frame
        self._scanned = 0  # how much of it needs no second look
        self._lines = 0  # of it, about

    @property
    def rest(self) -> bytes:
        """The unfinished frame at the end of what came so far."""
        return bytes(self._tail)

    def are_several(self, data: bytes) -> bool:
        """Whether the next bytes are several whole frames in the plainest form, each with an LF LF: then they need not be fed."""
        return (
            0 < data.find(b"\n\n") < len(data) - 2 and data.endswith(b"\n\n") and not self._tail and b"\r" not in data
        )

    def feed(self, data: bytes) -> list[bytes]:
        """The frames completed by the next bytes. Raises FrameTooLong."""
        if not data:
            return []
        # A piece without CR can only complete an end in LF LF, whatever came before it: an empty line that ends in CR, or
        # follows one, was complete without it.
        find_end = _find_any_end if b"\r" in data else _find_lf_end
        frames: list[bytes] = []
        if self._tail:
            self._tail += data
            with memoryview(self._tail) as view:
                end = self._split(self._tail, view, find_end, frames)
            del self._tail[:end]
            self._lines = 0 if frames else self._lines + data.count(b"\n") + data.count(b"\r")
        else:
            if 0 < data.find(b"\n\n") == len(data) - 2 and find_end is _find_lf_end and data[0] != _LF:
                return [data]  # nearly every piece of nearly every stream is one whole frame
            end = self._split(data, memoryview(data), find_end, frames)
            self._tail += memoryview(data)[end:]
        # The last three bytes may be the beginning of an end: CR LF and the next CR.
        self._scanned = max(0, len(self._tail) - 3)
        if len(self._tail) > MAX_FRAME or self._lines > MAX_LINES:
            raise FrameTooLong(f"An event of the stream is longer than {MAX_FRAME} bytes or {MAX_LINES} lines.")
        return frames

    def _split(
        self, buffer: bytes | bytearray, view: memoryview, find_end: Callable[[Buffer, int], int], frames: list[bytes]
    ) -> int:
        """Append the whole frames of a buffer, return where the unfinished one begins."""
        begin, size = 0, len(buffer)
        while begin < size:
            if buffer[begin] in b"\r\n":
                end = _EMPTY_LINES.match(buffer, begin).end()  # type: ignore[union-attr]
            else:
                end = find_end(buffer, max(begin, self._scanned))
                if end < 0:
                    break
            frames.append(bytes(view[begin:end]))
            begin = end
        return begin


def _find_any_end(buffer: Buffer, start: int) -> int:
    match = FRAME_END.search(buffer, start)
    return match.end() if match is not None else -1


def _find_lf_end(buffer: Buffer, start: int) -> int:
    at = buffer.find(b"\n\n", start)
    return at + 2 if at >= 0 else -1


class LineSplitter:
    """Bytes of newline-delimited JSON in, whole lines out, each with its line end: joined they are the input again.

    Lines end in LF; a CR before it stays on the line, where JSON takes it for a blank.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = bytearray()

    @property
    def rest(self) -> bytes:
        """The unfinished line at the end of what came so far."""
        return bytes(self._tail)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines completed by the next bytes. Raises FrameTooLong."""
        if self._tail:
            newline = data.find(b"\n")
            if newline < 0:
                self._keep(data)
                return []
            self._tail += data[: newline + 1]
            lines = [bytes(self._tail)]
            self._tail.clear()
            data = data[newline + 1 :]
        else:
            lines = []
        begin = 0
        while (newline := data.find(b"\n", begin)) >= 0:
            lines.append(data[begin : newline + 1])
            begin = newline + 1
        self._keep(data[begin:])
        return lines

    def _keep(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > MAX_FRAME:
            raise FrameTooLong(f"A line of the stream is longer than {MAX_FRAME} bytes.")


def parse_event(frame: bytes) -> Event:
    """Read one frame (WHATWG HTML 9.2.6). Comments and unknown fields mean nothing; lines of data are joined by LF."""
    if frame.startswith(b"data: ") and frame.find(b"\n") == len(frame) - 2 and b"\r" not in frame:
        return Event(None, frame[6:-2])
    if frame.startswith((b"\n", b"\r")):  # nothing but empty lines, which may be very many
        return Event()
    if frame.startswith(_BOM):  # some servers begin their stream with one, and it is not part of the first field's name
        frame = frame[3:]
    event = None
    data: list[bytes] = []
    for line in frame.splitlines():  # of bytes these are exactly the three line ends
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode("utf-8", "replace")
    return Event(event, b"\n".join(data) if data else None)


def frame(data: bytes | str, event: str | None = None) -> bytes:
    """Write one frame. Data of several lines becomes several `data:` lines, so that the reader gets it back whole."""
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    if b"\n" in data or b"\r" in data:
        data = _LINE_END.sub(b"\ndata: ", data)
    if event is None:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (_one_line(event), data)


def comment(text: str) -> bytes:
    """A line that readers skip: it keeps the connection alive, and no SDK mistakes it for an event."""
    return b": %b\n\n" % _one_line(text)


def json_line(value: Any) -> bytes:
    """Write one line of newline-delimited JSON, compact.

    Escaped beyond what JSON demands are the three line ends of Unicode: Python clients split lines at them.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not text.isascii():
        text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, from a model that was cut off inside an emoji
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _one_line(text: str) -> bytes:
    """Text that must not end the line it stands on: it may carry somebody else's words."""
    return _LINE_END.sub(b" ", text.encode("utf-8", "replace"))
