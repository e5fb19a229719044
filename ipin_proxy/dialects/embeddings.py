"""Embeddings as base64, for those who asked for it and whose provider answered numbers.

openai-node asks for base64 unless told otherwise and decodes whatever comes: a list of floats becomes an empty or
nonsensical vector there, without an error. Base64 is little-endian float32, packed (OpenAI API reference).
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any


def as_base64(body: bytes, reply: dict[str, Any]) -> bytes:
    """The reply with every list of numbers packed; the bytes as they came when there is none. Raises ValueError."""
    rows = reply.get("data")
    if not isinstance(rows, list) or not any(isinstance(row, dict) and is_vector(row.get("embedding")) for row in rows):
        return body
    packed = [
        {**row, "embedding": pack(row["embedding"])}
        if isinstance(row, dict) and is_vector(row.get("embedding"))
        else row
        for row in rows
    ]
    return json.dumps({**reply, "data": packed}).encode()


def is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], (int, float))


def pack(vector: list[float]) -> str:
    """Raises ValueError for what is no vector of 32-bit floats."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (struct.error, OverflowError, TypeError) as error:
        raise ValueError("a vector holds what is no 32-bit float") from error
