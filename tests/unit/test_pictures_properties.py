"""Bodies with images in any shape: they are let through, put right or refused, and what is sent on can be read again."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import example, given
from hypothesis import strategies as st
from support.pictures import PDF, SVG, base64_of, data_url, png

from ipin_proxy import pictures
from ipin_proxy.call import CHAT, RESPONSE, Call, Caller, Operation
from ipin_proxy.dialects import OPENAI, client_dialect
from ipin_proxy.errors import BadRequest
from ipin_proxy.records import Model
from ipin_proxy.web import members

URL = data_url(png())
ODD = [URL[:60] + "\n" + URL[60:], URL.upper(), "é\ud83d", "data:,", ""]
URLS = st.sampled_from(
    [
        URL,
        URL.replace("png", "jpg"),
        URL.rstrip("="),
        base64_of(png()),
        "https://x/",
        "file:///x",
        data_url(SVG),
        data_url(PDF),
        *ODD,
    ]
)
TYPES = st.sampled_from(
    [
        "image_url",
        "input_image",
        "image",
        "video_url",
        "input_video",
        "video",
        "tool_result",
        "computer_screenshot",
        "text",
        "base64",
        "url",
    ]
)
NAMES = st.sampled_from(
    ["type", "image_url", "url", "image", "source", "media_type", "data", "video_url", "content", "output", "detail"]
)
VALUES = st.recursive(
    URLS | TYPES | st.none() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
PARTS = st.fixed_dictionaries(
    {"type": TYPES}, optional=dict.fromkeys(("image_url", "image", "source", "content"), VALUES)
)
CONTENTS = VALUES | st.lists(PARTS | VALUES, max_size=4)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.just("user"), "content": CONTENTS}, optional={"output": CONTENTS}) | VALUES
)
SEEING = Model.from_json({"id": "m", "providerId": "p", "supportsImageUpload": True})


@pytest.fixture(autouse=True)
def hollow_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "HOLLOW_FROM", 0)
    monkeypatch.setattr(members, "_STEP", 16)
    monkeypatch.setattr(members, "_MIN_RUN", 32)
    monkeypatch.setattr(members, "_KEPT_PREFIX", 24)
    monkeypatch.setattr(members, "_KEPT_SUFFIX", 4)


def call_of(operation: Operation, body: bytes) -> Call:
    request: Any = SimpleNamespace(body=body)
    return Call("1", Caller("x"), operation, "m", False, request, 0.0, OPENAI, members=members.parse(body))


def unchanged_but_for_images(before: Any, after: Any) -> bool:
    """Whether a value is another one with nothing new in it but images where texts were."""
    if isinstance(before, dict) and isinstance(after, dict):
        same = before.keys() == after.keys()
        return not same or all(unchanged_but_for_images(before[name], after[name]) for name in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(unchanged_but_for_images, before, after))
    return (
        bool(before == after)
        or after == URL
        or isinstance(after, dict)
        or (
            isinstance(before, dict) and after == before.get("url")
        )  # an address, written as a text where that is usual
        or after in ("base64", "image/png", base64_of(png()))
    )


@example(
    [
        {
            "role": "user",
            "content": [{"type": "input_image", "image_url": {"type": [], "image_url": [], "url": "https://x/"}}],
        }
    ],
    (CHAT, "messages"),
    True,
)
@example(
    [{"role": "user", "content": [{"type": "input_image", "image": {"type": 0, "image_url": "a", "url": URL}}]}],
    (CHAT, "messages"),
    True,
)
@given(MESSAGES | VALUES, st.sampled_from([(CHAT, "messages"), (RESPONSE, "input")]), st.booleans())
def test_whatever_a_body_holds(value: Any, where: tuple[Operation, str], ensure_ascii: bool):
    operation, member = where
    whole = {"model": "m", member: value, "x": URL}
    body = json.dumps(whole, ensure_ascii=ensure_ascii).encode("utf-8", "replace")
    whole = json.loads(body)
    call = call_of(operation, body)
    shown = list(client_dialect(OPENAI).pictures_in(call))
    assert all(part.member == member for part in shown)
    if shown:
        assert pictures.refused_by(SEEING, shown) in (None, *[part for part in shown if part.kind == "video"])
    try:
        call = pictures.looked_at(call, shown, 1)
    except BadRequest as error:
        assert (error.code, error.status) == ("image_validation_failed", 400)
        assert error.param is not None and error.param.startswith(f"{member}[")
        return
    assert [each.kind for each in call.pictures] == [part.kind for part in shown]
    assert call.members is not None
    sent = call.members.with_values({})
    assert unchanged_but_for_images(whole, json.loads(sent))
    # Whoever looks once more finds nothing to put right.
    again = call_of(operation, sent)
    again = pictures.looked_at(again, list(client_dialect(OPENAI).pictures_in(again)), 1)
    assert again.members is not None
    assert again.members.with_values({}) == sent
    assert [each.size for each in again.pictures] == [each.size for each in call.pictures]
