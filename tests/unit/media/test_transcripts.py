"""Transcripts as files: each format read back by a strict reader, with everything that makes subtitles break."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.subtitles import Cue, read_srt, read_vtt

from ipin_proxy.media.transcripts import FORMATS, Segment, Transcript, Word, joined, render, repaired

TWO = Transcript(
    "Hello. World & <b>", [Segment(0.0, 1.2, " Hello."), Segment(1.2, 3661.5, " World & <b>")], seconds=4.0
)


def rendered(transcript: Transcript, response_format: str) -> bytes:
    return render(transcript, response_format)[1]


def of(*segments: tuple[float, float, str]) -> Transcript:
    return Transcript(joined(text for _, _, text in segments), [Segment(*each) for each in segments])


def cues(*segments: tuple[float, float, str]) -> list[Cue]:
    """What both kinds of subtitle file say, which is the same."""
    found = read_vtt(rendered(of(*segments), "vtt"))
    assert found == read_srt(rendered(of(*segments), "srt"))
    return found


def test_plain_text_ends_in_a_line_end() -> None:
    assert render(TWO, "text") == ("text/plain; charset=utf-8", b"Hello. World & <b>\n")
    assert rendered(of(), "text") == b"\n"


def test_subrip() -> None:
    media_type, body = render(TWO, "srt")
    assert media_type == "text/plain; charset=utf-8"
    assert body.decode() == (
        "1\n00:00:00,000 --> 00:00:01,200\nHello.\n\n2\n00:00:01,200 --> 01:01:01,500\nWorld & <b>\n\n"
    )
    assert read_srt(body) == [Cue(0, 1200, "Hello."), Cue(1200, 3_661_500, "World & <b>")]


def test_webvtt() -> None:
    media_type, body = render(TWO, "vtt")
    assert media_type == "text/vtt; charset=utf-8"
    assert body.decode() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.200\nHello.\n\n00:00:01.200 --> 01:01:01.500\nWorld &amp; &lt;b&gt;\n\n"
    )
    assert read_vtt(body) == [Cue(0, 1200, "Hello."), Cue(1200, 3_661_500, "World & <b>")]


def test_json() -> None:
    media_type, body = render(TWO, "json")
    assert media_type == "application/json"
    assert json.loads(body) == {"text": "Hello. World & <b>", "usage": {"type": "duration", "seconds": 4.0}}
    assert json.loads(rendered(of(), "json")) == {"text": ""}


def test_verbose_json() -> None:
    told = json.loads(rendered(TWO._replace(language="de", words=[Word("Hello.", 0.1, 1.1)]), "verbose_json"))
    unknown = {
        "seek": 0,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 0.0,
        "no_speech_prob": 0.0,
    }
    assert told == {
        "task": "transcribe",
        "language": "de",
        "duration": 3661.5,
        "text": "Hello. World & <b>",
        "segments": [
            {"id": 0, "start": 0.0, "end": 1.2, "text": " Hello.", **unknown},
            {"id": 1, "start": 1.2, "end": 3661.5, "text": " World & <b>", **unknown},
        ],
        "words": [{"word": "Hello.", "start": 0.1, "end": 1.1}],
        "usage": {"type": "duration", "seconds": 4.0},
    }
    assert json.loads(render(of(), "verbose_json", "translate")[1]) == {
        "task": "translate",
        "language": "unknown",
        "duration": 0.0,
        "text": "",
        "segments": [],
    }


def test_the_duration_is_the_last_end_or_else_that_of_the_recording() -> None:
    assert of((0, 1, "a"), (1, 2.5, "b")).duration == 2.5
    assert Transcript("", [], seconds=7.5).duration == 7.5
    assert Transcript("a", [Segment(0.0, 0.0, "a")], seconds=7.5).duration == 7.5
    assert Transcript("", []).duration == 0.0


@pytest.mark.parametrize("response_format", FORMATS)
def test_silence_is_a_file_too(response_format: str) -> None:
    body = rendered(of(), response_format)
    if response_format == "srt":
        assert body == b"" and read_srt(body) == []
    elif response_format == "vtt":
        assert body == b"WEBVTT\n\n" and read_vtt(body) == []


def test_more_than_99_hours() -> None:
    assert cues((360_000.0, 3_600_000.5, "late")) == [Cue(360_000_000, 3_600_000_500, "late")]
    assert b"100:00:00,000 --> 1000:00:00,500" in rendered(of((360_000.0, 3_600_000.5, "late")), "srt")


@pytest.mark.parametrize("end", [1.0, 1.0004, 1.0005, 0.5, 1.9996])
def test_no_cue_ends_before_it_has_begun(end: float) -> None:
    (cue,) = cues((1.0, end, "x"))
    assert cue.begin == 1000 and cue.end == max(1001, round(end * 1000))


def test_rounding_carries_over() -> None:
    assert cues((59.9996, 3599.9999, "x")) == [Cue(60_000, 3_600_000, "x")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a\n\n\nb  ", "a\nb"),
        ("a\r\n \r\nb\rc", "a\nb\nc"),
        ("a\x0b\x0c\x1c\x85\u2028\u2029b", "a      b"),
        ("a\0b\ufeff", "a b"),
        ("Grüße 👩‍👩‍👧 日本語", "Grüße 👩‍👩‍👧 日本語"),
        ("NOTE this\nSTYLE", "NOTE this\nSTYLE"),
        ("&amp; &lt; <i>", "&amp; &lt; <i>"),
        ("7", "7"),
        ("half \ud83d", "half ?"),
    ],
)
def test_text_cannot_break_out_of_its_cue(text: str, shown: str) -> None:
    assert cues((0, 1, text), (1, 2, "next")) == [Cue(0, 1000, shown), Cue(1000, 2000, "next")]


def test_very_many_dashes_are_read_in_no_time() -> None:
    """They took the square of their number, in which nobody else was answered."""
    dashes = "-" * 1_000_000
    assert f"\n{dashes}\n".encode() in rendered(of((0.0, 1.0, dashes)), "srt")
    assert b"\n->\n" in rendered(of((0.0, 1.0, dashes + ">")), "srt")


@pytest.mark.parametrize("arrow", ["-->", "--->", "----->", "00:00:00.000 --> 00:00:01.000"])
def test_an_arrow_in_a_text_is_none(arrow: str) -> None:
    segments = ((0.0, 1.0, f"a {arrow} b"), (1.0, 2.0, "c"))
    assert [cue.text for cue in read_vtt(rendered(of(*segments), "vtt"))] == [f"a {arrow} b", "c"]
    assert len(read_srt(rendered(of(*segments), "srt"))) == 2


def test_what_cannot_be_shown_is_no_cue() -> None:
    assert cues((0, 1, "a"), (1, 2, ""), (2, 3, " \n\t\0 "), (3, 4, "b")) == [Cue(0, 1000, "a"), Cue(3000, 4000, "b")]


def test_cues_come_in_the_order_in_which_they_begin() -> None:
    assert [cue.text for cue in cues((5, 6, "c"), (0, 1, "a"), (0, 2, "b"))] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        ([" Hello", " world."], "Hello world."),
        (["Hello", "world."], "Hello world."),
        (["Hello ", "world."], "Hello world."),
        (["Hello", "\nworld."], "Hello\nworld."),
        (["Hello ", " world."], "Hello  world."),
        (["", " Hello", "", "world", " "], "Hello world"),
        (["你好，", "世界。"], "你好，世界。"),
        (["こんにちは", "世界"], "こんにちは世界"),
        (["你好", "world"], "你好 world"),
        (["안녕", "하세요"], "안녕 하세요"),
        ([], ""),
    ],
)
def test_segments_become_one_text(texts: list[str], whole: str) -> None:
    assert joined(texts) == whole


Times = list[tuple[Any, Any]]


@pytest.mark.parametrize(
    ("times", "seconds", "expected"),
    [
        ([(0.0, 1.0), (1.0, 2.0)], None, [(0.0, 1.0), (1.0, 2.0)]),
        ([(0.0, 1.0), (1.0, None)], None, [(0.0, 1.0), (1.0, 1.0)]),
        ([(0.0, 1.0), (1.0, None)], 3.5, [(0.0, 1.0), (1.0, 3.5)]),
        ([(0.0, 1.0), (4.0, None)], 3.5, [(0.0, 1.0), (4.0, 4.0)]),
        ([(0.0, 0.0), (2.0, 2.0), (3.0, 3.0)], None, [(0.0, 2.0), (2.0, 3.0), (3.0, 3.0)]),
        ([(2.0, 1.0), (3.0, 4.0)], None, [(2.0, 3.0), (3.0, 4.0)]),
        ([(0.0, None), (None, 2.0)], None, [(0.0, 0.0), (0.0, 2.0)]),
        ([(None, 1.0), (None, 2.0), (None, None)], 9.0, [(0.0, 1.0), (1.0, 2.0), (2.0, 9.0)]),
        ([(5.0, 5.0), (1.0, 2.0)], None, [(5.0, 5.0), (1.0, 2.0)]),
        ([(None, None)], None, [(0.0, 0.0)]),
        ([], 3.0, []),
    ],
)
def test_times_are_repaired_from_their_neighbours(times: Times, seconds: float | None, expected: Times) -> None:
    assert repaired(times, seconds) == expected
