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
from ..web.sse import Event, FrameSplitter, FrameTooLong, frame, parse_event
from .anthropic_reply import finish_of
from .messages_errors import encode_stream_error
from .messages_stream import PING
from .openai_stream import BARE_LINE, stream_error

Json = dict[str, Any]

WORTH_A_LOOK = re.compile(rb'"usage"\s*:|"error"|"detail"|event: *error|message_st|message_delta|tool_use')
BEFORE_THE_ANSWER = ("message_start", "ping")
STOP = frame('{"type": "message_stop"}', "message_stop")


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
        self._has_failed = False
        self._has_calls = False

    def feed(self, data: bytes) -> bytes:
        try:
            frames = self._splitter.feed(data)
        except FrameTooLong as error:
            raise UpstreamError(f"Provider '{self._provider}' sent an event without an end.") from error
        return self._pass(frames) if frames else b""

    def finish(self) -> bytes:
        rest, out = self._splitter.rest, b""
        if rest.strip() and body_of(parse_event(rest), rest) is not None:  # at half a frame clients would fail
            out = self._pass([rest.rstrip(b"\r\n") + b"\n\n"])
        if not self._is_complete:
            raise stream_error(EOFError(), self._provider)
        return out + self._last_word()

    def fail(self, error: Exception) -> bytes | None:
        if self._is_complete:  # the connection broke after the last word
            return self._last_word()
        return encode_stream_error(stream_error(error, self._provider), self._bill.call.id)

    def _last_word(self) -> bytes:
        """An answer of which one knows why it stopped is whole; where it was not said that it is over, say so."""
        if self._is_over or self._has_failed:
            return b""
        self._is_over = True
        self._bill.bytes_out += len(STOP)
        self._bill.completed()
        return STOP

    def idle(self) -> bytes:
        return PING

    @property
    def _provider(self) -> str:
        return self._bill.deployment.provider.id if self._bill.deployment is not None else ""

    def _pass(self, frames: list[bytes]) -> bytes:
        out: list[bytes] = []
        before = 0  # frames of `out` in which nothing is said yet
        for raw in frames:
            if self._has_failed:
                break
            goes_before = False
            if not self._has_begun or WORTH_A_LOOK.search(raw):
                raw, goes_before = self._look(raw)
            if self._has_begun:
                out.append(raw)
                continue
            self._held.append(raw)
            if not goes_before:
                self._begin(raw)
                before = len(self._held) - 1
                out += self._held
                self._held.clear()
        bill = self._bill
        bill.frames += len(out) - before
        bill.heard_bytes += sum(map(len, out[before:]))
        bill.bytes_out += sum(map(len, out))
        if self._is_over and bill.error is None:
            bill.completed()
        return b"".join(out)

    def _begin(self, first: bytes) -> None:
        self._has_begun = True
        self._bill.shortest_frame_bytes = len(first)
        self._bill.first_chunk_ms = int((time.monotonic() - self._bill.call.started_at) * 1000)

    def _look(self, raw: bytes) -> tuple[bytes, bool]:
        """Open one frame: what of it goes on, and whether it is one of those before the answer. Raises the error that comes before
        anything was sent."""
        event = parse_event(raw)
        body = body_of(event, raw)
        if body is None:
            return raw, event.data is None or not event.data.strip()
        kind = body.get("type") if type(body.get("type")) is str else event.event
        if kind == "error" or (kind is None and (body.get("error") or body.get("detail"))):
            return self._failed(body, raw, event), False
        if kind == "message_start" or kind == "message_delta":
            self._bill.used(usage_of(body))
            self._note_end(body.get("delta"))
        elif kind == "message_stop":
            self._is_complete = self._is_over = True
        elif kind == "content_block_start":
            block = body.get("content_block")
            self._has_calls = self._has_calls or (type(block) is dict and block.get("type") == "tool_use")
        return raw, kind in BEFORE_THE_ANSWER

    def _note_end(self, delta: Any) -> None:
        reason = delta.get("stop_reason") if type(delta) is dict else None
        if type(reason) is str:
            self._is_complete = True
            self._bill.finish_reason = finish_of(reason, self._has_calls)

    def _failed(self, body: Json, raw: bytes, event: Event) -> bytes:
        """The event of an error, as it came if it is one that clients see: they look for its name, and pass over a line that is
        none."""
        error = self._error_in(body)
        if not self._has_begun:
            raise error
        self._is_complete = self._has_failed = True  # nothing more is owed, least of all a proper end
        self._bill.error = error
        is_theirs = event.event == body.get("type") == "error"
        told = body.get("error")
        if is_theirs and type(told) is dict and told.get("message") == error.message:  # else it is not all for callers
            return raw
        return encode_stream_error(error, self._bill.call.id)


def body_of(event: Event, raw: bytes) -> Json | None:
    """The object in a frame; of one without `data:`, which some servers send in the middle of a stream, that of an error."""
    for text in [event.data] if event.data is not None else BARE_LINE.findall(raw):
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if type(body) is dict and (event.data is not None or body.get("error") or body.get("detail")):
            return body
    if event.event == "error" and event.data:
        return {"error": {"message": event.data.decode("utf-8", "replace")}}
    return None


def events_of(message: Json, completion: Json) -> bytes:
    """A whole message as the stream that was asked for."""
    from .messages_reply import Asked
    from .messages_stream import encode_stream
    from .messages_tools import Names

    step = encode_stream(Asked(str(message.get("model")), Names(), thinks=True))
    next(step)
    return step.send([completion]) + step.send(None)
