"""Strict readers of subtitle files: they take what the formats say and raise ValueError for everything else.

SubRip as its players read it (a counter from 1, one line of times with commas, text, an empty line); WebVTT as W3C's grammar has
it (section 4), without settings, identifiers or tags, which we never write.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SRT_TIMES = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d),(\d{3})")
_VTT_TIMES = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})")
_REFERENCES = {"amp": "&", "lt": "<", "gt": ">"}


class Cue(NamedTuple):
    """From `begin` to `end` (milliseconds), lines of text."""

    begin: int
    end: int
    text: str


def read_srt(data: bytes) -> list[Cue]:
    text = _text(data)
    cues = []
    for number, block in enumerate(_blocks(text), 1):
        counter, times, *lines = block
        if counter != str(number):
            raise ValueError(f"cue {number} has the counter {counter!r}")
        if any("-->" in line for line in lines):
            raise ValueError(f"cue {number} has an arrow in its text")
        cues.append(_cue(_SRT_TIMES, times, lines, 0))
    return cues


def read_vtt(data: bytes) -> list[Cue]:
    text = _text(data)
    if text != "WEBVTT\n\n" and not re.match(r"WEBVTT\n\n(?!\n)", text):
        raise ValueError(f"it begins with {text[:20]!r}")
    cues: list[Cue] = []
    for times, *lines in _blocks(text.removeprefix("WEBVTT\n\n")):
        cues.append(_cue(_VTT_TIMES, times, [_unescaped(line) for line in lines], 1))
        if len(cues) > 1 and cues[-2].begin > cues[-1].begin:
            raise ValueError(f"cue {len(cues)} begins before the one in front of it")
    return cues


def _text(data: bytes) -> str:
    text = data.decode("utf-8")
    if re.search(r"[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]", text):
        raise ValueError("it has control characters")
    return text


def _blocks(text: str) -> list[list[str]]:
    """Every block ends in exactly one empty line."""
    if not text:
        return []
    if not text.endswith("\n\n"):
        raise ValueError("the last cue has no empty line behind it")
    blocks = [block.split("\n") for block in text.removesuffix("\n\n").split("\n\n")]
    if any(len(block) < 2 or not all(line.strip() for line in block) for block in blocks):
        raise ValueError("a cue is empty, or has an empty line in it")
    return blocks


def _cue(pattern: re.Pattern[str], times: str, lines: list[str], shortest_ms: int) -> Cue:
    found = pattern.fullmatch(times)
    if found is None:
        raise ValueError(f"no times: {times!r}")
    if not lines:
        raise ValueError("a cue without text")
    numbers = [int(group) for group in found.groups()]
    begin, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
    if end < begin + shortest_ms:
        raise ValueError(f"a cue ends before it has begun: {times!r}")
    return Cue(begin, end, "\n".join(lines))


def _unescaped(line: str) -> str:
    if re.search(r"[<>]|&(?!(?:amp|lt|gt);)", line):
        raise ValueError(f"a character that must be escaped: {line!r}")
    return re.sub(r"&(amp|lt|gt);", lambda found: _REFERENCES[found[1]], line)
