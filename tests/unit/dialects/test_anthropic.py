"""What goes to Anthropic's own hosts, where no test can listen; what its models are by their names; and what is made up here."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest

from ipin_proxy.call import CHAT, EMBEDDING, Call, Caller, Deployment, Operation
from ipin_proxy.dialects import anthropic_models, upstream_dialect
from ipin_proxy.dialects.anthropic_reply import Asked, completion_of
from ipin_proxy.dialects.anthropic_thoughts import REFUSAL
from ipin_proxy.errors import Unsupported
from ipin_proxy.manners import Manners
from ipin_proxy.records import Model, Provider
from ipin_proxy.upstream import Heard, Outbound
from ipin_proxy.web import members
from ipin_proxy.web.head import parse_request
from ipin_proxy.web.request import Request

SHAPE = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
HOME = "https://api.anthropic.com"
KEY = "sk-ant-api03-0123456789"


def at(url: str = HOME, secret: str = KEY, model: str = "claude-sonnet-4-5", **fields: Any) -> Deployment:
    provider = Provider.from_json({"id": "acme", "type": "anthropic", "baseUrl": url, **fields})
    return Deployment(Model(id="public", provider_id="acme"), provider, model, secret, 30.0)


def call_of(operation: Operation = CHAT, headers: str = "", **body: Any) -> Call:
    head = parse_request(f"POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n".encode())
    request = Request(head, type("Connection", (), {"peer": "127.0.0.1"})())  # type: ignore[arg-type]
    told = {"model": "public", "messages": [{"role": "user", "content": "Hi"}], **body}
    given = members.parse(json.dumps(told).encode())
    return Call("req_1", Caller("ann"), operation, "public", False, request, 0.0, "openai", members=given)


def first(deployment: Deployment, **more: Any) -> Outbound:
    return next(upstream_dialect(deployment.provider).requests(call_of(**more), deployment, Manners(), 0))


def body_of(outbound: Outbound) -> Any:
    return json.loads(b"".join(piece for piece in outbound.body if isinstance(piece, (bytes, memoryview))))


def test_at_home_the_key_is_in_one_place() -> None:
    for url in (HOME, f"{HOME}/v1", f"{HOME}/v1/messages/"):
        outbound = first(at(url))
        assert (outbound.origin.host, outbound.path) == ("api.anthropic.com", "/v1/messages")
        assert outbound.headers["x-api-key"] == KEY
        assert "authorization" not in outbound.headers


def test_elsewhere_it_is_where_they_may_look_for_it() -> None:
    headers = first(at("https://api.moonshot.ai/anthropic")).headers
    assert (headers["x-api-key"], headers["authorization"]) == (KEY, f"Bearer {KEY}")


def test_a_token_of_a_person_is_a_bearer() -> None:
    headers = first(at(secret="sk-ant-oat01-0123456789")).headers
    assert headers["authorization"] == "Bearer sk-ant-oat01-0123456789"
    assert "x-api-key" not in headers


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [("header:api-key", "api-key", KEY), ("none", "api-key", None), ("header:x-api-key", "x-api-key", KEY)],
)
def test_another_kind_of_authentication_is_that_one_alone(auth: str, name: str, value: str | None) -> None:
    headers = first(at(auth=auth)).headers
    assert headers.get(name) == value
    assert "authorization" not in headers and ("x-api-key" in headers) is (name == "x-api-key")


def test_what_the_administrator_wrote_goes_before_and_betas_of_both_are_wanted() -> None:
    own = {"Anthropic-Version": "2024-01-01", "anthropic-beta": "a, b", "Authorization": "Bearer other"}
    headers = first(at(headers=own), headers="anthropic-beta: b,c\r\n").headers
    assert headers["anthropic-version"] == "2024-01-01"
    assert headers["anthropic-beta"] == "a,b,c"
    assert headers["authorization"] == "Bearer other"


def test_what_is_no_chat_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(Unsupported, match="only chats"):
        first(at(), operation=EMBEDDING)


def test_a_model_that_goes_on_refusing_is_asked_a_few_times_only() -> None:
    deployment = at(model="kimi-k2")
    body = {"top_p": 0.97, "reasoning_effort": "low", "response_format": SHAPE}
    requests = upstream_dialect(deployment.provider).requests(call_of(**body), deployment, Manners(), 0)
    refused, told = ["top_p", "output_config", "thinking"], [set(body_of(next(requests)))]
    for name in refused:
        heard = Heard(400, json.dumps({"error": {"message": f"{name} is not supported"}}).encode())
        told.append(set(body_of(requests.send(heard))))
    assert [before - after for before, after in pairwise(told)] == [{name} for name in refused]
    with pytest.raises(StopIteration):
        requests.send(Heard(400, b'{"error": {"message": "max_tokens: 8192 > 5"}}'))


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"error": {"message": 7}}', b'{"error": {"message": "max_tokens: 9 > 99999"}}', b""]
)
def test_a_refusal_that_says_nothing_is_the_last_word(body: bytes) -> None:
    requests = upstream_dialect(at().provider).requests(call_of(temperature=0.5), at(), Manners(), 0)
    next(requests)
    with pytest.raises(StopIteration):
        requests.send(Heard(400, body))


WRONG = [
    ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.enabled.budget_tokens: Input is too small"),
    ({"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported on this model"),
    ({"reasoning_effort": "low"}, "messages.1.content.0: Invalid `signature` in `thinking` block"),
    ({"top_k": -1}, "top_k: Input should be greater than or equal to 0"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort: Input should be 'low', 'medium' or 'high'"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_what_a_caller_did_wrong_is_told_and_not_remembered(body: Any, message: str) -> None:
    manners = Manners()
    requests = upstream_dialect(at().provider).requests(call_of(**body), at(), manners, 0)
    next(requests)
    with pytest.raises(StopIteration):
        requests.send(Heard(400, json.dumps({"error": {"message": message}}).encode()))
    assert not manners.refused_by(at().provider)


def test_of_a_schema_that_is_too_much_only_this_call_is_done_without() -> None:
    manners = Manners()
    requests = upstream_dialect(at().provider).requests(call_of(response_format=SHAPE), at(), manners, 0)
    next(requests)
    message = "output_config.format.schema: 'minimum' is not supported"
    after = body_of(requests.send(Heard(400, json.dumps({"error": {"message": message}}).encode())))
    assert "output_config" not in after and "JSON schema" in after["system"]
    assert not manners.refused_by(at().provider)


def test_of_two_that_are_refused_together_one_stays() -> None:
    deployment = at(model="other-model")
    requests = upstream_dialect(deployment.provider).requests(
        call_of(temperature=1, top_p=0.9), deployment, Manners(), 0
    )
    assert body_of(next(requests)).keys() >= {"temperature", "top_p"}
    message = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    after = body_of(requests.send(Heard(400, json.dumps({"error": {"message": message}}).encode())))
    assert after["temperature"] == 1 and "top_p" not in after


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-3-5-haiku-latest", (3, 5)),
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-haiku-4-5@20251001", (4, 5)),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
        ("anthropic/claude-sonnet-4.6", (4, 6)),
        ("claude-opus-5", (5, 0)),
        ("Claude-Opus-10-2", (10, 2)),
        ("claude-2.1", (2, 1)),
        ("claude-instant", None),
        ("sonnet", None),
        ("kimi-k2", None),
    ],
)
def test_a_name_tells_the_version(name: str, version: tuple[int, int] | None) -> None:
    assert anthropic_models.version_of(name) == version


def test_a_call_without_an_id_is_given_one() -> None:
    block = {"type": "tool_use", "name": "f", "input": {}}
    message = completion_of({"content": [block, block]}, Asked(model="m"), "acme")["choices"][0]["message"]
    ids = {call["id"] for call in message["tool_calls"]}
    assert len(ids) == 2 and all(id_.startswith("toolu_") for id_ in ids)


def test_nothing_of_it_is_loaded_before_it_is_needed() -> None:
    code = "import sys, ipin_proxy.start; print([name for name in sys.modules if 'anthropic' in name or 'translation' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_refusal_of_a_word_thousands_of_times_is_read_in_no_time() -> None:
    """It took the square of its length, in which nobody else was answered."""
    for words in ("signature " * 100_000, "thinking " * 100_000):
        assert REFUSAL.search(words) is None
        assert all(REFUSAL.search(told) for told in (f"{words}\nthinking signature", f"signature\nthinking {words}"))
