"""Event streams and lines of JSON, in every cut."""

from __future__ import annotations

import json

import pytest

from ipin_proxy.web import sse
from ipin_proxy.web.sse import Event, FrameSplitter, FrameTooLong, LineSplitter, comment, frame, json_line, parse_event


def split(*pieces: bytes) -> list[bytes]:
    splitter = FrameSplitter()
    return [each for piece in pieces for each in splitter.feed(piece)]


def events(frames: list[bytes]) -> list[Event]:
    return [event for event in map(parse_event, frames) if event.data is not None]


# ---- splitting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_frames_with_each_line_end(end: bytes):
    whole = [b"event: a" + end + b"data: 1" + end + end, b": note" + end + end, b"data: 2" + end + end]
    assert split(b"".join(whole)) == whole


def test_one_frame_to_a_piece():
    splitter = FrameSplitter()
    for text in (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\r\n\r\n"):
        assert splitter.feed(text) == [text]
        assert splitter.rest == b""


def test_line_ends_in_any_mix():
    assert split(b"data: 1\n\r\ndata: 2\r\n\ndata: 3\r\rdata: 4\n\rdata: 5\r\n\r") == [
        b"data: 1\n\r\n",
        b"data: 2\r\n\n",
        b"data: 3\r\r",
        b"data: 4\n\r",
        b"data: 5\r\n\r",
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"data: 1\n\ndata: 2\n\n: x\n\n\n\ndata: 3\ndata: 4\n\nrest",
        "data: 🙂\r\n\r\ndata: é\r\rdata: x\n\r\n\r\r\ndata: y\r\n".encode(),
        b"\xef\xbb\xbfdata: 1\r\n\r\n\r\ndata: 2\r\r\ndata: 3\r\n\r",
        b"\n\r\r\n\ndata: 1\n\n",
    ],
)
def test_every_cut_gives_the_same_events_and_no_byte_is_lost(stream: bytes):
    expected = events(split(stream))
    every_byte = [stream[i : i + 1] for i in range(len(stream))]
    for pieces in [*([stream[:at], stream[at:]] for at in range(len(stream))), every_byte]:
        splitter = FrameSplitter()
        frames = [each for piece in pieces for each in splitter.feed(piece)]
        assert b"".join(frames) + splitter.rest == stream
        assert events(frames) == expected


def test_a_frame_that_ends_in_cr_is_not_held_back():
    splitter = FrameSplitter()
    assert splitter.feed(b"data: 1\r\n\r") == [b"data: 1\r\n\r"]
    assert splitter.feed(b"\n") == [b"\n"]
    assert splitter.feed(b"data: 2\r\r") == [b"data: 2\r\r"]
    assert splitter.feed(b"data: 3\r\n\r\n") == [b"data: 3\r\n\r\n"]


def test_a_cr_lf_that_is_cut_is_one_line_end():
    assert split(b"data: 1\r", b"\ndata: 2\r", b"\n", b"\r", b"\n") == [b"data: 1\r\ndata: 2\r\n\r", b"\n"]


def test_other_line_ends_of_unicode_are_text():
    text = "data: a\u2028\u2029\x85\x0b\x0c\x1cb\n\n".encode()
    assert split(text) == [text]
    assert parse_event(text).data == text[6:-2]


def test_the_unfinished_frame_stays():
    splitter = FrameSplitter()
    assert splitter.feed(b"data: 1\n\ndata: [DO") == [b"data: 1\n\n"]
    assert splitter.feed(b"NE]\n") == []
    assert splitter.rest == b"data: [DONE]\n"
    assert splitter.feed(b"") == []


def test_a_frame_has_its_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "MAX_FRAME", 100)
    splitter = FrameSplitter()
    assert splitter.feed(b"data: 1\n\n" * 20) == [b"data: 1\n\n"] * 20
    splitter.feed(b"x" * 60)
    with pytest.raises(FrameTooLong):
        splitter.feed(b"x" * 60)
    lines = LineSplitter()
    assert lines.feed(b"1\n" * 100) == [b"1\n"] * 100
    with pytest.raises(FrameTooLong):
        lines.feed(b"x" * 101)


def test_a_long_frame_in_small_pieces():
    body = b"data: " + b"x" * 3_000_000 + b"\n\n"
    assert split(*(body[at : at + 1000] for at in range(0, len(body), 1000))) == [body]


# ---- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (b"data: x\n\n", Event(data=b"x")),
        (b"data:x\r\n\r\n", Event(data=b"x")),
        (b"data:  x\n\n", Event(data=b" x")),
        (b"data: \n\n", Event(data=b"")),
        (b"data\n\n", Event(data=b"")),
        (b"data: a\ndata: b\rdata:\r\ndata: c: d\n\n", Event(data=b"a\nb\n\nc: d")),
        (b"event: message_start\ndata: {}\n\n", Event("message_start", b"{}")),
        (b"data: {}\nevent:a\nevent: b\n\n", Event("b", b"{}")),
        (b"id: 7\nretry: 1500\n\n", Event()),
        (b"id: a\0b\nretry: soon\nretry: -1\ndata: x\n\n", Event(data=b"x")),
        (b": comment\n:data: x\nDATA: x\nwhat: x\n data: x\n\n", Event()),
        (b"\xef\xbb\xbfdata: x\n\n", Event(data=b"x")),
        (b"\n", Event()),
        (b"data: x", Event(data=b"x")),
        (b"", Event()),
        (b"event: \xff\ndata: \xff\n\n", Event("\ufffd", b"\xff")),
    ],
)
def test_what_a_frame_says(text: bytes, event: Event):
    assert parse_event(text) == event


# ---- lines -----------------------------------------------------------------------------------------------------------


def test_lines_in_every_cut():
    stream = '{"a":1}\n{"b":"\u2028"}\r\n\n{"c":\r3}\n{"d"'.encode()
    expected = [b'{"a":1}\n', '{"b":"\u2028"}\r\n'.encode(), b"\n", b'{"c":\r3}\n']
    for pieces in [
        *([stream[:at], stream[at:]] for at in range(len(stream))),
        [stream[i : i + 1] for i in range(len(stream))],
    ]:
        splitter = LineSplitter()
        assert [line for piece in pieces for line in splitter.feed(piece)] == expected
        assert splitter.rest == b'{"d"'


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_writing_frames():
    assert frame(b"[DONE]") == b"data: [DONE]\n\n"
    assert frame("é", "ping") == "event: ping\ndata: é\n\n".encode()
    assert frame("") == b"data: \n\n"


@pytest.mark.parametrize("data", ["a\nb", "a\r\nb\r", "\n", "a\n\ndata: b", "\u2028"])
def test_data_of_several_lines_comes_back(data: str):
    written = frame(data, "x")
    assert split(written) == [written]
    assert parse_event(written) == Event("x", data.replace("\r\n", "\n").replace("\r", "\n").encode())


def test_nothing_breaks_out_of_its_line():
    assert split(comment("a\n\ndata: b\r")) == [b": a  data: b \n\n"]
    assert parse_event(frame("x", "a\ndata: b")) == Event("a data: b", b"x")
    assert frame("half \ud83d") == b"data: half ?\n\n"


def test_lines_of_json():
    value = {"a": "é🙂\u2028\u2029\x85\n", "b": [1, None]}
    line = json_line(value)
    assert line.startswith('{"a":"é🙂\\u2028'.encode())
    assert len(line.decode().splitlines()) == 1  # as Python clients split it
    assert json.loads(line) == value
    assert json.loads(json_line("half \ud83d")) == "half \ud83d"


@pytest.mark.parametrize("line", [b":\n", b"data:\r\n", b"x\r"])
def test_a_frame_of_lines_without_end_is_none(line: bytes) -> None:
    """Reading it would take seconds, in which nobody else is served."""
    splitter, piece = FrameSplitter(), line * 10_000
    assert splitter.feed(piece + b"\n\n")[-1:] != []
    with pytest.raises(FrameTooLong):
        for _ in range(20):
            splitter.feed(piece)


def test_frames_of_a_few_lines_may_come_for_ever() -> None:
    splitter = FrameSplitter()
    assert sum(len(splitter.feed(b"a\nb\n\nc\nd")) for _ in range(60_000)) == 60_000


def test_empty_lines_are_no_event() -> None:
    assert parse_event(b"\n" * 1_000_000) == parse_event(b"\r\r\n") == Event()
