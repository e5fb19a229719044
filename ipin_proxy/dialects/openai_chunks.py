"""A provider's stream as chunks of the hub, for whoever writes them anew.

It sees what SDKs would not: an error in a line without `data:`, one in a body of the status 200, and an end that is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from typing import Any

from ..call import Bill, Deployment, Usage
from ..errors import ProxyError, UpstreamError
from ..meter import usage_of
from ..web.sse import FrameSplitter, FrameTooLong, parse_event
from .openai_stream import BARE_LINE, object_in, stream_error
from .translation import Decoding

Json = dict[str, Any]

MESSAGE_CHARS = 2000
# Members of a delta in which something of the answer is.
SAYING = ("content", "reasoning_content", "reasoning", "reasoning_details", "refusal", "tool_calls", "function_call")
# What an error in a stream is called, or numbered, that will pass.
BUSY: dict[int | str, int] = {
    429: 429,
    503: 503,
    529: 529,
    "429": 429,
    "503": 503,
    "529": 529,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "service_unavailable_error": 503,
}


class ChunkReader:
    """Reads one stream. Every method may raise a ProxyError: the provider's own, or what is wrong with its stream."""

    def __init__(self, deployment: Deployment, raise_if_error: Callable[[Any, Deployment], None]) -> None:
        self._deployment = deployment
        self._raise_if_error = raise_if_error
        self._splitter = FrameSplitter()
        self._has_said = self._has_called = False  # something of the answer has come in pieces; a call of a tool has
        self.is_complete = False  # the answer is whole, whatever the connection does now
        self.is_done = False  # its last word was said, and behind it comes nothing
        self.is_counted = False  # its usage was told when it was whole
        self.usage: Usage | None = None
        self.finish_reason = ""

    def feed(self, data: bytes) -> Iterator[Json]:
        """The chunks in these bytes. What came before an error is given first."""
        try:
            frames = self._splitter.feed(data)
        except FrameTooLong as error:
            raise UpstreamError(f"Provider '{self._deployment.provider.id}' sent an event without an end.") from error
        for each in frames:
            if (chunk := self._chunk(each)) is not None:
                yield chunk

    def finish(self) -> Iterator[Json]:
        """The connection ended; what was still on its way. Raises UpstreamError when the answer was cut."""
        rest = self._splitter.rest
        if rest.strip() and (chunk := self._chunk(rest.rstrip(b"\r\n") + b"\n\n")) is not None:
            yield chunk
        if not self.is_complete:
            raise stream_error(EOFError(), self._deployment.provider.id)

    def _chunk(self, raw: bytes) -> Json | None:
        event = parse_event(raw)
        if event.data is None:
            for text in (raw, *BARE_LINE.findall(raw)):
                self._look_for_error(_read(text))
            return None
        if event.data.strip() == b"[DONE]":
            self.is_complete = self.is_done = True
            return None
        body = _read(event.data)
        if body is None:
            return None  # a broken frame; those after it still count
        self._look_for_error(body if event.event != "error" or body.get("error") else {"error": body})
        usage = usage_in(body)
        if usage is not None:
            self.usage = usage if self.usage is None else usage.after(self.usage)
        choice = first_choice(body)
        if choice is not None:
            if choice.get("error"):
                self._look_for_error({"error": choice["error"]})
            raise_if_failed(choice)
            if reason := choice.get("finish_reason"):
                self.is_complete = True
                self.finish_reason = reason if type(reason) is str else self.finish_reason
            body = self._once(body, choice)
        self.is_counted = self.is_counted or (self.is_complete and usage is not None)
        return body

    def _once(self, body: Json, choice: Json) -> Json:
        """A chunk without what was said before it: MiniMax ends a stream with all of the message again."""
        message, delta = choice.get("message"), choice.get("delta")
        if self._has_said and type(message) is dict:
            fresh = {"tool_calls": calls} if (calls := message.get("tool_calls")) and not self._has_called else None
            return {**body, "choices": [{**choice, "message": fresh}]}
        if type(delta) is dict:
            self._has_called = self._has_called or bool(delta.get("tool_calls"))
            self._has_said = self._has_said or any(map(delta.get, SAYING))
        return body

    def _look_for_error(self, body: Json | None) -> None:
        """An error in a stream has no status; where it tells that waiting helps, so do we."""
        try:
            self._raise_if_error(body, self._deployment)
        except ProxyError as error:
            told = body.get("error") if body is not None else None
            words = [told.get(name) for name in ("code", "status", "type")] if type(told) is dict else []
            error.status = next(
                (BUSY[word] for word in words if type(word) in (int, str) and word in BUSY), error.status
            )
            raise


def decode_stream(reader: ChunkReader) -> Generator[list[Json], bytes | None, None]:
    """Bytes in, chunks out. As `translation.py` says: an error behind chunks waits until these are taken."""
    chunks: list[Json] = []
    failure: ProxyError | None = None
    while (data := (yield chunks)) is not None and failure is None:
        chunks = []
        try:
            chunks.extend(reader.feed(data))
        except ProxyError as error:
            if not chunks:
                raise
            failure = error
    if failure is not None:
        try:
            raise failure
        finally:
            failure = None  # it would hold itself through its traceback, and with it the body of the call
    yield list(reader.finish())


def decoding(bill: Bill, deployment: Deployment, raise_if_error: Callable[[Any, Deployment], None]) -> Decoding:
    """How a stream of chunks is read."""
    reader = ChunkReader(deployment, raise_if_error)

    def note() -> bool:
        bill.used(reader.usage)
        bill.is_counted = reader.is_counted
        bill.finish_reason = reader.finish_reason or bill.finish_reason
        return reader.is_done

    return Decoding(decode_stream(reader), note)


def usage_in(chunk: Json) -> Usage | None:
    """The usage a chunk tells; most tell none, and are not searched for it."""
    return usage_of(chunk) if chunk.get("usage") or "x_groq" in chunk else None


def first_choice(body: Json) -> Json | None:
    """The choice of index 0, or without one: where one answer is told, the others have no place."""
    choices = body.get("choices")
    for choice in choices if type(choices) is list else ():
        if type(choice) is dict and choice.get("index") in (0, None):
            return choice
    return None


def raise_if_failed(choice: Json) -> None:
    """OpenRouter tells a failure behind the beginning of an answer so."""
    error = choice.get("error")
    if error or choice.get("finish_reason") == "error":
        message = error.get("message") if type(error) is dict else error
        told = message if type(message) is str and message else "The provider ended its answer with an error."
        raise UpstreamError(told[:MESSAGE_CHARS], code="upstream_stream_interrupted")


def _read(data: bytes) -> Json | None:
    try:
        return object_in(json.loads(str(data, "utf-8")))
    except (ValueError, RecursionError):
        return None
