"""Builders of wire data: requests as callers send them, replies and streams as providers make them, database records.

Pure functions of plain values. The upstream model is "gpt-upstream" throughout, the public one "gpt-public", so that a
test sees at once which of the two a message carries.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from .script import frame

Json = dict[str, Any]
UPSTREAM_MODEL = "gpt-upstream"
PUBLIC_MODEL = "gpt-public"
CREATED = 1_790_000_000
EMOJI = "Grüße 👩‍👩‍👧‍👦 — ✓ 日本語"

# What callers send.


def hello(text: str = "Say hello.", *, model: str = PUBLIC_MODEL, **more: Any) -> Json:
    """A chat request with one user message."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


# Chat completions.


def usage_of(prompt: int, completion: int, **more: Any) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def completion(text: str | None = "Hello!", *, finish: str = "stop", tool_calls: list[Json] | None = None) -> Json:
    """A whole chat completion with usage 3 + 2."""
    message: Json = {"role": "assistant", "content": text, "refusal": None}
    if tool_calls:
        message["tool_calls"] = tool_calls
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": UPSTREAM_MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage_of(3, 2),
    }


def tool_call(name: str, arguments: str, *, id: str = "call_1") -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def delta(finish: str | None = None, **fields: Any) -> Json:
    """One chunk of a chat stream with these fields in its delta."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": UPSTREAM_MODEL,
        "choices": [{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}],
    }


def opening() -> Json:
    return delta(role="assistant", content="")


def chunk(text: str, **fields: Any) -> Json:
    return delta(content=text, **fields)


def tool_chunk(index: int, arguments: str = "", *, name: str | None = None, id: str | None = None) -> Json:
    """A piece of a streamed tool call: name and id in the first, fragments of the arguments in all."""
    call: Json = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        call = {"index": index, "id": id or f"call_{index}", "type": "function"}
        call["function"] = {"name": name, "arguments": arguments}
    return delta(tool_calls=[call])


def finish(reason: str = "stop") -> Json:
    return delta(reason)


def usage(prompt: int, completion: int, **more: Any) -> Json:
    """The extra chunk that carries usage and no choices."""
    return {**delta(), "choices": [], "usage": usage_of(prompt, completion, **more)}


def spoken(*words: str) -> list[Json]:
    """A complete chat stream, without its usage chunk and `[DONE]`."""
    return [opening(), *(chunk(word) for word in words), finish()]


# The other operations.


def text_completion(text: str = "Hello!", finish: str | None = "stop") -> Json:
    """An answer, or with finish None a chunk, of the older completions."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    made: Json = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": UPSTREAM_MODEL}
    return {**made, "choices": [choice], **({"usage": usage_of(3, 2)} if finish else {})}


def packed(vector: list[float]) -> str:
    """A vector as the base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def embeddings(*vectors: list[float], as_base64: bool = False) -> Json:
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if as_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    return {
        "object": "list",
        "data": data,
        "model": UPSTREAM_MODEL,
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


def response(text: str = "Hello!", *, status: str = "completed") -> Json:
    """An object of the Responses API with one message."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": UPSTREAM_MODEL,
        "output": [_response_message(text)] if status == "completed" else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _response_usage() if status == "completed" else None,
        "metadata": {},
    }


def response_events(*words: str) -> list[bytes]:
    """A complete stream of the Responses API, as frames with `event:` lines; it has no `[DONE]`."""
    text = "".join(words)
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {**_response_message(""), "status": "in_progress", "content": []}
    started = response(status="in_progress")
    events: list[Json] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **where, "part": _output_text("")},
        *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": _output_text(text)},
        {"type": "response.output_item.done", "output_index": 0, "item": _response_message(text)},
        {"type": "response.completed", "response": response(text)},
    ]
    return [named_event(event["type"], {**event, "sequence_number": n}) for n, event in enumerate(events)]


def named_event(name: str, data: Json) -> bytes:
    return b"event: " + name.encode() + b"\n" + frame(data)


def _output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response_message(text: str) -> Json:
    content = [_output_text(text)]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def _response_usage() -> Json:
    return {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    }


def moderation(*, flagged: bool = False) -> Json:
    result = {"flagged": flagged, "categories": {"violence": flagged}, "category_scores": {"violence": 0.01}}
    return {"id": "modr-1", "model": UPSTREAM_MODEL, "results": [result]}


def images(*pictures: bytes) -> Json:
    data = [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures]
    return {"created": CREATED, "data": data}


def reranked(*scores: float) -> Json:
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
    return {"model": UPSTREAM_MODEL, "results": results, "usage": {"total_tokens": 7}}


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def wav(seconds: float, rate: int = 8000) -> bytes:
    """A recording of silence that lasts so long: RIFF, 16-bit, mono."""
    samples = bytes(2 * round(seconds * rate))
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


# Errors, in the shapes in which providers make them: name → (status, body, the message inside, the code inside).

HTML_ERROR = (
    "<html><head><title>502 Bad Gateway</title></head><body><center>nginx at edge-7.internal</center></body></html>"
)


def error(message: str = "The model is overloaded.", type: str = "server_error", code: str | None = None) -> Json:
    """The shape of OpenAI, and the only one its SDKs read well."""
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


FOREIGN_ERRORS: dict[str, tuple[int, object, str, str | None]] = {
    "openai": (
        400,
        {"error": {"message": "Too long.", "type": "invalid_request_error", "param": "messages", "code": "too_long"}},
        "Too long.",
        "too_long",
    ),
    "vllm-flat": (
        400,
        {"object": "error", "message": "Bad top_p.", "type": "BadRequestError", "param": None, "code": 400},
        "Bad top_p.",
        "400",
    ),
    "vllm-nested": (
        404,
        {"error": {"message": "No such model.", "type": "NotFoundError", "param": None, "code": 404}},
        "No such model.",
        "404",
    ),
    "openrouter": (
        402,
        {"error": {"code": 402, "message": "No credits.", "metadata": {"raw": "x", "provider_name": "P"}}},
        "No credits.",
        "402",
    ),
    "gemini-array": (
        400,
        [{"error": {"code": 400, "message": "Bad schema.", "status": "INVALID_ARGUMENT"}}],
        "Bad schema.",
        "400",
    ),
    "fastapi-string": (429, {"detail": "No capacity."}, "No capacity.", None),
    "fastapi-object": (
        402,
        {"detail": {"message": "Quota used up.", "quota_reset_timestamp": CREATED}},
        "Quota used up.",
        None,
    ),
    "fastapi-list": (
        422,
        {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]},
        "Field required",
        None,
    ),
    "mistral": (
        422,
        {
            "object": "error",
            "message": {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]},
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
        "body.messages: Field required",
        None,
    ),
    "cloudflare": (
        400,
        {"success": False, "errors": [{"code": 5007, "message": "No such model @cf/x"}], "messages": [], "result": {}},
        "No such model @cf/x",
        "5007",
    ),
    "hugging-face": (422, {"error": ["Error in `parameters`: unknown"]}, "Error in `parameters`: unknown", None),
    "ollama": (404, {"error": "model 'x' not found"}, "model 'x' not found", None),
    "anthropic": (
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded."}, "request_id": "req_1"},
        "Overloaded.",
        None,
    ),
}

# Records of the database, in the names the contract gives them.


def provider(base_url: str, id: str = "acme", **fields: Any) -> Json:
    """An OpenAI-compatible provider."""
    record = {
        "id": id,
        "name": id.title(),
        "baseUrl": base_url,
        "apiKey": f"{id}-secret-key-0123456789",
        "type": "openai",
    }
    return {**record, "enabled": True, **fields}


def model(id: str = PUBLIC_MODEL, provider: str = "acme", **fields: Any) -> Json:
    """A chat model, served upstream as `UPSTREAM_MODEL`."""
    record = {"id": id, "name": id, "providerId": provider, "type": "chat", "enabled": True}
    return {**record, "upstreamModel": UPSTREAM_MODEL, "supportsImageUpload": True, **fields}


def key(key: str, id: str = "key-1", **fields: Any) -> Json:
    """A virtual key given in plain text, as the first version of the database has it."""
    record = {"id": id, "key": key, "name": id, "username": "tester", "allowedModels": [], "enabled": True}
    return {**record, "createdAt": CREATED * 1000, **fields}


def database(
    *,
    providers: list[Json] | None = None,
    models: list[Json] | None = None,
    keys: list[Json] | None = None,
    settings: Json | None = None,
) -> Json:
    """The database document, in the first version's form when keys are given in plain text."""
    return {
        "providers": providers or [],
        "models": models or [],
        "apiKeys": keys or [],
        "users": [],
        "aliases": [],
        "settings": settings or {},
    }
