"""Chunks of a chat as the events of a Messages stream: one block open at a time, indices without gaps, usage at the end.

The step is sent the chunks that came, or a whole completion, and yields bytes; it is sent None at the proper end. A ProxyError that is thrown
into it becomes the last event.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from typing import Any

from ..call import Usage
from ..errors import ProxyError, UpstreamError
from ..web.sse import frame
from .letters import Letters
from .messages_calls import StreamedCall, StreamedCalls
from .messages_errors import encode_stream_error
from .messages_reply import Asked, Json, call_id, kept_of, stop_of, usage_told
from .openai_chunks import first_choice, raise_if_failed, usage_in
from .thoughts import TEXT, THOUGHT, Said, ThinkSplitter, ToldBeside, add_detail, said_in

PING = frame('{"type":"ping"}', "ping")
TOOL = "tool_use"
MOST_LATE_CHARS = 16 * 1024 * 1024
MOST_DETAILS = 10_000
MOST_BLANKS = 1000

DELTA = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{%s}}\n\n'
DELTAS = {
    TEXT: '"type":"text_delta","text":%s',
    THOUGHT: '"type":"thinking_delta","thinking":%s',
    TOOL: '"type":"input_json_delta","partial_json":%s',
}


def encode_stream(asked: Asked) -> Generator[bytes, list[Json] | None, None]:
    """The step. It raises nothing: what is wrong with the chunks is told as an error is that is thrown into it."""
    writer = MessageWriter(asked)
    out = b""
    try:
        while (chunks := (yield out)) is not None:
            for chunk in chunks:
                writer.take(chunk)
            out = writer.written()
        writer.finish()
        out = writer.written()
    except ProxyError as error:
        out = writer.written() + encode_stream_error(error, asked.request_id)
    while True:  # nothing more is owed
        with contextlib.suppress(ProxyError):
            yield out
        out = b""


class MessageWriter:
    """Writes one message, piece by piece: `written` is what was written since it was last asked."""

    def __init__(self, asked: Asked) -> None:
        self._has_begun = False
        self._asked = asked
        self._out: list[bytes] = []
        self._index = -1  # of the newest block
        self._open = ""  # its kind, while it is open
        self._has_answer = False  # a block that is no thought
        self._calls = StreamedCalls()
        self._ids: set[str] = set()
        self._late: Said = []  # said behind the first call, whose block must not be closed for it
        self._late_chars = 0
        self._blanks = ""  # said before anything else is, in its place
        self._letters = {TEXT: Letters(), THOUGHT: Letters()}
        self._splitter = ThinkSplitter()
        self._reasoning = ToldBeside()
        self._is_refused = False
        self._ending: Json = {}
        self._usage: Usage | None = None
        self._chars = 0
        self._hidden: list[str] = []  # thoughts that are not shown
        self._details: list[Json] = []

    def take(self, chunk: Any) -> None:
        """Write what a chunk says. Raises UpstreamError."""
        if type(chunk) is not dict:
            return
        usage = usage_in(chunk)
        if usage is not None:
            self._usage = usage if self._usage is None else usage.after(self._usage)
        choice = first_choice(chunk)
        if choice is None:
            return
        raise_if_failed(choice)
        if not self._has_begun:
            self._begin()
        for name in ("finish_reason", "stop_reason"):
            if type(told := choice.get(name)) is str and told:
                self._ending[name] = told
        delta, message = choice.get("delta"), choice.get("message")
        if type(delta) is dict and delta:
            self._delta(delta)
        elif type(message) is dict:
            self._delta(numbered(message))

    def finish(self) -> None:
        """Write the end. Raises UpstreamError when there was nothing before it."""
        if not self._has_begun:
            raise UpstreamError("The provider ended its answer before it began.")
        self._say_all(self._splitter.feed(self._letters[TEXT].last()))
        self._no_marks()
        self._finish_calls()
        for kind in (THOUGHT, TEXT):
            late = "".join(text for each, text in self._late if each == kind)
            if late.strip():
                self._write(kind, late)
        if not self._has_answer:
            self._start({"type": "text", "text": ""}, TEXT)
            if self._blanks:
                self._write(TEXT, self._blanks)
        self._close()
        reason, sequence = stop_of(self._ending, bool(self._ids), self._is_refused, self._asked.stops)
        usage = usage_told(self._usage, self._asked, self._chars)
        self._event("message_delta", delta={"stop_reason": reason, "stop_sequence": sequence}, usage=usage)
        self._event("message_stop")

    def written(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _begin(self) -> None:
        self._has_begun = True
        message: Json = {
            "id": self._asked.new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage_told(self._usage, self._asked, 0), "output_tokens": 0},
        }
        self._event("message_start", message=message)

    # -- what is said -----------------------------------------------------------------------------------------------

    def _delta(self, delta: Json) -> None:
        """In the order in which a model does it: it thinks, it speaks, it calls."""
        thought = self._letters[THOUGHT].feed(self._reasoning.of(delta))
        if thought:
            self._say(THOUGHT, thought)
        details = delta.get("reasoning_details")
        if type(details) is list and self._asked.keep is not None and len(self._details) < MOST_DETAILS:
            for row in details:
                if type(row) is dict:
                    add_detail(self._details, row)
        content = delta.get("content")
        if content:
            said = said_in(content)
            if any(kind == THOUGHT for kind, _ in said):
                self._no_marks()
            for kind, text in said:
                if kind == TEXT:
                    self._say_all(self._splitter.feed(self._letters[TEXT].feed(text)))
                elif not thought:
                    self._say(kind, self._letters[THOUGHT].feed(text))
        refusal = delta.get("refusal")
        if type(refusal) is str and refusal:
            self._is_refused = True
            self._no_marks()
            self._say(TEXT, self._letters[TEXT].feed(refusal))
        calls = delta.get("tool_calls")
        old = delta.get("function_call")
        if type(calls) is list and calls:
            self._call(calls)
        elif type(old) is dict:
            self._call([{"index": 0, "function": old}])

    def _no_marks(self) -> None:
        """What comes now is not between marks, nor will anything be that comes behind it."""
        self._say_all(self._splitter.finish())

    def _say_all(self, said: Said) -> None:
        for kind, text in said:
            if kind == TEXT or not self._reasoning.has_told:
                self._say(kind, text)

    def _say(self, kind: str, text: str) -> None:
        if not text:  # half a letter has come
            return
        self._chars += len(text)
        if kind == THOUGHT and not self._asked.thinks:
            if self._asked.keep is not None:
                self._hidden.append(text)
            return
        if self._ids:
            self._late.append((kind, text))
            self._late_chars += len(text)
            if self._late_chars > MOST_LATE_CHARS:
                raise UpstreamError("The provider spoke on and on behind the call of a tool.")
            return
        self._write(kind, text)

    def _write(self, kind: str, text: str) -> None:
        if self._open != kind:
            if kind == TEXT:
                text, self._blanks = self._blanks + text, ""
                if text.isspace() and len(text) <= MOST_BLANKS:
                    self._blanks = text  # a block of nothing else would be refused when it is sent back
                    return
            start: Json = {"type": kind, kind: ""}
            self._start({**start, "signature": ""} if kind == THOUGHT else start, kind)
        self._out.append((DELTA % (self._index, DELTAS[kind] % json.dumps(text))).encode())

    # -- what is called ---------------------------------------------------------------------------------------------

    def _call(self, deltas: list[Any]) -> None:
        for delta in deltas:
            self._calls.take(delta)
            if self._calls.all:
                self._no_marks()  # what may yet have become a mark was said before the call, and is told before it
            self._tell_calls()

    def _tell_calls(self) -> None:
        """Tell what there is of the first call that is not over; one that has become whole is over once another began."""
        calls = self._calls
        while calls.live < len(calls.all):
            call = calls.all[calls.live]
            if not call.name:
                return
            if not call.id:
                self._start_call(call)
            self._tell(call.told())
            if calls.live + 1 == len(calls.all) or not call.is_whole():
                return
            self._tell(call.rest())
            self._close()
            calls.live += 1

    def _finish_calls(self) -> None:
        calls = self._calls
        for call in calls.all[calls.live :]:
            if not call.name:
                continue  # nobody knows what was to be called
            if not call.id:
                self._start_call(call)
            self._tell(call.rest())
            self._close()
        calls.live = len(calls.all)
        if self._asked.keep is not None:
            self._keep()

    def _start_call(self, call: StreamedCall) -> None:
        call.id = call_id(call.given, self._ids, self._asked)
        name = self._asked.names.long(call.name)
        self._start({"type": TOOL, "id": call.id, "name": name, "input": {}}, TOOL)

    def _tell(self, arguments: str) -> None:
        if arguments:
            self._chars += len(arguments)
            self._out.append((DELTA % (self._index, DELTAS[TOOL] % json.dumps(arguments))).encode())

    def _keep(self) -> None:
        """What must be handed back with the calls; what belongs to the message goes with the first."""
        keep = self._asked.keep
        assert keep is not None
        first = True
        for call in self._calls.all:
            if not call.id:
                continue
            kept = kept_of(call.row, call.id)
            if first and self._hidden:
                kept["reasoning"] = "".join(self._hidden)
            if first and self._details:
                kept["reasoning_details"] = self._details
            if kept:
                keep(call.id, kept)
            first = False

    # -- blocks -----------------------------------------------------------------------------------------------------

    def _start(self, block: Json, kind: str) -> None:
        self._close()
        if kind == TOOL:
            self._blanks = ""
        self._index += 1
        self._open = kind
        self._has_answer = self._has_answer or kind != THOUGHT
        self._event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> None:
        if not self._open:
            return
        if self._open == THOUGHT:
            self._event("content_block_delta", index=self._index, delta={"type": "signature_delta", "signature": ""})
        self._open = ""
        self._event("content_block_stop", index=self._index)

    def _event(self, name: str, **members: Any) -> None:
        told = json.dumps({"type": name, **members}, separators=(",", ":"))
        self._out.append(f"event: {name}\ndata: {told}\n\n".encode())


def numbered(message: Json) -> Json:
    """A whole message as the delta it is to a stream: its calls are told apart by their places."""
    calls = message.get("tool_calls")
    if type(calls) is not list:
        return message
    return {**message, "tool_calls": [{**each, "index": at} for at, each in enumerate(calls) if type(each) is dict]}
