"""Samples without their header, in whatever pieces the file comes."""

from __future__ import annotations

import struct

import pytest
from support.build import wav

from ipin_proxy.dialects.wave import MOST_HEAD, Samples
from ipin_proxy.errors import UpstreamError

SOUND = bytes(range(256)) * 8


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    length = len(content) if size is None else size
    return name + struct.pack("<I", length) + content + b"\0" * (len(content) % 2)


def fmt(kind: int = 1, bits: int = 16) -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, 1, 24000, 48000, 2, bits))


def riff(*chunks: bytes) -> bytes:
    return b"RIFF\xff\xff\xff\xffWAVE" + b"".join(chunks)


FILES = {
    "plain": riff(fmt(), chunk(b"data", SOUND)),
    "titles in front, of an odd size": riff(
        chunk(b"LIST", b"INFOa"), fmt(), chunk(b"fact", b"1234"), chunk(b"data", SOUND)
    ),
    "titles behind": riff(fmt(), chunk(b"data", SOUND), chunk(b"LIST", b"INFO" * 9)),
    "a longer format": riff(
        chunk(b"fmt ", struct.pack("<HHIIHH", 0xFFFE, 1, 24000, 48000, 2, 16) + bytes(24)), chunk(b"data", SOUND)
    ),
    "size not known: 0": riff(fmt(), chunk(b"data", SOUND, 0)),
    "size not known: all ones": riff(fmt(), chunk(b"data", SOUND, 0xFFFFFFFF)),
    "size not known: half of that": riff(fmt(), chunk(b"data", SOUND, 0x7FFFFFFF)),
    "more announced than comes": riff(fmt(), chunk(b"data", SOUND, len(SOUND) + 100)),
}


@pytest.mark.parametrize("size", [1, 3, 44, 45, 1000, 10_000])
@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_the_samples_are_left(file: bytes, size: int) -> None:
    pipe = Samples("acme")
    out = b"".join(pipe.feed(file[at : at + size]) for at in range(0, len(file), size))
    assert out + pipe.finish() == SOUND


def test_no_samples_are_none() -> None:
    pipe = Samples("acme")
    assert pipe.feed(wav(0)) + pipe.finish() == b""


@pytest.mark.parametrize(
    "file",
    [
        b"ID3\x04 an mp3",
        b"{}",
        riff(fmt(kind=3, bits=32), chunk(b"data", SOUND)),
        riff(fmt(bits=8), chunk(b"data", SOUND)),
        riff(chunk(b"data", SOUND)),
        b"RIFF\0\0\0\0AVI " + fmt(),
        riff(chunk(b"LIST", bytes(MOST_HEAD + 100))),
    ],
)
def test_what_is_no_such_file_is_refused(file: bytes) -> None:
    pipe = Samples("acme")
    with pytest.raises(UpstreamError, match="Provider 'acme'"):
        for at in range(0, len(file), 1000):
            pipe.feed(file[at : at + 1000])
        pipe.finish()


@pytest.mark.parametrize("end", [0, 1, 12, 30, 43])
def test_a_file_that_ends_in_its_header_is_refused(end: int) -> None:
    pipe = Samples("acme")
    pipe.feed(FILES["plain"][:end])
    with pytest.raises(UpstreamError):
        pipe.finish()
