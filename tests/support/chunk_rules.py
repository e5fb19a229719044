"""The rules of a chat stream as OpenAI's SDKs read it: whoever breaks one crashes a helper, or is shown twice.

One id throughout; a role first; calls of tools numbered from 0 without gaps, with id, type and name in the first piece and in no
other; one finish reason, behind which stands usage alone; and `[DONE]`, or else an error, as the last word.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Heard:
    """What a client has of a stream in the end."""

    content: str = ""
    reasoning: str = ""
    calls: list[Json] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)
    finish: str | None = None
    usage: Json | None = None
    error: Json | None = None


def check_stream(data: bytes) -> Heard:
    """Read a whole stream. Raises AssertionError at the first rule that it breaks."""
    heard = Heard()
    assert data.endswith(b"\n\n"), data[-80:]
    frames = data.removesuffix(b"\n\n").split(b"\n\n")
    last = frames[-1]
    ids = set()
    for frame in frames:
        assert frame.startswith(b"data: ") and b"\n" not in frame, frame
        if frame == b"data: [DONE]":
            assert frame is last, "something after the end"
            assert heard.finish is not None, "an end without a finish reason"
            return heard
        chunk = json.loads(frame[6:])
        if "error" in chunk:
            assert frame is last, "something after an error"
            assert set(chunk["error"]) >= {"message", "type", "param", "code"}
            assert chunk["error"]["message"]
            heard.error = chunk["error"]
            return heard
        assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(chunk["created"], int) and isinstance(chunk["model"], str) and chunk["model"]
        ids.add(chunk["id"])
        assert len(ids) == 1
        hear(chunk, heard, is_first=frame is frames[0])
    raise AssertionError("a stream without an end")


def hear(chunk: Json, heard: Heard, *, is_first: bool) -> None:
    if not chunk["choices"]:
        assert heard.finish is not None and heard.usage is None
        heard.usage = chunk["usage"]
        assert heard.usage["total_tokens"] == heard.usage["prompt_tokens"] + heard.usage["completion_tokens"]
        return
    assert chunk.get("usage") is None
    (choice,) = chunk["choices"]
    assert choice["index"] == 0
    assert heard.finish is None, "something after the finish reason"
    delta = choice["delta"]
    assert (delta.get("role") == "assistant") is is_first
    heard.content += delta.get("content") or ""
    heard.reasoning += delta.get("reasoning_content") or ""
    heard.details += delta.get("reasoning_details") or []
    for piece in delta.get("tool_calls") or []:
        hear_call(piece, heard)
    heard.finish = choice["finish_reason"]


def hear_call(piece: Json, heard: Heard) -> None:
    index, function = piece["index"], piece["function"]
    if index == len(heard.calls):
        assert piece["type"] == "function" and piece["id"] and function["name"]
        heard.calls.append({"id": piece["id"], "name": function["name"], "arguments": function["arguments"]})
        return
    assert 0 <= index < len(heard.calls), "a gap in the numbers of calls"
    assert piece.keys() == {"index", "function"} and function.keys() == {"arguments"}
    heard.calls[index]["arguments"] += function["arguments"]
