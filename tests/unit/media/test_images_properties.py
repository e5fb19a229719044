"""Images under damage: whatever is made of one, it is read, refused with a reason, or nobody's affair; never anything else."""

from __future__ import annotations

import base64
from itertools import pairwise
from urllib.parse import quote

import pytest

pytest.importorskip("hypothesis")


from hypothesis import given
from hypothesis import strategies as st
from support.pictures import IMAGES, TYPES, data_url, png

from ipin_proxy.errors import BadImage
from ipin_proxy.media import dataurls
from ipin_proxy.media.dataurls import Text, read_base64, read_url
from ipin_proxy.media.images import identify, is_image, is_svg, size_of

MOST = 100_000
NAMES = st.sampled_from(sorted(IMAGES))
PIECES = st.sampled_from(
    ["", "=", "==", "%", "%2", "%2B", "-", "_", " ", "\n", ",", ";", ":", "é", "\ud83d", "\0", "data:", "A", "AAA"]
)


def text_of(text: Text) -> str:
    return "".join(each if isinstance(each, str) else str(each, "ascii") for each in text)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let edges between chunks be everywhere."""
    monkeypatch.setattr(dataurls, "CHUNK", 5)
    monkeypatch.setattr(dataurls, "HEADS", (40, 120, 4000))


def outcome(text: Text) -> object:
    try:
        found = read_url(text, MOST)
    except BadImage as error:
        return error.message
    return found and (text_of(found.url), found.media_type, found.size, found.size_bytes, found.sound)


@given(st.binary(max_size=200))
def test_any_bytes_are_something_or_nothing(data: bytes):
    kind = identify(data)
    assert kind is None or kind == "application/pdf" or is_image(kind)
    size = size_of(data)
    assert size is None or (is_image(kind) and min(size) >= 0)
    assert not (is_svg(data) and is_image(kind))


@given(NAMES, st.integers(0, 4000), st.integers(0, 8), st.binary(max_size=8))
def test_a_damaged_image_is_never_measured_below_nothing(name: str, at: int, gone: int, piece: bytes):
    data = IMAGES[name]
    at %= len(data)
    size = size_of(data[:at] + piece + data[at + gone :])
    assert size is None or min(size) >= 0


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_text_is_read_or_refused(text: str):
    outcome([text])
    outcome([f"data:{text}"])
    outcome([f"data:,{text}"])
    outcome([f"data:image/png;base64,{text}"])


@given(NAMES, st.integers(0, 6000), st.integers(0, 40), PIECES)
def test_a_damaged_url_is_read_or_refused(name: str, at: int, gone: int, piece: str):
    url = data_url(IMAGES[name], TYPES[name])
    at %= len(url)
    found = outcome([url[:at] + piece + url[at + gone :]])
    if isinstance(found, tuple):  # then what goes out is base64 that everybody reads alike, and of an image
        payload = found[0].partition(",")[2]
        data = base64.b64decode(payload, validate=True)
        assert (len(data), identify(data)) == (found[3], found[1])


@given(
    st.integers(0, 300),
    st.sampled_from(["/", "", "+=/"]),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(" \n\r\t")), max_size=8),
    st.sampled_from(["data:image/png;base64,", "data:image/png,", "data:;base64,", "DATA:Image/PNG;Base64,", ""]),
    st.lists(st.integers(0, 2000), max_size=4),
)
def test_whatever_way_it_is_written_it_is_the_same_image(
    size: int, safe: str, url_safe: bool, padded: bool, blanks: list[tuple[int, str]], header: str, cuts: list[int]
):
    data = png(more=bytes(number * 7 % 256 for number in range(size)))
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = quote(text if padded else text.rstrip("="), safe=safe)
    for at, blank in blanks:
        at %= len(text)
        if "%" not in text[max(0, at - 2) : at]:
            text = text[:at] + blank + text[at:]
    whole = header + text
    found = outcome([whole])
    assert isinstance(found, tuple)
    assert found[:4] == (data_url(data), "image/png", (40, 30), len(data))
    # The same in pieces; the header is never cut.
    edges = sorted(len(header) + cut % len(text) for cut in cuts)
    if len(edges) > 1:
        inner = [memoryview(whole[a:b].encode()) for a, b in pairwise(edges)]
        assert outcome([whole[: edges[0]], *inner, whole[edges[-1] :]]) == found


@given(st.text(max_size=300), st.text(max_size=20))
def test_base64_alone_is_read_or_refused(text: str, declared: str):
    try:
        found = read_base64([text], declared, MOST)
    except BadImage:
        return
    assert is_image(found.media_type)
