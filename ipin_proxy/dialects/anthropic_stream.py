"""Anthropic's stream of events as chunks of a chat completion.

A step: it is sent the bytes as they come, and None at their end, and yields the chunks they make. It raises the error that an event
tells, and UpstreamError for a stream that was cut: that is every one without a reason why it stopped. What nobody knows
(new kinds of events, blocks, deltas) is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any

from ..call import Usage
from ..errors import ProxyError, UpstreamError
from ..meter import usage_of
from ..web.sse import FrameSplitter, FrameTooLong, parse_event
from .anthropic_reply import (
    Asked,
    arguments_of,
    call_of,
    details_of,
    finish_of,
    new_id,
    pages_cited,
    refusal_of,
    text_in,
    usage_told,
)

Json = dict[str, Any]
Chunks = list[Json]

THOUGHTS = ("thinking", "redacted_thinking")


class Block:
    """A content block while it comes."""

    __slots__ = ("begin", "citations", "json", "kind", "number", "thoughts", "told")

    def __init__(self, json: Json, begin: int) -> None:
        self.json = json
        self.kind = json.get("type")
        self.begin = begin  # where in the text it begins
        self.number = -1  # of a tool's call among the calls
        self.told = False  # something of a call's arguments was
        self.citations: list[Any] = []
        self.thoughts: list[str] = [text_in(json, "thinking")]


class Message:
    """The state of one answer: events in, chunks out."""

    def __init__(self, asked: Asked, provider: str, error_of: Callable[[Json], ProxyError]) -> None:
        self.usage: Usage | None = None
        self.finish = ""  # the finish reason, once the provider has told why it stopped
        self.is_complete = False
        self._asked = asked
        self._provider = provider
        self._error_of = error_of
        self._head: Json = {}
        self._blocks: dict[Any, Block] = {}
        self._calls = self._thoughts = self._chars = 0
        self._notes: list[Json] = []  # pages that were cited
        self._has_begun = False
        self._stop: Json = {}  # members of the latest message_delta
        self._handlers: dict[str, Callable[[Json], Chunks]] = {
            "message_start": self._start,
            "content_block_start": self._open,
            "content_block_delta": self._delta,
            "content_block_stop": self._close,
            "message_delta": self._note_end,
            "message_stop": self._end,
        }

    def take(self, event: Json, name: str | None) -> Chunks:
        """The chunks of one event. Raises what an event of an error says."""
        if self.is_complete:
            return []
        kind = event.get("type")
        kind = kind if type(kind) is str else name
        if kind == "error" or (event.get("error") and kind not in self._handlers):
            raise self._error_of(event)
        handler = self._handlers.get(kind or "")
        return handler(event) if handler is not None else []

    def end(self) -> Chunks:
        """The last chunks. Raises UpstreamError when the answer had not come to its end."""
        if self.is_complete:
            return []
        if "stop_reason" not in self._stop:
            raise UpstreamError(
                f"Provider '{self._provider}' broke off its answer before the end.", code="upstream_stream_interrupted"
            )
        return self._end({})

    def _start(self, event: Json) -> Chunks:
        self._used(event)
        message = event.get("message")
        if type(message) is dict and not self._has_begun:
            self._head = message
        return []  # an error may follow at once, and could still be a status

    def _open(self, event: Json) -> Chunks:
        json = event.get("content_block")
        if type(json) is not dict:
            return []
        index = index_of(event)
        chunks = self._close(event) if index in self._blocks else []  # a lie: the one before it has not ended
        block = self._blocks[index] = Block(dict(json), self._chars)
        if block.kind == "text":
            return chunks + self._text(text_in(json, "text"))
        if block.kind == "thinking":
            return chunks + self._thought(text_in(json, "thinking"))
        if block.kind == "tool_use" and (name := text_in(json, "name")):
            block.number = self._calls
            self._calls += 1
            call = call_of(text_in(json, "id"), name, "")
            return chunks + self._say(self._call_told(block, call))
        return chunks

    def _delta(self, event: Json) -> Chunks:
        delta = event.get("delta")
        if type(delta) is not dict:
            return []
        block, kind = self._blocks.get(index_of(event)), delta.get("type")
        if kind == "text_delta" and (block is None or block.kind == "text"):
            return self._text(text_in(delta, "text"))
        if block is None:
            return []
        if kind == "thinking_delta" and block.kind == "thinking":
            block.thoughts.append(text_in(delta, "thinking"))
            return self._thought(text_in(delta, "thinking"))
        if kind == "signature_delta" and block.kind == "thinking":
            block.json["signature"] = text_in(block.json, "signature") + text_in(delta, "signature")
        elif kind == "citations_delta":
            block.citations.append(delta.get("citation"))
        elif kind == "input_json_delta" and block.number >= 0 and (piece := text_in(delta, "partial_json")):
            block.told = True
            return self._say(self._call_told(block, {"function": {"arguments": piece}}))
        return []

    def _close(self, event: Json) -> Chunks:
        """What is only told when a block is whole: a signed thought, arguments that were there at once."""
        block = self._blocks.pop(index_of(event), None)
        if block is None:
            return []
        if block.kind in THOUGHTS:
            details = details_of({**block.json, "thinking": "".join(block.thoughts)}, self._thoughts)
            self._thoughts += len(details)
            return self._say({"reasoning_details": details}) if details else []
        if block.number >= 0 and not block.told:
            return self._say(self._call_told(block, {"function": {"arguments": arguments_of(block.json.get("input"))}}))
        self._notes += pages_cited(block.citations, block.begin, self._chars)
        return []

    def _note_end(self, event: Json) -> Chunks:
        self._used(event)
        delta = event.get("delta")
        if type(delta) is dict and type(delta.get("stop_reason")) is str:
            self._stop = delta
        return []

    def _end(self, event: Json) -> Chunks:
        """The provider has said its last word: what was left open, why it stopped, what it used."""
        chunks: Chunks = []
        for index in list(self._blocks):
            chunks += self._close({"index": index})
        self.is_complete = True
        self.finish = finish_of(self._stop.get("stop_reason"), self._calls > 0, older=self._asked.older_form)
        if self._notes:  # all at once: OpenAI's helper cannot put lists of them together
            chunks += self._say({"annotations": self._notes})
        refusal = refusal_of(self._stop)
        chunks += self._say({"refusal": refusal} if refusal else {}, self.finish)
        if self._asked.usage and self.usage is not None:
            chunks.append({**self._common(), "choices": [], "usage": usage_told(self.usage)})
        return chunks

    def _text(self, text: str) -> Chunks:
        self._chars += len(text)
        return self._say({"content": text}) if text else []

    def _thought(self, text: str) -> Chunks:
        return self._say({"reasoning_content": text}) if text else []

    def _call_told(self, block: Block, call: Json) -> Json:
        """A piece of a call as a delta. The older form has room for one call."""
        if not self._asked.older_form:
            return {"tool_calls": [{"index": block.number, **call}]}
        return {"function_call": call["function"]} if block.number == 0 else {}

    def _say(self, delta: Json, finish: str | None = None) -> Chunks:
        if not delta and finish is None:
            return []
        chunks = [self._chunk(delta, finish)]
        if not self._has_begun:
            self._has_begun = True
            chunks.insert(0, self._chunk({"role": "assistant", "content": ""}, None))
        return chunks

    def _chunk(self, delta: Json, finish: str | None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._common(), "choices": [choice]}
        return {**chunk, "usage": None} if self._asked.usage else chunk

    def _common(self) -> Json:
        head = self._head
        head["id"] = text_in(head, "id") or new_id("msg_")
        return {
            "id": head["id"],
            "object": "chat.completion.chunk",
            "created": self._asked.created,
            "model": text_in(head, "model") or self._asked.model,
        }

    def _used(self, event: Json) -> None:
        told = usage_of(event)
        if told is not None:
            self.usage = told if self.usage is None else told.after(self.usage)


def decode_stream(message: Message, provider: str) -> Generator[Chunks, bytes | None, None]:
    """Bytes in, chunks out. As `translation.py` says: an error behind chunks waits until these are taken."""
    splitter = FrameSplitter()
    chunks: Chunks = []
    failure: ProxyError | None = None
    while (data := (yield chunks)) is not None and failure is None:
        chunks = []
        try:
            for frame in splitter.feed(data):
                chunks += chunks_of(frame, message)
        except FrameTooLong as error:
            raise UpstreamError(f"Provider '{provider}' sent an event without an end.") from error
        except ProxyError as error:
            if not chunks:
                raise
            failure = error
    if failure is not None:
        try:
            raise failure
        finally:
            failure = None  # it would hold itself through its traceback, and with it the body of the call
    rest = splitter.rest
    chunks = chunks_of(rest.rstrip(b"\r\n") + b"\n\n", message) if rest.strip() else []
    yield chunks + message.end()


def chunks_of(frame: bytes, message: Message) -> Chunks:
    """The chunks of one frame; none for what cannot be read."""
    event = parse_event(frame)
    try:
        body = json.loads(event.data if event.data is not None else frame)
    except (ValueError, RecursionError):
        return []
    if type(body) is not dict:
        return []
    if event.data is None and not body.get("error"):
        return []  # a bare line is none of the stream, unless it tells why there will be no more of it
    return message.take(body, event.event)


def index_of(event: Json) -> Any:
    index = event.get("index")
    return index if type(index) is int else None
