"""A stream whose provider takes long to say anything: it begins all the same, and whatever comes later is told in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish, hello, spoken
from support.client import Reply, request
from support.proxy import KEY, Proxy
from support.script import frame
from support.upstream import Upstream, hang_up, pause, stall

CHAT = "/v1/chat/completions"
EVENTS = "text/event-stream"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy that says something a few times a second to those whose provider is silent."""
    models, providers = [build.model()], [build.provider(shared_upstream.base_url)]
    folder = tmp_path_factory.mktemp("slow")
    proxy = Proxy.start(folder, providers=providers, models=models, env={"KEEPALIVE_S": "0.1"})
    yield proxy
    proxy.stop()


def ask(proxy: Proxy, model: str = build.PUBLIC_MODEL, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(model=model, **more), KEY)


def raw_reply(status: str, body: bytes, media_type: str) -> bytes:
    """What ends with its connection says so, or the next call might go out on it."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize("becomes_stream", [False, True])
def test_a_stream_begins_although_the_provider_has_said_nothing(
    proxy: Proxy, upstream: Upstream, becomes_stream: bool
) -> None:
    whole, events = json.dumps(completion("Hi")).encode(), frame(chunk("Hi")) + frame(finish()) + DONE
    told = raw_reply("200 OK", whole, "application/json") if becomes_stream else raw_reply("200 OK", events, EVENTS)
    upstream.will_say(pause, told)
    reply = ask(proxy, stream=True)
    frames = reply.frames()
    assert (reply.status, reply.header("x-accel-buffering"), next(frames), next(frames)) == (
        200,
        "no",
        KEEP_ALIVE,
        KEEP_ALIVE,
    )
    assert reply.header("x-request-id")
    upstream.resume()
    rest = [each for each in frames if each != KEEP_ALIVE]
    assert b'"Hi"' in rest[0] and rest[-1] == DONE
    upstream.will_answer(200, completion())
    assert ask(proxy).status == 200


@pytest.mark.parametrize(("path", "asks"), [(CHAT, hello()), ("/v1/responses", {"input": "hello"})])
def test_a_refusal_that_comes_late_is_an_event(
    proxy: Proxy, upstream: Upstream, path: str, asks: dict[str, Any]
) -> None:
    told = json.dumps(build.error("Slow down.", "rate_limit_error", "slow_down")).encode()
    upstream.will_say(pause, raw_reply("429 Too Many Requests", told, "application/json"))
    reply = proxy.post(path, {"model": build.PUBLIC_MODEL, **asks, "stream": True}, KEY)
    events = reply.events()
    assert reply.status == 200
    upstream.wait_paused()
    upstream.resume()
    last = list(events)[-1].json
    assert (last.get("error") or last)["code"] == "slow_down"
    (line,) = proxy.log_lines(
        lambda each: each["event"] == "call" and each["request_id"] == reply.header("x-request-id")
    )
    assert line["status"] == 429


def test_the_next_deployment_may_speak_in_a_stream_that_has_begun(proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_model("two-places", "acme", deployments=[{"providerId": "acme", "upstreamModel": "other"}])
    upstream.will_say(pause, hang_up)
    upstream.will_stream(*spoken("Hi"))
    reply = ask(proxy, "two-places", stream=True)
    assert next(reply.frames()) == KEEP_ALIVE
    upstream.resume()
    assert "".join(reply.texts()) == "Hi"


def test_who_leaves_a_stream_that_has_only_begun_is_noticed(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_say(stall)
    reply = ask(proxy, stream=True)
    assert next(reply.frames()) == KEEP_ALIVE
    reply.wire.close()
    upstream.wait_closed()


def test_http_1_0_too(proxy: Proxy, upstream: Upstream) -> None:
    events = frame(chunk("Hi")) + frame(finish()) + DONE
    upstream.will_say(pause, raw_reply("200 OK", events, EVENTS))
    wire = proxy.raw(request("POST", CHAT, hello(stream=True), KEY).replace(b"HTTP/1.1", b"HTTP/1.0"))
    wire.until(KEEP_ALIVE)
    upstream.resume()
    assert wire.until(DONE).replace(KEEP_ALIVE, b"") == events
    assert wire.ended()
