"""A window on a seekable file, from which little is read at a time and not too much altogether.

Readers of containers go by what a file says of itself, and a file may say anything: boxes without end, a million empty
pages. So the window counts, and when enough was read it says so; nothing else needs to fear a loop. It owns no file.
"""

from __future__ import annotations

from typing import IO

# What is read at once when a few bytes are wanted: the next few are mostly wanted too.
BLOCK_BYTES = 16 * 1024
# Together they bound the time a file can cost: looks take about a microsecond, blocks ten, 64 MB some 30 milliseconds.
MAX_LOOKS = 60_000
MAX_BLOCKS = 4_000
MAX_BYTES = 64 * 1024 * 1024


class Unreadable(Exception):
    """The file ends in the middle of what it announced, or asks for more reading than it is worth."""


class Window:
    """The bytes 0 to `size` of a file. Reading beyond them gives less than was asked for."""

    __slots__ = ("_at", "_block", "_blocks", "_bytes", "_file", "_looks", "size")

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.size = size
        self._file = file
        self._block = b""
        self._at = 0  # where the block begins in the file
        self._looks = self._blocks = self._bytes = 0

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from `at` on. Raises Unreadable when enough was read."""
        self._looks += 1
        if self._looks > MAX_LOOKS:
            raise Unreadable
        begin = at - self._at
        if begin >= 0 and begin + count <= len(self._block):
            return self._block[begin : begin + count]
        if at < 0 or at >= self.size or count <= 0:
            return b""
        if count >= BLOCK_BYTES:
            return self._fetch(at, count)
        self._block, self._at = self._fetch(at, BLOCK_BYTES), at
        return self._block[:count]

    def exactly(self, at: int, count: int) -> bytes:
        """`count` bytes from `at` on. Raises Unreadable when there are fewer."""
        data = self.read(at, count)
        if len(data) < count:
            raise Unreadable
        return data

    def number(self, at: int, count: int) -> int:
        """The unsigned big-endian number in these bytes. Raises Unreadable."""
        return int.from_bytes(self.exactly(at, count), "big")

    def _fetch(self, at: int, count: int) -> bytes:
        count = min(count, self.size - at)
        self._blocks += 1
        self._bytes += count
        if self._blocks > MAX_BLOCKS or self._bytes > MAX_BYTES:
            raise Unreadable
        self._file.seek(at)
        data = self._file.read(count)
        while len(data) < count and (more := self._file.read(count - len(data))):
            data += more
        return data
