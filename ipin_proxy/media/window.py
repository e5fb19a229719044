"""A window on a seekable file, from which little is read at a time and not too much altogether.

Readers of containers go by what a file says of itself, and a file may say anything: boxes without end, a million empty
pages. So the window counts, and when enough was read it says so; nothing else needs to fear a loop. It owns no file.
"""

from __future__ import annotations

import io
from typing import IO

# What is read at once when a few bytes are wanted: the next few are mostly wanted too.
BLOCK_BYTES = 16 * 1024
# Together they bound the time a file can cost: a look takes some microseconds with all around it, a block ten. Every byte may be looked at
# twice, in small files oftener.
MAX_LOOKS = 30_000
MAX_BLOCKS = 4_000
MIN_BYTES = 32 * 1024 * 1024


class Unreadable(Exception):
    """The file ends in the middle of what it announced, or asks for more reading than it is worth."""


class Window:
    """The bytes 0 to `size` of a file, or fewer if it is shorter; its position is moved. Reading beyond them gives less than was
    asked for, and nothing before them."""

    __slots__ = ("_at", "_block", "_blocks", "_bytes_left", "_file", "_looks", "size")

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.size = min(size, file.seek(0, io.SEEK_END))
        self._file = file
        self._block = b""
        self._at = 0  # where the block begins in the file
        self._looks = self._blocks = 0
        self._bytes_left = MIN_BYTES + 2 * self.size

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from `at` on. Raises Unreadable when enough was read."""
        count = max(0, min(count, self.size - at))
        self._looks += 1
        self._bytes_left -= count
        if self._looks > MAX_LOOKS or self._bytes_left < 0:
            raise Unreadable
        if count == 0 or at < 0:
            return b""
        begin = at - self._at
        if begin >= 0 and begin + count <= len(self._block):
            return self._block[begin : begin + count]
        if count >= BLOCK_BYTES:
            return self._fetch(at, count)
        self._block, self._at = self._fetch(at, min(BLOCK_BYTES, self.size - at)), at
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
        self._blocks += 1
        if self._blocks > MAX_BLOCKS:
            raise Unreadable
        self._file.seek(at)
        data = self._file.read(count)
        while len(data) < count and (more := self._file.read(count - len(data))):
            data += more
        return data
