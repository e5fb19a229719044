"""Cases: a folder for each situation, with plain files of what is said to whom, played as pure functions.

`client_request.json` → `upstream_request.json`, and `upstream_reply.json` or `.sse` → `client_reply.json` or `.sse`; a half may be
missing. `case.json` holds options, such as the model or what a test's runner knows to do with it. `UPDATE_CASES=1` writes the
expectations anew, to be read before they are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CASES = Path(__file__).resolve().parents[1] / "cases"
SHORT_BYTES = 300
AROUND = 4  # more than the longest end of a frame, and than a letter
UPDATES = os.environ.get("UPDATE_CASES") == "1"


@dataclass(frozen=True, slots=True)
class Case:
    """One situation."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def options(self) -> dict[str, Any]:
        return self.json("case.json") if self.has("case.json") else {}

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def expect(self, name: str, found: Any) -> None:
        """What was found is what the file says, as JSON or, of a stream, byte for byte."""
        is_stream = name.endswith(".sse")
        if UPDATES:
            text = found if is_stream else (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode()
            (self.folder / name).write_bytes(text)
        assert found == (self.bytes(name) if is_stream else self.json(name))


def cases_in(direction: str, *, having: str = "") -> list[Case]:
    """The cases of a direction, those with a file of that name; in order of their names."""
    found = [Case(folder) for folder in sorted((CASES / direction).iterdir()) if folder.is_dir()]
    return [case for case in found if not having or case.has(having)]


def splits(data: bytes) -> Iterator[list[bytes]]:
    """A stream as it may come: whole, in pieces of one byte and of some, and cut in two at every place that can matter."""
    yield [data]
    for size in (1, 2, 3, 5, 7, 64):
        yield [data[at : at + size] for at in range(0, len(data), size)]
    for at in cuts(data):
        yield [data[:at], data[at:]]


def cuts(data: bytes) -> list[int]:
    """Every place in a short stream; in a longer one those at its ends, at the ends of lines and in letters of many bytes,
    with some bytes around. Between them is the text of one line, which is looked at when it is whole."""
    places = range(1, len(data))
    if len(data) <= SHORT_BYTES:
        return list(places)
    marks = [0, len(data), *(at for at, byte in enumerate(data) if byte in b"\r\n" or byte >= 0x80)]
    near = {mark + off for mark in marks for off in range(-AROUND, AROUND + 1)}
    return [at for at in places if at in near]


def plays_the_same(play: Callable[[list[bytes]], bytes], data: bytes) -> bytes:
    """What comes of a stream, the same however it was cut."""
    first: bytes | None = None
    for pieces in splits(data):
        found = play(pieces)
        if first is None:
            first = found
        assert found == first, [len(piece) for piece in pieces][:4]
    assert first is not None
    return first
