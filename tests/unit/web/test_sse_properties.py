"""Any bytes as an event stream, in any cut, against the plain reading of the rules."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ipin_proxy.web.sse import Event, FrameSplitter, frame, parse_event

STREAMS = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"data: ", b"data:", b"event: a", b"x", b":", "é".encode()]
    )
).map(b"".join)


def plain_reading(stream: bytes) -> list[bytes]:
    """The data of the events, line by line as the standard tells it."""
    found: list[bytes] = []
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    data: list[bytes] = []
    for line in lines[:-1]:
        if not line:
            if data:
                found.append(b"\n".join(data))
            data = []
        elif line.partition(b":")[0] == b"data":
            value = line.partition(b":")[2]
            data.append(value[1:] if value.startswith(b" ") else value)
    return found


@given(STREAMS, st.lists(st.integers(0, 1000)))
def test_frames_against_the_plain_reading(stream: bytes, places: list[int]):
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    splitter = FrameSplitter()
    frames = [each for begin, end in itertools.pairwise(edges) for each in splitter.feed(stream[begin:end])]
    assert b"".join(frames) + splitter.rest == stream
    assert [event.data for event in map(parse_event, frames) if event.data is not None] == plain_reading(stream)


@given(st.binary(), st.none() | st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])))
def test_what_is_written_is_read(data: bytes, event: str | None):
    written = frame(data, event)
    assert FrameSplitter().feed(written) == [written]
    assert parse_event(written) == Event(event, data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
