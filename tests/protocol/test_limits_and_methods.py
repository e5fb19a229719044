"""Time limits, size limits, the cap on connections, `Expect`, and the methods that are not GET or POST."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Callable, Iterator

import pytest
from support import build
from support.build import chunk, completion, hello, usage
from support.client import Wire, request
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer, pause

CHAT = "/v1/chat/completions"
BODY = json.dumps(hello()).encode()


def head(*fields: str, path: str = CHAT, key: str = KEY, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: proxy.test", f"Authorization: Bearer {key}"]
    return "\r\n".join([*lines, "Content-Type: application/json", *fields, "", ""]).encode()


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy that waits less than half a second for headers and for bodies."""
    env = {"HEADER_TIMEOUT_S": "0.4", "BODY_TIMEOUT_S": "0.4"}
    provider = build.provider(shared_upstream.base_url)
    proxy = Proxy.start(tmp_path_factory.mktemp("hurried"), providers=[provider], models=[build.model()], env=env)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy that takes bodies of one megabyte and eight connections."""
    env = {"MAX_BODY_MB": "1", "MAX_CONNECTIONS": "8"}
    provider = build.provider(shared_upstream.base_url)
    proxy = Proxy.start(tmp_path_factory.mktemp("small"), providers=[provider], models=[build.model()], env=env)
    yield proxy
    proxy.stop()


@pytest.fixture(autouse=True)
def nothing_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"hurried", "small"} & set(request.fixturenames):
        proxy = request.getfixturevalue(name)
        proxy.client.close()
        assert "Traceback" not in proxy.output


# Slow callers.


def drip(wire: Wire, data: bytes, patience_s: float = 10.0) -> None:
    """Send byte after byte, each soon after the last, until there is an answer to read."""
    deadline = time.monotonic() + patience_s
    for byte in data:
        assert time.monotonic() < deadline, "bytes in a drip were taken for ever"
        if select.select([wire.sock], [], [], 0.02)[0]:
            return
        wire.send(bytes([byte]))


def timed_out(wire: Wire) -> None:
    reply = wire.reply()
    assert reply.status == 408
    assert reply.error["type"] == "invalid_request_error"
    assert (reply.header("connection") or "").lower() == "close"
    assert wire.ended()


def test_headers_that_stop_coming(hurried: Proxy, upstream: Upstream) -> None:
    for wire in [hurried.raw(head()[:-10]), hurried.raw(b"P")]:
        timed_out(wire)
    assert upstream.started == 0 and hurried.is_healthy()


def test_headers_in_a_drip(hurried: Proxy, upstream: Upstream) -> None:
    wire = hurried.raw(head()[:-4])
    drip(wire, b"\r\nX-Slow: " + b"a" * 2000)
    timed_out(wire)
    assert upstream.started == 0 and hurried.is_healthy()


@pytest.mark.parametrize("field", [f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"])
def test_a_body_that_stops_coming(hurried: Proxy, upstream: Upstream, field: str) -> None:
    begun = (b"%x\r\n" % len(BODY) if "chunked" in field else b"") + BODY[:-1]
    for wire in [hurried.raw(head(field)), hurried.raw(head(field) + begun)]:
        timed_out(wire)
    assert upstream.started == 0 and hurried.is_healthy()


def test_a_body_in_a_drip(hurried: Proxy, upstream: Upstream) -> None:
    wire = hurried.raw(head("Content-Length: 5000"))
    drip(wire, b'{"model": "' + b"a" * 4000)
    timed_out(wire)
    assert upstream.started == 0 and hurried.is_healthy()


def test_a_slow_caller_holds_nobody_up(hurried: Proxy, upstream: Upstream) -> None:
    upstream.default(lambda seen: answer(200, completion()))
    slow = [hurried.raw(head("Content-Length: 500")) for _ in range(60)]
    assert hurried.post(CHAT, hello(), KEY).status == 200
    for wire in slow:
        assert wire.reply().status == 408


def test_the_limits_are_not_for_answers(hurried: Proxy, upstream: Upstream) -> None:
    """An upstream may think for longer than a caller may take to send: another caller's time-out passes meanwhile."""
    body = json.dumps(completion("late")).encode()
    upstream.will_say(pause, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", body)
    wire = hurried.raw(request("POST", CHAT, hello(), KEY))
    upstream.wait_paused()
    timed_out(hurried.raw(b"GET /slow"))
    upstream.resume()
    assert wire.reply().json["choices"][0]["message"]["content"] == "late"


# Too large.


def test_an_announced_size_is_refused_before_it_is_read(small: Proxy, upstream: Upstream) -> None:
    wire = small.raw(head("Content-Length: 1000000000000"))
    reply = wire.reply()
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert wire.ended()
    assert upstream.started == 0 and small.is_healthy()


def test_a_size_that_turns_out_too_large(small: Proxy, upstream: Upstream) -> None:
    wire = small.raw(head("Transfer-Encoding: chunked") + b"10000\r\n" + b" " * 65536 + b"\r\n")
    wire.send((b"10000\r\n" + b" " * 65536 + b"\r\n") * 20)
    reply = wire.reply()
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert wire.ended()
    assert upstream.started == 0 and small.is_healthy()


def test_an_announced_chunk_is_refused_before_it_is_read(small: Proxy, upstream: Upstream) -> None:
    wire = small.raw(head("Transfer-Encoding: chunked") + b"10\r\n" + b" " * 16 + b"\r\n")
    wire.send(b"7fffffff\r\n")
    reply = wire.reply()
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert upstream.started == 0 and small.is_healthy()


def test_the_refusal_arrives_although_the_caller_is_still_sending(small: Proxy) -> None:
    wire = small.raw(head("Content-Length: 3000000") + b" " * 3_000_000)
    assert wire.reply().status == 413


def test_who_is_refused_may_finish_sending(small: Proxy) -> None:
    """A proxy in front that sends as fast as it can and looks for the answer later must not find a broken connection."""
    wire = small.raw(head("Content-Length: 12000000"))
    assert wire.reply().status == 413
    for _ in range(12):
        wire.sock.sendall(b" " * 1_000_000)
    assert wire.finish_sending().ended()


def test_a_body_at_the_limit_passes(small: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    body = json.dumps(hello("x" * (1024 * 1024 - len(json.dumps(hello(""))))))
    assert len(body) == 1024 * 1024
    assert small.post(CHAT, body.encode(), KEY).status == 200
    assert len(upstream.history[0].json["messages"][0]["content"]) > 1_000_000


# Many connections.


def test_one_connection_too_many_gets_an_honest_503(small: Proxy, upstream: Upstream) -> None:
    held = [small.raw(b"GET /health HTTP/1.1\r\n") for _ in range(8)]
    reply = small.get("/health")
    assert reply.status == 503
    assert reply.error["type"] == "server_error"
    assert int(reply.header("retry-after") or "") > 0
    assert reply.wire.ended()
    for wire in held:
        assert wire.send(b"Host: proxy.test\r\nConnection: close\r\n\r\n").reply().status == 200
        assert wire.ended()
        wire.close()
    deadline = time.monotonic() + 10
    while small.get("/health").status == 503:  # until it has seen the last of them go
        assert time.monotonic() < deadline


def test_who_is_turned_away_may_finish_sending(small: Proxy, upstream: Upstream) -> None:
    """To most clients a connection that breaks while they send is no 503, whatever lies there to be read."""
    held = [small.raw(b"GET /health HTTP/1.1\r\n") for _ in range(8)]
    wire = small.open()
    assert wire.reply().status == 503
    assert wire.ended()
    wire.sock.sendall(head("Content-Length: 900000"))
    for _ in range(9):
        wire.sock.sendall(b" " * 100_000)
    for each in (*held, wire):
        each.close()
    deadline = time.monotonic() + 10
    while small.get("/health").status == 503:
        assert time.monotonic() < deadline


def test_a_burst_of_connections_is_served(proxy: Proxy) -> None:
    wires = [proxy.open() for _ in range(300)]
    for wire in wires:
        wire.send(request("GET", "/health"))
    assert {wire.reply().status for wire in wires} == {200}


# Expect.

EXPECT = "Expect: 100-continue"


def test_continue_is_said_when_the_body_is_wanted(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    wire = proxy.raw(head(EXPECT, f"Content-Length: {len(BODY)}"))
    assert wire.reply().status == 100
    assert wire.send(BODY).reply().status == 200
    upstream.will_answer(200, completion())
    wire.send(head("expect: 100-Continue", "Transfer-Encoding: chunked"))
    assert wire.reply().status == 100
    assert wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)).reply().status == 200
    assert [seen.json["messages"] for seen in upstream.history] == [hello()["messages"]] * 2
    assert all(seen.header("expect") is None for seen in upstream.history)


def test_a_caller_who_does_not_wait_for_continue(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    assert proxy.raw(head(EXPECT, f"Content-Length: {len(BODY)}") + BODY).final().status == 200


REFUSALS = {
    "no such key": (head(EXPECT, "Content-Length: 500", key="sk-wrong"), 401),
    "no such path": (head(EXPECT, "Content-Length: 500", path="/v1/nowhere"), 404),
    "not that method": (head(EXPECT, "Content-Length: 500", method="PUT"), 405),
    "too large": (head(EXPECT, "Content-Length: 99999999999"), 413),
}


@pytest.mark.parametrize(("data", "status"), REFUSALS.values(), ids=REFUSALS)
def test_the_refusal_comes_instead_of_continue(proxy: Proxy, upstream: Upstream, data: bytes, status: int) -> None:
    wire = proxy.raw(data)
    reply = wire.reply()
    assert reply.status == status
    assert reply.error
    assert wire.ended(), "the caller may or may not send the body now, so nothing can follow"
    assert upstream.started == 0


def test_no_continue_for_http_1_0(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    data = head(EXPECT, f"Content-Length: {len(BODY)}").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert proxy.raw(data + BODY).reply().status == 200


# Methods.


def test_a_method_that_is_not_allowed(proxy: Proxy, upstream: Upstream) -> None:
    for method, path, allowed in (
        ("GET", CHAT, "POST"),
        ("DELETE", CHAT, "POST"),
        ("PUT", "/v1/models", "GET"),
        ("POST", "/health", "GET"),
        ("BREW", "/v1/models", "GET"),
        ("TRACE", "/health", "GET"),
    ):
        reply = proxy.request(method, path, None, KEY)
        assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
        assert allowed in [each.strip() for each in (reply.header("allow") or "").split(",")]
    assert upstream.started == 0


def test_head_is_get_without_the_body(proxy: Proxy, key: str) -> None:
    for path in ("/health", "/v1/models"):
        get = proxy.get(path, key)
        wire = proxy.raw(request("HEAD", path, None, key) + request("GET", "/health"))
        answered = wire.reply("HEAD")
        assert answered.status == 200
        assert answered.header("content-type") == get.header("content-type")
        assert answered.header("content-length") in (str(len(get.body)), None)
        assert wire.reply().json["status"] == "healthy"


BASES = ["", "/acme", "/x", "/v1", "/acme/v1", "/v1/messages", "/acme/v1/messages", "/v1/messages/al"]
BASES += ["/v1/messages/al/v1", "/v1/messages/al/v1/messages"]


@pytest.mark.parametrize("base", BASES)
def test_a_warm_up_needs_no_key(proxy: Proxy, base: str) -> None:
    paths = [("HEAD", base or "/"), ("HEAD", f"{base}/"), ("HEAD", f"{base}/api/hello"), ("GET", f"{base}/api/hello")]
    for method, path in paths:
        wire = proxy.raw(request(method, path) + request("GET", "/health"))
        warmed = wire.reply(method)
        assert (warmed.status, warmed.body) == (200, b"")
        assert wire.reply().json["status"] == "healthy"
    reply = proxy.post(f"{base}/api/hello", {})
    assert reply.status == 405 and "takes GET, HEAD" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/api", "/api/nosuch", "/api/admin", "/api/v1", "/js", "/static", "/admin/api/hello", "/api/api/hello"]
)
def test_what_is_ours_is_no_base_to_warm_up(proxy: Proxy, path: str) -> None:
    assert proxy.request("HEAD", path).status == 404


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/messages/a/b", "/acme/b", "/v1/nosuch/api/hello"])
def test_what_is_no_base_is_not_there(proxy: Proxy, path: str) -> None:
    assert proxy.request("HEAD", path).status == 404


def test_a_preflight_is_answered_without_a_key(proxy: Proxy) -> None:
    asked = {
        "Origin": "https://pages.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    reply = proxy.request("OPTIONS", CHAT, headers=asked)
    assert reply.status in (200, 204)
    assert reply.header("access-control-allow-origin") == "*"
    assert "POST" in (reply.header("access-control-allow-methods") or "")
    allowed = (reply.header("access-control-allow-headers") or "").lower()
    for name in ("authorization", "content-type", "x-stainless-lang"):
        assert name in allowed or allowed == "*"
    assert reply.header("access-control-allow-credentials") is None
    assert reply.body == b""


def test_answers_may_be_read_by_pages_elsewhere(proxy: Proxy, upstream: Upstream, key: str) -> None:
    upstream.will_answer(200, completion())
    upstream.will_stream(chunk("a"), usage(1, 1))
    for body, status, bearer in ((hello(), 200, key), (hello(stream=True), 200, key), (hello(), 401, "sk-wrong")):
        reply = proxy.post(CHAT, body, bearer, {"Origin": "https://pages.test"})
        assert reply.status == status
        assert reply.header_all("access-control-allow-origin") == ["*"]


@pytest.mark.parametrize("path", ["/api/admin/providers", "/api/admin/login", "/api/user/me"])
def test_the_admin_api_is_for_its_own_pages_only(proxy: Proxy, path: str) -> None:
    asked = {"Origin": "https://pages.test", "Access-Control-Request-Method": "GET"}
    for method in ("OPTIONS", "GET"):
        assert proxy.request(method, path, headers=asked).header("access-control-allow-origin") is None


def test_origins_can_be_named(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(env={"CORS_ORIGINS": "https://one.test,https://two.test"})
    for origin, allowed in (("https://two.test", "https://two.test"), ("https://three.test", None)):
        reply = proxy.get("/v1/models", KEY, {"Origin": origin})
        assert reply.header("access-control-allow-origin") == allowed
        assert "origin" in (reply.header("vary") or "").lower()


def test_a_websocket_is_told_to_use_post(proxy: Proxy, key: str) -> None:
    """426 at once; any other answer costs the client that asks six more tries."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for headers in (upgrade, {**upgrade, "Connection": "close, Upgrade"}):
        reply = proxy.get("/v1/responses", key, headers)
        assert (reply.status, reply.header("upgrade")) == (426, "HTTP/1.1")
        assert "upgrade" in reply.header_all("connection")


def test_http_1_0_gets_answers_it_can_read(proxy: Proxy, upstream: Upstream, key: str) -> None:
    wire = proxy.raw(b"GET /health HTTP/1.0\r\n\r\n")
    assert wire.reply().status == 200
    assert wire.ended()
    upstream.will_stream(chunk("Hel"), chunk("lo"), usage(1, 1))
    data = request("POST", CHAT, hello(stream=True), key).replace(b"HTTP/1.1", b"HTTP/1.0")
    reply = proxy.raw(data).reply()
    assert reply.header("transfer-encoding") is None
    assert "".join(reply.texts()) == "Hello"
