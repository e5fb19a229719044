"""The samples of a WAV file as they come: what is left when its header is taken off.

Source: Multimedia Programming Interface and Data Specifications 1.0 (RIFF, WAVE). Pure: bytes in, bytes out.
"""

from __future__ import annotations

import struct

from ..call import Bill
from ..errors import UpstreamError

MOST_HEAD = 256 * 1024  # bytes before the samples; real ones have 44, or a list of titles
PCM, EXTENSIBLE = 1, 0xFFFE
UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)  # what encoders write that do not know it yet


class Samples:
    """The pipe of an answer whose caller wants samples, 16 bit each, and whose provider sends WAV."""

    def __init__(self, provider: str, bill: Bill | None = None) -> None:
        self._provider = provider
        self._bill = bill
        self._head = bytearray()
        self._left: int | None = None  # bytes of samples still to come, once their begin is found
        self._is_pcm = False

    def feed(self, data: bytes) -> bytes:
        """Raises UpstreamError for what is no such WAV."""
        if self._left is None:
            self._head += data
            begin = self._find_samples()
            if begin is None:
                return b""
            data = bytes(self._head[begin:])
            self._head.clear()
        assert self._left is not None
        out = data[: self._left]  # behind the samples there may be titles
        self._left -= len(out)
        if self._bill is not None:
            self._bill.bytes_out += len(out)
        return out

    def finish(self) -> bytes:
        if self._left is None:
            raise self._refused()
        return b""

    def fail(self, error: Exception) -> bytes | None:
        return None

    def idle(self) -> bytes:
        return b""

    def _find_samples(self) -> int | None:
        """Where they begin; None as long as that has not come."""
        head = self._head
        if not b"RIFF".startswith(head[:4]) or not b"WAVE".startswith(head[8:12]) or len(head) > MOST_HEAD:
            raise self._refused()
        at = 12
        while len(head) >= at + 8:
            name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
            at += 8
            if name == b"data":
                if not self._is_pcm:
                    raise self._refused()
                self._left = size if size not in UNKNOWN_SIZES else 1 << 62
                return at
            if name == b"fmt ":
                if len(head) < at + 16:
                    return None
                kind, _, _, _, _, bits = struct.unpack_from("<HHIIHH", head, at)
                self._is_pcm = kind in (PCM, EXTENSIBLE) and bits == 16
            at += size + size % 2
        return None

    def _refused(self) -> UpstreamError:
        return UpstreamError(f"Provider '{self._provider}' answered with sound that is not WAV of 16-bit samples.")
