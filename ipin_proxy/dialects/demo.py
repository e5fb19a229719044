"""The built-in demo: a provider inside the process, so that the first curl and the first chat page have someone to talk to.

It speaks OpenAI's dialect over a socket pair, word by word, and tells its usage; so it also shows the whole way a real
call goes. One thread serves one call and ends with it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any

from ..call import CHAT, Call, Deployment, Operation
from ..connections import Origin
from ..errors import Unsupported
from ..upstream import Outbound
from ..web.framing import LAST_CHUNK, chunk
from ..web.head import find_end, parse_request
from ..web.sse import frame
from . import openai

WORD_PAUSE_S = 0.02
REQUEST_BYTES = 64 * 1024 * 1024
CHAT_PATH = "/chat/completions"
ONLY_CHATS = "The demo model only chats. Use /v1/chat/completions, or add a provider."
GREETING = "This is the demo model of iPin Proxy. It repeats what you say. Add a provider to talk to a real one."

Json = dict[str, Any]


class Upstream(openai.Upstream):
    """OpenAI's dialect, to an origin that is not on any network, and without headers: nothing here reads them, and those
    a caller sent could make a head longer than anybody takes."""

    def native_for(self, operation: Operation) -> Upstream | None:
        return self if operation is CHAT else None

    def encode_request(
        self, call: Call, deployment: Deployment, *, ask_usage: bool, less: str | None = None
    ) -> Outbound:
        if call.document is not None:
            raise Unsupported(ONLY_CHATS, param="model")
        outbound = super().encode_request(call, deployment, ask_usage=ask_usage, less=less)
        return Outbound(
            outbound.provider,
            Origin("demo", "demo", 0),
            outbound.method,
            call.operation.path,
            {},
            outbound.body,
            outbound.timeout_s,
        )


def serve(sock: socket.socket) -> None:
    """Answer one request on our end of a socket pair."""
    with sock, contextlib.suppress(OSError):  # the caller may leave in mid-word
        path, body = read_request(sock)
        status, answer = answer_to(path, body)
        if body.get("stream") is True and status == 200:
            stream(sock, answer, body)
            return
        payload = json.dumps(answer).encode()
        sock.sendall(
            f"HTTP/1.1 {status} Demo\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(payload)}\r\n\r\n".encode()
            + payload
        )


def read_request(sock: socket.socket) -> tuple[str, Json]:
    data = b""
    while (end := find_end(data, 0)) < 0:
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionError
        data += piece
    head = parse_request(data[:end])
    keeps = head.target == CHAT_PATH  # an upload to elsewhere is read, but not kept
    length = min(int(head.headers.get("content-length", "0")), REQUEST_BYTES)
    pieces, missing = [data[end:]], length - len(data) + end
    while missing > 0:
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionError
        if keeps:
            pieces.append(piece)
        missing -= len(piece)
    try:
        body = json.loads(b"".join(pieces))
    except (ValueError, RecursionError):
        body = {}
    return head.target, body if isinstance(body, dict) else {}


def answer_to(path: str, body: Json) -> tuple[int, Json]:
    if path != CHAT_PATH:
        refusal = {"type": "invalid_request_error", "param": "model", "code": "invalid_model_type"}
        return 400, {"error": {"message": ONLY_CHATS, **refusal}}
    words = last_user_text(body) or GREETING
    counted = json.dumps(body.get("messages"))
    usage = {"prompt_tokens": max(1, len(counted) // 4), "completion_tokens": len(words.split(" "))}
    usage["total_tokens"] = sum(usage.values())
    return 200, {
        "id": f"chatcmpl-demo-{time.time_ns():x}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": str(body.get("model")),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
        "usage": usage,
    }


def last_user_text(body: Json) -> str:
    """The text of the newest user message, parts joined."""
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                texts = [part.get("text") for part in content if isinstance(part, dict)]
                content = " ".join(text for text in texts if isinstance(text, str))
            return content if isinstance(content, str) else ""
    return ""


def stream(sock: socket.socket, answer: Json, body: Json) -> None:
    sock.sendall(
        b"HTTP/1.1 200 Demo\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    common = {name: answer[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    words = answer["choices"][0]["message"]["content"].split(" ")
    for at, word in enumerate(words):
        delta = {"content": word if at == 0 else f" {word}"} | ({"role": "assistant"} if at == 0 else {})
        send_chunk(sock, common, [{"index": 0, "delta": delta, "finish_reason": None}])
        time.sleep(WORD_PAUSE_S)
    send_chunk(sock, common, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        send_chunk(sock, common | {"usage": answer["usage"]}, [])
    sock.sendall(chunk(frame("[DONE]")) + LAST_CHUNK)


def send_chunk(sock: socket.socket, common: Json, choices: list[Json]) -> None:
    sock.sendall(chunk(frame(json.dumps({**common, "choices": choices}))))
