"""The pipe of a stream that changes its dialect: bytes into chunks of the hub, and chunks into frames.

Both are steps: generators that are sent their input, None at the end, and yield their output. A decoding step raises what went
wrong; where chunks came before that, it yields these, and raises the next time it is sent something, be it b"". An error that is
thrown into an encoding step becomes its last words. This is what is around them: what was said so far decides whether a failure
is a status or an event, and after the last word nothing is one any more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from ..call import Bill, Operation
from ..errors import ProxyError, UpstreamError
from ..web.sse import frame
from .openai_stream import DONE, error_frame, stream_error

Json = dict[str, Any]
SPOKEN = ("content", "reasoning_content", "reasoning", "refusal")  # members of a delta that are words of the model
Decode = Generator[list[Json], bytes | None, None]
Encode = Generator[bytes, list[Json] | None, None]


class Decoding(NamedTuple):
    """How a provider's stream is read. `note` is called after each piece, to take over into the bill what `step` has found
    out, and tells whether the answer is complete."""

    step: Decode
    note: Callable[[], bool]


class Translation:
    """`decoding` and `encode`, one behind the other."""

    def __init__(self, decoding: Decoding, encode: Encode, bill: Bill, keep_alive: bytes) -> None:
        self._decode, self._note = decoding
        next(self._decode)
        next(encode)
        self._encode = encode
        self._bill = bill
        bill.frames = 1  # the first one, which is none of text
        self._keep_alive = keep_alive
        self._has_begun = False  # something was sent: from now on an error is an event and no status
        self._is_over = False  # the last word was said

    def feed(self, data: bytes) -> bytes:
        if self._is_over:
            return b""
        out = b""
        try:
            chunks = self._decode.send(data)
            if chunks:
                out = self._encode.send(chunks)
                self._count(chunks)
                self._decode.send(b"")
        except ProxyError as error:
            self._note()
            if not out and not self._has_begun:
                raise
            out += self._failed(error)
        is_complete = self._note()
        if out and not self._has_begun:
            self._begin()
        if is_complete and self._has_begun and not self._is_over:
            out += self._last_word()
        self._let_out(out)
        return out

    def finish(self) -> bytes:
        """The provider has hung up properly. Raises what `decode` does when its answer had no end."""
        if self._is_over:
            return b""
        try:
            chunks = self._decode.send(None)
        finally:
            self._note()
        out = self._encode.send(chunks) if chunks else b""
        if not out and not self._has_begun:
            raise UpstreamError(f"Provider '{self._provider}' ended its answer before it began.")
        out += self._last_word()
        self._let_out(out)
        return out

    def fail(self, error: Exception) -> bytes | None:
        if self._is_over:  # the connection broke after the last word
            return b""
        try:
            return self.finish()  # or just before it
        except (ProxyError, StopIteration):
            return self._failed(stream_error(error, self._provider))

    def idle(self) -> bytes | None:
        return None if self._is_over else self._keep_alive

    @property
    def _provider(self) -> str:
        assert self._bill.deployment is not None
        return self._bill.deployment.provider.id

    def _begin(self) -> None:
        self._has_begun = True
        self._bill.first_chunk_ms = int((time.monotonic() - self._bill.call.started_at) * 1000)

    def _count(self, chunks: list[Json]) -> None:
        """What has come, should it be cut before it is told how much it was: of the chunks, since frames of some dialects are
        mostly not text, and say all of it several times."""
        bill = self._bill
        for chars in filter(None, map(chars_said, chunks)):
            bill.frames += 1
            bill.heard_bytes += chars

    def _let_out(self, out: bytes) -> None:
        """Whoever hears the last word hangs up, and so it is in the ledger by then."""
        self._bill.bytes_out += len(out)
        if self._is_over and self._bill.error is None:
            self._bill.completed()

    def _failed(self, error: ProxyError) -> bytes:
        self._is_over = True
        self._bill.error = error
        try:
            return self._encode.throw(error)
        finally:
            # It stands where it has the error, whose traceback has us, and with us the body of the call; so has this frame.
            self._encode.close()
            del error

    def _last_word(self) -> bytes:
        self._is_over = True
        return self._encode.send(None)


def chars_said(chunk: Json) -> int:
    """About how much of an answer is in a chunk, or in a whole completion: the length of its texts, and something for what is
    none."""
    choices, found = chunk.get("choices"), 0
    for choice in choices if type(choices) is list else ():
        delta = (choice.get("delta") or choice.get("message")) if type(choice) is dict else None
        if type(delta) is not dict:
            continue
        told = [delta[name] for name in SPOKEN if name in delta]
        calls = delta.get("tool_calls")
        for call in calls if type(calls) is list else ():
            function = call.get("function") if type(call) is dict else None
            told += [function.get("name"), function.get("arguments")] if type(function) is dict else []
        found += sum(len(each) if type(each) is str else bool(each) for each in told)
    return found


def encode_stream(operation: Operation) -> Encode:
    """Chunks as OpenAI's frames, and the end of its streams."""
    out = b""
    try:
        while (chunks := (yield out)) is not None:
            out = b"".join([frame(json.dumps(chunk)) for chunk in chunks])
        yield DONE
    except ProxyError as error:
        yield error_frame(error, operation)
