"""Pictures out of the shapes in which image servers answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from support.build import PNG

from ipin_proxy.dialects.drawings import rows_of

B64 = base64.b64encode(PNG).decode()
DRAWN = [{"b64_json": B64}]
URL = "https://images.example/a.png?x=1"


@pytest.mark.parametrize(
    ("media_type", "body"),
    [("image/png", PNG), ("image/jpeg", b"\xff\xd8\xff\xe0 and so on"), ("application/octet-stream", PNG), ("", PNG)],
)
def test_the_picture_itself(media_type: str, body: bytes) -> None:
    assert rows_of(media_type, body) == [{"b64_json": base64.b64encode(body).decode()}]


@pytest.mark.parametrize(
    ("told", "rows"),
    [
        ({"image": B64}, DRAWN),
        ({"image_b64": B64}, DRAWN),
        ({"b64_json": B64}, DRAWN),
        ({"images": [B64, B64]}, DRAWN * 2),
        ({"images": [{"image": B64}]}, DRAWN),
        ({"created": 1, "data": [{"b64_json": B64, "revised_prompt": "x"}]}, DRAWN),
        ([B64], DRAWN),
        (B64, DRAWN),
        ({"image": f"data:image/png;base64,{B64}"}, DRAWN),
        ({"image": f"DATA:image/webp;x=1;base64,{B64}"}, DRAWN),
        ({"url": URL}, [{"url": URL}]),
        ({"data": [{"url": URL}]}, [{"url": URL}]),
    ],
)
def test_a_picture_in_json(told: Any, rows: Any) -> None:
    assert rows_of("application/json", json.dumps(told).encode()) == rows


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"image": None},
        {"image": ""},
        {"images": []},
        {"images": [B64, None]},
        {"image": "not base64!"},
        None,
        7,
        [[B64]],
        {"url": "file:///etc/passwd"},
        {"image": "javascript:alert(1)"},
        {"detail": "cold"},
    ],
)
def test_what_is_no_picture(told: Any) -> None:
    assert rows_of("application/json", json.dumps(told).encode()) is None


@pytest.mark.parametrize(
    ("media_type", "body"), [("image/png", b""), ("text/plain", b"hello"), ("", b""), ("", b"[" * 100_000)]
)
def test_bytes_that_are_none(media_type: str, body: bytes) -> None:
    assert rows_of(media_type, body) is None
