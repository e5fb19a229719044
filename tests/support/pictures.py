"""Real images, tiny ones: of every format, 40 pixels wide and 30 high; and PNG, BMP and JPEG of other sizes, byte by byte.

`IMAGES` were written by common encoders; every one can be decoded.
"""

from __future__ import annotations

import base64
import struct
import zlib

WIDTH, HEIGHT = 40, 30

# Name → (media type, whether its header says how large it is, the file in base64).
_FILES = {
    "png": (
        "image/png",
        True,
        "iVBORw0KGgoAAAANSUhEUgAAACgAAAAeCAIAAADRv8uKAAAAL0lEQVR4nO3NMQ0AMAgAsDENyMF/kIUFPp7WQKMr34V/sorFYrFYLBaLxWKxeGUAOWUB"
        "VBcDkCYAAAAASUVORK5CYII=",
    ),
    "gif": (
        "image/gif",
        True,
        "R0lGODdhKAAeAIEAAMg8FAAAAAAAAAAAACwAAAAAKAAeAEAIOgABCBxIsKDBgwgTKlzIsKHDhxAjSpxIsaLFixgzatzIsaPHjyBDihxJsqTJkyhTqlzJsqXL"
        "lzAxBgQAOw==",
    ),
    "jpeg": (
        "image/jpeg",
        True,
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////2wBD"
        "Af//////////////////////////////////////////////////////////////////////////////////////wAARCAAeACgDASIAAhEBAxEB/8QAFQABAQAA"
        "AAAAAAAAAAAAAAAAAAH/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFgEBAQEAAAAAAAAAAAAAAAAAAAEC/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAwDAQAC"
        "EQMRAD8AgCNAAAAAAAAAAP/Z",
    ),
    "progressive jpeg": (
        "image/jpeg",
        True,
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////2wBD"
        "Af//////////////////////////////////////////////////////////////////////////////////////wgARCAAeACgDASIAAhEBAxEB/8QAFQABAQAA"
        "AAAAAAAAAAAAAAAAAAH/xAAVAQEBAAAAAAAAAAAAAAAAAAAAAf/aAAwDAQACEAMQAAABglAAAAA//8QAFBABAAAAAAAAAAAAAAAAAAAAQP/aAAgBAQABBQIn"
        "/8QAFBEBAAAAAAAAAAAAAAAAAAAAIP/aAAgBAwEBPwFf/8QAFBEBAAAAAAAAAAAAAAAAAAAAIP/aAAgBAgEBPwFf/8QAFBABAAAAAAAAAAAAAAAAAAAAQP/a"
        "AAgBAQAGPwIn/8QAFBABAAAAAAAAAAAAAAAAAAAAQP/aAAgBAQABPyEn/9oADAMBAAIAAwAAABD777777//EABQRAQAAAAAAAAAAAAAAAAAAACD/2gAIAQMB"
        "AT8QX//EABQRAQAAAAAAAAAAAAAAAAAAACD/2gAIAQIBAT8QX//EABQQAQAAAAAAAAAAAAAAAAAAAED/2gAIAQEAAT8QJ//Z",
    ),
    "webp": (
        "image/webp",
        True,
        "UklGRkAAAABXRUJQVlA4IDQAAAAwAwCdASooAB4AP83m7XA/uDIrJWgD8DmJZwDRgA8KmggAAP67t3N4OV31ZaiG/G213AAA",
    ),
    "lossless webp": ("image/webp", True, "UklGRh4AAABXRUJQVlA4TBEAAAAvJ0AHAAdQniKXov+BiOh/AAA="),
    "tiff": (
        "image/tiff",
        False,
        "SUkqALAAAACAMgeBSBQSBwWEQeFQaGQmGwuHRGIROHxWJRaKReNRmORiPRuPx2QSORSWQyeSSiTSmWSuXSqYS2Yy+ZTWaTeZzmbTqcTufT2gTyhT+h0GiUej"
        "Umi0ukUylU2oU+pU6qVGq1OrVmsVur12tV6uV+xWGyWCzWOz2W0Wu1W202+2XC3XG6XO7XK8XW83e9X2+X+94G/YLAYPDYXEYTFYfF4nGY/HZGhQEAAKAAAB"
        "AwABAAAAKAAAAAEBAwABAAAAHgAAAAIBAwADAAAALgEAAAMBAwABAAAABQAAAAYBAwABAAAAAgAAABEBBAABAAAACAAAABUBAwABAAAAAwAAABYBAwABAAAA"
        "HgAAABcBBAABAAAApwAAABwBAwABAAAAAQAAAAAAAAAIAAgACAA=",
    ),
    "avif": (
        "image/avif",
        False,
        "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0bQAAAAAA"
        "AQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAKQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAA"
        "FGlzcGUAAAAAAAAAKAAAAB4AAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAA"
        "MW1kYXQSAAoJGBUn60QENBoQMhof94eFFd///+LPwIDcqL/tDd6JF1nmsod4gA==",
    ),
    "heic": (
        "image/heic",
        False,
        "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERAAAEA"
        "AQAAAAABoAABAAAAAAAAACYAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmND"
        "AQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAA"
        "AAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAKAAAAAEAAAAeAAAAAf///+gAAAAC"
        "////3gAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAALm1kYXQAAAAiKAGvBRITTOD6ulI7n8kx8zAXcez5UKzvFvyglVoQ"
        "kfFbQA==",
    ),
}


def png(width: int = WIDTH, height: int = HEIGHT, *, more: bytes = b"") -> bytes:
    """A grey PNG; `more` goes into a chunk that readers skip, so that it can be as large as is wanted."""
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    chunks += [(b"ipIn", more)] * bool(more) + [(b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bmp(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A black BMP of 24 bits; below zero the height says that its rows come from top to bottom."""
    rows = bytes((width * 3 + 3) // 4 * 4 * abs(height))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + head + rows


def os2_bmp(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    rows = bytes((width * 3 + 3) // 4 * 4 * height)
    return (
        b"BM" + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26) + struct.pack("<IHHHH", 12, width, height, 1, 24) + rows
    )


def jpeg(*segments: bytes) -> bytes:
    """The JPEG with further segments before the others, such as what a camera writes into it."""
    more = b"".join(b"\xff\xe1" + struct.pack(">H", len(each) + 2) + each for each in segments)
    return IMAGES["jpeg"][:2] + more + IMAGES["jpeg"][2:]


def extended_webp(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """The WebP in its extended form (RFC 9649 2.7)."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size + IMAGES["webp"][12:]
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


IMAGES = {name: base64.b64decode(file) for name, (_, _, file) in _FILES.items()} | {"bmp": bmp()}
IMAGES |= {"extended webp": extended_webp()}
TYPES = {name: media_type for name, (media_type, _, _) in _FILES.items()} | {
    "bmp": "image/bmp",
    "extended webp": "image/webp",
}
MEASURED = [name for name in IMAGES if name not in _FILES or _FILES[name][1]]

SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>'
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>"


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64_of(data)}"
