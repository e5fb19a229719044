"""An OpenAI client and an Anthropic upstream: what each situation of `to_anthropic/` becomes on the way there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.cases import Case, cases_in, plays_the_same
from support.chunk_rules import check_stream
from support.messages_rules import check_request

from ipin_proxy.call import CHAT, Bill, Call, Caller, Deployment
from ipin_proxy.dialects import anthropic, openai
from ipin_proxy.dialects.anthropic_reply import Asked, completion_of
from ipin_proxy.dialects.anthropic_request import Traits, encode_request
from ipin_proxy.dialects.openai_client import error_object
from ipin_proxy.errors import ProxyError
from ipin_proxy.meter import usage_of
from ipin_proxy.records import Model, Provider
from ipin_proxy.upstream import Reply
from ipin_proxy.web import members
from ipin_proxy.web.head import Headers, parse_request
from ipin_proxy.web.request import Request

DIRECTION = "to_anthropic"
CREATED = 1_790_000_000
PROVIDER = Provider.from_json({"id": "acme", "type": "anthropic", "baseUrl": "http://acme.test"})


def deployment_of(case: Case) -> Deployment:
    model = case.options.get("model", "claude-sonnet-4-5")
    return Deployment(Model(id="public", provider_id="acme"), PROVIDER, model, "acme-secret-key-0123456789", 30.0)


def call_of(case: Case) -> Call:
    asked = case.json("client_request.json") if case.has("client_request.json") else {"stream": True}
    head = parse_request(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n")
    request = Request(head, type("Connection", (), {"peer": "127.0.0.1"})())  # type: ignore[arg-type]
    given = members.parse(json.dumps(asked).encode())
    return Call(
        "req_1", Caller("ann"), CHAT, "public", asked.get("stream") is True, request, 0.0, "openai", members=given
    )


def error_json(error: ProxyError) -> dict[str, Any]:
    return {"status": error.status, "error": error_object(error)}


def refusal_of(case: Case) -> ProxyError:
    headers = Headers([("content-type", "application/json")])
    nobody: Any = None
    reply = Reply(nobody, nobody, nobody, case.options["status"], headers, nobody, b"", 0.0, False, headers.media_type)
    return anthropic.Upstream().decode_error(reply, case.bytes("upstream_reply.json"), deployment_of(case))


@pytest.mark.parametrize("case", cases_in(DIRECTION, having="client_request.json"), ids=lambda case: case.name)
def test_a_request(case: Case) -> None:
    if not case.has("upstream_request.json") and case.has("upstream_reply.json"):
        return  # it is about the answer
    traits = Traits(max_tokens=case.options.get("max_tokens"), refused=frozenset(case.options.get("refused", ())))
    asked, model = case.json("client_request.json"), deployment_of(case).upstream_model
    try:
        found = encode_request(asked, model, traits)
    except ProxyError as error:
        case.expect("client_reply.json", error_json(error))
        return
    check_request(found)
    case.expect("upstream_request.json", found)


@pytest.mark.parametrize("case", cases_in(DIRECTION, having="upstream_reply.json"), ids=lambda case: case.name)
def test_a_reply(case: Case) -> None:
    deployment = deployment_of(case)
    if case.options.get("status", 200) != 200:
        case.expect("client_reply.json", error_json(refusal_of(case)))
        return
    try:
        reply = openai.json_reply(case.bytes("upstream_reply.json"), deployment)
        openai.raise_if_error(reply, deployment)
        found = completion_of(reply, Asked.by(call_of(case), CREATED, deployment.upstream_model), "acme")
    except ProxyError as error:
        case.expect("client_reply.json", error_json(error))
        return
    case.expect("client_reply.json", found)
    if "usage" in found:
        assert usage_of(found)._replace(cache_write_1h_tokens=0) == usage_of(reply)._replace(cache_write_1h_tokens=0)  # type: ignore[union-attr]


@pytest.mark.parametrize("case", cases_in(DIRECTION, having="upstream_reply.sse"), ids=lambda case: case.name)
def test_a_stream(case: Case) -> None:
    deployment, call = deployment_of(case), call_of(case)
    asked = Asked.by(call, CREATED, deployment.upstream_model)
    bills: list[Any] = []

    def play(pieces: list[bytes]) -> bytes:
        bill = Bill(call, deployment=deployment)
        pipe = anthropic.translated(asked, bill, deployment)
        out = b""
        try:
            for piece in pieces:
                out += pipe.feed(piece)
            out += pipe.finish()
        except ProxyError as error:
            out += pipe.fail(error) or b""
        bills.append((bill.usage, bill.finish_reason, type(bill.error)))
        return out

    found = plays_the_same(play, case.bytes("upstream_reply.sse"))
    assert len(set(bills)) == 1
    check_stream(found)
    case.expect("client_reply.sse", found)
