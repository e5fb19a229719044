"""A provider's stream as chunks of the hub, for whoever writes them anew, and the pipe that does.

It sees what SDKs would not: an error in a line without `data:`, one in a body of the status 200, and an end that is none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from ..call import Bill, Deployment, Usage
from ..errors import ProxyError, UpstreamError
from ..meter import usage_of
from ..web.sse import FrameSplitter, FrameTooLong, parse_event
from .openai_stream import BARE_LINE, stream_error

Json = dict[str, Any]

MESSAGE_CHARS = 2000
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
        self.is_complete = False  # the answer is whole, whatever the connection does now

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
            for line in BARE_LINE.findall(raw):
                self._look_for_error(_read(line))
            return None
        if event.data.strip() == b"[DONE]":
            self.is_complete = True
            return None
        body = _read(event.data)
        if body is None:
            return None  # a broken frame; those after it still count
        self._look_for_error(body if event.event != "error" or body.get("error") else {"error": body})
        choice = first_choice(body)
        if choice is not None:
            if choice.get("error"):
                self._look_for_error({"error": choice["error"]})
            raise_if_failed(choice)
            self.is_complete = self.is_complete or bool(choice.get("finish_reason"))
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


class ChunkPipe:
    """The pipe of a stream that is written anew. The step is sent chunks, and None at the end; an error that is thrown into it
    it tells in its own words, and nothing behind them. Until it has said anything an error is raised, so that it is a status."""

    def __init__(
        self, reader: ChunkReader, step: Generator[bytes, list[Json] | None, None], keep_alive: bytes, bill: Bill
    ) -> None:
        self._reader = reader
        self._step = step
        self._keep_alive = keep_alive
        self._bill = bill
        self._has_begun = False
        self._has_failed = False
        next(step)

    def feed(self, data: bytes) -> bytes:
        return self._written(self._reader.feed(data)) if not self._has_failed else b""

    def finish(self) -> bytes:
        if self._has_failed:
            return b""
        out = self._written(self._reader.finish())
        if self._has_failed:
            return out
        if not self._has_begun:
            raise UpstreamError(f"Provider '{self._provider}' ended its answer before it began.")
        return out + self._step.send(None)

    def fail(self, error: Exception) -> bytes | None:
        if self._has_failed:
            return b""
        if self._reader.is_complete and self._has_begun:  # the connection broke after the last word
            return self._step.send(None)
        return self._step.throw(stream_error(error, self._provider))

    def idle(self) -> bytes:
        return self._keep_alive

    @property
    def _provider(self) -> str:
        return self._bill.deployment.provider.id if self._bill.deployment is not None else ""

    def _written(self, chunks: Iterator[Json]) -> bytes:
        """What the step makes of them. What came before an error is told before it."""
        out = []
        try:
            for chunk in chunks:
                self._note(chunk)
                if piece := self._step.send([chunk]):
                    out.append(piece)
        except ProxyError as error:
            if not self._has_begun and not out:
                raise
            self._has_failed = True
            self._bill.error = error
            out.append(self._step.throw(error))
        if out and not self._has_begun:
            self._has_begun = True
            self._bill.first_chunk_ms = int((time.monotonic() - self._bill.call.started_at) * 1000)
        return b"".join(out)

    def _note(self, chunk: Json) -> None:
        self._bill.used(usage_in(chunk))
        choice = first_choice(chunk)
        reason = choice.get("finish_reason") if choice is not None else None
        if type(reason) is str and reason:
            self._bill.finish_reason = reason


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
        body = json.loads(str(data, "utf-8"))
    except (ValueError, RecursionError):
        return None
    return body if type(body) is dict else None
