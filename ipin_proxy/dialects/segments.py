"""Transcripts, in the shapes in which Whisper servers write them.

A bare list of segments, `chunks` or `segments` beside a text, a text alone, the `timestamp` pairs of the transformers pipeline.
Nothing here trusts a time: what is no number, negative or absurd counts as not told, and is repaired from its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..media.transcripts import Segment, Transcript, Word, joined, repaired

MOST_SECONDS = 10_000_000.0  # a third of a year; more is garbage
DETAILS = ("seek", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob")


class _Spoken(NamedTuple):
    """A segment or a word as it is told."""

    text: str
    start: float | None
    end: float | None
    source: dict[str, Any]


def transcript_told(value: Any, seconds: float | None) -> Transcript | None:
    """The transcript in a reply to a recording of so many seconds, or None when there is none in it."""
    if isinstance(value, list):
        return _of_rows(value, None, {}, seconds)
    if isinstance(value, str):
        return _of_text(value, {}, seconds)
    if not isinstance(value, dict):
        return None
    told = next((value[name] for name in ("text", "transcription") if isinstance(value.get(name), str)), None)
    for name in ("chunks", "segments"):
        if isinstance(value.get(name), list):
            found = _of_rows(value[name], told, value, seconds)
            if found is not None:
                return found
    return None if told is None else _of_text(told, value, seconds)


def _of_rows(rows: list[Any], told: str | None, reply: dict[str, Any], seconds: float | None) -> Transcript | None:
    spoken = _spoken(rows)
    if spoken is None:
        return None
    if not spoken and told and told.strip():
        return _of_text(told, reply, seconds)
    times = repaired([(each.start, each.end) for each in spoken], seconds)
    segments = [
        Segment(start, end, each.text, _details(each.source)) for each, (start, end) in zip(spoken, times, strict=True)
    ]
    text = joined(segment.text for segment in segments) if told is None else told.strip()
    words = _words(reply.get("words"), seconds)
    if words is None:
        inner = [each.source["words"] for each in spoken if isinstance(each.source.get("words"), list)]
        words = _words([word for row in inner for word in row], seconds) if inner else None
    return Transcript(text, segments, words, _language(reply), seconds)


def _of_text(text: str, reply: dict[str, Any], seconds: float | None) -> Transcript:
    """All that is known is what was said, not when."""
    text = text.strip()
    segments = [Segment(0.0, seconds or 0.0, text)] if text else []
    return Transcript(text, segments, _words(reply.get("words"), seconds), _language(reply), seconds)


def _words(rows: Any, seconds: float | None) -> Sequence[Word] | None:
    spoken = _spoken(rows) if isinstance(rows, list) else None
    if spoken is None:
        return None
    times = repaired([(each.start, each.end) for each in spoken], seconds)
    return [Word(each.text.strip(), *time) for each, time in zip(spoken, times, strict=True)]


def _spoken(rows: list[Any]) -> list[_Spoken] | None:
    """None when a row is nothing that is said."""
    found = []
    for row in rows:
        source = row if isinstance(row, dict) else {"text": row}
        text = source.get("text", source.get("word"))
        if not isinstance(text, str):
            return None
        pair = source.get("timestamp")
        start, end = pair if isinstance(pair, list) and len(pair) == 2 else (source.get("start"), source.get("end"))
        found.append(_Spoken(text, moment(start), moment(end), source))
    return found


def moment(value: Any) -> float | None:
    """A point in time, in seconds; None for what cannot be one."""
    if isinstance(value, str):
        try:
            value = float(value[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= MOST_SECONDS else None  # no NaN is


def _details(source: dict[str, Any]) -> dict[str, Any]:
    """What of a segment OpenAI's have as well."""
    found = {name: source[name] for name in DETAILS if _is_number(source.get(name))}
    tokens = source.get("tokens")
    if isinstance(tokens, list) and all(type(token) is int for token in tokens):
        found["tokens"] = tokens
    return found


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _language(reply: dict[str, Any]) -> str | None:
    language = reply.get("language")
    return language if isinstance(language, str) and language else None
