"""Every shape in which Whisper servers answer, in every format that can be asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.subtitles import Cue, read_srt, read_vtt

from ipin_proxy.dialects.segments import moment, transcript_told
from ipin_proxy.media.transcripts import Segment, Transcript, Word, render

Rows = list[tuple[float, float, str]]
TWO = [{"start": 0.0, "end": 2.1, "text": " Hello"}, {"start": 2.1, "end": 3.5, "text": " you."}]
TWO_ROWS: Rows = [(0.0, 2.1, " Hello"), (2.1, 3.5, " you.")]

# What a recording of 9 seconds is answered with → the text, and the segments.
SHAPES: dict[str, tuple[Any, str, Rows]] = {
    "a list of segments": (TWO, "Hello you.", TWO_ROWS),
    "silence": ([], "", []),
    "text and chunks": ({"text": " Hello  you. ", "chunks": TWO}, "Hello  you.", TWO_ROWS),
    "chunks before segments": ({"chunks": TWO, "segments": []}, "Hello you.", TWO_ROWS),
    "segments": ({"segments": TWO}, "Hello you.", TWO_ROWS),
    "segments and text": ({"text": "Hello you!", "segments": TWO, "language": "en"}, "Hello you!", TWO_ROWS),
    "segments and transcription": ({"transcription": "Hello you!", "segments": TWO}, "Hello you!", TWO_ROWS),
    "no segments but a text": ({"text": "Hello", "segments": []}, "Hello", [(0.0, 9.0, "Hello")]),
    "text": ({"text": " Hello\n"}, "Hello", [(0.0, 9.0, "Hello")]),
    "transcription": ({"transcription": "Hello"}, "Hello", [(0.0, 9.0, "Hello")]),
    "a bare text": ("Hello", "Hello", [(0.0, 9.0, "Hello")]),
    "an empty text": ({"text": ""}, "", []),
    "a blank text": (" ", "", []),
    "timestamps": (
        {"chunks": [{"timestamp": [0, 2.1], "text": " Hello"}, {"timestamp": [2.1, None], "text": " you."}]},
        "Hello you.",
        [(0.0, 2.1, " Hello"), (2.1, 9.0, " you.")],
    ),
    "a last end that is missing": (
        [TWO[0], {"start": 2.1, "end": None, "text": " you."}],
        "Hello you.",
        [(0.0, 2.1, " Hello"), (2.1, 9.0, " you.")],
    ),
    "ends that are their own begin": (
        [{"start": 0, "end": 0, "text": " Hello"}, {"start": 2.1, "end": 2.1, "text": " you."}],
        "Hello you.",
        [(0.0, 2.1, " Hello"), (2.1, 9.0, " you.")],
    ),
    "no times at all": ([{"text": "Hello"}, {"text": "you."}], "Hello you.", [(0.0, 0.0, "Hello"), (0.0, 9.0, "you.")]),
    "texts in a list": (["Hello", "you."], "Hello you.", [(0.0, 0.0, "Hello"), (0.0, 9.0, "you.")]),
    "times as texts": (
        [{"start": "0.50", "end": "2.1", "text": " Hello"}],
        "Hello",
        [(0.5, 2.1, " Hello")],
    ),
    "times nobody can mean": (
        [{"start": -1, "end": float("nan"), "text": " Hello"}, {"start": 1e300, "end": True, "text": " you."}],
        "Hello you.",
        [(0.0, 0.0, " Hello"), (0.0, 9.0, " you.")],
    ),
    "an empty segment": (
        [{"start": 0, "end": 1, "text": ""}, {"start": 1, "end": 2, "text": " Hello"}],
        "Hello",
        [(0.0, 1.0, ""), (1.0, 2.0, " Hello")],
    ),
    "chunks that are none beside a text": (
        {"text": "Hello", "chunks": [{"bytes": 1}]},
        "Hello",
        [(0.0, 9.0, "Hello")],
    ),
}
NOTHING = [None, True, 7, {}, {"chunks": "x"}, {"segments": None}, [1], [None], [["a"]], [{"start": 0}], {"text": 1}]


def told(value: Any, seconds: float | None = 9.0) -> Transcript:
    found = transcript_told(value, seconds)
    assert found is not None
    return found


@pytest.mark.parametrize(("value", "text", "rows"), SHAPES.values(), ids=SHAPES)
def test_each_shape_in_each_format(value: Any, text: str, rows: Rows) -> None:
    transcript = told(value)
    usage = {"usage": {"type": "duration", "seconds": 9.0}}
    assert json.loads(render(transcript, "json")[1]) == {"text": text, **usage}
    assert render(transcript, "text")[1].decode() == text + "\n"
    verbose = json.loads(render(transcript, "verbose_json")[1])
    assert [(each["start"], each["end"], each["text"]) for each in verbose["segments"]] == rows
    assert [each["id"] for each in verbose["segments"]] == list(range(len(rows)))
    assert verbose["text"] == text
    assert verbose["duration"] == (max((end for _, end, _ in rows), default=0.0) or 9.0)
    shown = [
        Cue(round(start * 1000), max(round(start * 1000) + 1, round(end * 1000)), line.strip())
        for start, end, line in rows
        if line.strip()
    ]
    assert read_srt(render(transcript, "srt")[1]) == shown
    assert read_vtt(render(transcript, "vtt")[1]) == shown


@pytest.mark.parametrize("value", NOTHING)
def test_what_holds_no_transcript(value: Any) -> None:
    assert transcript_told(value, 9.0) is None


def test_without_a_length_a_text_lasts_for_nothing() -> None:
    assert told("Hello", None).segments == [Segment(0.0, 0.0, "Hello")]
    assert told([], None).duration == 0.0


def test_the_language_is_told_if_it_is() -> None:
    assert told({"text": "x", "language": "de"}).language == "de"
    assert told({"text": "x", "language": ["de"]}).language is None
    assert told(TWO).language is None


def test_words_come_from_beside_the_segments_or_from_within() -> None:
    words = [{"word": " Hello", "start": 0, "end": 1}, {"text": "you.", "timestamp": [1, None]}]
    expected = [Word("Hello", 0.0, 1.0), Word("you.", 1.0, 9.0)]
    assert told({"text": "x", "words": words}).words == expected
    assert told({"segments": TWO, "words": words}).words == expected
    inner = [{**TWO[0], "words": words[:1]}, {**TWO[1], "words": words[1:]}]
    assert told(inner).words == expected
    assert told({"segments": TWO, "words": []}).words == []
    for none in (TWO, {"text": "x"}, {"text": "x", "words": None}, {"text": "x", "words": [{"start": 0}]}):
        assert told(none).words is None


def test_what_the_model_thought_of_a_segment_is_kept() -> None:
    details = {"seek": 5, "temperature": 0.2, "avg_logprob": -0.3, "compression_ratio": 1.5, "no_speech_prob": 0.01}
    given = {**TWO[0], **details, "tokens": [1, 2], "id": 77, "odd": 1}
    (segment,) = json.loads(render(told([given]), "verbose_json")[1])["segments"]
    assert segment == {**{k: v for k, v in given.items() if k != "odd"}, "id": 0}
    bad = {**TWO[0], **dict.fromkeys(details, "x"), "tokens": ["a"], "no_speech_prob": float("inf")}
    assert told([bad]).segments[0].details == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("1.5", 1.5),
        (" 2 ", 2.0),
        ("1e3", 1000.0),
        *(
            (each, None)
            for each in (None, True, False, -0.1, "x", "", "nan", "inf", float("inf"), 10**400, [1], {}, "9" * 50)
        ),
    ],
)
def test_what_is_a_point_in_time(value: Any, expected: float | None) -> None:
    assert moment(value) == expected
