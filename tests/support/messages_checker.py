"""A checker of Anthropic's streams, written from the rules of their events: it takes nothing on trust.

`message_start` first and once; blocks one at a time, with indices 0, 1, 2 …; in each only the deltas of its kind; `message_delta`
behind the blocks, with a stop reason and `output_tokens`; then `message_stop`, and nothing behind it. `ping` may stand anywhere,
and an `error` ends a stream wherever it stands.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

DELTAS = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
}
STARTS = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
STOP_REASONS = {"end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"}
USAGE = {"input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"}
ERRORS = {"api_error", "overloaded_error", "invalid_request_error"}
ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class Message:
    """What a client has, once it has read a stream."""

    start: Json = field(default_factory=dict)
    content: list[Json] = field(default_factory=list)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Json = field(default_factory=dict)
    error: Json | None = None
    is_whole: bool = False

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def thinking(self) -> str:
        return "".join(block["thinking"] for block in self.content if block["type"] == "thinking")

    @property
    def calls(self) -> list[Json]:
        return [block for block in self.content if block["type"] == "tool_use"]


def read_messages_stream(data: bytes) -> Message:
    """Read a whole stream by the rules. Raises AssertionError at the first that is broken."""
    reader = _Reader()
    for name, body in events_in(data):
        reader.take(name, body)
    return reader.end()


def events_in(data: bytes) -> list[tuple[str, Json]]:
    """The events: each has its name on a line, its data on one, and an empty line."""
    assert data.endswith(b"\n\n") or not data
    events = []
    for frame in data.split(b"\n\n")[:-1]:
        lines = frame.split(b"\n")
        assert len(lines) == 2 and lines[0].startswith(b"event: ") and lines[1].startswith(b"data: "), frame
        body = json.loads(lines[1][6:], parse_constant=_no_constant)
        name = lines[0][7:].decode()
        assert type(body) is dict and body["type"] == name
        events.append((name, body))
    return events


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def _no_number(word: str) -> None:
    raise ValueError(word)


def check_usage(usage: Any) -> None:
    assert type(usage) is dict and usage.keys() >= USAGE
    assert all(type(value) is int and value >= 0 for value in usage.values())


class _Reader:
    def __init__(self) -> None:
        self.state = "before"  # before, between, inside, ending, after, broken
        self.message = Message()
        self.json = ""
        self.is_signed = False

    def take(self, name: str, body: Json) -> None:
        assert self.state not in ("after", "broken"), f"{name} behind the end"
        if name == "ping":
            assert body == {"type": "ping"}
            return
        getattr(self, f"on_{name}")(body)

    def on_message_start(self, body: Json) -> None:
        assert self.state == "before"
        message = body["message"]
        assert message["type"] == "message" and message["role"] == "assistant" and message["content"] == []
        assert message["stop_reason"] is None and message["stop_sequence"] is None
        assert ID.fullmatch(message["id"]) and type(message["model"]) is str
        check_usage(message["usage"])
        self.message.start, self.state = message, "between"
        self.message.usage = dict(message["usage"])

    def on_content_block_start(self, body: Json) -> None:
        assert self.state == "between" and body["index"] == len(self.message.content)
        block = dict(body["content_block"])
        assert {name: block.get(name) for name in STARTS[block["type"]]} == STARTS[block["type"]]
        if block["type"] == "tool_use":
            assert ID.fullmatch(block["id"]) and type(block["name"]) is str and block["name"]
            assert block["id"] not in {call["id"] for call in self.message.calls}
        self.message.content.append(block)
        self.state, self.json, self.is_signed = "inside", "", False

    def on_content_block_delta(self, body: Json) -> None:
        assert self.state == "inside" and body["index"] == len(self.message.content) - 1
        block, delta = self.message.content[-1], body["delta"]
        assert delta["type"] in DELTAS[block["type"]]
        member = DELTAS[block["type"]][delta["type"]]
        assert type(delta[member]) is str and not self.is_signed
        if member == "partial_json":
            self.json += delta[member]
        else:
            block[member] += delta[member]
        self.is_signed = member == "signature"
        assert delta[member] or self.is_signed

    def on_content_block_stop(self, body: Json) -> None:
        assert self.state == "inside" and body["index"] == len(self.message.content) - 1
        block = self.message.content[-1]
        if block["type"] == "tool_use":
            block["json"] = self.json
            assert not self.json or self.json.lstrip().startswith("{")
            try:
                block["input"] = json.loads(self.json, parse_constant=_no_number) if self.json else {}
            except ValueError:
                block["input"] = {}
        if block["type"] == "thinking":
            assert self.is_signed
        self.state = "between"

    def on_message_delta(self, body: Json) -> None:
        assert self.state == "between"
        assert any(block["type"] != "thinking" for block in self.message.content)
        delta = body["delta"]
        assert delta.keys() == {"stop_reason", "stop_sequence"} and delta["stop_reason"] in STOP_REASONS
        assert (type(delta["stop_sequence"]) is str) == (delta["stop_reason"] == "stop_sequence")
        if delta["stop_reason"] == "tool_use":
            assert self.message.calls
        check_usage(body["usage"])
        self.message.stop_reason, self.message.stop_sequence = delta["stop_reason"], delta["stop_sequence"]
        self.message.usage |= body["usage"]
        self.state = "ending"

    def on_message_stop(self, body: Json) -> None:
        assert self.state == "ending" and body == {"type": "message_stop"}
        self.message.is_whole, self.state = True, "after"

    def on_error(self, body: Json) -> None:
        error = body["error"]
        assert error["type"] in ERRORS and type(error["message"]) is str and error["message"]
        assert type(body["request_id"]) is str
        self.message.error, self.state = error, "broken"

    def end(self) -> Message:
        assert self.state in ("after", "broken"), "the stream was cut, and ended as if it was not"
        return self.message
