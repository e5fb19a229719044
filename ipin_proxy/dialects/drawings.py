"""Pictures, in the shapes in which image servers answer: the bytes themselves, or JSON with them in base64 or at an address.

What comes out are the rows of OpenAI's `data`. Nothing is fetched: an address stays one.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from typing import Any

from ..media import images

BASE64 = re.compile(r"[A-Za-z0-9+/\s]+(?:=\s*){0,2}")
DATA_URL = re.compile(r"data:image/[^,]{0,100};base64,", re.IGNORECASE)
ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
# Where a picture stands in an answer, and where a list of them does.
ONE = ("b64_json", "image", "image_b64", "url")
MANY = ("data", "images", "output")


def rows_of(media_type: str, body: bytes) -> list[dict[str, str]] | None:
    """`{"b64_json"}` or `{"url"}` of every picture in an answer; None when there is none in it."""
    # Some servers call a picture a stream of bytes.
    if media_type.startswith("image/") or images.is_image(images.identify(body[:64])):
        return [{"b64_json": b2a_base64(body, newline=False).decode()}] if body else None
    try:
        return find_pictures(json.loads(body))
    except (ValueError, RecursionError):
        return None


def find_pictures(value: Any) -> list[dict[str, str]] | None:
    if isinstance(value, dict):
        value = next((value[name] for name in (*MANY, *ONE) if value.get(name)), None)
    rows = [_row(each) for each in (value if isinstance(value, list) else [value])]
    return [row for row in rows if row] if rows and all(rows) else None


def _row(value: Any) -> dict[str, str] | None:
    if isinstance(value, dict):
        value = next((value[name] for name in ONE if isinstance(value.get(name), str)), None)
    if not isinstance(value, str):
        return None
    if ADDRESS.fullmatch(value):
        return {"url": value}
    value = DATA_URL.sub("", value, count=1)
    return {"b64_json": value} if BASE64.fullmatch(value) else None
