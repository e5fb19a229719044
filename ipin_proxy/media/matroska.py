"""Matroska and WebM: elements within elements (RFC 8794 for EBML, RFC 9559 for what they mean).

`Info` tells how long the recording is. One that was made live does not tell, as those of browsers: there the last block of
the last cluster says when it ended.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from .window import Unreadable, Window

_SEGMENT, _INFO, _CLUSTER = 0x18538067, 0x1549A966, 0x1F43B675
_SCALE, _DURATION = 0x2AD7B1, 0x4489
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _BLOCK_DURATION = 0xE7, 0xA3, 0xA0, 0xA1, 0x9B

_USUAL_SCALE = 1_000_000  # nanoseconds in a unit of time, RFC 9559 5.1.2.9
_MAX_ELEMENTS = 1_000
# Blocks of one cluster; their times are 16 bits beside the cluster's, so it holds a minute.
_MAX_BLOCKS = 8_000
_MAX_GROUP = 8
_MAX_TRIES = 1_000
_TAIL_BYTES = 64 * 1024


class _Element(NamedTuple):
    """Its content is bytes `begin` to `end`, which is None when its size is unknown (RFC 8794 6.2)."""

    id: int
    begin: int
    end: int | None


class _Span(NamedTuple):
    """The blocks of a cluster, in units of time."""

    begin: int
    end: int


def seconds(window: Window) -> float | None:
    """Duration by TimestampScale (RFC 9559 5.1.2.9 and 10), else from the first cluster to the end of the last block."""
    head = _read_element(window, 0)
    segment = _read_element(window, head.end) if head is not None and head.end is not None else None
    if segment is None or segment.id != _SEGMENT:
        return None
    scale, duration, at = _USUAL_SCALE, 0.0, segment.begin
    for _ in range(_MAX_ELEMENTS):
        element = _read_element(window, at)
        if element is None or element.id == _CLUSTER or element.end is None:
            break
        if element.id == _INFO:
            scale, duration = _read_info(window, element.begin, element.end)
            if duration:
                return duration * scale / 1e9
        at = element.end
    else:
        return None
    if element is None or element.id != _CLUSTER:
        return None
    first = _read_cluster(window, at, 3)
    last = _last_cluster(window, at)
    if first is None or last is None or last.end <= first.begin:
        return None
    return (last.end - first.begin) * scale / 1e9


def _read_info(window: Window, at: int, end: int) -> tuple[int, float]:
    """The scale, and the duration or 0 (RFC 9559 5.1.2)."""
    scale, duration = _USUAL_SCALE, 0.0
    for _ in range(_MAX_ELEMENTS):
        element = _read_element(window, at)
        if element is None or element.end is None or at >= end:
            break
        if element.id == _SCALE:
            scale = _read_number(window, element)
        elif element.id == _DURATION:
            data = window.exactly(element.begin, min(element.end - element.begin, 8))
            duration = struct.unpack(">d" if len(data) == 8 else ">f", data)[0] if len(data) in (4, 8) else 0.0
        at = element.end
    return scale, duration


def _last_cluster(window: Window, begin: int) -> _Span | None:
    """Looked for backwards: clusters of unknown size cannot be skipped. One begins with its timestamp."""
    needle = _CLUSTER.to_bytes(4, "big")
    tries, end = 0, window.size
    while end > begin:
        at = max(begin, end - _TAIL_BYTES)
        data = window.read(at, end - at + 3)
        found = end - at
        while (found := data.rfind(needle, 0, found + 3)) >= 0:
            tries += 1
            if tries > _MAX_TRIES:
                raise Unreadable
            if (span := _read_cluster(window, at + found, _MAX_BLOCKS)) is not None:
                return span
        end = at
    return None


def _read_cluster(window: Window, at: int, most: int) -> _Span | None:
    """RFC 9559 5.1.3: its timestamp, then blocks; `most` elements are looked at. None when it is no cluster."""
    cluster = _read_element(window, at)
    if cluster is None or cluster.id != _CLUSTER:
        return None
    begin: int | None = None
    ends: dict[int, _Span] = {}  # by track: when the last block began and the sound ends
    at, end = cluster.begin, window.size if cluster.end is None else cluster.end
    for _ in range(most):
        element = _read_element(window, at) if at < end else None
        if element is None or element.end is None or element.id > 0xFF_FFFF:
            break  # four bytes of id are the next cluster, or what else stands beside clusters
        if element.id == _TIMESTAMP:
            begin = _read_number(window, element)
        elif element.id in (_SIMPLE_BLOCK, _BLOCK_GROUP):
            if begin is None:
                return None
            _read_block(window, element, begin, ends)
        at = element.end
    return None if begin is None else _Span(begin, max((span.end for span in ends.values()), default=begin))


def _read_block(window: Window, element: _Element, timestamp: int, ends: dict[int, _Span]) -> None:
    """RFC 9559 10.1: the track, then a signed time beside the cluster's. A block that does not say how long it is will be as long as
    the one before it."""
    at, length = element.begin, None
    if element.id == _BLOCK_GROUP:
        block, length = _read_group(window, element)
        if block is None:
            return
        at = block.begin
    head = window.read(at, 10)
    track, size = _read_varint(head)
    if size == 0 or len(head) < size + 2:
        return
    time = timestamp + int.from_bytes(head[size : size + 2], "big", signed=True)
    before = ends.get(track, _Span(time, time))
    if length is None:
        length = max(0, time - before.begin)
    ends[track] = _Span(time, max(before.end, time + length))


def _read_group(window: Window, group: _Element) -> tuple[_Element | None, int | None]:
    """RFC 9559 5.1.3.5: the block in it, and its duration if that is told."""
    block, length, at = None, None, group.begin
    for _ in range(_MAX_GROUP):
        element = _read_element(window, at) if group.end is None or at < group.end else None
        if element is None or element.end is None:
            break
        if element.id == _BLOCK:
            block = element
        elif element.id == _BLOCK_DURATION:
            length = _read_number(window, element)
        at = element.end
    return block, length


def _read_element(window: Window, at: int) -> _Element | None:
    """RFC 8794 5 and 6: an id of one to four bytes, the size of the content in one to eight."""
    head = window.read(at, 12)
    if not head or head[0] < 0x10:
        return None
    behind = 9 - head[0].bit_length()
    size, width = _read_varint(head[behind:])
    if width == 0:
        return None
    begin = at + behind + width
    is_unknown = size == (1 << 7 * width) - 1
    return _Element(int.from_bytes(head[:behind], "big"), begin, None if is_unknown else begin + size)


def _read_varint(data: bytes) -> tuple[int, int]:
    """RFC 8794 4: as many bytes as zero bits stand in front, and one. The number without its marker, and its width; 0 for none."""
    width = 9 - data[0].bit_length() if data else 9
    if width == 9 or len(data) < width:
        return 0, 0
    return int.from_bytes(data[:width], "big") & (1 << 7 * width) - 1, width


def _read_number(window: Window, element: _Element) -> int:
    """An unsigned integer of up to eight bytes (RFC 8794 7.2)."""
    return window.number(element.begin, min(8, (element.end or element.begin) - element.begin))
