"""What an audio file is and how long it lasts, as its container tells. Nothing is decoded, and no file is read whole.

`inspect` never raises for what is in a file and takes no longer than a fraction of a second, whatever that is: the file is a
stranger's. It reads from the disk, so it is nothing for the loop. Names and content types are not looked at; who wants to
believe a name has EXTENSIONS.
"""

from __future__ import annotations

from typing import IO, NamedTuple

from . import flac, matroska, mp4, mpeg, ogg, riff
from .window import Unreadable, Window

# What providers take by name, lower-case. `oga` and `opus` are ogg, `mpga` and `mpeg` mostly mp3.
EXTENSIONS = frozenset(("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "opus", "wav", "webm"))

# Pictures in the container of mp4 (ISO/IEC 23008-12 10, AV1 Image File Format 6): no sound in them.
_PICTURES = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
# Boxes with which old QuickTime files begin, that have no `ftyp` (QuickTime File Format, "Overview").
_OLD_MOVIES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

# A month. Nobody sends more, so whoever tells more tells wrong.
_MAX_SECONDS = 30 * 24 * 3600.0


class Audio(NamedTuple):
    """What a file says of itself."""

    format: str  # "wav", "mp3", "ogg", "flac", "mp4" or "webm"
    seconds: float | None  # None when the container does not tell


def inspect(file: IO[bytes], size: int) -> Audio | None:
    """What the first `size` bytes of a seekable file are; None when they begin like nothing we know. Its position is moved."""
    window = Window(file, size)
    begin = mpeg.skip_tags(window)  # people tag flac as well
    name = _recognise(window, begin)
    if name is None:
        return None
    try:
        told = _measure(window, name, begin)
    except Unreadable:
        told = None
    return Audio(name, told if told is not None and 0 <= told <= _MAX_SECONDS else None)


def _recognise(window: Window, begin: int) -> str | None:
    """By the first bytes: RIFF (Microsoft 1991) and RF64 (EBU Tech 3306), RFC 3533 6, RFC 8794 11.2.1, RFC 9639 6, ISO/IEC 14496-12 4.3."""
    head = window.read(0, 16)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return "wav" if head[8:12] == b"WAVE" else None
    if head.startswith(b"OggS\0"):
        return "ogg"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm"
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _PICTURES else "mp4"
    box_size = int.from_bytes(head[:4], "big")
    if head[4:8] in _OLD_MOVIES and (box_size == 1 or 8 <= box_size <= window.size):
        return "mp4"
    if window.read(begin, 4) == b"fLaC":
        return "flac"
    if mpeg.find_frames(window, begin) is not None:
        return "mp3"
    # A tag alone says mp3, unless AAC is behind it (ADTS: the layer is 0), as in segments of HLS.
    behind = window.read(begin, 2)
    is_adts = len(behind) == 2 and behind[0] == 0xFF and behind[1] & 0xF6 == 0xF0
    return "mp3" if begin and not is_adts else None


def _measure(window: Window, name: str, begin: int) -> float | None:
    """As the container tells. Raises Unreadable."""
    if name == "wav":
        return riff.seconds(window)
    if name == "ogg":
        return ogg.seconds(window)
    if name == "flac":
        return flac.seconds(window, begin)
    if name == "mp4":
        return mp4.seconds(window)
    if name == "webm":
        return matroska.seconds(window)
    return mpeg.seconds(window, begin)
