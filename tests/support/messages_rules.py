"""The rules of a request to Anthropic's Messages API, as its servers hold people to them."""

from __future__ import annotations

import json
import re
from typing import Any

Json = dict[str, Any]

MEMBERS = frozenset(
    [
        "model",
        "max_tokens",
        "messages",
        "system",
        "stop_sequences",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "metadata",
        "output_config",
        "service_tier",
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
    ]
)
ID = re.compile(r"[A-Za-z0-9_-]+")
USER_BLOCKS = frozenset({"text", "image", "document", "tool_result", "search_result"})
ASSISTANT_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
RESULT_BLOCKS = frozenset({"text", "image", "document", "search_result"})


def check_request(body: Json) -> None:
    """Raises AssertionError at the first rule that is broken."""
    json.dumps(body, allow_nan=False)
    assert body.keys() <= MEMBERS, body.keys() - MEMBERS
    assert type(body["max_tokens"]) is int and body["max_tokens"] >= 1
    check_messages(body["messages"])
    check_tools(body)
    for name in ("temperature", "top_p"):
        assert 0 <= body.get(name, 0) <= 1
    system = body.get("system", "x")
    assert system
    if isinstance(system, list):
        assert all(block["type"] == "text" and block["text"].strip() for block in system)
    assert all(text.strip() for text in body.get("stop_sequences", ()))
    assert body.get("stop_sequences") != []
    check_thinking(body)


def check_messages(messages: list[Json]) -> None:
    assert messages and messages[0]["role"] == "user"
    seen: set[str] = set()
    waiting: list[str] = []
    for at, message in enumerate(messages):
        assert message.keys() == {"role", "content"}
        assert message["role"] == ("user" if at % 2 == 0 else "assistant"), "turns alternate"
        blocks = message["content"]
        assert blocks, "no turn is empty"
        if isinstance(blocks, str):
            assert blocks.strip()
            assert not waiting, "a result is missing"
            continue
        is_user = message["role"] == "user"
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert results == waiting, "one result for each call, in their order"
        assert all(block["type"] == "tool_result" for block in blocks[: len(results)]), "results come first"
        waiting = []
        for block in blocks:
            assert block["type"] in (USER_BLOCKS if is_user else ASSISTANT_BLOCKS), block["type"]
            check_block(block)
            if block["type"] == "tool_use":
                assert ID.fullmatch(block["id"]) and block["id"] not in seen
                seen.add(block["id"])
                waiting.append(block["id"])
    assert not waiting, "a result is missing at the end"
    last = messages[-1]
    if last["role"] == "assistant":
        text = last["content"] if isinstance(last["content"], str) else last["content"][-1].get("text")
        assert text and text == text.rstrip(), "what is to be continued ends in no blanks"


def check_block(block: Json) -> None:
    if block["type"] == "text":
        assert block["text"].strip(), "no blank texts"
    elif block["type"] == "tool_use":
        assert isinstance(block["input"], dict) and block["name"]
    elif block["type"] == "thinking":
        assert block["signature"]
    elif block["type"] == "tool_result" and not isinstance(block.get("content"), str):
        for inner in block.get("content") or ():
            assert inner["type"] in RESULT_BLOCKS
            check_block(inner)
    elif block["type"] == "image" and block["source"]["type"] == "base64":
        assert block["source"]["media_type"] in ("image/jpeg", "image/png", "image/gif", "image/webp")


def check_tools(body: Json) -> None:
    tools = body.get("tools")
    uses = any(
        block["type"] in ("tool_use", "tool_result")
        for message in body["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    )
    assert tools != []
    assert tools or not uses, "calls without tools"
    assert tools or "tool_choice" not in body
    for tool in tools or ():
        assert "function" not in tool and "parameters" not in tool
        if "type" not in tool:
            assert tool["input_schema"]["type"]
    choice = body.get("tool_choice")
    if choice is not None:
        assert choice["type"] in ("auto", "any", "none", "tool")
        assert ("name" in choice) is (choice["type"] == "tool")
        assert choice["type"] != "none" or "disable_parallel_tool_use" not in choice


def check_thinking(body: Json) -> None:
    thinking = body.get("thinking")
    if thinking is None or thinking["type"] == "disabled":
        return
    assert "temperature" not in body and "top_k" not in body
    assert body.get("top_p", 1) >= 0.95
    assert body.get("tool_choice", {"type": "auto"})["type"] in ("auto", "none")
    if thinking["type"] == "enabled":
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"]
        assert body["messages"][-1]["role"] == "user"
