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
# Frames that are counted one by one, which takes some 40 milliseconds; from those the rest is estimated. At 128 kbit/s they are
# 25 MB and more than enough. Strays are places behind garbage that look like a frame and are none.
_MAX_FRAMES = 250_000
_MAX_STRAYS = 5_000
_WALK_BYTES = 256 * 1024
# In the free format a frame is as long as it likes; encoders stop at 640 kbit/s, which is less than this.
_MAX_FREE_BYTES = 8 * 1024
_MAX_FREE_TRIES = 64
_ID3V1_BYTES = 128
# Some encoders count the first frame and some do not; the longest is 2881 bytes.
_DIFFERENCE_BYTES = 4 * 1024

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
    seconds: float


class _Info(NamedTuple):
    """What a first frame without sound says of the others."""

    frames: int  # 0: not told
    bytes: int
    trim: int  # samples an encoder added at both ends, and players cut off


def seconds(window: Window, begin: int) -> float | None:
    """From what the first frame tells, if it fits the file, else by counting frames. None when there are none."""
    end = window.size
    if window.read(end - _ID3V1_BYTES, 3) == b"TAG":  # id3.org, ID3v1
        end -= _ID3V1_BYTES
    at = find_frames(window, begin)
    if at is None:
        return _walk(window, begin, end, 0)  # behind a tag whose length was wrong
    first = frames()[window.exactly(at, 3)]
    info = _read_info(window, at, first)
    free = 0 if first.length else _free_length(window, at, first)
    if info is None:
        return _walk(window, at, end, free)
    rate = first.kind[2]
    # Files are cut and joined, and nobody corrects what the first frame says.
    is_whole = not info.bytes or abs(end - at - info.bytes) <= max(info.bytes // 100, _DIFFERENCE_BYTES)
    if info.frames and is_whole:
        return max(0, info.frames * first.samples - info.trim) / rate
    told = _walk(window, at + first.length, end, free)
    return None if told is None else max(0.0, told - info.trim / rate)


def skip_tags(window: Window, at: int = 0) -> int:
    """Behind the ID3v2 tags that begin at `at` (ID3v2.4.0 structure, 3.1: sizes have seven bits a byte; a footer counts extra)."""
    for _ in range(_MAX_TAGS):
        head = window.read(at, 10)
        if len(head) < 10 or not head.startswith(b"ID3") or head[3] not in (2, 3, 4) or max(head[6:]) > 0x7F:
            break  # there are no other versions, but texts that begin so
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    return at


def find_frames(window: Window, at: int) -> int | None:
    """Where the frames begin, at `at` or a little behind; None when there are none.

    There two are enough, or one of layer III with which the file ends (UTF-16 texts begin like a frame of layer I).
    """
    data = window.read(at, _MAX_LEAD_BYTES)
    for match in _HEADER.finditer(data):
        begin = at + match.start()
        if begin > at:
            if _follow(window, begin, _BELIEVED) == _BELIEVED:
                return begin
            continue
        frame = frames().get(data[:3])
        if frame is None or len(data) < 4:
            continue
        is_last = frame.length and at + frame.length > window.size - 4
        enough = 1 if is_last and frame.kind[1] == 3 else 2
        if _follow(window, at, enough) == enough or (not frame.length and _free_length(window, at, frame)):
            return at
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
        return Frame(kind, (12 * bits // rate + padding) * 4 if bits else 0, padding * 4, 384, 384 / rate)
    samples = 576 if layer == 3 and version != 3 else 1152
    return Frame(kind, samples // 8 * bits // rate + padding if bits else 0, padding, samples, samples / rate)


def _follow(window: Window, at: int, wanted: int, free: int = 0) -> int:
    """How many frames of one kind follow one another from here; no more than `wanted` are looked at."""
    kind = None
    for number in range(wanted):
        head = window.read(at, 4)
        frame = frames().get(head[:3])
        if len(head) < 4 or frame is None or kind not in (None, frame.kind):
            return number
        length = frame.length or (free and free + frame.padding)
        if not length:
            return number
        kind = frame.kind
        at += length
    return wanted


def _free_length(window: Window, at: int, first: Frame) -> int:
    """How long all frames are that do not say it, without padding; 0 when that is not clear (ISO/IEC 11172-3 2.4.2.3: the
    bitrate is fixed). It is where the same header comes again, and once more as far behind."""
    data = window.read(at, 3 * _MAX_FREE_BYTES)
    third = bytes((data[2] & ~2, data[2] | 2))
    same = re.compile(re.escape(data[:2]) + b"[" + re.escape(third) + b"]")
    for tries, match in enumerate(same.finditer(data, 4, _MAX_FREE_BYTES)):
        if tries == _MAX_FREE_TRIES:
            break
        length = match.start() - first.padding
        behind = match.start() + length + frames()[match[0]].padding
        if same.match(data, behind):
            return length
    return 0


def _read_info(window: Window, at: int, first: Frame) -> _Info | None:
    """Encoders put the count of frames into a silent first one, where the sound would begin: Xing and LAME behind the side
    information ("Xing", "Info" when the bitrate is constant), Fraunhofer's "VBRI" always at the same place."""
    version, layer, _ = first.kind
    head = window.read(at, 256)
    if layer != 3 or len(head) < 4:
        return None
    if head[36:40] == b"VBRI":
        return _Info(int.from_bytes(head[50:54], "big"), int.from_bytes(head[46:50], "big"), 0)
    is_mono = head[3] >> 6 == 3
    place = 4 + (9 if is_mono else 17) if version != 3 else 4 + (17 if is_mono else 32)
    for here in (place, place + 2):  # behind a checksum, if the encoder counts it
        if head[here : here + 4] in (b"Xing", b"Info"):
            return _read_xing(head[here + 4 :])
    return None


def _read_xing(fields: bytes) -> _Info:
    """Flags say which fields there are: frames, bytes, a table of 100 bytes, quality; then comes LAME's tag, in which three
    bytes at 21 are the samples added before and behind, 12 bits each (gabriel.mp3-tech.org, "Mp3 info tag", rev 1)."""
    flags = int.from_bytes(fields[:4], "big")
    at = 4
    numbers = []
    for flag, size in ((1, 4), (2, 4), (4, 100), (8, 4)):
        present = flags & flag
        numbers.append(int.from_bytes(fields[at : at + 4], "big") if present else 0)
        at += size if present else 0
    trim = 0
    if fields[at : at + 4] in (b"LAME", b"Lavf", b"Lavc", b"L3.9"):
        added = int.from_bytes(fields[at + 21 : at + 24], "big")
        trim = (added >> 12) + (added & 0xFFF)
    return _Info(numbers[0], numbers[1], trim)


def _walk(window: Window, begin: int, end: int, free: int) -> float | None:
    """Count frames from `begin` to `end`, whatever stands between them. None when there are none."""
    total, counted, strays = 0.0, 0, 0
    data, base, at = b"", begin, begin
    while at + 4 <= end and counted < _MAX_FRAMES and strays < _MAX_STRAYS:
        if at + 4 > base + len(data):
            data, base = window.read(at, min(_WALK_BYTES, end - at)), at
        here, number, told = _run(data, at - base, free)
        at, counted, total = base + here, counted + number, total + told
        if at + 4 > base + len(data):
            continue
        behind = skip_tags(window, at)  # files joined with their tags
        if behind == at:
            behind, tried = _find_again(window, data, base, at + 1, free)
            strays += tried
        at = behind
    if not counted:
        return None
    return total * (end - begin) / (at - begin) if at + 4 <= end else total


def _run(data: bytes, here: int, free: int) -> tuple[int, int, float]:
    """Frames that follow one another: where they end, how many there are, and their seconds."""
    table = frames()
    total, counted, last = 0.0, 0, len(data) - 4
    while here <= last:
        frame = table.get(data[here : here + 3])
        if frame is None or not (length := frame.length or (free and free + frame.padding)):
            break
        here += length
        total += frame.seconds
        counted += 1
    return here, counted, total


def _find_again(window: Window, data: bytes, base: int, at: int, free: int) -> tuple[int, int]:
    """The next place in `data`, which begins at `base`, where two frames follow each other, or its end; and how many places
    were none."""
    tried = 0
    for match in _HEADER.finditer(data, at - base):
        at = base + match.start()
        if _follow(window, at, 2, free) == 2:
            return at, tried
        tried += 1
        if tried == _MAX_STRAYS:
            return at, tried
    return base + len(data) - 2, tried
