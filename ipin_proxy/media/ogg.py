"""Ogg: pages of logical streams, each page with a position, in samples, up to which it holds the sound (RFC 3533).

So the last page tells how long a stream is. Streams may follow one another (chained) and lie beside one another
(multiplexed); they begin with a page that says so.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from . import flac
from .window import Unreadable, Window

_OPUS_RATE = 48_000  # RFC 7845 4: positions count at 48 kHz, whatever the recording was
_SCAN_BYTES = 512 * 1024
_TAIL_BYTES = 64 * 1024
# Places that look like a page. One song of a recorded radio stream is one chained stream.
_MAX_CHAINED = 500
_MAX_TRIES = 5_000
# Pages until the first with sound; tags with pictures may fill some hundred.
_MAX_HEADER_PAGES = 1_000
_BEGINS = b"OggS\0\2"
_NO_POSITION = b"\xff" * 8


class _Page(NamedTuple):
    """RFC 3533 6."""

    serial: bytes
    position: int  # -1: no packet ends here
    lacing: bytes  # sizes of the packets, in bytes that are summed until one is less than 255
    begin: int  # of the packets
    end: int


class _Codec(NamedTuple):
    """What the first packet of a stream says."""

    rate: int
    skip: int  # samples a player throws away at the beginning
    block: int  # the most samples in a packet; 0: each Opus packet says it


def seconds(window: Window) -> float | None:
    """All chained streams one after another. None when one of them holds no sound we know."""
    total = 0.0
    places = [*_chain(window), window.size]
    for begin, end in itertools.pairwise(places):
        told = _stream_seconds(window, begin, end)
        if told is None:
            return None
        total += told
    return total


def _chain(window: Window) -> list[int]:
    """Where chained streams begin (RFC 3533 4). Pages of the beginning that follow one another are multiplexed, not chained."""
    places = [0]
    page = _read_page(window, 0)
    behind = page.end if page else 1
    tries = 0
    for at in _find_all(window, _BEGINS, 1):
        if at < behind:
            continue
        tries += 1
        if tries > _MAX_CHAINED:
            raise Unreadable
        page = _read_page(window, at)
        if page is None or not _is_sound(window, at, page.end):
            continue
        if at != behind:
            places.append(at)
        behind = page.end
    return places


def _stream_seconds(window: Window, begin: int, end: int) -> float | None:
    """The first stream with sound of those that begin at `begin`; the file, or the next of the chain, is at `end`."""
    serial = codec = None
    at = begin
    while (page := _read_page(window, at)) is not None and window.read(at, 6) == _BEGINS:
        codec = _read_codec(window.read(page.begin, min(page.end - page.begin, 128)))
        if codec is not None:
            serial = page.serial
            break
        at = page.end
    if serial is None or codec is None or not codec.rate:
        return None
    last = _last_position(window, begin, end, serial)
    if last is None or last < 0:
        return None
    first = _first_position(window, at, end, serial, codec)
    return max(0, last - first - codec.skip) / codec.rate


def _read_codec(packet: bytes) -> _Codec | None:
    """The identification header: RFC 7845 5.1, Vorbis I 4.2.2, RFC 9639 10.1, and speex_header.h."""
    if packet.startswith(b"OpusHead") and len(packet) >= 19:
        return _Codec(_OPUS_RATE, int.from_bytes(packet[10:12], "little"), 0)
    if packet.startswith(b"\x01vorbis") and len(packet) >= 30:
        return _Codec(int.from_bytes(packet[12:16], "little"), 0, 1 << (packet[28] >> 4))
    if packet.startswith(b"\x7fFLAC") and packet[9:13] == b"fLaC" and len(packet) >= 51:
        info = flac.read_info(packet[17:51])
        return _Codec(info.rate, 0, max(1, info.block))
    if packet.startswith(b"Speex   ") and len(packet) >= 68:
        rate, frame, frames = (int.from_bytes(packet[at : at + 4], "little") for at in (36, 56, 64))
        return _Codec(rate, 0, max(1, frame * frames))
    return None


def _last_position(window: Window, begin: int, end: int, serial: bytes) -> int | None:
    """Of the last whole page of the stream on which a packet ends, looked for backwards."""
    tries = 0
    while end > begin:
        at = max(begin, end - _TAIL_BYTES)
        data = window.read(at, end - at + 26)  # a page that begins in this piece shows its head
        found = end - at
        while (found := data.rfind(b"OggS", 0, found + 3)) >= 0:
            tries += 1
            if tries > _MAX_TRIES:
                raise Unreadable
            if data[found + 14 : found + 18] != serial or data[found + 6 : found + 14] == _NO_POSITION:
                continue
            page = _read_page(window, at + found)
            if page is not None and _is_sound(window, at + found, page.end):
                return page.position
        end = at
    return None


def _first_position(window: Window, at: int, end: int, serial: bytes, codec: _Codec) -> int:
    """Where the sound begins: 0, but in a recording cut out of a live stream (RFC 7845 4.3): the position of the first page with
    sound, less the samples on it. A packet of Vorbis may hold fewer than we take off, and Speex begins a little late, so less
    than a packet is nothing."""
    for _ in range(_MAX_HEADER_PAGES):
        page = _read_page(window, at)
        if page is None or page.end > end:
            break
        if page.serial == serial and page.position > 0:
            late = page.position - _count_samples(window, page, codec)
            return late if late > codec.block else 0
        at = page.end
    return 0


def _count_samples(window: Window, page: _Page, codec: _Codec) -> int:
    """At most so many samples end on this page."""
    if codec.block:
        return codec.block * sum(size < 255 for size in page.lacing)
    samples = size = 0
    at = page.begin
    for part in page.lacing:
        size += part
        if part < 255:
            samples += _opus_samples(window.read(at, 2)) if size else 0
            at += size
            size = 0
    return samples


def _opus_samples(packet: bytes) -> int:
    """RFC 6716 3.1 and 3.2: the first byte has the length of a frame and the kind of their count, the second may have the count."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    count = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[code]
    return frame * count


def _read_page(window: Window, at: int) -> _Page | None:
    """The page at this place, be it whole or not; None when there is none."""
    head = window.read(at, 27)
    if len(head) < 27 or not head.startswith(b"OggS\0"):
        return None
    lacing = window.read(at + 27, head[26])
    begin = at + 27 + len(lacing)
    position = int.from_bytes(head[6:14], "little", signed=True)
    return _Page(head[14:18], position, lacing, begin, begin + sum(lacing))


def _is_sound(window: Window, begin: int, end: int) -> bool:
    """Whether the page is whole and its checksum right (RFC 3533 6, field 7: polynomial 0x04c11db7, begun with 0, nothing reflected).

    zlib has the same polynomial with everything reflected, so we mirror what goes in, and compare with the mirrored sum.
    """
    data = bytearray(window.read(begin, end - begin))
    if len(data) < end - begin:
        return False
    said = bytes(data[22:26])
    data[22:26] = b"\0\0\0\0"
    crc = ~zlib.crc32(data.translate(_MIRRORED), 0xFFFF_FFFF) & 0xFFFF_FFFF
    return crc.to_bytes(4, "big").translate(_MIRRORED) == said


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _find_all(window: Window, needle: bytes, at: int) -> Iterator[int]:
    """Every place from `at` on where these bytes stand."""
    while data := window.read(at, _SCAN_BYTES):
        found = -1
        while (found := data.find(needle, found + 1)) >= 0:
            yield at + found
        if len(data) < _SCAN_BYTES:
            break
        at += len(data) - len(needle) + 1
