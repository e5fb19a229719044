"""What the scripted upstream was sent: requests as they arrived, read strictly, with everything odd written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HOP_BY_HOP = {"keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart form."""

    name: str
    filename: str | None
    media_type: str
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode()


@dataclass(frozen=True, slots=True)
class Seen:
    """One request: `path` with its query, headers in order with repeats, the body without its framing."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def header_all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> list[Part]:
        """The parts of a multipart body, in order."""
        boundary = (self.header("content-type") or "").partition("boundary=")[2].strip('"').encode()
        assert boundary, f"not a multipart request: {self.header('content-type')}"
        pieces = (b"\r\n" + self.body).split(b"\r\n--" + boundary)
        assert pieces[-1].startswith(b"--"), "the closing boundary is missing"
        return [_part(piece) for piece in pieces[1:-1]]

    def field(self, name: str) -> Part:
        """The one part of that name."""
        found = [part for part in self.form if part.name == name]
        assert len(found) == 1, f"{len(found)} parts are named {name!r}"
        return found[0]


def _part(piece: bytes) -> Part:
    head, _, data = piece.partition(b"\r\n\r\n")
    headers = {}
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    options = {}
    for option in headers["content-disposition"].split(";")[1:]:
        name, _, value = option.strip().partition("=")
        options[name] = value.strip('"')
    return Part(options["name"], options.get("filename"), headers.get("content-type", ""), data)


def parse_head(head: bytes) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """(method, path, headers). Raises ValueError on a line no HTTP/1.1 client may send."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1":
        raise ValueError(f"request line {lines[0]!r}")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise ValueError(f"header line {line!r}")
        headers.append((name, value.strip(" \t")))
    return words[0], words[1], tuple(headers)


def read_body(headers: tuple[tuple[str, str], ...], take: Callable[[int], bytes], line: Callable[[], bytes]) -> bytes:
    """The body by Content-Length or chunks. `take(n)` returns exactly n bytes, `line()` one line without its CRLF."""
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    codings = [value for name, value in headers if name.lower() == "transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise ValueError(f"framed twice: {lengths} {codings}")
    if lengths:
        return take(int(lengths[0]))
    if not codings:
        return b""
    if codings != ["chunked"]:
        raise ValueError(f"transfer-encoding {codings}")
    body = b""
    while size := int(line().partition(b";")[0], 16):
        body += take(size)
        if take(2) != b"\r\n":
            raise ValueError("a chunk without its end")
    while line():
        pass
    return body


def complaints(seen: Seen) -> list[str]:
    """What a proxy must not send upstream."""
    found = []
    if len(seen.header_all("host")) != 1:
        found.append(f"{len(seen.header_all('host'))} Host headers")
    for name in ("authorization", "content-type", "content-length", "accept-encoding"):
        if len(seen.header_all(name)) > 1:
            found.append(f"repeated header {name}")
    found.extend(f"hop-by-hop header {name}" for name, _ in seen.headers if name.lower() in HOP_BY_HOP)
    if (seen.header("accept-encoding") or "identity") != "identity":
        found.append(f"accept-encoding {seen.header('accept-encoding')!r}")
    return found
