"""Files that are made to be looked at for ever: what was read of them is counted, and is little."""

from __future__ import annotations

import io
import random
import struct

import pytest
from support import containers as c

from ipin_proxy.media.audio import Audio, inspect

SIZE = 4 * 1024 * 1024

SMALL = c.mpeg_frame("ffff14", 32)
FREE = bytes.fromhex("fffb0064")
OPUS = c.ogg_page(0, c.opus_head(), flags=c.BEGINS)
FAKE_PAGE = b"OggS\0%c" + struct.pack("<qIIIB", 960, 7, 0, 0, 255) + b"\xff" * 255
STREAMED_FLAC = c.flac(blocks=c.flac_block(0, is_last=True))
UNFINISHED = c.FTYP + c.box(b"moov", c.clock(b"mvhd", 1_000, 0), c.track(), c.extends())
LIVE = c.matroska(c.element(c.CLUSTER, c.number(c.TIMESTAMP, 0), size=c.UNKNOWN, width=8), live=True)
WAVE = c.riff(size=0)


def filled(begin: bytes, *patterns: bytes) -> bytes:
    """The beginning, and the pattern over and over."""
    pattern = b"".join(patterns)
    return begin + pattern * ((SIZE - len(begin)) // len(pattern))


FILES = {
    "smallest frames": filled(b"", SMALL),
    "a stray byte behind every second frame": filled(SMALL * 3, SMALL, SMALL, b"\xff"),
    "a tag behind every second frame": filled(SMALL * 3, SMALL, SMALL, c.id3(0)),
    "headers of frames within frames": filled(SMALL * 3, c.MPEG_HEAD),
    "frames and then noise": filled(SMALL * 3, random.Random(1).randbytes(SIZE - 100)),
    "frames and then set bits": filled(SMALL * 3, b"\xff"),
    "tags": filled(b"", c.id3(0)),
    "tags with tags in them": filled(b"", b"ID3\4\0\0\0\0\0\1"),
    "frames of no length": filled(b"", FREE),
    "frames that nearly are of one length": filled(b"", FREE, b"\0" * 50, FREE, b"\0" * 51),
    "beginnings of streams": filled(OPUS, OPUS),
    "beginnings of streams with gaps": filled(OPUS, OPUS, b"\0"),
    "beginnings of pages": filled(OPUS, b"OggS"),
    "beginnings of first pages": filled(OPUS, b"OggS\0\2"),
    "pages with broken checksums": filled(OPUS, FAKE_PAGE % 0),
    "first pages with broken checksums": filled(OPUS, FAKE_PAGE % 2),
    "heads of large pages one in another": filled(OPUS, (FAKE_PAGE % 0)[:29]),
    "empty pages": filled(OPUS, c.ogg_page(0)),
    "empty pages of somebody else": filled(OPUS, c.ogg_page(5, serial=1)),
    "no second page": filled(OPUS, b"\0"),
    "heads of flac frames": filled(STREAMED_FLAC + c.flac_frame(0), b"\xff\xf8\xc9\x08\0"),
    "empty blocks of metadata": filled(c.flac(blocks=b" "), b"\4\0\0\0"),
    "empty boxes": filled(c.FTYP, c.box(b"free")),
    "empty films": filled(c.FTYP, c.box(b"moov")),
    "fragments": filled(UNFINISHED, c.fragment(c.run(1))),
    "fragments of empty boxes": filled(UNFINISHED, c.box(b"moof", c.box(b"free") * 2_000)),
    "fragments of nested empty boxes": filled(UNFINISHED, c.box(b"moof", c.box(b"traf", c.box(b"trun") * 2_000))),
    "fragments of long runs": filled(UNFINISHED, c.fragment(c.run(50_000, flags=0x100, fields=b"\0" * 200_000))),
    "long indices": filled(UNFINISHED, c.index(*[(0, 1)] * 20_000)),
    "tracks": filled(b"", c.box(b"moov", c.track() * 10_000)),
    "tracks of empty boxes": c.box(b"moov", c.box(b"trak", c.box(b"mdia", c.box(b"free") * 10_000)) * 40),
    "empty elements": filled(c.matroska(live=True), c.element(c.VOID)),
    "information of empty elements": filled(
        c.matroska(live=True), c.info() + c.element(c.INFO, c.element(c.VOID) * 500)
    ),
    "empty clusters": filled(LIVE, c.cluster(0, live=True)),
    "names of clusters": filled(LIVE, bytes.fromhex(c.CLUSTER)),
    "clusters without a time": filled(LIVE, c.element(c.CLUSTER, c.element(c.VOID) * 30)),
    "one endless cluster": filled(LIVE, c.block(0, content=b"")),
    "groups of empty elements": filled(LIVE, c.element(c.BLOCK_GROUP, c.element(c.VOID) * 60)),
    "no second cluster": filled(LIVE, b"\0"),
    "empty chunks": filled(WAVE, c.chunk(b"junk")),
    "formats without data": filled(WAVE, c.chunk(b"fmt ")),
}


class Counted(io.BytesIO):
    """A file that knows what was asked of it."""

    reads = bytes_read = most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.reads += 1
        self.bytes_read += len(data)
        self.most = max(self.most, len(data))
        return data


@pytest.mark.parametrize("name", FILES)
def test_little_is_read(name: str):
    data = FILES[name]
    file = Counted(data)
    audio = inspect(file, len(data))
    assert audio is None or isinstance(audio, Audio)
    assert file.most <= 512 * 1024
    assert file.bytes_read <= 64 * 1024 * 1024
    assert file.reads <= 4_000
