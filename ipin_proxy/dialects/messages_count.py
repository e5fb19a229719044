"""About how many tokens a Messages body is: for count_tokens, and for what a stream says at its beginning.

A token is four bytes of text, tools and inputs counted as the JSON they are; an image counts by its size. Rough, but there at
once: clients ask a dozen of these in a row, and want a number rather than a good one.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from ..media.images import size_of

Json = dict[str, Any]

BYTES_A_TOKEN = 4
OF_A_MESSAGE = 4
OF_A_BODY = 8
PATCH = 28  # pixels of an image's side that make a token, with as many of the other
MOST_OF_AN_IMAGE = 1568
HEADER_CHARS = 64 * 1024  # of an image in base64, within which its size stands
OF_A_PAGE = 2000
PAGE_BYTES = 60_000  # of a PDF in base64
MOST_OF_A_PDF = 100 * OF_A_PAGE
MOST_DEPTH = 8
TEXTS = ("text", "thinking", "title", "context", "name")


def estimate(body: Any) -> int:
    """The tokens of a body's input. Never fails: what cannot be counted counts nothing."""
    if type(body) is not dict:
        return 1
    size = OF_A_BODY * BYTES_A_TOKEN
    for name in ("tools", "output_config", "tool_choice"):
        if body.get(name):
            size += json_bytes(body[name])
    size += content_bytes(body.get("system"), MOST_DEPTH)
    messages = body.get("messages")
    for message in messages if type(messages) is list else ():
        if type(message) is dict:
            size += OF_A_MESSAGE * BYTES_A_TOKEN + content_bytes(message.get("content"), MOST_DEPTH)
    return max(1, -(-size // BYTES_A_TOKEN))


def content_bytes(content: Any, depth: int) -> int:
    """A content's tokens, as so many bytes of text."""
    if type(content) is str:
        return text_bytes(content)
    if type(content) is not list or depth == 0:
        return 0
    return sum(block_bytes(block, depth) for block in content if type(block) is dict)


def block_bytes(block: Json, depth: int) -> int:
    size = sum(text_bytes(value) for name in TEXTS if type(value := block.get(name)) is str)
    if block.get("input") is not None:
        size += json_bytes(block["input"])
    source = block.get("source")
    if type(source) is dict:
        size += source_bytes(source, str(block.get("type")), depth)
    return size + content_bytes(block.get("content"), depth - 1)


def source_bytes(source: Json, kind: str, depth: int) -> int:
    data = source.get("data")
    if kind == "image":
        return image_tokens(data if type(data) is str else "") * BYTES_A_TOKEN
    if source.get("type") == "text" and type(data) is str:
        return text_bytes(data)
    if type(data) is str:
        pages = -(-len(data) // PAGE_BYTES)
        return min(pages * OF_A_PAGE, MOST_OF_A_PDF) * BYTES_A_TOKEN
    return content_bytes(source.get("content"), depth - 1)


def image_tokens(data: str) -> int:
    """Of an image in base64; one that says no size, or stands elsewhere, counts as large."""
    head = data[:HEADER_CHARS]
    try:
        size = size_of(base64.b64decode(head[: len(head) // 4 * 4]))
    except (binascii.Error, ValueError):
        size = None
    if size is None:
        return MOST_OF_AN_IMAGE
    width, height = size
    return min(-(-width // PATCH) * -(-height // PATCH), MOST_OF_AN_IMAGE) or 1


def text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def json_bytes(value: Any) -> int:
    try:
        return text_bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except (ValueError, RecursionError):
        return 0
