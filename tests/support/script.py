"""What the scripted upstream is told to say: steps, manners, and the scripts made of them.

A script is a status, headers and steps. Steps are played in order; manners (`bytewise`, `lie_about_length(3)` …) may
stand anywhere among them and hold for the whole answer. Values only: nothing here touches a socket.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A step without data: something the upstream does, or a manner of doing all of it."""

    name: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes for the socket as they are, outside any framing: 1xx heads, garbage, left-over bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Split:
    """A manner: every `size` bytes of the payload travel in a write (and an HTTP chunk) of their own."""

    size: int


@dataclass(frozen=True, slots=True)
class Lie:
    """A manner: Content-Length is off by so many bytes."""

    by: int


@dataclass(frozen=True, slots=True)
class Drip:
    """Bytes outside any framing, one at a time, `every_s` seconds apart, for as long as the peer stays."""

    data: bytes
    every_s: float = 0.02


Step = bytes | str | Json | Mark | Raw | Drip | Split | Lie

pause = Mark("pause")  # waits for upstream.resume()
stall = Mark("stall")  # says nothing more until the peer leaves or the test ends
hang_up = Mark("hang up")  # closes the connection there and then, framing unfinished
reset = Mark("reset")  # closes it with a TCP reset
bytewise = Mark("bytewise")  # manner: each byte on the wire, head included, in a write of its own
close_delimited = Mark("close-delimited")  # manner: no length, no chunks; the end of the connection ends the body
goodbye = Mark("goodbye")  # manner: announces `Connection: close` and closes after the answer


def raw(data: bytes) -> Raw:
    return Raw(data)


def split(size: int) -> Split:
    return Split(size)


def lie_about_length(by: int) -> Lie:
    """+n announces n bytes that never come (the connection then closes); -n leaves n unannounced bytes on it."""
    return Lie(by)


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. `framing` is length, chunked, or none (the steps are the whole conversation)."""

    status: int
    headers: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    framing: str
    before: bytes = b""

    def has(self, mark: Mark) -> bool:
        return mark in self.steps

    @property
    def lie(self) -> int:
        return sum(step.by for step in self.steps if isinstance(step, Lie))

    @property
    def piece_size(self) -> int:
        return next((step.size for step in self.steps if isinstance(step, Split)), 0)


def pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def with_default(headers: Headers, name: str, value: str) -> tuple[tuple[str, str], ...]:
    given = pairs(headers)
    if value and not any(key.lower() == name for key, _ in given):
        given.insert(0, (name, value))
    return tuple(given)


def frame(step: Step) -> bytes:
    """The payload bytes of a step: a dict is one server-sent event, text and bytes are themselves, marks are nothing."""
    if isinstance(step, dict):
        return b"data: " + json.dumps(step, ensure_ascii=False).encode() + b"\n\n"
    if isinstance(step, str):
        return step.encode()
    return step if isinstance(step, bytes) else b""


def answer(status: int = 200, body: object = None, *steps: Step, headers: Headers = (), before: bytes = b"") -> Script:
    """One whole reply: dicts and lists become JSON, text and bytes go as they are. `steps` follow the body."""
    media_type = "application/json"
    if isinstance(body, str):
        media_type = "text/plain; charset=utf-8"
    payload = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else b""
    if body is not None and not isinstance(body, (str, bytes)):
        payload = json.dumps(body, ensure_ascii=False).encode()
    given = with_default(headers, "content-type", media_type if body is not None else "")
    return Script(status, given, (payload, *steps), "length", before)


def stream(*steps: Step, status: int = 200, headers: Headers = (), done: bool = True, before: bytes = b"") -> Script:
    """A streamed reply in HTTP chunks; dicts become `data:` frames. `done` adds the final `data: [DONE]`."""
    ending: tuple[Step, ...] = (b"data: [DONE]\n\n",) if done else ()
    return Script(
        status, with_default(headers, "content-type", "text/event-stream"), (*steps, *ending), "chunked", before
    )


def say(*steps: Step) -> Script:
    """Bytes as they are, status line and all; the connection closes after them."""
    return Script(0, (), steps, "none")
