"""A folder of files over HTTP: the right type, an ETag, and no way out of the folder.

Files are read when they are asked for, so a changed file counts at once; their bytes are kept until size or time of the file
says otherwise. Every answer carries the headers that keep a page to itself: nothing inline, nothing from other hosts, in
nobody's frame. What the folder holds and which of it may be asked for is somebody else's affair.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from .request import Request
from .response import Response

# Not the system's table: it differs from machine to machine, and with nosniff a script of the wrong type does not run.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
OTHER_TYPE = "application/octet-stream"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self), payment=(), usb=()",
}
MOST_KEPT_BYTES = 512 * 1024  # a larger file is read anew each time
MOST_KEPT = 256


class Kept(NamedTuple):
    """A file's bytes and ETag, as long as its stat says the same."""

    signature: tuple[int, int, int]
    etag: str
    content: bytes


class Files:
    """One folder. May be asked by several threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, Kept] = {}

    def answer(self, request: Request, name: str) -> Response | None:
        """The file `name` (decoded, with `/` between folders) as an answer to GET or HEAD: 200, or 304 when the caller
        has it already. None when there is no such file, or no such file of ours."""
        path = self._inside(name)
        file = self._read(path) if path is not None else None
        if path is None or file is None:
            return None
        headers = {**SECURITY, "etag": file.etag, "cache-control": "no-cache"}
        if is_known(request, file.etag):
            return Response(304, headers)
        headers["content-type"] = TYPES.get(os.path.splitext(path)[1].lower(), OTHER_TYPE)
        return Response(200, headers, file.content)

    def _inside(self, name: str) -> str | None:
        """The real path of a name that is plainly below the folder, links followed; None for every other."""
        if "\0" in name or "\\" in name or ":" in name:  # of Windows: other separators, drives, streams
            return None
        if any(not piece or piece.startswith(".") for piece in name.split("/")):  # also ., .. and what is hidden
            return None
        try:
            root = os.path.realpath(self._folder)
            real = os.path.realpath(os.path.join(root, name))
            return real if os.path.commonpath((root, real)) == root else None
        except (OSError, ValueError):  # a name that no file system can have
            return None

    def _read(self, path: str) -> Kept | None:
        try:
            about = os.stat(path)
            if not stat.S_ISREG(about.st_mode):  # opening a pipe would wait for ever
                return None
            signature = (about.st_mtime_ns, about.st_size, about.st_ino)
            kept = self._kept.get(path)
            if kept is not None and kept.signature == signature:
                return kept
            with open(path, "rb") as file:
                content = file.read()
        except (OSError, ValueError):
            return None
        found = Kept(signature, etag_of(content), content)
        if len(content) <= MOST_KEPT_BYTES:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[path] = found
        return found


def etag_of(content: bytes) -> str:
    """A strong one (RFC 9110 section 8.8.3): the same for the same bytes, whatever the time of the file."""
    from hashlib import sha256  # loads libcrypto, which a server without visitors does not need

    return f'"{sha256(content).hexdigest()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether If-None-Match names this version; compared weakly, as RFC 9110 section 13.1.2 asks."""
    given = ",".join(request.headers.all("if-none-match"))
    return any(one.strip() == "*" or one.strip().removeprefix("W/") == etag for one in given.split(","))
