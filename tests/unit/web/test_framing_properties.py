"""Chunked bodies in random chunks and random cuts."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ipin_proxy.web.framing import LAST_CHUNK, ChunkedBody, FramingError, chunk


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


@given(st.lists(st.binary(max_size=300)), st.binary(max_size=20), st.lists(st.integers(0, 10_000)), st.booleans())
def test_what_was_chunked_comes_back(chunks: list[bytes], behind: bytes, places: list[int], as_views: bool):
    body = ChunkedBody()
    wire = b"".join(map(chunk, chunks)) + LAST_CHUNK + behind
    pieces = [memoryview(bytearray(piece)) if as_views else piece for piece in cut(wire, places)]
    assert b"".join([body.feed(piece) for piece in pieces]) == b"".join(chunks)
    assert body.done
    assert body.rest == behind
    assert body.received == sum(map(len, chunks))


@given(st.text("0123456789aF;\r\n xyz", max_size=60), st.lists(st.integers(0, 60)), st.booleans())
def test_every_cut_of_anything_gives_the_same(text: str, places: list[int], strict: bool):
    def outcome(pieces: list[bytes]) -> tuple[object, ...]:
        body = ChunkedBody(strict)
        payload = b""
        try:
            for piece in pieces:
                payload += body.feed(piece)
        except FramingError:
            return ("refused",)
        return payload, body.done, body.rest, body.received

    data = text.encode()
    assert outcome(cut(data, places)) == outcome([data])
