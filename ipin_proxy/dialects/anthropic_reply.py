"""Anthropic's answers and errors in OpenAI's words: a message as a completion, usage with what was cached in it.

Signed thoughts go along in `reasoning_details`, in the form that OpenRouter gives them and many clients hand back as it is: a
conversation with tools cannot be continued without them. What is of no use to an OpenAI client (what tools of the
provider did, places in documents) stays behind.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, NamedTuple

from ..call import Call, Usage
from ..errors import UpstreamError
from ..meter import usage_of
from .anthropic_parts import FORMAT
from .anthropic_request import OLDER_MEMBER

Json = dict[str, Any]

STOP, TOOL_CALLS = "stop", "tool_calls"
FINISHES = {
    "end_turn": STOP,
    "stop_sequence": STOP,
    "pause_turn": STOP,
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": TOOL_CALLS,
    "refusal": "content_filter",
}
# What an error of a type means: the status it has where none is told, OpenAI's type and code.
ERRORS = {
    "invalid_request_error": (400, "invalid_request_error", ""),
    "authentication_error": (401, "invalid_request_error", "invalid_api_key"),
    "billing_error": (402, "insufficient_quota", "insufficient_quota"),
    "permission_error": (403, "permission_error", ""),
    "not_found_error": (404, "invalid_request_error", "model_not_found"),
    "conflict_error": (409, "invalid_request_error", ""),
    "request_too_large": (413, "invalid_request_error", "request_too_large"),
    "rate_limit_error": (429, "rate_limit_error", "rate_limit_exceeded"),
    "api_error": (500, "server_error", ""),
    "timeout_error": (504, "server_error", "upstream_timeout"),
    "overloaded_error": (529, "server_error", "server_is_overloaded"),
}
TOO_LONG = "prompt is too long"
NO_CREDIT = "credit balance is too low"  # told as a 400, though it is the provider's account and not the request


class Asked(NamedTuple):
    """What of a request the answer depends on: whether a stream's usage is wanted, and calls of tools in the older form."""

    usage: bool = False
    older_form: bool = False
    created: int = 0
    model: str = ""  # where the answer does not say which

    @classmethod
    def by(cls, call: Call, created: int, model: str) -> Asked:
        older = bool(call.member(OLDER_MEMBER)) and not call.member("tools")
        return cls(call.asks_usage, older, created, model)


def completion_of(message: Json, asked: Asked, provider: str) -> Json:
    """A whole message as a chat completion. Raises UpstreamError for what is none."""
    blocks = message.get("content")
    if type(blocks) is not list:
        raise UpstreamError(f"Provider '{provider}' answered without an answer: it has no content.")
    said: Json = {"role": "assistant", "content": None, "refusal": refusal_of(message)}
    text, thoughts = "", ""
    details: list[Json] = []
    calls: list[Json] = []
    notes: list[Json] = []
    for block in blocks:
        kind = block.get("type") if type(block) is dict else None
        if kind == "text":
            more = text_in(block, "text")
            notes += pages_cited(block.get("citations"), len(text), len(text) + len(more))
            text += more
        elif kind in ("thinking", "redacted_thinking"):
            thoughts += text_in(block, "thinking")
            details += details_of(block, len(details))
        elif kind == "tool_use" and (name := text_in(block, "name")):
            calls.append(call_of(text_in(block, "id"), name, arguments_of(block.get("input"))))
    said["content"] = text if text or not calls else None
    said |= {name: found for name, found in (("reasoning_content", thoughts), ("annotations", notes)) if found}
    if details:
        said["reasoning_details"] = details
    if calls:
        said |= {"function_call": calls[0]["function"]} if asked.older_form else {"tool_calls": calls}
    finish = finish_of(message.get("stop_reason"), bool(calls), older=asked.older_form)
    usage = usage_of(message)
    return {
        "id": text_in(message, "id") or new_id("msg_"),
        "object": "chat.completion",
        "created": asked.created,
        "model": text_in(message, "model") or asked.model,
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}],
        **({"usage": usage_told(usage)} if usage is not None else {}),
    }


def finish_of(reason: Any, has_calls: bool, *, older: bool = False) -> str:
    """The finish reason; where none is told, or an unknown one, what the answer looks like."""
    found = FINISHES.get(reason) if type(reason) is str else None
    if found is None or (found == STOP and has_calls) or (found == TOOL_CALLS and not has_calls):
        found = TOOL_CALLS if has_calls else STOP
    return "function_call" if older and found == TOOL_CALLS else found


def usage_told(usage: Usage) -> Json:
    """Usage as OpenAI tells it: what was read from a cache and written to it is part of the prompt."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def refusal_of(message: Json) -> str | None:
    """Why the model refused, where it says so."""
    details = message.get("stop_details")
    if message.get("stop_reason") != "refusal" or type(details) is not dict:
        return None
    return text_in(details, "explanation") or None


def details_of(block: Json, index: int) -> list[Json]:
    """A thought as it is handed back, if it can be: the signed text, or what nobody can read."""
    if block.get("type") == "redacted_thinking":
        data = text_in(block, "data")
        return [{"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index}] if data else []
    signature = text_in(block, "signature")
    if not signature:
        return []
    text = text_in(block, "thinking")
    return [{"type": "reasoning.text", "text": text, "signature": signature, "format": FORMAT, "index": index}]


def pages_cited(citations: Any, begin: int, end: int) -> list[Json]:
    """The pages that a stretch of the text cites."""
    found = []
    for each in citations if type(citations) is list else ():
        if type(each) is dict and (url := text_in(each, "url")):
            place = {"start_index": begin, "end_index": end, "url": url, "title": text_in(each, "title")}
            found.append({"type": "url_citation", "url_citation": place})
    return found


def call_of(id_: str, name: str, arguments: str) -> Json:
    return {"id": id_ or new_id("toolu_"), "type": "function", "function": {"name": name, "arguments": arguments}}


def arguments_of(value: Any) -> str:
    """A tool's input as the text that OpenAI has for it."""
    if type(value) is str and value:  # some servers of this format leave it as it was generated
        return value
    try:
        return json.dumps(value if type(value) is dict else {}, ensure_ascii=False)
    except RecursionError:  # what could just be read may be too deep to be written
        return "{}"


def text_in(value: Json, name: str) -> str:
    found = value.get(name)
    return found if type(found) is str else ""


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)
