"""Callers who speak Anthropic's Messages, providers who speak chat completions: every situation as plain files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from support.cases import Case, cases_in, plays_the_same
from support.messages_checker import check_usage, read_messages_stream

from ipin_proxy.call import CHAT, Bill, Call, Caller, Deployment
from ipin_proxy.dialects import openai
from ipin_proxy.dialects.messages import Client
from ipin_proxy.dialects.messages_count import estimate
from ipin_proxy.dialects.messages_reply import Asked, encode_response
from ipin_proxy.dialects.messages_request import decode_request
from ipin_proxy.dialects.messages_stream import encode_stream
from ipin_proxy.dialects.messages_tools import Names
from ipin_proxy.dialects.openai_chunks import decoding
from ipin_proxy.dialects.tastes import Taste, taste_of
from ipin_proxy.dialects.translation import Translation
from ipin_proxy.errors import ProxyError
from ipin_proxy.records import Model, Provider
from ipin_proxy.web.head import Headers

Json = dict[str, Any]
DIRECTION = "messages-to-chat"
PROVIDER = Provider.from_json({"id": "acme", "baseUrl": "https://acme.test/v1"})
DEPLOYMENT = Deployment(Model(id="m", provider_id="acme"), PROVIDER, "m", "acme-secret-key-0123456789", 1.0)


def named(case: Case) -> str:
    return case.name


def taste_in(case: Case) -> Taste:
    options = case.options
    if "taste" in options:
        return Taste(**options["taste"])
    return taste_of(options["host"], options.get("model", "m")) if "host" in options else Taste()


def asked_in(case: Case, kept: dict[str, Json]) -> Asked:
    numbers: Counter[str] = Counter()

    def new_id(prefix: str) -> str:
        numbers[prefix] += 1
        return f"{prefix}{numbers[prefix]}"

    def keep(id: str, what: Json) -> None:
        kept[id] = {**kept.get(id, {}), **what}

    options = {"new_id": new_id, "keep": keep, "request_id": "req_1"}
    if not case.has("client_request.json"):
        return Asked("claude-sonnet-5", Names(), thinks=True, input_tokens=7, **options)
    request = case.json("client_request.json")
    decoded = decode_request(request, taste_in(case))
    return Asked(request["model"], decoded.names, decoded.stops, decoded.thinks, estimate(request), **options)


def error_of(raising: Callable[[], Any]) -> Json:
    with pytest.raises(ProxyError) as caught:
        raising()
    return Client().encode_error(caught.value, "req_1")


@pytest.mark.parametrize("case", cases_in(DIRECTION, having="upstream_request.json"), ids=named)
def test_a_request(case: Case) -> None:
    kept = case.options.get("kept", {})
    decoded = decode_request(case.json("client_request.json"), taste_in(case), kept.get)
    case.expect("upstream_request.json", decoded.body)
    assert list(decoded.notes) == case.options.get("notes", [])


@pytest.mark.parametrize("case", [case for case in cases_in(DIRECTION) if "refused" in case.options], ids=named)
def test_a_request_that_is_refused(case: Case) -> None:
    with pytest.raises(ProxyError) as caught:
        decode_request(case.json("client_request.json"), taste_in(case))
    assert caught.value.status == 400 and caught.value.param == case.options["refused"]
    case.expect("client_reply.json", Client().encode_error(caught.value, "req_1"))


@pytest.mark.parametrize("case", cases_in(DIRECTION, having="upstream_reply.json"), ids=named)
def test_a_reply(case: Case) -> None:
    kept: dict[str, Json] = {}
    status = case.options.get("status", 200)
    if status != 200:
        headers = Headers([("content-type", "application/json")])
        reply: Any = SimpleNamespace(status=status, headers=headers, media_type="application/json")
        error = openai.Upstream().decode_error(reply, case.bytes("upstream_reply.json"), DEPLOYMENT)
        case.expect("client_reply.json", Client().encode_error(error, "req_1"))
        return
    asked = asked_in(case, kept)
    if case.options.get("fails"):
        case.expect("client_reply.json", error_of(lambda: encode_response(case.json("upstream_reply.json"), asked)))
        return
    message = encode_response(case.json("upstream_reply.json"), asked)
    check_usage(message["usage"])
    case.expect("client_reply.json", message)
    assert kept == case.options.get("keeps", {})
    assert said_in_one_piece(case) == (message["content"], message["stop_reason"], message["usage"])


def said_in_one_piece(case: Case) -> tuple[list[Json], Any, Json]:
    """What a client has of the same reply when it asked for a stream, and the provider made none."""
    step = encode_stream(asked_in(case, {}))
    next(step)
    told = read_messages_stream(step.send([case.json("upstream_reply.json")]) + step.send(None))
    content = [{name: value for name, value in block.items() if name != "json"} for block in told.content]
    return content, told.stop_reason, told.usage


@pytest.mark.parametrize("case", cases_in(DIRECTION, having="upstream_reply.sse"), ids=named)
def test_a_stream(case: Case) -> None:
    if case.options.get("fails"):
        case.expect("client_reply.json", error_of(lambda: play(case, [case.bytes("upstream_reply.sse")])))
        return
    told = plays_the_same(lambda pieces: play(case, pieces), case.bytes("upstream_reply.sse"))
    case.expect("client_reply.sse", told)
    message = read_messages_stream(told)
    assert message.is_whole == (message.error is None)


def play(case: Case, pieces: list[bytes]) -> bytes:
    """A stream through the pipe. It is driven as a connection drives it: what is raised at the end goes into `fail`."""
    kept: dict[str, Json] = {}
    call: Any = Call("req_1", Caller("test"), CHAT, "m", True, None, 0.0, "messages")  # type: ignore[arg-type]
    bill = Bill(call, deployment=DEPLOYMENT)
    read = decoding(bill, DEPLOYMENT, openai.raise_if_error)
    pipe = Translation(read, encode_stream(asked_in(case, kept)), bill, Client.keep_alive)
    out = b"".join(map(pipe.feed, pieces))
    try:
        if case.options.get("breaks"):
            raise ConnectionResetError
        out += pipe.finish()
    except (ProxyError, OSError) as error:
        out += pipe.fail(error) or b""
    assert kept == case.options.get("keeps", {})
    assert bill.error is None or b"event: error" in out
    return out
