"""Anthropic's streams in passing, where both ends speak its Messages API: frames go out as they came, and what the house must know
is read on the way: usage, why it stopped, errors, the end.

What stands before the first block (`message_start`, pings) waits for what comes behind it: an error there still is a status, and
another deployment may be asked.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from ..call import Bill
from ..errors import ProxyError, UpstreamError
from ..meter import usage_of
from ..web.sse import FrameSplitter, FrameTooLong, parse_event
from .anthropic_reply import finish_of
from .messages_errors import encode_stream_error
from .messages_stream import PING
from .openai_stream import stream_error

Json = dict[str, Any]

WORTH_A_LOOK = re.compile(rb'"usage"\s*:|"error"|message_st|message_delta|tool_use')
BEFORE_THE_ANSWER = ("message_start", "ping")


class MessagesTap:
    """The pipe of a stream that stays in Anthropic's dialect. `error_in` makes an error of an event that tells one."""

    def __init__(self, bill: Bill, error_in: Callable[[Json], ProxyError]) -> None:
        self._bill = bill
        self._error_in = error_in
        self._splitter = FrameSplitter()
        self._held: list[bytes] = []
        self._has_begun = False  # something was sent: from now on an error is an event and no status
        self._is_complete = False  # the answer is whole, whatever the connection does now
        self._is_over = False
        self._has_calls = False

    def feed(self, data: bytes) -> bytes:
        try:
            frames = self._splitter.feed(data)
        except FrameTooLong as error:
            raise UpstreamError(f"Provider '{self._provider}' sent an event without an end.") from error
        return self._pass(frames, len(data)) if frames else b""

    def finish(self) -> bytes:
        rest = self._splitter.rest
        out = self._pass([rest.rstrip(b"\r\n") + b"\n\n"], 0) if rest.strip() else b""
        if not self._is_complete:
            raise stream_error(EOFError(), self._provider)
        return out

    def fail(self, error: Exception) -> bytes | None:
        if self._is_complete:  # the connection broke after the last word
            return b""
        return encode_stream_error(stream_error(error, self._provider), self._bill.call.id)

    def idle(self) -> bytes:
        return PING

    @property
    def _provider(self) -> str:
        return self._bill.deployment.provider.id if self._bill.deployment is not None else ""

    def _pass(self, frames: list[bytes], size: int) -> bytes:
        out = []
        for raw in frames:
            goes_before = self._look(raw) if not self._has_begun or WORTH_A_LOOK.search(raw) else False
            if self._has_begun:
                out.append(raw)
                continue
            self._held.append(raw)
            if not goes_before:
                self._begin(raw)
                out += self._held
                self._held.clear()
        bill = self._bill
        bill.frames += len(frames)
        bill.heard_bytes += size
        bill.bytes_out += sum(map(len, out))
        if self._is_over and bill.error is None:
            bill.completed()
        return b"".join(out)

    def _begin(self, first: bytes) -> None:
        self._has_begun = True
        self._bill.shortest_frame_bytes = len(first)
        self._bill.first_chunk_ms = int((time.monotonic() - self._bill.call.started_at) * 1000)

    def _look(self, raw: bytes) -> bool:
        """Open one frame; whether it is one of those before the answer. Raises the error that comes before anything was sent."""
        event = parse_event(raw)
        try:
            body = json.loads(event.data if event.data is not None else raw)
        except (ValueError, RecursionError):
            return event.data is None or not event.data.strip()
        if type(body) is not dict:
            return False
        kind = body.get("type") if type(body.get("type")) is str else event.event
        if kind == "error" or (event.data is None and body.get("error")):
            self._fail(self._error_in(body))
        elif kind == "message_start" or kind == "message_delta":
            self._bill.used(usage_of(body))
            self._note_end(body.get("delta"))
        elif kind == "message_stop":
            self._is_complete = self._is_over = True
        elif kind == "content_block_start":
            block = body.get("content_block")
            self._has_calls = self._has_calls or (type(block) is dict and block.get("type") == "tool_use")
        return kind in BEFORE_THE_ANSWER

    def _note_end(self, delta: Any) -> None:
        reason = delta.get("stop_reason") if type(delta) is dict else None
        if type(reason) is str:
            self._is_complete = True
            self._bill.finish_reason = finish_of(reason, self._has_calls)

    def _fail(self, error: ProxyError) -> None:
        if not self._has_begun:
            raise error
        self._is_complete = True  # nothing more is owed, least of all a proper end
        self._bill.error = error


def events_of(message: Json, completion: Json) -> bytes:
    """A whole message as the stream that was asked for."""
    from .messages_reply import Asked
    from .messages_stream import encode_stream
    from .messages_tools import Names

    step = encode_stream(Asked(str(message.get("model")), Names(), thinks=True))
    next(step)
    return step.send([completion]) + step.send(None)
