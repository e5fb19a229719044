"""MPEG audio, "mp3": frames one after another, without a container (ISO/IEC 11172-3, 13818-3; 2.5 is Fraunhofer's extension).

A frame begins with eleven set bits and says how long it is, so the next one is found by counting. Before the frames stand
ID3v2 tags (id3.org, ID3v2.4.0 structure), behind them an ID3v1 tag.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from .window import Window

# A file that does not begin with a frame: a recording cut from a stream begins in the middle of one, the longest of which
# is shorter than this. So many frames must follow one another until we believe that they are frames.
_MAX_LEAD_BYTES = 8 * 1024
_BELIEVED = 4
_MAX_TAGS = 32

# kbit/s by bitrate index 1 to 14; index 0 is the "free" format, 15 is forbidden. (ISO/IEC 11172-3 2.4.2.3, 13818-3 2.4.2.3)
_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_BITRATES[2, 3] = _BITRATES[2, 2]
_RATES = (44_100, 48_000, 32_000)
# The second and third byte of a header that is none of the forbidden ones.
_HEADER = re.compile(rb"\xff(?=[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x00-\xef])")


class Frame(NamedTuple):
    """What the first three bytes of a frame say. `length` is 0 in the free format, which does not say."""

    kind: tuple[int, int, int]  # version bits, layer, Hz: the same in all frames of a file
    length: int
    padding: int
    samples: int


def skip_tags(window: Window, at: int = 0) -> int:
    """Behind the ID3v2 tags that begin at `at` (ID3v2.4.0 structure, 3.1: sizes have seven bits a byte; a footer counts extra)."""
    for _ in range(_MAX_TAGS):
        head = window.read(at, 10)
        if len(head) < 10 or not head.startswith(b"ID3") or head[3] == 0xFF or head[4] == 0xFF or max(head[6:]) > 0x7F:
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    return at


def find_frames(window: Window, at: int) -> int | None:
    """Where the frames begin, at `at` or a little behind; None when there are none."""
    data = window.read(at, _MAX_LEAD_BYTES)
    for match in _HEADER.finditer(data):
        begin = at + match.start()
        if _is_chain(window, begin, certain=begin == at):
            return begin
    return None


@cache
def frames() -> dict[bytes, Frame]:
    """Every legal beginning of a frame, three bytes each, with what it says: looking is faster than reckoning."""
    found = {}
    for second in range(0xE0, 0x100):
        version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
        if version == 1 or layer == 4:
            continue  # reserved
        for third in range(0xF0):
            if (frame := _frame(version, layer, third)) is not None:
                found[bytes((0xFF, second, third))] = frame
    return found


def _frame(version: int, layer: int, third: int) -> Frame | None:
    """ISO/IEC 11172-3 2.4.3.1: how long a frame is, in slots of one byte, or of four in layer I."""
    rate_index, padding = third >> 2 & 3, third >> 1 & 1
    if rate_index == 3:
        return None
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    index = third >> 4
    bits = 1000 * _BITRATES[1 if version == 3 else 2, layer][index - 1] if index else 0
    kind = (version, layer, rate)
    if layer == 1:
        return Frame(kind, (12 * bits // rate + padding) * 4 if bits else 0, padding * 4, 384)
    samples = 576 if layer == 3 and version != 3 else 1152
    return Frame(kind, samples // 8 * bits // rate + padding if bits else 0, padding, samples)


def _is_chain(window: Window, at: int, *, certain: bool) -> bool:
    """Whether frames of one kind follow one another from here. At the beginning of a file two are enough, or one of layer III
    with which it ends: UTF-16 texts begin like a frame of layer I."""
    first = None
    for number in range(_BELIEVED):
        head = window.read(at, 4)
        frame = frames().get(head[:3])
        if len(head) < 4 or frame is None or not frame.length:
            return False
        if first is not None and frame.kind != first.kind:
            return False
        first = first or frame
        at += frame.length
        if certain and number == 1:
            return True
        if at > window.size - 4:
            return certain and frame.kind[1] == 3
    return True
