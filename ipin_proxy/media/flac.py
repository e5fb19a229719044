"""FLAC (RFC 9639): a block that says everything, or, when it was streamed and nobody came back to fill it in, the last frame."""

from __future__ import annotations

import re
from typing import NamedTuple

from .window import Window

_MAX_BLOCKS = 1_000
# Where the last frame is looked for; one of 8 channels with 32 bits is 2 MB (RFC 9639 9.1: at most 65 535 samples).
_MAX_TAIL_BYTES = 2 * 1024 * 1024
_MAX_TRIES = 1_000
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_HEADER_BYTES = 16


class StreamInfo(NamedTuple):
    """RFC 9639 8.2. `total` is 0 when unknown."""

    block: int  # the most samples in a block: all blocks but the last have as many, unless sizes vary
    rate: int
    total: int


class _Frame(NamedTuple):
    """RFC 9639 9.1."""

    look: tuple[int, int, int]  # what does not change from frame to frame: kind of numbering, codes of rate and depth
    number: int
    block: int


def seconds(window: Window, begin: int) -> float | None:
    """From STREAMINFO, the first block behind the marker at `begin`."""
    if window.number(begin + 4, 1) & 0x7F:
        return None
    info = read_info(window.exactly(begin + 8, 34))
    if not info.rate:
        return None
    total = info.total or _count_samples(window, begin, info)
    return total / info.rate if total else None


def read_info(block: bytes) -> StreamInfo:
    """STREAMINFO without its header, 34 bytes."""
    packed = int.from_bytes(block[10:18], "big")
    return StreamInfo(int.from_bytes(block[2:4], "big"), packed >> 44, packed & (1 << 36) - 1)


def _count_samples(window: Window, begin: int, info: StreamInfo) -> int:
    """Samples up to the end of the last frame, which tells its number; 0 without frames."""
    at = _behind_metadata(window, begin)
    first = _read_frame(window.read(at, _HEADER_BYTES))
    if first is None:
        return 0
    last = _last_frame(window, at, first.look)
    begins = last.number if first.look[0] else last.number * info.block
    return begins + last.block


def _behind_metadata(window: Window, begin: int) -> int:
    """RFC 9639 8.1: each block says how long it is, and the last one that it is the last."""
    at = begin + 4
    for _ in range(_MAX_BLOCKS):
        head = window.number(at, 4)
        at += 4 + (head & 0xFF_FFFF)
        if head >> 31:
            break
    return at


def _last_frame(window: Window, begin: int, look: tuple[int, int, int]) -> _Frame:
    """Backwards from the end, the first that can be one; `begin` is where the first of all frames stands."""
    tries = 0
    end = window.size
    least = max(begin, end - _MAX_TAIL_BYTES)
    while end > least:
        at = max(least, end - 64 * 1024)
        data = window.read(at, end - at + _HEADER_BYTES)
        for match in reversed(list(_SYNC.finditer(data, 0, end - at + 1))):
            frame = _read_frame(data[match.start() : match.start() + _HEADER_BYTES])
            if frame is not None and frame.look == look:
                return frame
            tries += 1
            if tries > _MAX_TRIES:
                return _Frame(look, 0, 0)
        end = at
    return _Frame(look, 0, 0)


def _read_frame(data: bytes) -> _Frame | None:
    """The header of a frame, if these bytes are one: sync code, no reserved values, and its checksum right (RFC 9639 9.1)."""
    if len(data) < 6 or data[0] != 0xFF or data[1] & 0xFE != 0xF8:
        return None
    size_code, rate_code, channels, depth = data[2] >> 4, data[2] & 15, data[3] >> 4, data[3] >> 1 & 7
    if size_code == 0 or rate_code == 15 or channels > 10 or depth == 3 or data[3] & 1:
        return None
    number, at = _read_number(data, 4)
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    if size_bytes:
        block = int.from_bytes(data[at : at + size_bytes], "big") + 1
    elif size_code == 1:
        block = 192
    else:
        block = 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    at += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if number < 0 or at >= len(data) or _crc8(data[:at]) != data[at]:
        return None
    return _Frame((data[1] & 1, rate_code, depth), number, block)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """RFC 9639 9.1.5: written as UTF-8 is, in up to seven bytes. With where it ends; -1 when it is none."""
    first = data[at]
    ones = 8 - (first ^ 0xFF).bit_length()
    if ones == 0:
        return first, at + 1
    more = data[at + 1 : at + ones]
    if ones in (1, 8) or len(more) < ones - 1 or any(byte & 0xC0 != 0x80 for byte in more):
        return -1, at
    number = first & 0x7F >> ones
    for byte in more:
        number = number << 6 | byte & 0x3F
    return number, at + ones


def _crc8(data: bytes) -> int:
    """x^8 + x^2 + x + 1, begun with 0 (RFC 9639 9.1.8)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x107 if crc & 0x80 else crc << 1
    return crc
