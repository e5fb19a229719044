"""What audio files are and how long they last: containers built byte by byte, and such as lie."""

from __future__ import annotations

import io

import pytest

from ipin_proxy.media.audio import EXTENSIONS, Audio, inspect


def look(data: bytes) -> Audio | None:
    return inspect(io.BytesIO(data), len(data))


def format_of(data: bytes) -> str | None:
    audio = look(data)
    return audio and audio.format


def id3(size: int, *, flags: int = 0) -> bytes:
    """An ID3v2.4 tag with `size` bytes of frames, footer included when the flag is set."""
    lengths = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0" + bytes((flags,)) + lengths + b"\0" * size + (b"3DI\4\0\x10" + lengths if flags & 0x10 else b"")


# MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes.
FRAME = b"\xff\xfb\x90\x64" + b"\0" * 413


# ---- what it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "wav"),
        (b"RIFX\0\0\0\x24WAVEfmt ", "wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"BW64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"OggS\0\2", "ogg"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"\x1a\x45\xdf\xa3\x9f", "webm"),
        (b"\0\0\0\x1cftypM4A ", "mp4"),
        (b"\0\0\0\x20ftypisom", "mp4"),
        (b"\0\0\0\x08widemdat", "mp4"),
        (FRAME * 2, "mp3"),
        (FRAME, "mp3"),
        (id3(300) + FRAME * 2, "mp3"),
        (id3(300, flags=0x10) + FRAME * 2, "mp3"),
        (id3(3) + id3(20_000) + FRAME * 2, "mp3"),
        (id3(300) + b"fLaC", "flac"),
        (id3(300), "mp3"),
        (id3(300)[:100], "mp3"),
        (b"\0" * 700 + FRAME * 6, "mp3"),
        (FRAME[100:] + FRAME * 6, "mp3"),
    ],
)
def test_known_beginnings_are_known(head: bytes, name: str):
    assert format_of(head) == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"\xff\xfb\x90",
        b"RIFF",
        b"RIFF\x24\0\0\0AVI LIST",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x1cftypavif",
        b"OggT\0\2",
        b'{"model": "whisper-1"}',
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        b"\xff\xf1\x50\x80\x2e\x7f\xfc" * 100,  # AAC in ADTS
        id3(300) + b"\xff\xf1\x50\x80\x2e\x7f\xfc" * 100,
        "\ufeffHello, this is a text of some length, and more of it.".encode("utf-16-le") * 20,
        b"\xff" * 20_000,
        b"\0" * 20_000,
        FRAME[:100] + b"and no second frame" * 100,
    ],
)
def test_anything_else_is_not(head: bytes):
    assert look(head) is None


def test_only_the_window_counts():
    assert inspect(io.BytesIO(b"fLaC"), 3) is None
    assert inspect(io.BytesIO(b"fLaC"), 4_000_000) == Audio("flac", None)  # the file is shorter than was said


def test_extensions_are_plain_words():
    assert {"mp3", "mp4", "mpeg", "mpga", "m4a", "wav", "webm", "flac", "ogg"} <= EXTENSIONS
    assert all(name.isalnum() and name == name.lower() for name in EXTENSIONS)
