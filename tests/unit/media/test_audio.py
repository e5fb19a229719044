"""What audio files are and how long they last: containers built byte by byte, and such as lie."""

from __future__ import annotations

import io
import random
import struct

import pytest
from support import containers as c

from ipin_proxy.media.audio import EXTENSIONS, Audio, inspect
from ipin_proxy.web.multipart import parse_file

FRAME = c.MPEG_FRAME
FRAME_S = 1_152 / 44_100


def look(data: bytes) -> Audio | None:
    return inspect(io.BytesIO(data), len(data))


def format_of(data: bytes) -> str | None:
    audio = look(data)
    return audio and audio.format


def seconds_of(data: bytes) -> float | None:
    audio = look(data)
    assert audio is not None
    return audio.seconds


def head_of(value: object) -> str | None:
    """The name of a case in the report."""
    return repr(value[:16]) if isinstance(value, bytes) else None


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=1e-6)


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
        (b"\0\0\0\1mdat\0\0\0\0\0\0\0\x10", "mp4"),
        (FRAME * 2, "mp3"),
        (FRAME, "mp3"),
        (FRAME[:100], "mp3"),
        (c.id3(300) + FRAME * 2, "mp3"),
        (c.id3(300, flags=0x10) + FRAME * 2, "mp3"),
        (c.id3(3) + c.id3(20_000) + FRAME * 2, "mp3"),
        (c.id3(300) + c.flac(), "flac"),
        (c.id3(300), "mp3"),
        (c.id3(300)[:100], "mp3"),
        (b"\0" * 700 + FRAME * 6, "mp3"),
        (FRAME[100:] + FRAME * 6, "mp3"),
    ],
    ids=head_of,
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
        b"Tax free, and all that. " * 100,
        b"ID3 tags are a way to name songs. " * 100,
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        b"\xff\xf1\x50\x80\x2e\x7f\xfc" * 100,  # AAC in ADTS
        c.id3(300) + b"\xff\xf1\x50\x80\x2e\x7f\xfc" * 100,
        "\ufeffHello, this is a text of some length, and more of it.".encode("utf-16-le") * 20,
        b"\xff" * 20_000,
        b"\0" * 20_000,
        FRAME[:100] + b"and no second frame" * 100,
        random.Random(5).randbytes(200_000),
    ],
    ids=head_of,
)
def test_anything_else_is_not(head: bytes):
    assert look(head) is None


def test_only_the_window_counts():
    assert inspect(io.BytesIO(b"fLaC"), 3) is None
    assert inspect(io.BytesIO(b"fLaC"), 4_000_000) == Audio("flac", None)  # the file is shorter than was said
    assert inspect(io.BytesIO(c.wav(2.0)), 44 + 16_000) == Audio("wav", 1.0)
    assert inspect(io.BytesIO(c.wav(2.0)), 4_000_000) == Audio("wav", 2.0)


def test_an_upload_is_looked_at_where_it_lies_in_its_form():
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    form = parse_file(io.BytesIO(head + c.opus(2.0) + b"\r\n--XX--\r\n"), "multipart/form-data; boundary=XX")
    (file,) = form.files
    assert inspect(file.open(), file.size) == Audio("ogg", about(2.0))


def test_extensions_are_plain_words():
    assert {"mp3", "mp4", "mpeg", "mpga", "m4a", "wav", "webm", "flac", "ogg"} <= EXTENSIONS
    assert all(name.isalnum() and name == name.lower() for name in EXTENSIONS)


@pytest.mark.parametrize("make", [c.wav, c.opus, c.mp4, c.webm])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 4.0])
def test_plain_files_tell_how_long_they_are(make, seconds: float):
    assert seconds_of(make(seconds)) == about(seconds)


# ---- wav -------------------------------------------------------------------------------------------------------------

FORMAT = c.chunk(b"fmt ", c.wave_format())
SECOND = b"\0\0" * 8_000  # of that format
NOT_SAID = 0xFFFF_FFFF


@pytest.mark.parametrize(
    "chunks",
    [
        [c.chunk(b"LIST", b"INFO" + b"\0" * 7), FORMAT, c.chunk(b"data", SECOND)],
        [FORMAT, c.chunk(b"LIST", b"odd"), c.chunk(b"PEAK", b"\0" * 16), c.chunk(b"data", SECOND)],
        [FORMAT, c.chunk(b"LIST", b"odd")[:-1], c.chunk(b"data", SECOND)],  # whose padding was forgotten
        [FORMAT, c.chunk(b"data", SECOND), c.chunk(b"LIST", b"\0" * 2_000)],
        [c.chunk(b"data", SECOND), FORMAT],
        [FORMAT, c.chunk(b"data", SECOND, size=NOT_SAID)],
        [FORMAT, c.chunk(b"data", SECOND, size=0x7FFF_F000)],
        [FORMAT, c.chunk(b"data", SECOND), b"LIST"],
    ],
)
def test_a_wav_of_chunks_in_any_order(chunks: list[bytes]):
    assert seconds_of(c.riff(*chunks)) == 1.0


@pytest.mark.parametrize("said", [0, 36, NOT_SAID])
def test_a_streamed_wav_that_was_never_finished_goes_on_to_its_end(said: int):
    assert seconds_of(c.riff(FORMAT, c.chunk(b"data", SECOND, size=0), size=said)) == 1.0


def test_an_empty_wav_lasts_no_time():
    assert seconds_of(c.wav(0)) == 0.0
    assert seconds_of(c.riff(FORMAT, c.chunk(b"data"), c.chunk(b"LIST", b"\0" * 2_000))) == 0.0


def test_a_wav_that_was_cut_lasts_as_long_as_there_is_of_it():
    assert seconds_of(c.wav(2.0)[: 44 + 16_000]) == 1.0


GUID = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"


@pytest.mark.parametrize(
    ("form", "data", "seconds"),
    [
        (c.wave_format(1, rate=44_100, block=12, channels=6), 12 * 44_100, 1.0),
        (c.wave_format(3, rate=48_000, block=4), 4 * 24_000, 0.5),
        (c.wave_format(7, block=1), 8_000, 1.0),
        (c.wave_format(0xFFFE, block=3, more=b"\x16\0\x18\0\4\0\0\0\1\0" + GUID), 3 * 8_000, 1.0),
        # What the head says of bytes in a second may be wrong; of samples it is not.
        (struct.pack("<HHIIHH", 1, 1, 8_000, 1, 2, 16), 16_000, 1.0),
    ],
)
def test_samples_are_counted_by_the_format_of_a_wav(form: bytes, data: int, seconds: float):
    assert seconds_of(c.riff(c.chunk(b"fmt ", form), c.chunk(b"data", b"\0" * data))) == seconds


def test_a_compressed_wav_counts_its_samples_in_fact_or_else_bytes():
    form = c.chunk(b"fmt ", struct.pack("<HHIIHH", 0x11, 1, 8_000, 4_055, 256, 4) + b"\2\0\xf9\1")
    fact = c.chunk(b"fact", struct.pack("<I", 12_000))
    data = c.chunk(b"data", b"\0" * 8_110)
    assert seconds_of(c.riff(form, fact, data)) == 1.5
    assert seconds_of(c.riff(form, data)) == 2.0
    assert seconds_of(c.riff(form, c.chunk(b"fact", b"\0" * 4), data)) == 2.0


def test_the_long_sizes_of_rf64():
    sizes = c.chunk(b"ds64", struct.pack("<QQQI", 0, len(SECOND), 8_000, 0))
    data = c.chunk(b"data", SECOND, size=NOT_SAID)
    assert seconds_of(c.riff(sizes, FORMAT, data, c.chunk(b"bext", b"\0" * 600), name=b"RF64", size=NOT_SAID)) == 1.0
    form = c.chunk(b"fmt ", struct.pack("<HHIIHH", 2, 1, 8_000, 4_096, 256, 4))
    fact = c.chunk(b"fact", struct.pack("<I", NOT_SAID))
    assert seconds_of(c.riff(sizes, form, fact, data, name=b"RF64", size=NOT_SAID)) == 1.0


def test_a_wav_with_its_bytes_the_other_way_round():
    form = c.chunk(b"fmt ", struct.pack(">HHIIHH", 1, 1, 8_000, 16_000, 2, 16), order=">")
    assert seconds_of(c.riff(form, c.chunk(b"data", SECOND, order=">"), name=b"RIFX", order=">")) == 1.0


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [c.chunk(b"data", SECOND)],
        [FORMAT],
        [c.chunk(b"fmt ", b"\1\0"), c.chunk(b"data", SECOND)],
        [c.chunk(b"fmt ", b"\0" * 16), c.chunk(b"data", SECOND)],
        [c.chunk(b"fmt ", struct.pack("<HHIIHH", 2, 1, 8_000, 0, 2, 16)), c.chunk(b"data", SECOND)],
    ],
)
def test_a_wav_without_format_or_data_tells_nothing(chunks: list[bytes]):
    assert look(c.riff(*chunks)) == Audio("wav", None)


# ---- mp3 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "size", "samples", "rate"),
    [
        ("fffb90", 417, 1_152, 44_100),  # MPEG 1, layer III, 128 kbit/s
        ("fffb92", 418, 1_152, 44_100),  # with padding
        ("fffa94", 384, 1_152, 48_000),  # with a checksum
        ("fffbe8", 1_440, 1_152, 32_000),
        ("fff390", 261, 576, 22_050),  # MPEG 2, layer III, 80 kbit/s
        ("ffe318", 72, 576, 8_000),  # MPEG 2.5, 8 kbit/s
        ("ffe390", 522, 576, 11_025),
        ("fffd90", 522, 1_152, 44_100),  # layer II, 160 kbit/s
        ("fff590", 522, 1_152, 22_050),
        ("ffff90", 312, 384, 44_100),  # layer I, 288 kbit/s, slots of four bytes
        ("ffff92", 316, 384, 44_100),
        ("fff790", 312, 384, 22_050),
    ],
)
def test_frames_of_every_version_and_layer_are_counted(head: str, size: int, samples: int, rate: int):
    assert look(c.mpeg_frame(head, size) * 10) == Audio("mp3", about(10 * samples / rate))


def test_frames_of_changing_bitrate_are_counted():
    mixed = FRAME + c.mpeg_frame("fffbb0", 626) + c.mpeg_frame("fffb52", 209) + FRAME
    assert seconds_of(mixed * 5) == about(20 * FRAME_S)


def test_tags_are_no_sound():
    tagged = c.id3(1_000, flags=0x10) + c.id3(5) + FRAME * 10 + c.id3v1()
    assert seconds_of(tagged) == about(10 * FRAME_S)
    assert seconds_of(tagged + tagged) == about(20 * FRAME_S)
    assert seconds_of(c.id3(1_000) + b"\0" * 50_000 + FRAME * 10) == about(10 * FRAME_S)  # more padding than was told


def test_garbage_between_frames_is_skipped():
    garbage = random.Random(3).randbytes(50_000)
    data = FRAME * 10 + garbage + FRAME * 10 + b"\xff\xfb" * 20 + FRAME * 10 + b"APETAGEX" + b"\0" * 500
    assert seconds_of(data) == about(30 * FRAME_S)


def test_a_recording_cut_from_a_stream_begins_within_a_frame():
    assert seconds_of(FRAME[200:] + FRAME * 10 + FRAME[:100]) == about(11 * FRAME_S)


def first_frame(content: bytes, *, head: bytes = c.MPEG_HEAD, at: int = 36, size: int = 417) -> bytes:
    return (head.ljust(at, b"\0") + content).ljust(size, b"\0")


@pytest.mark.parametrize(
    ("head", "at", "size", "samples", "rate"),
    [
        ("fffb9004", 36, 417, 1_152, 44_100),
        ("fffb90c4", 21, 417, 1_152, 44_100),  # one channel
        ("fffa9004", 38, 417, 1_152, 44_100),  # behind a checksum
        ("fff39004", 21, 261, 576, 22_050),
        ("fff390c4", 13, 261, 576, 22_050),
    ],
)
def test_the_count_in_the_first_frame_is_believed(head: str, at: int, size: int, samples: int, rate: int):
    first = first_frame(c.xing(1_000), head=bytes.fromhex(head), at=at, size=size)
    assert seconds_of(first + c.mpeg_frame(head, size) * 2) == about(1_000 * samples / rate)


def test_what_the_encoder_added_is_taken_off():
    first = first_frame(c.xing(10, 11 * 417, name=b"Info", lame=(576, 1_000)))
    exact = (10 * 1_152 - 1_576) / 44_100
    assert seconds_of(first + FRAME * 10) == about(exact)
    assert seconds_of(first_frame(c.xing(0, lame=(576, 1_000))) + FRAME * 10) == about(exact)


def test_the_count_of_fraunhofer():
    first = first_frame(b"VBRI" + struct.pack(">HHHII", 1, 0, 75, 101 * 417, 100))
    assert seconds_of(first + FRAME * 100) == about(100 * FRAME_S)


def test_a_count_that_is_not_of_this_file_is_not_believed():
    """As when a file was cut, or others were joined to it."""
    first = first_frame(c.xing(1_000, 1_001 * 417))
    assert seconds_of(first + FRAME * 100) == about(100 * FRAME_S)
    assert seconds_of(first_frame(c.xing(10, 11 * 417)) + FRAME * 200) == about(200 * FRAME_S)
    assert seconds_of(first_frame(c.xing(100, 101 * 417)) + FRAME * 89) == about(89 * FRAME_S)


def test_frames_in_the_free_format_are_as_long_as_the_first():
    free, padded = c.mpeg_frame("fffb00", 700, b"\4" + b"\xff\xfb\x00 in it"), c.mpeg_frame("fffb02", 701)
    assert look((free + padded) * 10) == Audio("mp3", about(20 * FRAME_S))
    assert seconds_of(free * 5 + b"garbage" + free * 5) == about(10 * FRAME_S)
    assert look(free + b"\0" * 20_000) is None


def test_of_very_many_frames_the_rest_is_estimated():
    small = c.mpeg_frame("ffff14", 32)  # the shortest there are, of 8 ms
    assert seconds_of(small * 300_000) == pytest.approx(300_000 * 0.008, rel=1e-3)


def test_a_tag_without_frames_tells_nothing():
    assert look(c.id3(300) + b"\0" * 20_000) == Audio("mp3", None)
    assert look(c.id3(300)) == Audio("mp3", None)


# ---- ogg -------------------------------------------------------------------------------------------------------------


def test_opus_begins_behind_its_pre_skip():
    assert look(c.opus(2.5, skip=3_840)) == Audio("ogg", about(2.5))


def test_a_recording_of_a_live_stream_does_not_begin_at_zero():
    assert seconds_of(c.opus(2.0, begins_at=48_000 * 3_600)) == about(2.0)
    two = bytes((31 << 3 | 1,)) + b"\0" * 20  # two frames in a packet
    some = bytes((3 << 3 | 3, 2)) + b"\0" * 20  # as many as the second byte says, of 60 ms each
    head = c.ogg_page(0, c.opus_head(skip=0), flags=c.BEGINS) + c.ogg_page(0, b"OpusTags")
    for packet, samples in ((two, 1_920), (some, 5_760)):
        late = c.ogg_page(480_000, packet, packet * 2) + c.ogg_page(480_000 + samples, packet)
        assert seconds_of(head + late) == about(3 * samples / 48_000)


def test_vorbis_flac_and_speex_in_ogg():
    def stream(head: bytes, *positions: int) -> bytes:
        pages = [c.ogg_page(position, b"\0" * 300, b"\0" * 20) for position in positions]
        return b"".join([c.ogg_page(0, head, flags=c.BEGINS), c.ogg_page(0, b"comments"), *pages])

    in_ogg = b"\x7fFLAC\1\0\0\1fLaC" + struct.pack(">I", 34) + c.flac_info(0, block=4_096)
    assert seconds_of(stream(c.vorbis_head(rate=8_000), 3_000, 20_000)) == 2.5
    assert seconds_of(stream(c.speex_head(), 640, 32_000)) == 2.0
    assert seconds_of(stream(in_ogg, 8_192, 44_100)) == 1.0
    # What a page can hold at most is taken off the position of the first.
    assert seconds_of(stream(c.vorbis_head(rate=8_000), 804_096, 820_000)) == 2.5
    assert seconds_of(stream(in_ogg, 44_100_000 + 8_192, 44_144_100)) == 1.0


def test_pages_on_which_no_packet_ends_have_no_position():
    assert seconds_of(c.opus(1.0) + c.ogg_page(c.NOWHERE, b"\0" * 255)) == about(1.0)


def test_chained_streams_are_added():
    assert seconds_of(c.opus(1.0, serial=1) + c.opus(2.0, serial=2) + c.opus(0.5, serial=3)) == about(3.5)
    assert seconds_of(c.opus(1.0) * 4) == about(4.0)  # the number should be another, but files are joined anyhow


@pytest.mark.parametrize("before", [0, 1, 5, 6, 26, 27, 28])
def test_pages_are_found_wherever_pieces_of_the_file_end(before: int):
    """They are looked for forwards in 512 kB, backwards in 64 kB."""
    first, second = c.opus(1.0, serial=1), c.opus(2.0, serial=2)
    assert seconds_of(first + b"\0" * (512 * 1024 - len(first) - before) + second) == about(3.0)
    assert seconds_of(first + b"\0" * (512 * 1024 - before) + second + b"\0" * 400_000) == about(3.0)
    last = c.ogg_page(144_312, c.OPUS_PACKET, serial=1)
    assert seconds_of(first + b"\0" * 70_000 + last + b"\0" * (64 * 1024 - len(last) + before)) == about(3.0)


@pytest.mark.parametrize(("config", "samples"), [(0, 480), (7, 2_880), (11, 2_880), (13, 960), (16, 120), (30, 480)])
def test_the_modes_of_opus_have_frames_of_their_own(config: int, samples: int):
    head = c.ogg_page(0, c.opus_head(skip=0), flags=c.BEGINS) + c.ogg_page(0, b"OpusTags")
    packet = bytes((config << 3,)) + b"\0" * 9
    assert seconds_of(head + c.ogg_page(480_000 + samples, packet)) == about(samples / 48_000)


def test_of_streams_beside_one_another_the_sound_counts():
    sound = c.opus(1.0, serial=9)
    first, rest = sound[:47], sound[47:]
    assert rest.startswith(b"OggS")
    picture = c.ogg_page(0, b"\x80theora" + b"\0" * 35, serial=8, flags=c.BEGINS)
    skeleton = c.ogg_page(0, b"fishead\0" + b"\0" * 56, serial=5, flags=c.BEGINS)
    film = c.ogg_page(10**9, b"\0" * 40, serial=8) * 30
    assert seconds_of(skeleton + picture + first + film + rest + film) == about(1.0)


def test_what_looks_like_a_page_and_is_none_is_passed_over():
    fake = bytearray(c.ogg_page(10**9, b"\0" * 40))
    fake[30] ^= 1
    begin = c.ogg_page(0, c.opus_head(), flags=c.BEGINS)
    broken = begin[:-1] + b"\1"
    tail = c.ogg_page(48_312, c.OPUS_PACKET, bytes(fake), broken)
    assert seconds_of(c.opus(0.5) + tail + bytes(fake) + b"OggS\0\2") == about(1.0)


def test_an_ogg_that_was_cut_lasts_until_the_last_whole_page():
    whole = c.opus(2.0)
    assert seconds_of(whole[:-10]) == about((9_600 * 10 - 312) / 48_000)


@pytest.mark.parametrize(
    "data",
    [
        b"OggS\0",
        c.ogg_page(0, c.opus_head(), flags=c.BEGINS)[:-1],
        c.ogg_page(0, b"\x80theora" + b"\0" * 35, flags=c.BEGINS) + c.ogg_page(100, b"\0"),
        c.ogg_page(0, b"OpusHead", flags=c.BEGINS) + c.ogg_page(100, b"\0"),
        c.ogg_page(0, c.vorbis_head(rate=0), flags=c.BEGINS) + c.ogg_page(100, b"\0"),
        c.ogg_page(0, c.opus_head(), flags=c.BEGINS) + c.ogg_page(-5, b"\0"),
        c.opus(1.0) + c.ogg_page(2**62, b"\0"),
        c.opus(1.0) + c.ogg_page(0, b"no sound", serial=8, flags=c.BEGINS),
    ],
    ids=head_of,
)
def test_an_ogg_without_sound_we_know_tells_nothing(data: bytes):
    assert look(data) == Audio("ogg", None)


# ---- flac ------------------------------------------------------------------------------------------------------------


def test_flac_tells_its_samples():
    assert look(c.flac(44_100 * 3)) == Audio("flac", 3.0)
    assert seconds_of(c.flac(2**36 - 1, rate=655_350)) == about((2**36 - 1) / 655_350)
    assert seconds_of(c.id3(500) + c.flac(44_100)) == 1.0


def test_a_streamed_flac_is_as_long_as_its_last_frame_says():
    blocks = c.flac_block(5_000) + c.flac_block(40, is_last=True)
    last = c.flac_frame(199, size_code=7, size=struct.pack(">H", 99), content=b"\xff\xf8\xff\xf9" * 30)
    frames = b"".join(map(c.flac_frame, range(199))) + last
    assert seconds_of(c.flac(blocks=blocks, frames=frames)) == about((199 * 4_096 + 100) / 44_100)
    assert seconds_of(c.flac(frames=frames + c.id3v1())) == about((199 * 4_096 + 100) / 44_100)


@pytest.mark.parametrize(("code", "samples"), [(1, 192), (2, 576), (5, 4_608), (8, 256), (15, 32_768)])
@pytest.mark.parametrize("size", [50, 65_500, 65_520, 65_536, 200_000])
def test_the_last_frame_of_a_flac_is_found_however_long_it_is(code: int, samples: int, size: int):
    frames = c.flac_frame(0) + c.flac_frame(1, size_code=code, content=b"\0" * size)
    assert seconds_of(c.flac(frames=frames)) == about((4_096 + samples) / 44_100)


def test_a_streamed_flac_of_varying_blocks_numbers_samples():
    frames = c.flac_frame(0, varies=True) + c.flac_frame(3_000_000_000, varies=True, size_code=6, size=b"\x63")
    assert seconds_of(c.flac(frames=frames)) == about(3_000_000_100 / 44_100)


@pytest.mark.parametrize(
    "data",
    [
        c.flac(0),
        c.flac(44_100)[:20],
        c.flac(44_100, rate=0),
        c.flac(frames=b"\xff\xf8" * 200),
        c.flac(blocks=c.flac_block(10), frames=b"\0" * 4_000),
        b"fLaC" + c.flac_block(34),
        c.flac(2**36 - 1, rate=1),
    ],
    ids=head_of,
)
def test_a_flac_that_does_not_know_tells_nothing(data: bytes):
    assert look(data) == Audio("flac", None)


# ---- mp4 -------------------------------------------------------------------------------------------------------------

ONE = c.track()


def film(*parts: bytes) -> bytes:
    return c.FTYP + b"".join(parts)


def unfinished(*more: bytes, track: bytes = ONE) -> bytes:
    """`moov` of a fragmented film."""
    return c.box(b"moov", c.clock(b"mvhd", 1_000, 0), track, *more)


@pytest.mark.parametrize("version", [0, 1])
def test_moov_is_found_wherever_it_is(version: int):
    moov = c.box(b"moov", c.clock(b"mvhd", 90_000, 225_000, version=version), ONE)
    assert look(film(moov, c.box(b"mdat", b"\0" * 100))) == Audio("mp4", 2.5)
    assert seconds_of(film(c.box(b"free"), c.box(b"mdat", b"\0" * 100, wide=True), moov)) == 2.5
    assert seconds_of(film(c.box(b"mdat", b"moov" * 100), b"\0\0\0\0" + moov[4:])) == 2.5  # to the end of the file


@pytest.mark.parametrize(("version", "unknown"), [(0, 0), (0, 2**32 - 1), (1, 2**64 - 1)])
def test_a_film_that_does_not_know_is_as_long_as_its_sound(version: int, unknown: int):
    tracks = c.track(1, scale=600, units=6_000, handler=b"vide") + c.track(2, units=96_000, version=version)
    assert seconds_of(film(c.box(b"moov", tracks, c.clock(b"mvhd", 1_000, unknown, version=version)))) == 2.0


@pytest.mark.parametrize("version", [0, 1])
def test_a_fragmented_film_may_tell(version: int):
    moov = unfinished(c.extends(told=4_500, version=version))
    assert seconds_of(film(moov, c.fragment(c.run(10)))) == 4.5


def test_fragments_are_added():
    each = struct.pack(">4I", 24_000, 100, 24_000, 100)  # the length of each sample in time and in bytes
    film_of = film(
        unfinished(c.extends(units=1_000)),
        c.fragment(c.run(48)),
        c.fragment(c.run(20), c.run(28)),
        c.fragment(c.run(2), flags=0x2B, fields=struct.pack(">QII", 0, 1, 24_000)),
        c.fragment(c.run(2, flags=0x305, fields=b"\0" * 8 + each)),
    )
    assert look(film_of) == Audio("mp4", 4.0)


def test_fragments_of_other_tracks_are_not():
    tracks = c.track(1, scale=90_000, handler=b"vide") + c.track(2)
    moov = unfinished(c.extends(number=2), track=tracks)
    picture = c.fragment(c.run(900), number=1, flags=8, fields=struct.pack(">I", 3_000))
    assert seconds_of(film(moov, picture, c.fragment(c.run(375), number=2), picture)) == 8.0
    assert (
        seconds_of(film(unfinished(c.extends(number=1), track=c.track(handler=b"vide")), c.fragment(c.run(375)))) == 8.0
    )


def test_what_is_in_the_film_itself_is_added_to_the_fragments():
    moov = c.box(b"moov", c.clock(b"mvhd", 1_000, 1_500), c.track(units=72_000, samples=70), c.extends(units=1_000))
    assert seconds_of(film(moov, c.fragment(c.run(48)))) == 2.5
    # Without samples of its own the film tells of all, or of nothing; what is there counts.
    moov = c.box(b"moov", c.clock(b"mvhd", 1_000, 9_000), ONE, c.extends(units=1_000))
    assert seconds_of(film(moov, c.fragment(c.run(48)))) == 1.0
    assert seconds_of(film(moov)) == 9.0


@pytest.mark.parametrize("version", [0, 1])
def test_an_index_tells_of_the_fragments(version: int):
    moov = unfinished(c.extends())
    whole = c.index((0, 96_000), (0, 24_000), version=version)
    assert seconds_of(film(moov, whole, c.fragment(c.run(1)))) == 2.5
    apart = c.index((0, 48_000), version=version) + c.fragment(c.run(1))
    assert seconds_of(film(moov, apart * 3)) == 3.0
    nested = c.index((1, 48_000), (1, 48_000)) + c.index((0, 48_000)) * 2
    assert seconds_of(film(moov, nested, c.index((0, 180_000), scale=90_000, stream=2))) == 2.0


def test_of_very_many_fragments_the_rest_is_estimated():
    assert seconds_of(film(unfinished(c.extends(units=480)), c.fragment(c.run(10)) * 5_000)) == pytest.approx(
        500, rel=1e-2
    )


@pytest.mark.parametrize(
    "data",
    [
        film(),
        film(c.box(b"mdat", b"\0" * 100)),
        film(c.box(b"moov")),
        film(c.box(b"moov", c.clock(b"mvhd", 1_000, 0))),
        film(c.box(b"moov", c.clock(b"mvhd", 0, 1_000), ONE)),
        film(c.box(b"moov", c.clock(b"mvhd", 1, 2**31))),
        film(c.box(b"moov", c.clock(b"mvhd", 1_000, 1_000)))[:40],
        film(b"\0\0\0\x07moov" + b"\0" * 100),
        film(b"\0\0\0\1free\0\0\0\0\0\0\0\3" + b"\0" * 100),
        film(c.box(b"free")) + b"\xff" * 100,
        film(unfinished(c.extends()), c.fragment(c.run(1_000, flags=0x100))),
        film(unfinished(c.extends()), c.fragment(c.run(2**32 - 1, flags=0xF00))),
        film(unfinished(c.extends(units=2**32 - 1)), c.fragment(c.run(2**32 - 1))),
        film(unfinished(c.extends()), c.box(b"sidx", b"\0" * 22 + b"\xff\xff")),
    ],
    ids=head_of,
)
def test_an_mp4_that_does_not_know_tells_nothing(data: bytes):
    assert look(data) == Audio("mp4", None)


# ---- webm ------------------------------------------------------------------------------------------------------------


def test_a_webm_tells_its_duration():
    blocks = c.cluster(0, c.block(0))
    assert look(c.matroska(c.info(struct.pack(">d", 2_500)), blocks)) == Audio("webm", 2.5)
    assert seconds_of(c.matroska(c.info(struct.pack(">f", 5_000), scale=500_000), blocks)) == 2.5
    assert seconds_of(c.matroska(c.element(c.VOID, b"\0" * 90), c.info(struct.pack(">d", 2_500)), live=True)) == 2.5
    assert seconds_of(c.matroska(c.info(struct.pack(">d", 2_500)), doctype=b"matroska")) == 2.5


LIVE = [
    c.cluster(0, *[c.block(time) for time in range(0, 1_000, 20)], live=True),
    c.cluster(1_000, *[c.block(time, stream=2) for time in range(0, 500, 100)], c.block(480), c.block(500), live=True),
]


@pytest.mark.parametrize("duration", [b"", struct.pack(">d", 0), b"\0" * 3])
def test_a_live_webm_ends_where_its_last_block_ends(duration: bytes):
    """The last of the first track is at 1500 and as long as the one before it, of 20; the second track ends there as well."""
    assert look(c.matroska(c.info(duration), *LIVE, live=True)) == Audio("webm", about(1.52))


def test_a_webm_without_duration_whose_clusters_have_sizes():
    clusters = c.cluster(0, c.block(0), c.block(20)) + c.cluster(2_000, c.block(-5), c.block(15))
    assert seconds_of(c.matroska(c.info(), clusters, c.element(c.CUES, b"\0" * 500))) == about(2.035)
    assert seconds_of(c.matroska(clusters, c.element(c.CUES, b"\0" * 500), live=True)) == about(2.035)


def test_blocks_may_tell_how_long_they_are():
    last = c.cluster(1_000, c.block(0), c.block_group(20, 60), c.block_group(80, 100), live=True)
    assert seconds_of(c.matroska(c.info(), LIVE[0], last, live=True)) == about(1.18)
    untold = c.cluster(1_000, c.block_group(0), c.block_group(25), live=True)
    assert seconds_of(c.matroska(c.info(), LIVE[0], untold, live=True)) == about(1.05)
    assert seconds_of(c.matroska(c.info(), LIVE[0], c.cluster(1_000, live=True), live=True)) == about(1.0)


def test_a_cut_webm_lasts_until_its_last_block():
    whole = c.matroska(c.info(), *LIVE, live=True)
    assert seconds_of(whole[:-40]) == about(1.5)
    assert seconds_of(whole[: -len(LIVE[1]) + 3]) == about(1.0)


def test_a_recording_from_the_middle_of_a_broadcast_is_as_long_as_it_is():
    late = [c.cluster(3_600_000 + 100 * n, *[c.block(20 * i) for i in range(5)], live=True) for n in range(20)]
    assert seconds_of(c.matroska(c.info(), *late, live=True)) == about(2.0)


@pytest.mark.parametrize("size", [65_516, 65_520, 65_528, 65_536, 200_000])
def test_the_last_cluster_is_found_however_long_it_is(size: int):
    last = c.cluster(5_000, c.block(0), c.block(20, content=b"\0" * size), live=True)
    assert seconds_of(c.matroska(c.info(), *LIVE, last, live=True)) == about(5.04)


def test_pictures_that_come_before_earlier_ones_do_not_shorten_a_film():
    blocks = [c.block(time, stream=2) for time in (0, 120, 40, 80)]
    assert seconds_of(c.matroska(c.info(), c.cluster(0, *blocks, live=True), live=True)) == about(0.24)


def test_the_name_of_a_cluster_in_the_sound_is_no_cluster():
    id_ = bytes.fromhex(c.CLUSTER)
    tricky = c.block(40, content=id_ * 4 + b"\x81" + id_ + b"\xff\xa3\x81\0" + id_)
    assert seconds_of(
        c.matroska(c.info(), c.cluster(0, c.block(0), c.block(20), tricky, live=True), live=True)
    ) == about(0.06)


@pytest.mark.parametrize(
    "data",
    [
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\xff" + b"\0" * 100,
        c.matroska(),
        c.matroska(c.info()),
        c.matroska(c.info(), c.cluster(0, live=True), live=True),
        c.matroska(c.info(), c.cluster(0, c.block(0), live=True), live=True),
        c.matroska(c.element(c.CLUSTER, c.block(0), c.number(c.TIMESTAMP, 5), size=c.UNKNOWN, width=8), live=True),
        c.matroska(c.info(struct.pack(">d", float("nan")))),
        c.matroska(c.info(struct.pack(">d", float("inf")))),
        c.matroska(c.info(struct.pack(">d", -5.0))),
        c.matroska(c.info(struct.pack(">d", 31 * 86_400_000.0))),
        c.matroska(c.info(struct.pack(">d", 1e308), scale=2**64 - 1)),
        c.element(c.EBML) + c.element(c.INFO, b"\0" * 20),
    ],
    ids=head_of,
)
def test_a_webm_that_does_not_know_tells_nothing(data: bytes):
    assert look(data) == Audio("webm", None)
