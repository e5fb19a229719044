"""Audio containers built byte by byte, the silence in them of a known length. For what programs write, see `sounds.py`.

Checksums are computed here as the standards say, bit by bit, and not as the code under test does.
"""

from __future__ import annotations

import struct

# ---- RIFF ------------------------------------------------------------------------------------------------------------


def chunk(name: bytes, content: bytes = b"", *, size: int | None = None, order: str = "<") -> bytes:
    """A chunk, padded; `size` is what it claims."""
    claimed = len(content) if size is None else size
    return name + struct.pack(order + "I", claimed) + content + b"\0" * (len(content) % 2)


def wave_format(tag: int = 1, *, rate: int = 8_000, block: int = 2, channels: int = 1, more: bytes = b"") -> bytes:
    """The content of `fmt `."""
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, 8 * block // channels) + more


def riff(*chunks: bytes, name: bytes = b"RIFF", size: int | None = None, order: str = "<") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack(order + "I", len(body) if size is None else size) + body


def wav(seconds: float = 1.0, *, rate: int = 8_000) -> bytes:
    """16 bits, one channel."""
    return riff(chunk(b"fmt ", wave_format(rate=rate)), chunk(b"data", b"\0\0" * int(seconds * rate)))


# ---- MPEG audio ------------------------------------------------------------------------------------------------------

# MPEG 1 layer III, 128 kbit/s, 44.1 kHz, stereo: 144 * 128 000 / 44 100 = 417 bytes for 1152 samples.
MPEG_HEAD = b"\xff\xfb\x90\x04"
MPEG_FRAME = MPEG_HEAD + b"\0" * 413


def mpeg_frame(head: str, size: int, content: bytes = b"") -> bytes:
    """Three bytes of header in hex, and `size` bytes altogether."""
    return (bytes.fromhex(head) + content).ljust(size, b"\0")


def id3(size: int, *, flags: int = 0) -> bytes:
    """An ID3v2.4 tag with `size` bytes of content, and a footer when its flag 0x10 is set."""
    lengths = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    footer = b"3DI\4\0\x10" + lengths if flags & 0x10 else b""
    return b"ID3\4\0" + bytes((flags,)) + lengths + b"\0" * size + footer


def id3v1() -> bytes:
    return b"TAG" + b"Fox".ljust(125, b"\0")


def xing(
    frames: int | None = None, size: int | None = None, *, name: bytes = b"Xing", lame: tuple[int, int] | None = None
) -> bytes:
    """What a first frame holds behind its side information; `lame` are the samples added before and behind."""
    flags = (frames is not None) | (size is not None) << 1 | (lame is not None and 0xC)
    fields = b"".join(struct.pack(">I", number) for number in (frames, size) if number is not None)
    if lame is not None:
        fields += b"\0" * 104 + b"LAME3.100" + b"\0" * 12 + (lame[0] << 12 | lame[1]).to_bytes(3, "big")
    return name + struct.pack(">I", flags) + fields


# ---- Ogg -------------------------------------------------------------------------------------------------------------

BEGINS, ENDS = 2, 4
NOWHERE = -1


def ogg_page(position: int, *packets: bytes, serial: int = 7, flags: int = 0) -> bytes:
    """A page of whole packets."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
    head = b"OggS\0" + struct.pack("<BqIIIB", flags, position, serial, 0, 0, len(lacing))
    page = head + lacing + b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_checksum(page)) + page[26:]


def opus_head(*, skip: int = 312) -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", 1, 1, skip, 44_100, 0, 0)


def vorbis_head(*, rate: int = 44_100) -> bytes:
    return b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, rate, 0, 64_000, 0, 0xB8, 1)


def speex_head(*, rate: int = 16_000) -> bytes:
    numbers = struct.pack("<13I", 1, 80, rate, 1, 4, 1, 0xFFFF_FFFF, 320, 0, 1, 0, 0, 0)
    return b"Speex   " + b"1.2".ljust(20, b"\0") + numbers


# Opus packets of 20 ms (CELT, one frame: RFC 6716 3.1), which are 960 samples.
OPUS_PACKET = bytes((31 << 3,)) + b"\0" * 20


def opus(seconds: float = 1.0, *, skip: int = 312, serial: int = 7, begins_at: int = 0) -> bytes:
    """Opus in Ogg, a page for every ten packets; `begins_at` is the position of a recording that was cut."""
    wanted = int(seconds * 48_000) + skip
    pages = [
        ogg_page(0, opus_head(skip=skip), serial=serial, flags=BEGINS),
        ogg_page(0, b"OpusTags" + b"\0" * 8, serial=serial),
    ]
    done = 0
    while done < wanted:
        packets = min(10, -(-(wanted - done) // 960))
        done = min(wanted, done + packets * 960)
        flags = ENDS if done == wanted else 0
        pages.append(ogg_page(begins_at + done, *[OPUS_PACKET] * packets, serial=serial, flags=flags))
    return b"".join(pages)


def _ogg_checksum(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x104C11DB7) if crc & 0x8000_0000 else crc << 1
    return crc


# ---- FLAC ------------------------------------------------------------------------------------------------------------


def flac_info(total: int, *, rate: int = 44_100, block: int = 4_096) -> bytes:
    """STREAMINFO without its header: one channel, 16 bits."""
    return struct.pack(">HH6xQ16x", block, block, rate << 44 | 15 << 36 | total)


def flac(total: int = 0, *, blocks: bytes = b"", frames: bytes = b"", **info: int) -> bytes:
    """`blocks` are more blocks of metadata, the last of them flagged so."""
    head = struct.pack(">I", (0 if blocks else 0x8000_0000) | 34)
    return b"fLaC" + head + flac_info(total, **info) + blocks + frames


def flac_block(size: int, *, is_last: bool = False) -> bytes:
    """Padding."""
    return struct.pack(">I", is_last << 31 | 1 << 24 | size) + b"\0" * size


def flac_frame(
    number: int, *, size_code: int = 12, size: bytes = b"", varies: bool = False, content: bytes = b"\0" * 50
) -> bytes:
    """A frame of 44.1 kHz, one channel, 16 bits; 12 is the code of 4096 samples, 7 says that two bytes of size follow."""
    head = bytes((0xFF, 0xF8 | varies, size_code << 4 | 9, 0x08)) + _coded(number) + size
    return head + bytes((_flac_checksum(head),)) + content


def _coded(number: int) -> bytes:
    """As UTF-8 would, to 36 bits."""
    if number < 0x80:
        return bytes((number,))
    width = next(width for width in range(2, 8) if number < 1 << 5 * width + 1)
    tail = [0x80 | number >> 6 * place & 0x3F for place in reversed(range(width - 1))]
    return bytes((0xFF00 >> width & 0xFF | number >> 6 * (width - 1), *tail))


def _flac_checksum(data: bytes) -> int:
    crc = 0
    for byte in data:
        for bit in range(7, -1, -1):
            crc = (crc << 1 ^ (0x107 if (crc >> 7 ^ byte >> bit) & 1 else 0)) & 0xFF
    return crc


# ---- MP4 -------------------------------------------------------------------------------------------------------------


def box(kind: bytes, *content: bytes, wide: bool = False) -> bytes:
    """`wide` writes the size in 64 bits."""
    body = b"".join(content)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


FTYP = box(b"ftyp", b"isom\0\0\2\0isom")


def clock(kind: bytes, scale: int, units: int, *, version: int = 0) -> bytes:
    """`mvhd` or `mdhd`."""
    return box(kind, struct.pack(">I" + ("QQIQ" if version else "IIII"), version << 24, 0, 0, scale, units), b"\0" * 80)


def track(
    number: int = 1,
    *,
    scale: int = 48_000,
    units: int = 0,
    samples: int = 0,
    handler: bytes = b"soun",
    version: int = 0,
) -> bytes:
    """`trak`; with `samples`, they lie in the film itself."""
    tkhd = box(b"tkhd", struct.pack(">I" + ("QQI" if version else "III"), version << 24, 0, 0, number), b"\0" * 60)
    stts = box(b"stts", struct.pack(">IIII", 0, 1, samples, 1_024) if samples else b"\0" * 8)
    hdlr = box(b"hdlr", struct.pack(">II4s", 0, 0, handler), b"\0" * 13)
    inner = box(b"mdia", clock(b"mdhd", scale, units, version=version), hdlr, box(b"minf", box(b"stbl", stts)))
    return box(b"trak", tkhd, inner)


def extends(*, units: int = 1_024, told: int | None = None, number: int = 1, version: int = 0) -> bytes:
    """`mvex`: there are fragments; `told` is what `mehd` says of the whole."""
    mehd = box(b"mehd", struct.pack(">IQ" if version else ">II", version << 24, told)) if told is not None else b""
    return box(b"mvex", mehd, box(b"trex", struct.pack(">6I", 0, number, 1, units, 0, 0)))


def fragment(*runs: bytes, number: int = 1, flags: int = 0, fields: bytes = b"") -> bytes:
    """`moof` with one `traf`, and its data."""
    tfhd = box(b"tfhd", struct.pack(">II", flags, number), fields)
    return box(b"moof", box(b"mfhd", b"\0" * 8), box(b"traf", tfhd, *runs)) + box(b"mdat", b"\0" * 20)


def run(count: int, *, flags: int = 0, fields: bytes = b"") -> bytes:
    return box(b"trun", struct.pack(">II", flags, count), fields)


def index(*entries: tuple[int, int], scale: int = 48_000, stream: int = 1, version: int = 0) -> bytes:
    """`sidx`; an entry is its kind (1: another index) and its units."""
    head = struct.pack(">III" + ("QQ" if version else "II") + "HH", version << 24, stream, scale, 0, 0, 0, len(entries))
    return box(b"sidx", head, *[struct.pack(">III", kind << 31 | 1_000, units, 0) for kind, units in entries])


def mp4(seconds: float = 1.0) -> bytes:
    """Not fragmented; `moov` behind the data."""
    moov = box(b"moov", clock(b"mvhd", 1_000, int(seconds * 1_000)), track(units=int(seconds * 48_000), samples=10))
    return FTYP + box(b"mdat", b"\0" * 100) + moov


# ---- Matroska --------------------------------------------------------------------------------------------------------

UNKNOWN = -1
EBML, SEGMENT, INFO, CLUSTER, CUES = "1a45dfa3", "18538067", "1549a966", "1f43b675", "1c53bb6b"
SCALE, DURATION, TIMESTAMP, SIMPLE_BLOCK = "2ad7b1", "4489", "e7", "a3"
BLOCK_GROUP, BLOCK, BLOCK_DURATION, VOID = "a0", "a1", "9b", "ec"


def element(name: str, *content: bytes, size: int | None = None, width: int = 0) -> bytes:
    """`size` is what it claims; UNKNOWN sets all bits. `width` is that of the size, in bytes."""
    body = b"".join(content)
    claimed = len(body) if size is None else size
    width = width or next(width for width in range(1, 9) if claimed < (1 << 7 * width) - 1)
    if claimed == UNKNOWN:
        claimed = (1 << 7 * width) - 1
    return bytes.fromhex(name) + (claimed | 1 << 7 * width).to_bytes(width, "big") + body


def number(name: str, value: int) -> bytes:
    return element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def block(time: int, *, stream: int = 1, content: bytes = b"\0" * 20) -> bytes:
    """`time` is relative to the cluster's."""
    return element(SIMPLE_BLOCK, _block(time, stream), content)


def block_group(time: int, length: int | None = None, *, stream: int = 1) -> bytes:
    told = number(BLOCK_DURATION, length) if length is not None else b""
    return element(BLOCK_GROUP, element(BLOCK, _block(time, stream), b"\0" * 20), told)


def cluster(time: int, *blocks: bytes, live: bool = False) -> bytes:
    return element(CLUSTER, number(TIMESTAMP, time), *blocks, size=UNKNOWN if live else None, width=8 if live else 0)


def info(duration: bytes = b"", *, scale: int = 1_000_000) -> bytes:
    """`duration` is a float of four or eight bytes."""
    return element(INFO, number(SCALE, scale), element(DURATION, duration) if duration else b"")


def matroska(*content: bytes, live: bool = False, doctype: bytes = b"webm") -> bytes:
    head = element(EBML, element("4282", doctype))
    return head + element(SEGMENT, *content, size=UNKNOWN if live else None, width=8)


def webm(seconds: float = 1.0) -> bytes:
    """Blocks of 20 ms, and a duration."""
    blocks = [block(time) for time in range(0, min(30_000, int(seconds * 1_000)), 20)]
    return matroska(info(struct.pack(">d", seconds * 1_000)), cluster(0, *blocks))


def _block(time: int, stream: int) -> bytes:
    return bytes((0x80 | stream,)) + struct.pack(">hB", time, 0x80)
