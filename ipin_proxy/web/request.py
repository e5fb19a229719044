"""What arrived on a connection: one parsed request. It knows HTTP and nothing of models or keys.

The path is decoded here, once; routing, authentication and handlers all look at the same `path`.
"""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_to_bytes

from .head import RequestHead

if TYPE_CHECKING:
    from .connection import Connection


MOST_PARAMETERS = 100
SPOOL_BYTES = 1024 * 1024  # of an upload; a longer one goes to a temporary file


class BadPath(ValueError):
    """The target cannot be decoded: a broken escape, a NUL, bytes that are not UTF-8, or a query without end."""


class BodyTooLarge(Exception):
    """More bytes than `limit`, announced or sent."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class SlowRequest(Exception):
    """Headers or a body that did not arrive in time."""


def decode_path(target: str) -> tuple[str, str]:
    """Split a request target into (decoded path, raw query). Decoding happens once: `%2541` is `%41`, not `A`."""
    raw, _, query = target.partition("?")
    if "%" not in raw:
        return raw, query
    for piece in raw.split("%")[1:]:
        if len(piece) < 2 or not all(char in "0123456789abcdefABCDEF" for char in piece[:2]):
            raise BadPath("the path has a % that is not followed by two hexadecimal digits")
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadPath("the path is not UTF-8 once its % escapes are decoded") from error
    if "\0" in path:
        raise BadPath("the path holds a NUL character")
    return path, query


class Request:
    """One request. `body` is bytes in memory, or b"" when it was spooled to `file` (uploads above 1 MB)."""

    __slots__ = (
        "body",
        "connection",
        "file",
        "head",
        "headers",
        "method",
        "most_bytes",
        "path",
        "peer",
        "query_string",
        "state",
    )

    def __init__(self, head: RequestHead, connection: Connection) -> None:
        self.head = head
        self.method = head.method
        self.headers = head.headers
        self.path, self.query_string = decode_path(head.target)
        self.connection = connection
        self.peer = connection.peer
        self.body: bytes | bytearray = b""
        self.file: IO[bytes] | None = None
        self.most_bytes: int | None = None  # what the service lets this body have, where that is less than usual
        self.state: object = None  # what the service worked out before the body was in

    @property
    def content_type(self) -> str:
        """The media type, lower-case, without parameters; "" when the caller sent none."""
        return self.headers.media_type

    @property
    def query(self) -> dict[str, str]:
        """Query parameters; of repeated ones the last. Raises BadPath; who does not ask is not bothered by it."""
        try:
            return dict(parse_qsl(self.query_string, keep_blank_values=True, max_num_fields=MOST_PARAMETERS))
        except ValueError as error:
            raise BadPath(f"its query has more than {MOST_PARAMETERS} parameters") from error

    @property
    def body_bytes(self) -> int:
        """How long the body is, wherever it lies."""
        return len(self.body) if self.file is None else os.fstat(self.file.fileno()).st_size

    def keep(self, payload: bytes) -> None:
        """Keep a piece of the body: JSON in memory, uploads above SPOOL_BYTES in a temporary file. Raises OSError."""
        if self.file is not None:
            self.file.write(payload)
            return
        if not isinstance(self.body, bytearray):
            self.body = bytearray()
        self.body += payload
        if len(self.body) > SPOOL_BYTES and self.content_type == "multipart/form-data":
            import tempfile

            self.file = tempfile.TemporaryFile(prefix="ipin-proxy-upload-")  # noqa: SIM115 - closed with the request
            self.file.write(self.body)
            self.body = b""

    def close(self) -> None:
        """Give back the temporary file of a spooled body, if there is one, and what knows the request as it knows that."""
        self.state = None
        file, self.file = self.file, None
        if file is not None:
            with contextlib.suppress(OSError):  # it closes; what the disk had no room for is lost, and not needed
                file.close()
