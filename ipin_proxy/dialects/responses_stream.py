"""A chat's stream as the stream of the Responses API: chunks in, numbered events out.

A step is a generator. Once started with `next`, it is sent the chunks that came, and None when the answer has come to its proper end,
which whoever reads the provider's stream has to judge; a cut or an error is thrown into it as a ProxyError. Each time it
yields the frames to pass on. Nothing is written before the first chunk, so that an early failure can be a status. However
it ends, its last event says so: completed, incomplete or failed, with the whole object. Afterwards it hears nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from ..errors import ProxyError
from ..web.sse import frame
from .responses_reply import Answer, Asked, written

Json = dict[str, Any]
Keep = Callable[[Json], None]


def encode_stream(asked: Asked, keep: Keep | None = None) -> Generator[bytes, list[Json] | None, None]:
    """The step for one answer. `keep` is given the whole object before the event that says it is there: who asks for it
    next will find it. A failed one is not kept."""
    events = Events()
    answer = Answer(asked, events.tell)
    out = b""
    try:
        while (chunks := (yield out)) is not None:
            for chunk in chunks:
                answer.take(chunk)
            out = events.take()
        response = answer.end()
        if keep is not None:
            keep(json.loads(written(response)))
    except ProxyError as error:
        answer.fail(error)
    out = events.take()
    while True:
        with suppress(ProxyError):  # it has ended already, and has said so
            yield out
        out = b""


class Events:
    """Events as frames, numbered from 0."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._number = 0

    def tell(self, kind: str, members: Json) -> None:
        event = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        self._frames.append(frame(written(event), kind))

    def take(self) -> bytes:
        out = b"".join(self._frames)
        self._frames.clear()
        return out
