"""RIFF/WAVE: a format, and samples of it ("Multimedia Programming Interface and Data Specifications 1.0", Microsoft 1991; EBU
Tech 3306 for RF64, whose lengths have 64 bits and lie apart).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .window import Window

# A length that was not known when the head was written, and stands in `ds64` in an RF64 file.
_NOT_SAID = 0xFFFF_FFFF
_MAX_CHUNKS = 1_000
# Formats whose blocks are samples: PCM, float, A-law, µ-law. In others `fact` counts the samples. (mmreg.h)
_PLAIN = (1, 3, 6, 7)
_EXTENSIBLE = 0xFFFE


class _Format(NamedTuple):
    tag: int
    rate: int
    bytes_per_second: int
    block: int  # bytes a sample takes in all channels


class _Sizes(NamedTuple):
    """The chunk `ds64` (EBU Tech 3306, 3.1)."""

    data: int
    samples: int


def seconds(window: Window) -> float | None:
    """From the chunks `fmt `, `fact` and `data`, in any order, and `ds64`. None without format and data."""
    order: Literal["little", "big"] = "big" if window.read(0, 4) == b"RIFX" else "little"
    said = int.from_bytes(window.read(4, 4), order)
    form: _Format | None = None
    sizes: _Sizes | None = None
    samples = data = None
    at = 12
    for _ in range(_MAX_CHUNKS):
        head = window.read(at, 8)
        if len(head) < 8 or (form is not None and data is not None):
            break
        name, size = head[:4], int.from_bytes(head[4:], order)
        at += 8
        if name == b"fmt ":
            form = _read_format(window.exactly(at, min(size, 40)), order)
        elif name == b"fact":
            samples = int.from_bytes(window.exactly(at, 4), order)
        elif name == b"ds64":
            numbers = window.exactly(at, 24)
            sizes = _Sizes(int.from_bytes(numbers[8:16], "little"), int.from_bytes(numbers[16:], "little"))
        elif name == b"data":
            if size == _NOT_SAID and sizes is not None:
                size = sizes.data
            size = data = _data_size(window, at, size, said)
        at = _behind(window, at, size)
    if form is None or data is None:
        return None
    if samples == _NOT_SAID and sizes is not None:
        samples = sizes.samples
    return _reckon(form, data, samples)


def _read_format(fields: bytes, order: Literal["little", "big"]) -> _Format | None:
    """The chunk `fmt `. WAVE_FORMAT_EXTENSIBLE has the true tag at the beginning of a GUID (mmreg.h)."""
    if len(fields) < 14:
        return None
    tag = int.from_bytes(fields[0:2], order)
    if tag == _EXTENSIBLE and len(fields) >= 26:
        tag = int.from_bytes(fields[24:26], order)
    rate, bytes_per_second = (int.from_bytes(fields[at : at + 4], order) for at in (4, 8))
    return _Format(tag, rate, bytes_per_second, int.from_bytes(fields[12:14], order))


def _data_size(window: Window, at: int, said: int, riff_said: int) -> int:
    """What is there of the data. Programs that write into a pipe cannot come back to tell the length, so they say nothing (0)
    or very much; 0 is meant when the length of the whole is right, which is written at the same time."""
    rest = max(0, window.size - at)
    if said == 0 and riff_said + 8 != window.size:
        return rest
    return min(said, rest)


def _behind(window: Window, at: int, size: int) -> int:
    """Behind a chunk: odd ones are followed by a zero byte, which some programs forget and begin the next chunk at once."""
    at += size
    return at + 1 if size % 2 and window.read(at, 1) == b"\0" else at


def _reckon(form: _Format, data: int, samples: int | None) -> float | None:
    if form.tag in _PLAIN and form.block and form.rate:
        return data // form.block / form.rate
    if samples and samples != _NOT_SAID and form.rate:
        return samples / form.rate
    return data / form.bytes_per_second if form.bytes_per_second else None
