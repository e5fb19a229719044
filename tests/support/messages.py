"""Builders of what Anthropic's Messages API says: messages, events, errors. Pure functions of plain values."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

MODEL = "claude-sonnet-4-5-20250929"
USAGE = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "output_tokens": 5}


def text(text: str = "") -> Json:
    return {"type": "text", "text": text}


def tool_use(id: str = "toolu_1", name: str = "get_weather", **input: Any) -> Json:
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def message(*content: Json, stop: str = "end_turn", usage: Json | None = None) -> Json:
    """A whole answer, "Hello!" unless there is something else in it."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content) or [text("Hello!")],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage or USAGE,
    }


def error(type: str = "overloaded_error", message: str = "Overloaded") -> Json:
    return {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_1"}


def event(data: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), json.dumps(data, ensure_ascii=False).encode())


def start(usage: Json | None = None) -> bytes:
    begun = {**message(), "content": [], "stop_reason": None, "usage": {**(usage or USAGE), "output_tokens": 1}}
    return event({"type": "message_start", "message": begun})


def block(index: int, block: Json) -> bytes:
    return event({"type": "content_block_start", "index": index, "content_block": block})


def delta(index: int, **delta: Any) -> bytes:
    return event({"type": "content_block_delta", "index": index, "delta": delta})


def said(index: int, *words: str) -> list[bytes]:
    """A block of text, word by word."""
    return [
        block(index, text()),
        *(delta(index, type="text_delta", text=word) for word in words),
        event({"type": "content_block_stop", "index": index}),
    ]


def called(index: int, *pieces: str, id: str = "toolu_1", name: str = "get_weather") -> list[bytes]:
    """A call of a tool, its input in pieces."""
    return [
        block(index, tool_use(id, name)),
        *(delta(index, type="input_json_delta", partial_json=piece) for piece in pieces),
        event({"type": "content_block_stop", "index": index}),
    ]


def end(stop: str = "end_turn", output_tokens: int = 5) -> list[bytes]:
    told = {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": output_tokens}}
    return [event({"type": "message_delta", **told}), event({"type": "message_stop"})]
