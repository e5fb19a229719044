"""OpenAI streams in passing: frames go out as they came, and what the house must know is read on the way.

Only frames with something to know in them are opened: usage, a finish reason, an error, the end. A frame is held until
it is whole, because the usage chunk that nobody asked for has to be taken out again. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from .. import prices
from ..call import (
    CHAT,
    COMPLETION,
    HEARING,
    IMAGE,
    IMAGE_EDIT,
    RESPONSE,
    Bill,
    Call,
    Deployment,
    Operation,
)
from ..errors import ProxyError, UpstreamError, UpstreamTimeout, draining
from ..meter import usage_of
from ..web.response import ShuttingDown
from ..web.sse import FrameSplitter, FrameTooLong, comment, frame, parse_event

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = comment("keep-alive")  # a comment: an event named ping would reach the SDK's user as a broken chunk

# What makes a frame worth opening. Escaped quotes in a model's text (\"error\") do not match. What alternatives have in common
# stands before them, and an alternative without it apart, because that is what `re` looks for: it takes a third of the time.
WORTH_A_LOOK = re.compile(rb'"(?:usage"\s*:\s*\{|finish_reason"\s*:\s*"|error"|detail")')
# The same for streams of typed events, where the last one has a type that says so.
TYPED_WORTH_A_LOOK = re.compile(rb'"(?:usage"\s*:\s*\{|error"|detail"|response\.(?:incomplete|failed)")')
TYPED_END = re.compile(rb'\.(?:completed|done)"')
OF_A_KIND = re.compile(rb'"(?:type|choices|error|detail)"|^event:', re.MULTILINE)
LAST_WORD = b"[DONE]"
# With \s it would look over line ends, again and again.
BARE_LINE = re.compile(rb"^[ \t]*\{.*\}[ \t\r]*$", re.MULTILINE)
DELTA = b'.delta"'
COLON = ord(":")  # begins a comment
SEQUENCE_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d{1,15})')
CHUNKS = ("chat.completion.chunk", "text_completion")  # what chunks call themselves
OF_EVENTS = frozenset({"choices", "type"})  # one of which every event has that is no error
SAID = {"output_text": "text", "refusal": "refusal"}  # where in parts of these types the words are
TERMINAL_EVENTS = frozenset(
    {"response.completed", "response.incomplete", "response.failed"}
    | {"image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"}
    | {"transcription.done"}  # Mistral's
)


class StreamTap:
    """The pipe of a stream that stays in OpenAI's dialect."""

    def __init__(self, bill: Bill, deployment: Deployment, raise_if_error: Callable[[Any, Deployment], None]) -> None:
        self._bill = bill
        self._deployment = deployment
        self._raise_if_error = raise_if_error
        self._operation = bill.call.operation
        self._is_typed = self._operation not in (CHAT, COMPLETION)
        self._is_worth_a_look = typed_is_worth_a_look if self._is_typed else is_worth_a_look
        self._drops_usage = not self._is_typed and not bill.call.asks_usage
        self._answers = ends_awaited(bill.call)
        self._finished: set[int] = set()
        self._ended = 0  # of typed events, how many were the last of their answer
        self._splitter = FrameSplitter()
        self._has_begun = False  # something was sent: from now on an error is an event and no status
        self._is_complete = False  # the answer is whole, whatever the connection does now
        self._is_done = False
        # The last word has been said: whoever hears it hangs up, and so it is in the ledger by then.
        self._is_over = False
        self._frames: list[bytes] = []  # of typed events, those that came last
        self._newest = b""  # and the last before them that is no comment

    def feed(self, data: bytes) -> bytes:
        if self._has_begun and not self._is_typed and self._splitter.are_several(data) and self._pass_together(data):
            return data
        try:
            frames = self._splitter.feed(data)
        except FrameTooLong as error:
            raise UpstreamError(f"Provider '{self._deployment.provider.id}' sent an event without an end.") from error
        if not frames:
            return b""
        if self._is_typed:
            self._newest = next((each for each in reversed(self._frames) if each[0] != COLON), self._newest)
            self._frames = frames
        is_worth = self._is_worth_a_look
        if len(frames) == 1:
            out = self._look(frames[0]) if is_worth(frames[0]) else frames[0]
        else:
            out = b"".join([self._look(each) if is_worth(each) else each for each in frames])
        bill = self._bill
        bill.bytes_out += len(out)
        if self._is_typed:
            bill.frames = bill.frames or 1
        for each in frames:
            # Comments say nothing (": OPENROUTER PROCESSING", by the dozen, before the first word). Most events of typed
            # streams that are no delta tell of the response, or say all of it again: together they are like one.
            if each[0] == COLON or (self._is_typed and DELTA not in each):
                continue
            size = len(each)
            if not bill.shortest_frame_bytes:
                bill.shortest_frame_bytes = size
                bill.heard_bytes = bill.frames * size
            bill.frames += 1
            bill.heard_bytes += size
        if out and not self._has_begun:
            self._begin()
        if self._is_over:
            bill.completed()
        return out

    def _pass_together(self, data: bytes) -> bool:
        """Whether all of some whole frames go on as they are, nothing in them being worth a look: nearly always. Under load several
        come at once, and take hardly more time together than one."""
        bill = self._bill
        if not bill.shortest_frame_bytes or self._is_worth_a_look(data) or data[0] == COLON or b"\n:" in data:
            return False
        size = len(data)
        bill.bytes_out += size
        bill.frames += data.count(b"\n\n")
        bill.heard_bytes += size
        return True

    def finish(self) -> bytes:
        """The upstream ended properly; so must the answer in it, or it was cut."""
        rest = self._splitter.rest
        out = self._look(rest.rstrip(b"\r\n") + b"\n\n") if rest.strip() else b""
        # Not everybody draws as many as are asked for.
        if not (self._is_complete or self._ended or self._has_no_last_word(rest)):
            raise self._cut()
        out = out if self._is_typed or self._is_done else out + DONE
        self._bill.bytes_out += len(out)
        self._bill.completed()
        return out

    def fail(self, error: Exception) -> bytes | None:
        if self._is_complete:  # the connection broke after the last word
            out = b"" if self._is_typed or self._is_done else DONE
            self._bill.bytes_out += len(out)
            if self._bill.error is None:
                self._bill.completed()
            return out
        return self._error_frame(stream_error(error, self._deployment.provider.id))

    def idle(self) -> bytes | None:
        return None if self._is_over or self._is_done else KEEP_ALIVE

    def _begin(self) -> None:
        self._has_begun = True
        self._bill.first_chunk_ms = int((time.monotonic() - self._bill.call.started_at) * 1000)

    def _cut(self) -> ProxyError:
        return stream_error(EOFError(), self._deployment.provider.id)

    def _has_no_last_word(self, rest: bytes) -> bool:
        """Whether the end of the answer is all that says that it is whole: servers such as faster-whisper-server tell segments in events
        of no type, and have none for the end."""
        told = (self._newest, *self._frames, rest)
        last = next((each for each in reversed(told) if each.strip() and each[0] != COLON), b"")
        return self._operation in HEARING and bool(last) and OF_A_KIND.search(last) is None

    def _look(self, raw: bytes) -> bytes:
        """Open one frame: the frame as it came, changed, or b"" when it is not for the caller."""
        event = parse_event(raw)
        if event.data is None:
            return self._bare_error(raw)
        if event.data.strip() == LAST_WORD:
            self._is_done = self._is_complete = self._is_over = True
            return raw
        try:
            body = json.loads(event.data)
        except (ValueError, RecursionError):
            return raw  # a broken frame is the provider's; those after it still arrive
        body = object_in(body)
        if body is None:
            return raw
        kind = body.get("type") or event.event
        if self._is_typed and isinstance(kind, str) and kind in TERMINAL_EVENTS:
            self._ended += 1
            self._is_complete = self._is_over = self._ended >= self._answers
            self._bill.error = self._bill.error or failure_of(body, self._deployment.provider.id)
        elif self._is_typed and kind == "error" and not body.get("error"):
            return self._error(raw, {"error": {**body, "type": None}})  # the type is that of the event
        elif body.get("error") or body.get("object") == "error" or (body.get("detail") and OF_EVENTS.isdisjoint(body)):
            return self._error(raw, body)
        usage = usage_of(body)
        if usage is not None and usage.images:  # each picture has an event of its own
            usage = usage._replace(images=max(usage.images, self._ended))
        self._bill.used(usage)
        choices = body.get("choices")
        if choices and isinstance(choices, list):
            self._note_finished(choices)
        self._bill.is_counted = self._bill.is_counted or (self._is_complete and usage is not None)
        if self._drops_usage and is_usage_alone(body):
            return b""
        return raw

    def _note_finished(self, choices: list[Any]) -> None:
        """Of several answers to one question all must have come to their end."""
        for choice in choices:
            reason = choice.get("finish_reason") if isinstance(choice, dict) else None
            if isinstance(reason, str) and reason:
                self._bill.finish_reason = reason
                index = choice.get("index")
                self._finished.add(index if isinstance(index, int) else 0)
        self._is_complete = self._is_complete or len(self._finished) >= self._answers

    def _bare_error(self, raw: bytes) -> bytes:
        """JSON without `data:` (a line of Chutes' in the middle of a stream, or all there is): SDKs would not see it at all."""
        for text in (raw, *BARE_LINE.findall(raw)):
            try:
                body = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(body, dict) and (body.get("error") or body.get("detail")):
                return self._error(raw, body)
        return raw

    def _error(self, raw: bytes, body: Json) -> bytes:
        """An error inside the stream: before anything was sent an honest status, afterwards an event."""
        try:
            self._raise_if_error(body, self._deployment)
        except ProxyError as error:
            if not self._has_begun:
                raise
            self._is_complete = self._is_done = True  # nothing more is owed, least of all a proper end
            self._bill.error = error
            return self._error_frame(error, raw)
        return b""

    def _error_frame(self, error: ProxyError, instead_of: bytes | None = None) -> bytes:
        """An error as the last event, behind those that have been passed on."""
        before = [self._newest, *takewhile(lambda each: each is not instead_of, self._frames)]
        numbers = [found for found in map(SEQUENCE_NUMBER.search, before) if found is not None]
        return error_frame(error, self._operation, int(numbers[-1][1]) + 1 if numbers else 0)


def object_in(body: Any) -> Json | None:
    """The object that an event holds, or, as Gemini tells its errors, a list with one in it."""
    if isinstance(body, list) and body and isinstance(body[0], dict) and body[0].get("error"):
        body = body[0]
    return body if isinstance(body, dict) else None


def is_usage_alone(chunk: Json) -> bool:
    """Whether a chunk tells usage and nothing else. Some servers leave its empty `choices` out, or write null there."""
    choices = chunk.get("choices")
    has_none = choices == [] or (choices is None and chunk.get("object") in CHUNKS)
    return has_none and isinstance(chunk.get("usage"), dict)


def is_worth_a_look(frame: bytes) -> bool:
    return WORTH_A_LOOK.search(frame) is not None or LAST_WORD in frame


def typed_is_worth_a_look(frame: bytes) -> bool:
    return TYPED_WORTH_A_LOOK.search(frame) is not None or TYPED_END.search(frame) is not None or LAST_WORD in frame


def error_members(error: ProxyError) -> Json:
    """All four are always there; SDKs read nothing else."""
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code or None}


def error_frame(error: ProxyError, operation: Operation, number: int = 0) -> bytes:
    """An error as the last event of a stream; `number` is its place among the events of a response."""
    told = error_members(error)
    if operation is RESPONSE:
        flat = {"type": "error", "code": told["code"], "message": told["message"], "param": told["param"]}
        return frame(json.dumps({**flat, "sequence_number": number}), "error")
    return frame(json.dumps({"error": told}))


def failure_of(event: Json, provider: str) -> ProxyError | None:
    """What went wrong in a response that ends as failed, for the log; the event itself says it to the caller."""
    if event.get("type") != "response.failed":
        return None
    return UpstreamError(f"Provider '{provider}' ended the response as failed.", code="upstream_stream_interrupted")


def ends_awaited(call: Call) -> int:
    """How many choices of a stream have to end, `n` for each prompt, or how many pictures; nothing else comes by the dozen."""
    if call.operation in (IMAGE, IMAGE_EDIT):
        return prices.answers_asked_for(call)
    if call.operation not in (CHAT, COMPLETION):
        return 1
    n = call.member("n")
    return (n if type(n) is int and n > 1 else 1) * call.prompts


def stream_error(error: Exception, provider: str) -> ProxyError:
    """What ended a stream early, as an error a caller can be told."""
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(f"Provider '{provider}' went silent in the middle of its answer.")
    if isinstance(error, ShuttingDown):
        return draining()
    if isinstance(error, ProxyError) and error.code != "upstream_stream_interrupted":
        return error
    return UpstreamError(
        f"Provider '{provider}' broke off its answer before the end.", code="upstream_stream_interrupted"
    )


def events_of_completion(completion: Json, *, with_usage: bool) -> bytes:
    """A whole completion as the stream that was asked for; SDKs read plain JSON as a stream without a single event.

    Raises TypeError or ValueError when it has not the shape of one.
    """
    common = {name: value for name, value in completion.items() if name not in ("choices", "usage", "object")}
    is_chat = completion.get("object") != "text_completion"
    common["object"] = "chat.completion.chunk" if is_chat else "text_completion"
    frames = []
    for choice in completion.get("choices") or []:
        told = members_of(choice)
        message = told.pop("message", None)
        if message is not None:
            told["delta"] = delta = members_of(message)
            if delta.get("tool_calls"):
                delta["tool_calls"] = [{"index": at, **members_of(each)} for at, each in enumerate(delta["tool_calls"])]
        frames.append(frame(json.dumps({**common, "choices": [told]})))
    if with_usage and completion.get("usage"):
        frames.append(frame(json.dumps({**common, "choices": [], "usage": completion["usage"]})))
    return b"".join(frames) + DONE


def events_of_transcript(transcript: Json) -> bytes:
    """A whole transcript as the stream that was asked for. Raises TypeError when it has no text."""
    text = transcript.get("text")
    if not isinstance(text, str):
        raise TypeError("no text")
    more = {name: transcript[name] for name in ("logprobs", "usage") if transcript.get(name)}
    delta, done = {"type": "transcript.text.delta", "delta": text}, {"type": "transcript.text.done", "text": text}
    return frame(json.dumps(delta)) + frame(json.dumps({**done, **more}))


def events_of_pictures(answer: Json, operation: Operation) -> bytes:
    """Whole pictures as the stream that was asked for: each with what is told of all of them, the last one with the usage. Raises
    TypeError when there are none."""
    rows = answer.get("data")
    if not isinstance(rows, list) or not rows:
        raise TypeError("no pictures")
    kind = "image_edit.completed" if operation is IMAGE_EDIT else "image_generation.completed"
    common = {name: value for name, value in answer.items() if name not in ("created", "data", "usage")}
    common["created_at"] = answer.get("created")
    events = [{"type": kind, **common, **members_of(row)} for row in rows]
    if answer.get("usage"):
        events[-1]["usage"] = answer["usage"]
    return b"".join(frame(json.dumps(event), kind) for event in events)


def members_of(value: Any) -> Json:
    """A JSON object as a dict of our own. Raises TypeError: dict() itself would take a list of pairs, or an empty one."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return dict(value)


def events_of_response(response: Json, after: int = -1) -> bytes:
    """A whole Responses object as a stream: its beginning, each item, and the end; those events behind the number `after`.
    Raises TypeError."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[Json] = [{"type": f"response.{what}", "response": begun} for what in ("created", "in_progress")]
    for at, item in enumerate(map(members_of, response.get("output") or [])):
        empty, deltas = item_in_pieces(item, {"item_id": item.get("id"), "output_index": at})
        events.append({"type": "response.output_item.added", "output_index": at, "item": empty})
        events += deltas
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})
    ending = response.get("status")
    ending = ending if ending in ("incomplete", "failed") else "completed"
    events.append({"type": f"response.{ending}", "response": response})
    return b"".join(
        frame(json.dumps({**event, "sequence_number": number}), event["type"])
        for number, event in enumerate(events)
        if number > after
    )


def item_in_pieces(item: Json, place: Json) -> tuple[Json, list[Json]]:
    """An item as it begins, and the events that make it whole: who shows an answer while it comes looks at nothing else. What is
    neither said nor a call of a function is there at once."""
    kind, content, arguments = item.get("type"), item.get("content"), item.get("arguments")
    if kind == "message" and isinstance(content, list):
        events: list[Json] = []
        for at, part in enumerate(map(members_of, content)):
            events += part_in_pieces(part, {**place, "content_index": at})
        return {**item, "status": "in_progress", "content": []}, events
    if kind == "function_call" and isinstance(arguments, str):
        event = "response.function_call_arguments"
        delta, done = {"delta": arguments}, {"arguments": arguments, "name": item.get("name")}
        told = [{"type": f"{event}.delta", **place, **delta}, {"type": f"{event}.done", **place, **done}]
        return {**item, "status": "in_progress", "arguments": ""}, told
    return item, []


def part_in_pieces(part: Json, place: Json) -> list[Json]:
    """The events of a part of a message, most of which are a text or a refusal."""
    kind = part.get("type")
    member = SAID.get(kind) if isinstance(kind, str) else None
    text = part.get(member) if member is not None else None
    added, done = ({"type": f"response.content_part.{what}", **place} for what in ("added", "done"))
    if member is None or not isinstance(text, str):
        return [{**added, "part": part}, {**done, "part": part}]
    more: Json = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
    told = [
        {"type": f"response.{kind}.delta", **place, "delta": text, **more},
        {"type": f"response.{kind}.done", **place, member: text, **more},
    ]
    return [{**added, "part": {**part, member: ""}}, *told, {**done, "part": part}]
