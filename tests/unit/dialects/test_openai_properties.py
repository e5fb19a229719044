"""Whatever JSON a provider answers: an answer comes out of it, or an error on purpose. Nothing else."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

from ipin_proxy.call import CHAT, COMPLETION, EMBEDDING, RESPONSE, Bill, Call, Caller, Deployment, Operation
from ipin_proxy.dialects import openai
from ipin_proxy.dialects.listing import models_told
from ipin_proxy.dialects.openai_client import error_object
from ipin_proxy.errors import ProxyError
from ipin_proxy.probe import Told, judged
from ipin_proxy.records import Model, Provider
from ipin_proxy.upstream import Content
from ipin_proxy.web import members
from ipin_proxy.web.head import Headers
from ipin_proxy.web.sse import frame

ASKED = b'{"encoding_format":"base64","stream_options":{"include_usage":true}}'
PROVIDER = Provider.from_json({"id": "acme", "baseUrl": "http://acme.test/v1"})
DEPLOYMENT = Deployment(Model(id="m", provider_id="acme"), PROVIDER, "m", "acme-secret-key-0123456789", 1.0)
UPSTREAM = openai.Upstream()

# The names that something is read under, in whatever place they turn up.
NAMES = st.sampled_from(
    [
        "error",
        "message",
        "detail",
        "loc",
        "msg",
        "type",
        "code",
        "param",
        "status",
        "metadata",
        "raw",
        "object",
        "choices",
        "delta",
        "tool_calls",
        "finish_reason",
        "index",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "cost",
        "cost_details",
        "is_byok",
        "total_tokens",
        "seconds",
        "data",
        "embedding",
        "models",
        "id",
        "name",
        "context_length",
        "output",
        "response",
        "x_groq",
    ]
)
WORDS = ["response", "error", "stop", "failed", "response.completed", "response.failed", "text_completion", "1e999"]
TEXTS = st.text(max_size=8) | st.sampled_from([*WORDS, "Provider returned error"])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | TEXTS
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
)


def bill_of(operation: Operation, *, wants_stream: bool) -> Bill:
    request: Any = None
    given = members.parse(ASKED)
    return Bill(Call("req_1", Caller("ann"), operation, "m", wants_stream, request, 0.0, "openai", members=given))


def told(body: Any) -> Content:
    return Content("application/json", json.dumps(body).encode())


@given(JSON, st.sampled_from([400, 401, 404, 422, 429, 500]))
def test_any_refusal(body: Any, status: int) -> None:
    reply: Any = SimpleNamespace(status=status, media_type="application/json", headers=Headers([]))
    written = json.dumps(body).encode()
    error = UPSTREAM.decode_error(reply, written, DEPLOYMENT)
    assert isinstance(error.message, str) and error.message
    json.dumps(error_object(error))
    assert judged(Told(reply, written, body), DEPLOYMENT)[1]


@given(JSON, st.sampled_from([CHAT, COMPLETION, RESPONSE, EMBEDDING]), st.booleans())
def test_any_answer(body: Any, operation: Operation, wants_stream: bool) -> None:
    bill = bill_of(operation, wants_stream=wants_stream)
    with contextlib.suppress(ProxyError):
        assert isinstance(UPSTREAM.decode_body([told(body)], bill, DEPLOYMENT).body, bytes)


@given(st.lists(st.tuples(JSON, st.sampled_from([None, "error", "response.completed"])), max_size=4), st.booleans())
def test_any_stream(events: list[tuple[Any, str | None]], is_typed: bool) -> None:
    pipe = UPSTREAM.decode_stream(bill_of(RESPONSE if is_typed else CHAT, wants_stream=True), DEPLOYMENT)
    with contextlib.suppress(ProxyError):
        for body, name in events:
            pipe.feed(frame(json.dumps(body), name))
        pipe.finish()


def test_an_event_whose_type_is_no_text() -> None:
    pipe = UPSTREAM.decode_stream(bill_of(RESPONSE, wants_stream=True), DEPLOYMENT)
    told = frame(json.dumps({"type": ["response.completed"], "usage": {}}))
    assert pipe.feed(told) == told


@given(JSON)
def test_any_list_of_models(body: Any) -> None:
    for row in models_told(body) or []:
        assert isinstance(row["id"], str) and isinstance(row["name"], str)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": []}]},
        {"choices": [{"message": {"tool_calls": [[]]}}]},
        {"choices": [[]]},
        {"choices": [["ab"]]},
    ],
    ids=str,
)
def test_an_answer_of_another_shape_does_not_become_a_stream(body: Any) -> None:
    with pytest.raises(ProxyError, match="shape"):
        UPSTREAM.decode_body([told(body)], bill_of(CHAT, wants_stream=True), DEPLOYMENT)


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ([{"loc": 5, "msg": "x"}], "5: x"),
        ([{"loc": "body", "msg": "x"}], "body: x"),
        ([{"loc": ["body", 0], "msg": "x"}, 7], "body.0: x"),
        ([{"msg": "x"}], ": x"),
        ({"message": "x"}, "x"),
        ({"message": 5}, '{"message": 5}'),
        ({"detail": [{"loc": ["body"], "msg": "x"}, "y"]}, "body: x; y"),
    ],
)
def test_details_in_every_shape(detail: Any, told: str) -> None:
    assert openai.detail_text(detail) == told


@pytest.mark.parametrize("wrap", ['{"detail":%s}', '{"detail":[{"loc":[%s],"msg":%s}]}', '{"detail":{"message":%s}}'])
def test_depth_is_no_accident(wrap: str) -> None:
    """What the parser can just about read may be too deep for whoever looks at it afterwards."""
    reply: Any = SimpleNamespace(status=422, media_type="application/json", headers=Headers([]))
    for depth in range(800, 1000):
        body = wrap.replace("%s", "[" * depth + "]" * depth).encode()
        UPSTREAM.decode_error(reply, body, DEPLOYMENT)
        with contextlib.suppress(ProxyError):
            UPSTREAM.decode_body([Content("application/json", body)], bill_of(CHAT, wants_stream=True), DEPLOYMENT)
