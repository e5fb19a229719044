"""Transcripts: what was said and when, and the files that is written in: text, JSON, SubRip, WebVTT.

Values in, bytes out. Times are seconds. A subtitle file is read by strict programs, and the words in it are a stranger's: no cue
is empty or holds an empty line, none ends before it begins, and no text can be taken for a time.

Sources: OpenAI's API reference for the JSON; W3C WebVTT 4 (timestamps, cue text, order of cues); SubRip as its players read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

TEXT_TYPE = "text/plain; charset=utf-8"
FORMATS = ("json", "text", "srt", "vtt", "verbose_json")

# Line ends of somebody else's alphabet, and what no subtitle program expects.
_CONTROL = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_LINE_ENDS = re.compile(r"[\r\n]+")
_ARROW = re.compile(r"(?<!-)-{2,}>")  # from its beginning: from each of its dashes it would take their square
# Scripts written without blanks between words: Chinese characters, kana, their punctuation.
_SPACELESS = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
# What OpenAI's segments have beside text and times, and what stands for "nobody told".
_DETAILS: Mapping[str, Any] = {
    "seek": 0,
    "tokens": [],
    "temperature": 0.0,
    "avg_logprob": 0.0,
    "compression_ratio": 0.0,
    "no_speech_prob": 0.0,
}


class Word(NamedTuple):
    """One word, from `start` to `end`."""

    word: str
    start: float
    end: float


class Segment(NamedTuple):
    """A stretch of speech. `details` are members of OpenAI's segments that the model told as well."""

    start: float
    end: float
    text: str
    details: Mapping[str, Any] = {}


class Transcript(NamedTuple):
    """What was heard. `words` is None where the model does not tell them; `seconds` is how long the recording is."""

    text: str
    segments: Sequence[Segment]
    words: Sequence[Word] | None = None
    language: str | None = None
    seconds: float | None = None

    @property
    def duration(self) -> float:
        """Until the last word, or how long the recording is."""
        last = max((segment.end for segment in self.segments), default=0.0)
        return last or self.seconds or 0.0


def render(transcript: Transcript, response_format: str, task: str = "transcribe") -> tuple[str, bytes]:
    """A transcript as a file of one of the FORMATS: its media type and its bytes."""
    if response_format == "srt":
        return TEXT_TYPE, _bytes(srt(transcript.segments))
    if response_format == "vtt":
        return "text/vtt; charset=utf-8", _bytes(vtt(transcript.segments))
    if response_format == "text":
        return TEXT_TYPE, _bytes(transcript.text + "\n")
    told = verbose(transcript, task) if response_format == "verbose_json" else {"text": transcript.text}
    return "application/json", json.dumps({**told, **usage(transcript)}).encode()


def verbose(transcript: Transcript, task: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "task": task,
        "language": transcript.language or "unknown",
        "duration": transcript.duration,
        "text": transcript.text,
        "segments": [
            {"id": number, "start": each.start, "end": each.end, "text": each.text, **_DETAILS, **each.details}
            for number, each in enumerate(transcript.segments)
        ],
    }
    if transcript.words is not None:
        told["words"] = [word._asdict() for word in transcript.words]
    return told


def usage(transcript: Transcript) -> dict[str, Any]:
    """How much was listened to, as OpenAI tells it; {} when nobody knows."""
    return {"usage": {"type": "duration", "seconds": transcript.seconds}} if transcript.seconds else {}


def srt(segments: Iterable[Segment]) -> str:
    cues = [
        f"{number}\n{_time(begin, ',')} --> {_time(end, ',')}\n{_ARROW.sub('->', text)}\n\n"
        for number, (begin, end, text) in enumerate(cues_of(segments), 1)
    ]
    return "".join(cues)


def vtt(segments: Iterable[Segment]) -> str:
    cues = [
        f"{_time(begin, '.')} --> {_time(end, '.')}\n{_escaped(text)}\n\n" for begin, end, text in cues_of(segments)
    ]
    return "WEBVTT\n\n" + "".join(cues)


def cues_of(segments: Iterable[Segment]) -> list[tuple[int, int, str]]:
    """Begin, end (milliseconds) and lines of what can be shown, in the order in which it begins. A cue must not end when it
    begins, so one of no length lasts for a millisecond."""
    cues = []
    for segment in sorted(segments, key=lambda each: each.start):
        lines = [line.strip() for line in _LINE_ENDS.split(_CONTROL.sub(" ", segment.text))]
        text = "\n".join(filter(None, lines))
        if text:
            begin = round(segment.start * 1000)
            cues.append((begin, max(begin + 1, round(segment.end * 1000)), text))
    return cues


def joined(texts: Iterable[str]) -> str:
    """The texts of segments as one. Models begin each with a blank where their language has them; a blank is added only where
    none is and one belongs."""
    whole: list[str] = []
    before = ""
    for text in filter(None, texts):
        if before and not before[-1].isspace() and not text[0].isspace():
            is_written_together = _SPACELESS.match(before[-1]) and _SPACELESS.match(text[0])
            whole.append("" if is_written_together else " ")
        whole.append(text)
        before = text
    return "".join(whole).strip()


def repaired(times: Sequence[tuple[float | None, float | None]], seconds: float | None) -> list[tuple[float, float]]:
    """Times of things said one after the other, each with a begin and an end not before it. The last end may be missing, and
    an end may be its own begin: then it is the next begin, and of the last one the end of the recording."""
    starts: list[float] = []
    reached = 0.0
    for start, end in times:
        starts.append(reached if start is None else start)
        reached = max(starts[-1], end or 0.0)
    nexts = [*starts[1:], seconds or 0.0]
    return [
        (start, end if end is not None and end > start else max(start, following))
        for start, following, (_, end) in zip(starts, nexts, times, strict=False)  # behind none there is one next
    ]


def _time(ms: int, mark: str) -> str:
    """`00:00:01.200`; the hours may have more than two digits."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # half a surrogate pair, from a model that was cut off inside an emoji
