"""What upstreams answer, and what becomes of it: errors in every shape, redirects, headers, encodings.

An upstream's own error keeps its status, message, code and retry-after, in the caller's shape. Its refusal of our key is
not the caller's 401. A 200 that holds no answer is an error. Its host, its key and its HTML never come through.
"""

from __future__ import annotations

import gzip
import json
import time
from contextlib import closing
from typing import Any

import pytest
from support import build
from support.build import FOREIGN_ERRORS, HTML_ERROR, chunk, completion, finish, hello
from support.client import Reply
from support.proxy import KEY, Proxy
from support.script import frame
from support.upstream import Upstream, answer, lie_about_length, split

CHAT = "/v1/chat/completions"
SECRET = build.provider("")["apiKey"]


def ask(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(**more), KEY)


def assert_nothing_given_away(reply: Reply) -> None:
    shown = reply.head + reply.body
    for secret in (b"127.0.0.1", SECRET.encode(), b"acme-secret", b"edge-7", b"<html", b"Traceback", KEY.encode()):
        assert secret not in shown, shown


def failed(reply: Reply, *codes: str) -> dict[str, Any]:
    """The reply is a 502 in our words, and gives nothing away."""
    error = reply.error
    assert (reply.status, error["type"]) == (502, "upstream_error"), error
    assert error["code"] in codes, error
    assert_nothing_given_away(reply)
    return error


# Errors.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "body", "message", "code"), FOREIGN_ERRORS.values(), ids=FOREIGN_ERRORS)
def test_an_error_keeps_its_meaning_and_changes_its_shape(
    proxy: Proxy, upstream: Upstream, status: int, body: object, message: str, code: str | None, stream: bool
) -> None:
    upstream.will_answer(status, body, headers={"retry-after": "7"})
    reply = ask(proxy, stream=stream)
    assert reply.status == status
    error = reply.error
    assert message in error["message"]
    assert isinstance(error["type"], str) and error["type"]
    assert error["code"] is None or isinstance(error["code"], str)
    if code is not None:
        assert error["code"] == code
    assert reply.header("retry-after") == "7"
    assert reply.header("x-request-id")
    assert len(upstream.history) == 1


def test_an_error_that_comes_as_an_event_is_told(proxy: Proxy, upstream: Upstream) -> None:
    """Servers that have begun to answer with events by their headers refuse with one."""
    told = build.error("Slow down.", "rate_limit_error", "slow_down")
    for before in (b"", b"\n", b"event: error\r\n"):
        upstream.will_stream(before, told, status=429)
        reply = ask(proxy, stream=True)
        assert (reply.status, {"error": reply.error}) == (429, told)


def test_all_members_of_an_openai_error_are_kept(proxy: Proxy, upstream: Upstream) -> None:
    status, body, _, _ = FOREIGN_ERRORS["openai"]
    upstream.will_answer(status, body)
    assert {"error": ask(proxy).error} == body


@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529])
def test_every_error_status_is_kept(proxy: Proxy, upstream: Upstream, status: int) -> None:
    upstream.will_answer(status, build.error("So it is.", "some_type", "some_code"))
    reply = ask(proxy)
    assert reply.status == status
    assert reply.error == {"message": "So it is.", "type": "some_type", "param": None, "code": "some_code"}


def test_when_to_come_back_is_kept(proxy: Proxy, upstream: Upstream) -> None:
    hints = {"retry-after": "30", "retry-after-ms": "30000", "x-should-retry": "false"}
    limits = {"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": "6m0s"}
    upstream.will_answer(429, build.error("Slow down.", "requests", "rate_limit_exceeded"), headers=hints | limits)
    reply = ask(proxy)
    assert {name: reply.header(name) for name in hints} == hints
    assert reply.header_all("retry-after") == ["30"]


@pytest.mark.parametrize("told", [{}, {"x-should-retry": "true"}])
def test_an_account_that_is_used_up_is_not_asked_again(proxy: Proxy, upstream: Upstream, told: dict[str, str]) -> None:
    """Clients would wait for a day, or try for minutes; what the provider says of it goes before."""
    error = build.error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
    upstream.will(*[answer(429, error, headers={"retry-after": "86400", **told})] * 2)
    message = hello(max_tokens=5)
    for reply in (ask(proxy), proxy.post("/v1/messages", message, KEY)):
        assert reply.status == 429
        assert reply.header("x-should-retry") == told.get("x-should-retry", "false")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_provider_key_is_not_the_callers_fault(
    proxy: Proxy, upstream: Upstream, status: int, stream: bool
) -> None:
    upstream.will_answer(
        status, build.error(f"Incorrect API key provided: {SECRET}.", "invalid_request_error", "invalid_api_key")
    )
    reply = ask(proxy, stream=stream)
    failed(reply, "upstream_auth_failed")
    assert reply.header("x-should-retry") == "false"
    assert reply.header("www-authenticate") is None
    assert len(upstream.history) == 1


@pytest.mark.parametrize("status", [400, 404, 500, 502, 503, 520])
def test_a_page_of_html_is_never_forwarded(proxy: Proxy, upstream: Upstream, status: int) -> None:
    for media_type in ("text/html", "application/json", "text/plain"):
        upstream.will_answer(status, HTML_ERROR, headers={"content-type": media_type})
        reply = ask(proxy)
        assert reply.status == status
        assert reply.error["message"]
        assert_nothing_given_away(reply)
        assert "nginx" not in reply.error["message"]


ODD_ERRORS: dict[str, object] = {
    "empty": None,
    "text": "upstream connect error",
    "null": b"null",
    "number": b"17",
    "empty object": {},
    "empty list": [],
    "error null": {"error": None},
    "error a list": {"error": [1, 2]},
    "message an object": {"error": {"message": {"a": 1}, "type": 3, "param": [], "code": {}}},
    "message empty": {"error": {"message": "", "type": "", "code": ""}},
    "detail odd": {"detail": [1, None, {"msg": None}]},
    "deep nesting": b"[" * 200_000,
    "deep objects": b'{"error":' * 200_000,
    "deep and whole": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "long number": b'{"error":{"code":' + b"9" * 5000 + b',"message":"m"}}',
    "lone surrogate": b'{"error":{"message":"\\ud800","code":"\\udfff"}}',
    "not UTF-8": b'{"error":{"message":"\xff\xfe"}}',
    "control characters": {"error": {"message": "a\r\nx-evil: 1\0", "code": "a\r\nb"}},
    "enormous": {"error": {"message": "x" * 3_000_000}},
}


@pytest.mark.parametrize("body", ODD_ERRORS.values(), ids=ODD_ERRORS)
def test_an_odd_error_is_still_an_error(proxy: Proxy, upstream: Upstream, body: object) -> None:
    upstream.will_answer(500, body)
    reply = ask(proxy)
    assert reply.status == 500
    error = reply.error
    for name in ("type", "param", "code"):
        assert error[name] is None or isinstance(error[name], str)
    assert len(error["message"]) < 100_000
    assert reply.header("x-evil") is None


def test_an_error_that_breaks_off(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(429, build.error("Slow down."), lie_about_length(+5), headers={"retry-after": "7"})
    assert ask(proxy).status in (429, 502)


def test_host_and_key_are_cut_out_of_an_upstreams_words(proxy: Proxy, upstream: Upstream) -> None:
    told = f"POST {upstream.base_url}/chat/completions with Bearer {SECRET} on {upstream.origin} was refused."
    for body in (build.error(told), {"detail": told}, {"error": told}, told):
        upstream.will_answer(400, body)
        reply = ask(proxy)
        assert reply.status == 400
        assert_nothing_given_away(reply)
    upstream.will_stream(chunk("Hel"), build.error(told), finish())
    assert SECRET.encode() not in ask(proxy, stream=True).body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(proxy: Proxy, upstream: Upstream, status: int) -> None:
    with closing(Upstream()) as other:
        upstream.will_answer(status, b"", headers={"location": other.base_url + "/chat/completions"})
        reply = ask(proxy)
        failed(reply, "upstream_invalid_response")
        assert reply.header("location") is None
        assert other.started == 0


# A 200 that is none.


@pytest.mark.parametrize("name", ["openai", "vllm-nested", "openrouter", "ollama", "gemini-array", "anthropic"])
def test_a_200_that_holds_an_error_is_an_error(proxy: Proxy, upstream: Upstream, name: str) -> None:
    _, body, message, _ = FOREIGN_ERRORS[name]
    upstream.will_answer(200, body)
    reply = ask(proxy)
    assert reply.status == 502
    if name != "gemini-array":
        assert message in reply.error["message"]
    assert len(upstream.history) == 1


def test_an_error_member_that_says_nothing_is_no_error(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("Hi") | {"error": None})
    assert ask(proxy).json["choices"][0]["message"]["content"] == "Hi"


BODIES: dict[str, object] = {
    "empty": None,
    "not JSON": b"hello",
    "cut JSON": json.dumps(completion()).encode()[:-5],
    "null": b"null",
    "number": b"17",
    "HTML": "<html><body>edge-7 says welcome</body></html>",
    "deep nesting": b"[" * 200_000,
    "deep objects": b'{"error":' * 200_000,
    "deep and whole": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "not UTF-8": b'{"a": "\xff\xfe"',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_200_that_holds_no_answer(proxy: Proxy, upstream: Upstream, body: object) -> None:
    upstream.will_answer(200, body, headers={"content-type": "application/json"})
    failed(ask(proxy), "upstream_invalid_response")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [{}, {"message": "No such route."}, {**build.response(), "output": None}])
def test_a_200_that_holds_no_response(proxy: Proxy, upstream: Upstream, body: object, stream: bool) -> None:
    upstream.will_answer(200, body)
    asked = {"model": build.PUBLIC_MODEL, "input": "Say hello.", "stream": stream}
    failed(proxy.post("/v1/responses", asked, KEY), "upstream_invalid_response")


def test_a_response_that_is_only_begun_is_one(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, build.response(status="queued"))
    reply = proxy.post("/v1/responses", {"model": build.PUBLIC_MODEL, "input": "Say hello.", "background": True}, KEY)
    assert (reply.status, reply.json["status"], reply.json["output"]) == (200, "queued", [])


@pytest.mark.parametrize("status", [201, 202])
def test_any_2xx_is_an_answer(proxy: Proxy, upstream: Upstream, status: int) -> None:
    upstream.will_answer(status, completion("Hi"))
    assert ask(proxy).json["choices"][0]["message"]["content"] == "Hi"


# Headers.


def test_what_the_upstream_is_told(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    told = {"cookie": "session=1", "x-forwarded-for": "1.2.3.4", "accept-encoding": "gzip, br", "connection": "x-hop"}
    proxy.post(CHAT, hello(), KEY, {**told, "x-hop": "1", "x-api-key": "other", "origin": "https://a.test"}).read()
    seen = upstream.history[0]
    assert seen.header("authorization") == f"Bearer {SECRET}"
    assert seen.header("host") == f"127.0.0.1:{upstream.port}"
    assert seen.header("accept-encoding") == "identity"
    for name in ("cookie", "x-api-key", "x-hop", "origin", "x-forwarded-for"):
        assert seen.header(name) is None, name
    assert KEY not in str(seen.headers)


def test_what_the_caller_is_told(proxy: Proxy, upstream: Upstream) -> None:
    kept = {"openai-processing-ms": "17", "openai-version": "2020-10-01"}
    dropped = {
        "set-cookie": "a=b",
        "alt-svc": "h3",
        "strict-transport-security": "max-age=1",
        "server": "edge-7",
        "keep-alive": "timeout=5",
        "x-request-id": "req_theirs",
        "access-control-allow-origin": "https://edge-7.test",
        "location": "/elsewhere",
    }
    upstream.will_answer(200, completion(), headers=kept | dropped)
    upstream.will_stream(chunk("a"), finish(), headers=kept | dropped)
    for stream in (False, True):
        started_at = time.monotonic()
        reply = ask(proxy, stream=stream)
        took_ms = (time.monotonic() - started_at) * 1000
        assert reply.status == 200
        assert {name: reply.header(name) for name in kept} == kept
        for name, value in dropped.items():
            assert value not in reply.header_all(name), name
        assert reply.header("x-ipin-provider") == "acme"
        assert reply.header("x-ipin-model") == "gpt-public"
        assert 0 <= float(reply.header("x-ipin-overhead-ms") or "") <= took_ms
        assert len(reply.header_all("x-request-id")) == 1


def test_headers_of_a_stream_keep_others_from_holding_it_back(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(chunk("a"), finish())
    reply = ask(proxy, stream=True)
    assert (reply.header("content-type") or "").startswith("text/event-stream")
    assert reply.header("cache-control") == "no-cache"
    assert reply.header("x-accel-buffering") == "no"


# Encodings.


def readable(reply: Reply) -> bytes:
    return gzip.decompress(reply.body) if reply.header("content-encoding") == "gzip" else reply.body


def test_an_upstream_that_compresses_unasked(proxy: Proxy, upstream: Upstream) -> None:
    packed = {"content-type": "application/json", "content-encoding": "gzip"}
    upstream.will_answer(200, gzip.compress(json.dumps(completion("Hi")).encode()), headers=packed)
    assert json.loads(readable(ask(proxy)))["choices"][0]["message"]["content"] == "Hi"
    assert upstream.history[0].header("accept-encoding") == "identity"
    upstream.will_answer(429, gzip.compress(json.dumps(build.error("Slow down.")).encode()), headers=packed)
    reply = ask(proxy)
    assert (reply.status, reply.error["message"]) == (429, "Slow down.")


def test_a_compressed_stream(proxy: Proxy, upstream: Upstream) -> None:
    frames = [chunk("Grüße "), chunk("👩‍👩‍👧‍👦"), finish()]
    body = b"".join(frame(each) for each in frames) + b"data: [DONE]\n\n"
    upstream.will_stream(gzip.compress(body), split(7), headers={"content-encoding": "gzip"}, done=False)
    assert readable(ask(proxy, stream=True)) == body


def test_an_encoding_nobody_can_read(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, b"\x1b\x03\x00", headers={"content-type": "application/json", "content-encoding": "br"})
    failed(ask(proxy), "upstream_invalid_response")


def test_a_bomb_does_not_go_off(proxy: Proxy, upstream: Upstream) -> None:
    bomb = gzip.compress(b" " * 140_000_000, 1)
    upstream.will_answer(200, bomb, headers={"content-type": "application/json", "content-encoding": "gzip"})
    assert ask(proxy).status == 502


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "upstream_invalid_response"), (502, "upstream_invalid_response"), (504, "upstream_timeout")],
)
def test_a_page_instead_of_an_error_has_a_code_of_ours(
    proxy: Proxy, upstream: Upstream, status: int, code: str
) -> None:
    upstream.will_answer(status, "<html>edge-7 is down</html>", headers={"content-type": "text/html"})
    reply = proxy.post(CHAT, hello(), KEY)
    assert (reply.status, reply.error["type"], reply.error["code"]) == (status, "upstream_error", code)
