"""A small HTTP/1.1 client for tests, on plain sockets: it sends what it is told and shows everything that comes back.

`Client` makes ordinary requests, one connection each. `Wire` is one connection on which any bytes can be sent and read.
Every read has a deadline. It is strict about framing: a reply that breaks off raises `Cut`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .script import Headers, pairs

TIMEOUT_S = 10.0
CRUEL_LINGER = struct.pack("ii", 1, 0)


class Cut(Exception):
    """The connection ended before the message did; `seen` is what had come of the body."""

    def __init__(self, message: str, seen: bytes = b"") -> None:
        super().__init__(message)
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its name ("" when it has none) and its data."""

    name: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Wire:
    """One connection. Replies are read in order; reading the next one reads the rest of the one before."""

    def __init__(self, host: str, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self.sock = socket.create_connection((host, port), timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self._last: Reply | None = None

    def send(self, data: bytes) -> Wire:
        """Send all of it. A server that has already refused may have closed its end: that shows when reading."""
        self.sock.settimeout(self.timeout_s)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)
        return self

    def reply(self, method: str = "GET", timeout_s: float | None = None) -> Reply:
        """The next reply on this connection, 1xx included. `method` is that of its request: HEAD has no body."""
        if self._last is not None:
            self._last.read()
        head = self.until(b"\r\n\r\n", timeout_s)
        self._last = Reply(self, head, method)
        return self._last

    def final(self, method: str = "GET") -> Reply:
        """The next reply that is not a 1xx."""
        reply = self.reply(method)
        while reply.status < 200:
            reply = self.reply(method)
        return reply

    def more(self, timeout_s: float | None = None) -> bool:
        """Read something into the buffer; False at the end of the connection. Raises TimeoutError after the deadline."""
        self.sock.settimeout(self.timeout_s if timeout_s is None else timeout_s)
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes, timeout_s: float | None = None) -> bytes:
        """The bytes up to and with `mark`. Raises Cut when the connection ends first."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while mark not in self.buffer:
            if not self.more(max(0.001, deadline - time.monotonic())):
                raise Cut(f"the connection ended after {self.buffer[:200]!r}", self.buffer)
        end = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def read_all(self) -> bytes:
        """Everything until the server closes the connection."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def ended(self, timeout_s: float | None = None) -> bool:
        """True when the server closes the connection, within the deadline, without another byte."""
        if self._last is not None:
            self._last.read()
        try:
            return not self.buffer and not self.more(timeout_s)
        except TimeoutError:
            return False

    def finish_sending(self) -> Wire:
        """Close our half: the server sees the end, and can still answer."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CRUEL_LINGER)
        self.sock.close()


class Reply:
    """One reply. The head has been read; the body is read when asked for, as it arrives."""

    def __init__(self, wire: Wire, head: bytes, method: str) -> None:
        self.wire = wire
        self.head = head
        lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        words = lines[0].split(" ", 2)
        assert words[0] == "HTTP/1.1" and len(words) == 3 and len(words[1]) == 3, f"status line {lines[0]!r}"
        self.status = int(words[1])
        self.reason = words[2]
        self.headers = [_header(line) for line in lines[1:]]
        self._seen = bytearray()
        self._complete = False
        self._pieces = self._read_pieces(method)
        self._frames = self._read_frames()

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next(iter(self.header_all(name)), None)

    def header_all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def pieces(self) -> Iterator[bytes]:
        """The body without its framing, as it arrives. Raises Cut when it breaks off."""
        return self._pieces

    def read(self) -> bytes:
        """All of the body."""
        for _ in self._pieces:
            pass
        return bytes(self._seen)

    @property
    def body(self) -> bytes:
        return self.read()

    @property
    def json(self) -> Any:
        return json.loads(self.read())

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a reply in the OpenAI dialect; its shape is checked here, once for all tests."""
        assert (self.header("content-type") or "").startswith("application/json"), self.headers
        body = self.json
        assert set(body) == {"error"}, body
        error = body["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        assert isinstance(error["message"], str) and error["message"], error
        return dict(error)

    def frames(self) -> Iterator[bytes]:
        """The frames of an event stream as they arrive, each with its blank line. One iterator, however often asked."""
        return self._frames

    def events(self) -> Iterator[Event]:
        """Server-sent events as they arrive, `[DONE]` included, comments left out."""
        for block in self._frames:
            name, data = "", []
            for line in block.replace(b"\r\n", b"\n").split(b"\n"):
                field, _, value = line.partition(b":")
                text = value.removeprefix(b" ").decode()
                name = text if field == b"event" else name
                data += [text] if field == b"data" else []
            if data:
                yield Event(name, "\n".join(data))

    def texts(self) -> Iterator[str]:
        """The non-empty content deltas of a chat stream, as they arrive."""
        for event in self.events():
            if event.data != "[DONE]":
                for choice in event.json.get("choices") or ():
                    if text := (choice.get("delta") or {}).get("content"):
                        yield text

    def close(self) -> None:
        self.wire.close()

    def _read_pieces(self, method: str) -> Iterator[bytes]:
        for piece in self._framed(method):
            self._seen += piece
            yield piece

    def _framed(self, method: str) -> Iterator[bytes]:
        lengths, codings = self.header_all("content-length"), self.header_all("transfer-encoding")
        assert len(lengths) + len(codings) <= 1, f"framed twice: {lengths} {codings}"
        if method == "HEAD" or self.status < 200 or self.status in (204, 304):
            return
        if codings:
            assert codings == ["chunked"], codings
            yield from self._chunks()
        elif lengths:
            yield from self._exactly(int(lengths[0]))
        else:
            while self._more():
                yield self._take(len(self.wire.buffer))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line().partition(b";")[0], 16):
            yield from self._exactly(size)
            assert self._line() == b"", "a chunk longer than it says"
        while self._line():
            pass

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            if not self.wire.buffer and not self._more():
                raise Cut(f"{size} bytes of the body are missing", bytes(self._seen))
            piece = self._take(min(size, len(self.wire.buffer)))
            size -= len(piece)
            yield piece

    def _line(self) -> bytes:
        try:
            return self.wire.until(b"\r\n")[:-2]
        except Cut as cut:
            raise Cut("the body ended without its last chunk", bytes(self._seen)) from cut

    def _more(self) -> bool:
        return bool(self.wire.buffer) or self.wire.more()

    def _take(self, count: int) -> bytes:
        data, self.wire.buffer = self.wire.buffer[:count], self.wire.buffer[count:]
        return data

    def _read_frames(self) -> Iterator[bytes]:
        buffer = b""
        for piece in self._pieces:
            buffer += piece
            while (end := _frame_end(buffer)) > 0:
                yield buffer[:end]
                buffer = buffer[end:]
        if buffer:
            yield buffer


class Client:
    """Requests to one server. `key` goes as a bearer. What it has opened, `close()` closes."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = TIMEOUT_S) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s
        self._wires: list[Wire] = []

    def open(self) -> Wire:
        wire = Wire(self.host, self.port, self.timeout_s)
        self._wires.append(wire)
        return wire

    def raw(self, data: bytes) -> Wire:
        """A new connection with these bytes sent on it."""
        return self.open().send(data)

    def get(self, path: str, key: str | None = None, headers: Headers = ()) -> Reply:
        return self.request("GET", path, None, key, headers)

    def post(self, path: str, body: object = None, key: str | None = None, headers: Headers = ()) -> Reply:
        """POST bytes as they are, or anything else as JSON."""
        return self.request("POST", path, body, key, headers)

    def form(self, path: str, fields: list[tuple[str, object]], key: str | None = None) -> Reply:
        """POST multipart/form-data; a file is (name, (filename, bytes, media type))."""
        media_type, body = multipart(fields)
        return self.request("POST", path, body, key, [("content-type", media_type)])

    def request(
        self, method: str, path: str, body: object = None, key: str | None = None, headers: Headers = ()
    ) -> Reply:
        """Send a request on a new connection and read the head of the final reply."""
        wire = self.raw(request(method, path, body, key, headers, host=f"{self.host}:{self.port}"))
        return wire.final(method)

    def close(self) -> None:
        for wire in self._wires:
            wire.close()
        self._wires.clear()


def request(
    method: str,
    path: str,
    body: object = None,
    key: str | None = None,
    headers: Headers = (),
    *,
    host: str = "proxy.test",
) -> bytes:
    """The bytes of an ordinary request. Bytes go as they are, None means no body, anything else is JSON."""
    given = pairs(headers)
    payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if body is not None:
        if not any(name.lower() == "content-type" for name, _ in given):
            lines.append("Content-Type: application/json")
        lines.append(f"Content-Length: {len(payload)}")
    lines += [f"{name}: {value}" for name, value in given]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def multipart(fields: list[tuple[str, object]], boundary: str = "----tests-b0undary") -> tuple[str, bytes]:
    """(media type, body) of a form; a value is text, or (filename, bytes, media type)."""
    parts = []
    for name, value in fields:
        if isinstance(value, tuple):
            filename, data, media_type = value
            head = f'form-data; name="{name}"; filename="{filename}"\r\nContent-Type: {media_type}'
        else:
            head, data = f'form-data; name="{name}"', str(value).encode()
        parts.append(f"--{boundary}\r\nContent-Disposition: {head}\r\n\r\n".encode() + data + b"\r\n")
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    assert colon and name and name == name.strip() and not line.startswith((" ", "\t")), f"header line {line!r}"
    assert "\r" not in line and "\n" not in line and "\0" not in line, f"header line {line!r}"
    return name, value.strip(" \t")


def _frame_end(buffer: bytes) -> int:
    """Where the first frame ends, its blank line included; 0 when it is not all there yet."""
    ends = [buffer.find(mark) + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if mark in buffer]
    return min(ends, default=0)
