"""Images in texts: what goes out as it came, what is put right, what is refused."""

from __future__ import annotations

import base64
import tracemalloc
from itertools import pairwise
from urllib.parse import quote

import pytest
from support.pictures import IMAGES, MEASURED, PDF, SVG, TYPES, base64_of, data_url, jpeg, png

from ipin_proxy.errors import BadImage
from ipin_proxy.media import dataurls
from ipin_proxy.media.dataurls import CHUNK, Image, Text, read_base64, read_url
from ipin_proxy.media.images import MB

MOST = 20 * MB
PNG = png(more=bytes(range(256)))
DATA = base64_of(PNG)  # which has all the letters there are, and two "=" behind them
URL = data_url(PNG)


def text_of(text: Text) -> str:
    return "".join(each if isinstance(each, str) else str(each, "ascii") for each in text)


def read(url: str) -> Image:
    found = read_url([url], MOST)
    assert found is not None
    return found


def refused(url: str) -> str:
    with pytest.raises(BadImage) as caught:
        read_url([url], MOST)
    assert (caught.value.status, caught.value.code) == (400, "image_validation_failed")
    assert caught.value.message.isprintable()
    return caught.value.message


# ---- what is as it should be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_every_format_goes_out_as_it_came(name: str):
    url = data_url(IMAGES[name], TYPES[name])
    found = read(url)
    assert found == (
        TYPES[name],
        len(IMAGES[name]),
        (40, 30) if name in MEASURED else None,
        [url.partition(",")[2]],
        True,
    )
    assert text_of(found.url) == url


@pytest.mark.parametrize("size", range(4))
def test_padding_of_every_length(size: int):
    found = read(data_url(png(more=b"x" * (size + 1))))
    assert found.sound and found.size_bytes == len(png(more=b"x" * (size + 1)))


@pytest.mark.parametrize(
    "parameters", [";name=a.png", ";charset=utf-8", ";a=b;c=d", ';name="a b.png"', ";name=a%20b%3B.png", ";X-Y=1"]
)
def test_parameters_are_allowed(parameters: str):
    assert read(f"data:image/png{parameters};base64,{DATA}").sound


def test_an_address_is_not_looked_at():
    for url in ("https://example.com/a.svg", "HTTP://x/", " https://x/y\n", "http:", "https://x/" + "a" * 9000):
        assert read_url([url], MOST) is None


# ---- what is put right -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        DATA,
        f" \n{DATA}\n",
        f"  {URL}",
        f"{URL}\n",
        f"DATA:image/png;base64,{DATA}",
        f"data:IMAGE/PNG;base64,{DATA}",
        f"data:image/png;BASE64,{DATA}",
        f"data: image/png ; base64 ,{DATA}",
        f"data:image/png;base64;name=a.png,{DATA}",
        f"data:image/png;base64,{quote(DATA, safe='')}",
        f"data:image/png;base64,{quote(DATA)}",
        f"data:image/png;base64,{''.join(f'%{ord(char):02x}' for char in DATA)}",
        f"data:image/png;base64,{base64.encodebytes(PNG).decode()}",
        "data:image/png;base64," + "\r\n".join(DATA[at : at + 7] for at in range(0, len(DATA), 7)),
        f"data:image/png;base64,{DATA.rstrip('=')}",
        f"data:image/png;base64,{DATA}==",
        f"data:image/png;base64,{DATA} ",
        f"data:image/png;base64, {DATA}",
        f"data:image/png,{DATA}",
        f"data:image/png,{quote(PNG)}",
        f"data:image/png;charset=utf-8,{quote(PNG)}",
        f"data:image/jpg;base64,{DATA}",
        f"data:image/webp;base64,{DATA}",
        f"data:image/svg+xml;base64,{DATA}",
        f"data:application/octet-stream;base64,{DATA}",
        f"data:text/plain;base64,{DATA}",
        f"data:;base64,{DATA}",
        f"data:base64,{DATA}",
        f"data:,{DATA}",
    ],
)
def test_what_can_only_mean_one_image_is_put_right(url: str):
    found = read(url)
    assert not found.sound
    assert text_of(found.url) == URL
    assert found[:3] == ("image/png", len(PNG), (40, 30))


def test_the_url_safe_alphabet_is_put_right():
    safe = base64.urlsafe_b64encode(PNG).decode()
    assert "+" in DATA and "/" in DATA and DATA.endswith("==")
    for url in (f"data:image/png;base64,{safe}", safe, safe.rstrip("="), safe.replace("_", "/")):
        assert text_of(read(url).url) == URL


def test_an_alias_of_jpeg_is_put_right():
    for name in ("image/jpg", "image/pjpeg", "image/JPEG", "image/png"):
        assert text_of(read(data_url(jpeg(), name)).url) == data_url(jpeg(), "image/jpeg")


def test_base64_is_read_without_a_url_too():
    assert read_base64([DATA], "image/png", MOST).sound
    for text, declared in ((DATA, "image/gif"), (DATA + "\n", "image/png"), (DATA.rstrip("="), "image/png")):
        found = read_base64([text], declared, MOST)
        assert not found.sound
        assert (found.media_type, text_of(found.payload)) == ("image/png", DATA)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "neither a data URL"),
        ("photo.png", "'photo.png' is neither a data URL"),
        ("/tmp/photo.png", "neither"),
        ("hello", "neither"),
        ("file:///etc/passwd", "not by 'file:'"),
        ("FILE:///etc/passwd", "not by 'file:'"),
        ("ftp://x/y.png", "not by 'ftp:'"),
        ("blob:https://x/1", "not by 'blob:'"),
        ("javascript:alert(1)", "not by 'javascript:'"),
        ("C:\\photo.png", "not by 'c:'"),
        ("gopher" * 9 + "://x", "not by 'gophergophergopher"),
        ("data:", "no comma"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64,\n ", "empty"),
        ("data:image/png;base64,====", "empty"),
        (URL[:-4] + "!!!!", "there is '!' in it"),
        (URL + "\0", "there is '\\x00' in it"),
        (URL + "é", "there is '?' in it"),
        (URL + "%zz", "there is '%' in it"),
        (URL + "\ud83d", "there is '?' in it"),
        ("data:,\ud83d", "there is '?' in it"),
        ("\ud83d", "neither"),
        (f"data:image/png;base64,{DATA[:-3]}", "cut short: base64 of 465 characters"),
        (f"data:image/png;base64,{DATA}{DATA}", "in the middle"),
        (f"{URL},{URL}", "there is ',' in it"),
        (data_url(SVG, "image/svg+xml"), "SVG"),
        (data_url(SVG, "image/png"), "SVG"),
        (f"data:image/svg+xml,{quote(SVG)}", "SVG"),
        (f"data:image/svg+xml;utf8,{SVG.decode()}", "SVG"),
        (SVG.decode(), "SVG"),
        (base64_of(SVG), "SVG"),
        (data_url(PDF, "application/pdf"), "PDF"),
        (data_url(PDF, "image/png"), "PDF"),
        (data_url(b"just a text", "image/png"), "begins with b'just a t'"),
        (data_url(b"just a text", "text/plain"), "no image"),
        (data_url(b"\0" * 100), "no image"),
        (data_url(b"\0\0\0\x18ftypisom\0\0\x02\0isommp42", "video/mp4"), "no image"),
        ("data:image/png,just%20a%20text!", "in it"),
        ("aGVsbG8gd29ybGQsIHRoaXMgaXMgbm90IGFuIGltYWdlIGF0IGFsbA==", "no image"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(url: str, says: str):
    assert says in refused(url)


def test_an_image_above_the_limit_is_refused_by_its_size_alone():
    size = len(PNG)
    assert read_url([URL], size) is not None
    for url in (URL, DATA, URL + "\n", quote(URL, safe=":;,/")):
        with pytest.raises(BadImage, match=r"Image size \(0\.1MB\) exceeds maximum allowed size"):
            read_url([url], size - 1)
    large = data_url(png(more=b"x" * MB))
    with pytest.raises(BadImage, match=r"^Image size \(1\.1MB\) exceeds maximum allowed size \(1MB\)$"):
        read_url([large], MB)


def test_what_is_percent_encoded_throughout_is_refused_at_some_length(monkeypatch: pytest.MonkeyPatch):
    assert quote(base64_of(png(more=bytes(range(256)) * 4000)), safe="").count("%") * 20 < dataurls.MOST_ESCAPES
    monkeypatch.setattr(dataurls, "MOST_ESCAPES", 99)
    assert "more than 99 characters percent-encoded" in refused("data:image/png;base64," + "%41" * 100)
    assert "more than 99 characters percent-encoded" in refused("data:image/png," + quote(png(more=b"\xff" * 100)))


# ---- large ones ------------------------------------------------------------------------------------------------------


def stretches(url: str, *cuts: int) -> Text:
    """A text with what is between its first and its last 300 characters left where it lies, in so many pieces."""
    inner = memoryview(url[300:-300].encode())
    edges = [0, *cuts, len(inner)]
    return [url[:300], *(inner[a:b] for a, b in pairwise(edges)), url[-300:]]


LARGE = png(more=bytes(range(256)) * 2000)


@pytest.mark.parametrize("cuts", [(), (1,), (CHUNK - 1, CHUNK + 1), (7, 100_000, 100_002)])
def test_stretches_are_read_as_one(cuts: tuple[int, ...]):
    url = data_url(LARGE)
    found = read_url(stretches(url, *cuts), MOST)
    assert found is not None and found.sound and found.size_bytes == len(LARGE)
    assert text_of(found.url) == url
    for wrong in (
        f"data:image/gif;base64,{base64_of(LARGE)}",
        f"data:image/png;base64,{base64_of(LARGE).rstrip('=')}",
        f"data:image/png;base64,{quote(base64_of(LARGE), safe='')}",
        "data:image/png;base64," + base64_of(LARGE).replace("AA", "AA ").replace("BB", "B%42"),
    ):
        found = read_url(stretches(wrong, *cuts), MOST)
        assert found is not None and not found.sound
        assert text_of(found.url) == url


def test_a_jpeg_is_measured_behind_what_its_camera_wrote():
    for size in (100, 60_000, 65_533):
        for count in (1, 2, 8):
            data = jpeg(*[b"Exif\0\0".ljust(size, b"\xff")] * count)
            assert read(data_url(data, "image/jpeg")).size == (40, 30)
    assert read(data_url(jpeg(*[b"x" * 65_533] * 20), "image/jpeg")).size is None  # it stops looking somewhere


def test_a_large_image_is_not_copied():
    url = stretches(data_url(png(more=bytes(5 * MB))))
    wrong = [url[0], *url[1:-1], f"{url[-1]}\n"]
    misnamed = [str(url[0]).replace("image/png", "image/jpg"), *url[1:]]
    tracemalloc.start()
    try:
        assert read_url(url, MOST)
        assert read_url(misnamed, MOST)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert read_url(wrong, MOST)
        _, once = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MB
    assert once < 9 * MB  # what is written anew, once (and the room a growing bytearray leaves for more)
