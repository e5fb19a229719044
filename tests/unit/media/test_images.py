"""What an image is, by its bytes: its type, and its width and height where its header says them."""

from __future__ import annotations

import struct

import pytest
from support.pictures import IMAGES, MEASURED, PDF, SVG, TYPES, bmp, extended_webp, jpeg, os2_bmp, png

from ipin_proxy.media.images import MB, identify, is_image, is_svg, may_be_called, no_image, size_of, too_large

HEAD = 64


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_known_by_its_first_bytes(name: str):
    assert identify(IMAGES[name][:HEAD]) == TYPES[name]
    assert is_image(TYPES[name])


@pytest.mark.parametrize("name", IMAGES)
def test_its_size_stands_in_its_header(name: str):
    assert size_of(IMAGES[name]) == ((40, 30) if name in MEASURED else None)


@pytest.mark.parametrize("name", IMAGES)
def test_a_header_that_is_cut_anywhere_says_less_or_nothing_and_never_something_else(name: str):
    data = IMAGES[name]
    for end in range(min(len(data), 700)):
        assert identify(data[:end]) in (None, TYPES[name])
        assert size_of(data[:end]) in (None, (40, 30))


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(1, 1), (1, 1)),
        (png(3, 70_000), (3, 70_000)),
        (bmp(40, -30), (40, 30)),
        (os2_bmp(400, 3), (400, 3)),
        (extended_webp(16_383, 1), (16_383, 1)),
        (jpeg(b"Exif\0\0" + b"\xff\xc0" * 30_000), (40, 30)),  # what is in a segment is no marker
        (jpeg(*[b"x" * 65_533] * 3), (40, 30)),
        (IMAGES["jpeg"][:2] + b"\xff\xff\xff" + IMAGES["jpeg"][3:], (40, 30)),  # fill bytes
        (IMAGES["jpeg"][:2] + b"\xff" * 500_000 + IMAGES["jpeg"][3:], (40, 30)),
        (IMAGES["jpeg"][:2] + b"\xff\x01\xff\xd0" + IMAGES["jpeg"][2:], (40, 30)),  # markers without a segment
    ],
)
def test_sizes_of_all_kinds(data: bytes, size: tuple[int, int]):
    assert size_of(data) == size


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xda\0\x08" + IMAGES["jpeg"][2:],  # the scan begins before the frame
        b"\xff\xd8\xff\xd9" + IMAGES["jpeg"][2:],
        b"\xff\xd8\xff\xe0\0\x04\0\0\0\0" + IMAGES["jpeg"][2:],  # a length that leads into nowhere
        b"\xff\xd8\xff" + b"\xff" * 100,
        b"\xff\xd8" + b"\xff\xe0\0\2" * 10_000 + IMAGES["jpeg"][2:],  # more segments than anybody writes
        b"RIFF\x20\0\0\0WEBPVP9 " + bytes(30),
    ],
)
def test_a_header_that_makes_no_sense_says_nothing(data: bytes):
    assert size_of(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM",
        b"BMW is a car maker, and this a text",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\xff\xd8",
        b"\x89PNG\n",
        b"II*",
        b"\0\0\0\x18ftypisom\0\0\x02\0isommp42",
        b"\0\0\0\x18ftypM4A \0\0\x02\0isommp42",
        b"\0\0\0\x10ftypisom\0\0\x02\0avifheic",  # brands behind the end of the box
        SVG,
        b"\x1f\x8b\x08",
        b"<html>",
    ],
)
def test_what_is_no_image_is_none(data: bytes):
    assert identify(data) is None
    assert size_of(data) is None
    assert not is_image(identify(data))


@pytest.mark.parametrize(
    ("brands", "media_type"),
    [
        (b"mif1\0\0\0\0heic", "image/heic"),
        (b"mif1\0\0\0\0avifmif1", "image/avif"),
        (b"mif1\0\0\0\0miaf", "image/heif"),
        (b"msf1\0\0\0\0hevc", "image/heic"),
        (b"avis\0\0\0\0", "image/avif"),
    ],
)
def test_brands_of_container_files(brands: bytes, media_type: str):
    head = struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands
    assert identify(head + b"\0\0\0\x20meta") == media_type


def test_a_pdf_is_told_apart():
    assert identify(PDF) == "application/pdf"
    assert not is_image("application/pdf")
    assert "PDF" in no_image(PDF).message


@pytest.mark.parametrize("text", [SVG, SVG.upper(), b"\xef\xbb\xbf \n<!-- drawn by hand --><svg/>", b"<svg>"])
def test_an_svg_is_told_apart(text: bytes):
    assert is_svg(text)
    assert "SVG" in no_image(text).message


@pytest.mark.parametrize("text", [b"", b"svg", b"<html><body>", b"no <svg>", b"<" + b" " * 5000 + b"<svg>"])
def test_what_is_no_svg(text: bytes):
    assert not is_svg(text)


def test_the_wrong_name_is_told_from_another_right_one():
    assert may_be_called("image/png", "image/png")
    assert may_be_called("image/heic", "image/heif") and may_be_called("image/heif", "image/heic")
    assert not may_be_called("image/jpeg", "image/jpg")
    assert not may_be_called("image/jpeg", "image/JPEG")
    assert not may_be_called("image/png", "")


@pytest.mark.parametrize(
    ("size_bytes", "most_bytes", "words"),
    [
        (int(25.3 * MB), 20 * MB, "Image size (25.3MB) exceeds maximum allowed size (20MB)"),
        (21 * MB, 20 * MB, "Image size (21.0MB) exceeds maximum allowed size (20MB)"),
        (20 * MB + 1, 20 * MB, "Image size (20.1MB) exceeds maximum allowed size (20MB)"),
        (1536 * 1024, MB, "Image size (1.5MB) exceeds maximum allowed size (1MB)"),
    ],
)
def test_the_words_for_an_image_that_is_too_large(size_bytes: int, most_bytes: int, words: str):
    error = too_large(size_bytes, most_bytes)
    assert (error.message, error.status, error.code) == (words, 400, "image_validation_failed")
