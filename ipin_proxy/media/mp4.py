"""MP4, M4A and QuickTime: boxes within boxes (ISO/IEC 14496-12; 4.2 says how long a box is).

`moov` holds the clocks and tells how long the film is. In a fragmented file it does not, for that was not known when it was
written: there the fragments are summed, `moof` by `moof`, or what an index, `sidx`, says of them.
"""

from __future__ import annotations

import array
import sys
from collections.abc import Iterator
from typing import NamedTuple

from .window import Unreadable, Window

_MAX_BOXES = 20_000
_MAX_TRACKS = 64
# Fragments that are summed, mostly of a second or more; from those the rest is estimated. They and the indices hold up to 16
# bytes a sample, of which there are mostly 50 in a second.
_MAX_FRAGMENTS = 2_000
_MAX_FRAGMENT_BYTES = 8 * 1024 * 1024
_SAMPLES_AT_ONCE = 8 * 1024


class _Box(NamedTuple):
    """Its content is bytes `begin` to `end`."""

    kind: bytes
    begin: int
    end: int


class _Clock(NamedTuple):
    """Units per second, and how many; 0 when unknown."""

    scale: int
    units: int


class _Track(NamedTuple):
    number: int
    clock: _Clock
    handler: bytes
    has_samples: bool  # in `moov` itself


class _Movie(NamedTuple):
    """What `moov` tells."""

    clock: _Clock
    track: _Track | None  # the first with sound, else the first
    is_fragmented: bool
    told: int  # units of the whole with its fragments; 0 when not told
    sample_units: int  # the default in fragments


def seconds(window: Window) -> float | None:
    """From `moov`, wherever it is, and the fragments behind it."""
    moov = _first(window, _Box(b"", 0, window.size), b"moov")
    if moov is None:
        return None
    movie = _read_movie(window, moov)
    if movie.told:
        return _divide(movie.told, movie.clock.scale)
    track = movie.track
    whole = _divide(movie.clock.units, movie.clock.scale) or (track and _divide(track.clock.units, track.clock.scale))
    if not movie.is_fragmented or track is None:
        return whole
    fragments = _sum_fragments(window, moov.end, track, movie.sample_units)
    if not fragments:
        return whole
    # The film in `moov` is the first part, unless it has no samples and tells of all.
    return fragments + (whole or 0.0) if track.has_samples else fragments


def _sum_fragments(window: Window, at: int, track: _Track, sample_units: int) -> float | None:
    """What the indices say; without one, what the fragments say."""
    indexed: dict[int, float] = {}
    begin, number, read = 0, 0, 0
    units = 0.0
    for box in _boxes(window, at, window.size):
        if box.kind not in (b"sidx", b"moof"):
            continue
        read += box.end - box.begin
        if read > _MAX_FRAGMENT_BYTES:
            raise Unreadable
        if box.kind == b"sidx":
            stream, told = _read_index(window, box)
            indexed[stream] = indexed.get(stream, 0.0) + told
        elif not indexed:
            number += 1
            begin = begin or box.begin
            if number > _MAX_FRAGMENTS:
                units *= (window.size - begin) / (box.begin - begin)
                break
            units += _read_fragment(window, box, track.number, sample_units)
    return max(indexed.values(), default=0.0) or _divide(units, track.clock.scale)


def _read_movie(window: Window, moov: _Box) -> _Movie:
    """8.2.2 `mvhd`, 8.8.1 `mvex`."""
    clock = _Clock(0, 0)
    tracks: list[_Track] = []
    mvex: _Box | None = None
    for box in _boxes(window, moov.begin, moov.end):
        if box.kind == b"mvhd":
            clock = _read_clock(window, box)
        elif box.kind == b"trak" and len(tracks) < _MAX_TRACKS:
            tracks.append(_read_track(window, box))
        elif box.kind == b"mvex":
            mvex = box
    track = next((each for each in tracks if each.handler == b"soun"), tracks[0] if tracks else None)
    told = sample_units = 0
    for box in _boxes(window, mvex.begin, mvex.end) if mvex else ():
        if box.kind == b"mehd":  # 8.8.2
            told = window.number(box.begin + 4, 8 if window.number(box.begin, 1) else 4)
        elif box.kind == b"trex" and track is not None and window.number(box.begin + 4, 4) == track.number:  # 8.8.3
            sample_units = window.number(box.begin + 12, 4)
    return _Movie(clock, track, mvex is not None, told, sample_units)


def _read_clock(window: Window, box: _Box) -> _Clock:
    """8.2.2 `mvhd` and 8.4.2 `mdhd` begin alike: two times, the scale, the duration; all of its bits are set when it is unknown."""
    size = 8 if window.number(box.begin, 1) else 4
    at = box.begin + 4 + 2 * size
    units = window.number(at + 4, size)
    return _Clock(window.number(at, 4), 0 if units == (1 << 8 * size) - 1 else units)


def _read_track(window: Window, trak: _Box) -> _Track:
    """8.3.2 `tkhd`, 8.4.2 `mdhd`, 8.4.3 `hdlr`, 8.6.1.2 `stts`."""
    number, clock, handler, has_samples = 0, _Clock(0, 0), b"", False
    if tkhd := _first(window, trak, b"tkhd"):
        number = window.number(tkhd.begin + (20 if window.number(tkhd.begin, 1) else 12), 4)
    if mdia := _first(window, trak, b"mdia"):
        if mdhd := _first(window, mdia, b"mdhd"):
            clock = _read_clock(window, mdhd)
        if hdlr := _first(window, mdia, b"hdlr"):
            handler = window.exactly(hdlr.begin + 8, 4)
        stts = _first(window, mdia, b"minf", b"stbl", b"stts")
        has_samples = stts is not None and window.number(stts.begin + 4, 4) > 0
    return _Track(number, clock, handler, has_samples)


def _read_index(window: Window, box: _Box) -> tuple[int, float]:
    """8.16.3 `sidx`: the stream it is for, and the seconds it lists; what refers to another index is counted there."""
    size = 8 if window.number(box.begin, 1) else 4
    stream, scale = window.number(box.begin + 4, 4), window.number(box.begin + 8, 4)
    at = box.begin + 12 + 2 * size + 2
    count = window.number(at, 2)
    numbers = _numbers(window.exactly(at + 2, 12 * count))
    units = sum(told for kind, told in zip(numbers[::3], numbers[1::3], strict=True) if kind < 1 << 31)
    return stream, _divide(units, scale) or 0.0


def _read_fragment(window: Window, moof: _Box, track: int, sample_units: int) -> int:
    """8.8.6 `traf`: the units of the samples of this track in the fragment."""
    total = 0
    for traf in _boxes(window, moof.begin, moof.end):
        if traf.kind != b"traf":
            continue
        usual = sample_units
        for box in _boxes(window, traf.begin, traf.end):
            if box.kind == b"tfhd":  # 8.8.7
                flags, number = divmod(window.number(box.begin, 8), 1 << 32)
                if number != track:
                    break
                if flags & 8:
                    usual = window.number(box.begin + 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0), 4)
            elif box.kind == b"trun":
                total += _read_run(window, box, usual)
    return total


def _read_run(window: Window, box: _Box, usual: int) -> int:
    """8.8.8 `trun`: as many samples as it says; their units stand first among their fields, if they stand there."""
    flags, count = divmod(window.number(box.begin, 8), 1 << 32)
    if not flags & 0x100:
        return count * usual
    fields = sum(bool(flags & flag) for flag in (0x100, 0x200, 0x400, 0x800))
    at = box.begin + 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    end, step = at + 4 * fields * count, 4 * fields * _SAMPLES_AT_ONCE
    if end > box.end:
        raise Unreadable
    return sum(sum(_numbers(window.exactly(here, min(step, end - here)))[::fields]) for here in range(at, end, step))


def _numbers(data: bytes) -> array.array[int]:
    """A table of 32-bit numbers."""
    numbers = array.array("I", data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _first(window: Window, outer: _Box, *path: bytes) -> _Box | None:
    """The first box of this kind in another; of several kinds, one within the other."""
    box: _Box | None = outer
    for kind in path:
        if box is None:
            return None
        box = next((each for each in _boxes(window, box.begin, box.end) if each.kind == kind), None)
    return box


def _boxes(window: Window, at: int, end: int) -> Iterator[_Box]:
    """4.2: a size of 1 means that 64 bits of it follow, 0 that the box goes on to the end. A broken size ends the list.
    Raises Unreadable for too many."""
    for _ in range(_MAX_BOXES):
        head = window.read(at, 16) if at + 8 <= end else b""
        if len(head) < 8:
            return
        size, begin = int.from_bytes(head[:4], "big"), at + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16], "big"), at + 16
        elif size == 0:
            size = end - at
        if size < begin - at:
            return
        yield _Box(head[4:8], begin, min(at + size, end))
        at += size
    raise Unreadable


def _divide(units: float, scale: int) -> float | None:
    return units / scale if units and scale else None
