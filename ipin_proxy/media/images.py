"""What an image is: its media type as its first bytes say, whatever it is called, and its width and height from its header.

Nothing is decoded, so a broken image is still one; what is in it is the model's affair. Formats: PNG (RFC 2083), JPEG (ITU-T
T.81), GIF (GIF89a), WebP (RFC 9649), BMP, TIFF, and HEIC, HEIF and AVIF (ISO/IEC 23008-12, which are ISO base media files).
"""

from __future__ import annotations

import re

from ..errors import BadImage

MB = 1024 * 1024
FORMATS = "PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
PDF = "application/pdf"

# The size of what follows a BMP's file header tells its version; "BM" alone is too little to know one by.
BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
# Brands of ISO base media files that are images, the first found of them counts.
BRANDS = {
    "image/avif": (b"avif", b"avis"),
    "image/heic": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
    "image/heif": (b"mif1", b"msf1"),
}
# What else an image may be called without being called wrong; anything else is an alias, or another format's name.
ALSO_CALLED = {"image/heic": "image/heif", "image/heif": "image/heic"}

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # T.81 B.1.1.3: frames; the three are tables and extensions
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers that no segment follows
_END_OF_HEADER = frozenset({0xD9, 0xDA})
_MOST_SEGMENTS = 4_000  # before the frame; colour profiles and previews take some hundred
_FILL = re.compile(rb"\xff+")  # T.81 B.1.1.2: "Any marker may optionally be preceded by any number of fill bytes"
_SVG_BYTES = 4096  # within which its root element stands, behind comments and the like


def identify(head: bytes) -> str | None:
    """The media type of what begins with these bytes (64 are enough): of an image, `application/pdf`, or None."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and _little(head, 14, 4) in BMP_HEADERS:
        return "image/bmp"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "image/tiff"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return PDF if head.startswith(b"%PDF-") else None


def is_image(media_type: str | None) -> bool:
    return media_type is not None and media_type != PDF


def is_svg(head: bytes) -> bool:
    """Whether this is the beginning of an SVG: text, and a program to be run rather than an image to be looked at."""
    text = head[:_SVG_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<") and b"<svg" in text.lower()


def may_be_called(media_type: str, name: str) -> bool:
    """Whether an image of this type is rightly declared as `name`, letter by letter, as some servers compare it."""
    return name == media_type or name == ALSO_CALLED.get(media_type)


def size_of(head: bytes) -> tuple[int, int] | None:
    """Width and height, as far as these bytes tell them; of a JPEG they stand behind what cameras write about themselves.
    TIFF, HEIC and AVIF do not say in one place."""
    kind = identify(head)
    found: tuple[int, int] | None = None
    if kind == "image/png" and len(head) >= 24:
        found = _big(head, 16, 4), _big(head, 20, 4)
    elif kind == "image/gif" and len(head) >= 10:
        found = _little(head, 6, 2), _little(head, 8, 2)
    elif kind == "image/bmp" and len(head) >= 26:
        found = _size_of_bmp(head)
    elif kind == "image/webp" and len(head) >= 30:
        found = _size_of_webp(head)
    elif kind == "image/jpeg":
        found = _size_of_jpeg(head)
    return found


def too_large(size_bytes: int, most_bytes: int) -> BadImage:
    """What is said of an image above the limit. Rounding must not make it look as large as is allowed."""
    size, most = size_bytes / MB, most_bytes / MB
    return BadImage(f"Image size ({max(round(size, 1), most + 0.1):.1f}MB) exceeds maximum allowed size ({most:g}MB)")


def no_image(head: bytes) -> BadImage:
    """What is said of bytes that are no image, by their beginning."""
    if is_svg(head):
        return BadImage(f"The image is an SVG, which models do not take; send it as {FORMATS}.")
    if identify(head) == PDF:
        return BadImage("This is a PDF and no image; send it as a 'file' part, or its pages as images.")
    return BadImage(f"This is no image: it begins with {head[:8]!r}. Send {FORMATS}.")


def _brand(head: bytes) -> str | None:
    """ISO/IEC 14496-12 4.3: the major brand, its version, then the compatible brands up to the end of the box."""
    end = min(_big(head, 0, 4), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    return next((kind for kind, own in BRANDS.items() if not set(own).isdisjoint(brands)), None)


def _size_of_bmp(head: bytes) -> tuple[int, int]:
    if _little(head, 14, 4) < 40:  # OS/2
        return _little(head, 18, 2), _little(head, 20, 2)
    # A height below zero means that the rows come from top to bottom.
    width, height = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (18, 22))
    return abs(width), abs(height)


def _size_of_webp(head: bytes) -> tuple[int, int] | None:
    form = head[12:16]
    if form == b"VP8X":
        return _little(head, 24, 3) + 1, _little(head, 27, 3) + 1
    if form == b"VP8L":
        bits = _little(head, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 ":
        return _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
    return None


def _size_of_jpeg(head: bytes) -> tuple[int, int] | None:
    """T.81 B.1.1: segments of a marker and a length, up to the frame, which says its height and its width."""
    at, end = 2, len(head)
    for _ in range(_MOST_SEGMENTS):
        fill = _FILL.match(head, at)
        if fill is None or fill.end() + 8 > end:
            break
        at = fill.end() - 1
        marker = head[at + 1]
        if marker in _ALONE:
            at += 2
        elif marker in _SOF:
            return _big(head, at + 7, 2), _big(head, at + 5, 2)
        elif marker in _END_OF_HEADER:
            return None
        else:
            at += 2 + _big(head, at + 2, 2)
    return None


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
