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
from . import openai
from .anthropic_reply import finish_of, text_in
from .messages_errors import encode_stream_error
from .messages_stream import PING
from .openai_stream import BARE_LINE, stream_error

Json = dict[str, Any]

# What makes a frame worth opening, with `tool_use`; several patterns that each begin with what they have in common are found
# in a third of the time that one takes.
WORTH_A_LOOK = re.compile(rb'"(?:usage"\s*:|error"|detail"|message_st|message_delta)')
NAMED_SO = re.compile(rb"event: *(?:error|message_st|message_delta)")
BEFORE_THE_ANSWER = ("message_start", "ping")
ENDING = ("stop_details", "container")  # of a message, what is known when it ends
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

    def idle(self) -> bytes | None:
        return None if self._is_over or self._has_failed else PING

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
            if not self._has_begun or is_worth_a_look(raw):
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
        told, deployment = body.get("error"), self._bill.deployment
        is_whole = type(told) is dict and told.get("message") == error.message  # else it is not all for callers
        if is_theirs and is_whole and deployment is not None and not openai.tells_secrets(body, deployment):
            return raw
        return encode_stream_error(error, self._bill.call.id)


def is_worth_a_look(raw: bytes) -> bool:
    return WORTH_A_LOOK.search(raw) is not None or NAMED_SO.search(raw) is not None or b"tool_use" in raw


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


def events_of(message: Json) -> bytes:
    """A whole message as the stream that was asked for, with all that is in it. Raises ValueError, RecursionError."""
    usage = message.get("usage")
    usage = usage if type(usage) is dict else {}
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 0},
    }
    events: list[Json] = [{"type": "message_start", "message": begun}]
    blocks = [block for block in message["content"] if type(block) is dict]
    for at, block in enumerate(blocks):
        start, deltas = pieces_of(block)
        events.append({"type": "content_block_start", "index": at, "content_block": start})
        events += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": at})
    delta = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    delta |= {name: message[name] for name in ENDING if message.get(name) is not None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 0, **usage}})
    events.append({"type": "message_stop"})
    return b"".join(frame(json.dumps(event), event["type"]) for event in events)


def pieces_of(block: Json) -> tuple[Json, list[Json]]:
    """A block as it begins, and what comes of it then. What is not told in pieces, such as what a tool of its own found, is all
    there at once."""
    kind, deltas = block.get("type"), []
    if kind == "text":
        citations = block.get("citations")
        deltas = [{"type": "citations_delta", "citation": each} for each in citations or ()]
        deltas.append({"type": "text_delta", "text": text_in(block, "text")})
        block = {**block, "text": "", **({"citations": []} if citations else {})}
    elif kind == "thinking":
        deltas.append({"type": "thinking_delta", "thinking": text_in(block, "thinking")})
        deltas.append({"type": "signature_delta", "signature": text_in(block, "signature")})
        block = {**block, "thinking": "", "signature": ""}
    elif type(block.get("input")) is dict:
        deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
        block = {**block, "input": {}}
    return block, deltas
