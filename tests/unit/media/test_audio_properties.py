"""Damaged files of every kind: something is said of them, and nothing is raised."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st
from support import containers as c

from ipin_proxy.media.audio import Audio, inspect

FRAGMENTED = c.FTYP + c.box(b"moov", c.clock(b"mvhd", 1_000, 0), c.track(), c.extends())
WHOLE = {
    "wav": c.wav(0.05),
    "mp3": c.id3(20)
    + c.MPEG_HEAD.ljust(36, b"\0")
    + c.xing(3, 1_668, lame=(576, 300)).ljust(381, b"\0")
    + c.MPEG_FRAME * 3,
    "plain mp3": c.mpeg_frame("ffe318", 72) * 12 + c.id3v1(),
    "free mp3": c.mpeg_frame("fffb00", 300) * 8,
    "ogg": c.opus(0.1, serial=1) + c.opus(0.1, serial=2),
    "flac": c.flac(4_096 * 3),
    "streamed flac": c.flac(blocks=c.flac_block(9, is_last=True), frames=b"".join(map(c.flac_frame, range(9)))),
    "mp4": c.mp4(),
    "fragmented mp4": FRAGMENTED + c.fragment(c.run(9), c.run(1, flags=0x100, fields=b"\0\0\4\0")) * 2,
    "indexed mp4": FRAGMENTED + c.index((0, 48_000), (1, 9)) + c.fragment(c.run(9)),
    "webm": c.webm(),
    "live webm": c.matroska(
        c.info(), c.cluster(0, *map(c.block, range(0, 200, 20)), c.block_group(9, 5), live=True), live=True
    ),
}
EXTREMES = st.sampled_from(
    [
        b"\0",
        b"\xff",
        b"\0" * 4,
        b"\xff" * 4,
        b"\xff" * 8,
        b"\x7f\xff\xff\xff",
        b"\0\0\0\1",
        b"\x80",
        b"\xff\xfb\x90",
        b"OggS\0\2",
    ]
)
KINDS = st.sampled_from(sorted(WHOLE))


def look(data: bytes) -> Audio | None:
    audio = inspect(io.BytesIO(data), len(data))
    if audio is not None:
        assert audio.format in ("wav", "mp3", "ogg", "flac", "mp4", "webm")
        assert audio.seconds is None or 0 <= audio.seconds <= 30 * 86_400
    return audio


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_undamaged_they_tell_how_long_they_are(kind: str):
    audio = look(WHOLE[kind])
    assert audio is not None
    assert audio.format == kind.split()[-1]
    assert audio.seconds


@given(
    KINDS, st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 30), EXTREMES | st.binary(max_size=8)), max_size=4)
)
def test_damaged_files_are_read_or_not(kind: str, damages: list[tuple[int, int, bytes]]):
    data = WHOLE[kind]
    for at, gone, piece in damages:
        at %= len(data) + 1
        data = data[:at] + piece + data[at + gone :]
    look(data)


@given(KINDS, st.integers(0, 4_000))
def test_cut_files_do_not_last_longer(kind: str, at: int):
    data = WHOLE[kind]
    whole, cut = look(data), look(data[: at % len(data)])
    if cut is not None and cut.seconds is not None and whole is not None and whole.seconds is not None:
        assert cut.seconds <= whole.seconds + 0.05


@given(st.lists(KINDS, min_size=2, max_size=3), st.integers(0, 4_000), st.binary(max_size=20))
def test_files_in_one_another_are_read_or_not(kinds: list[str], at: int, between: bytes):
    first, *others = (WHOLE[kind] for kind in kinds)
    at %= len(first) + 1
    look(first[:at] + between.join(others) + first[at:])


@given(st.sampled_from([b"", *(data[:64] for data in WHOLE.values())]), st.binary(max_size=300))
def test_any_bytes_are_read_or_not(begin: bytes, data: bytes):
    look(begin + data)
