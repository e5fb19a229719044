"""What a provider says of itself when an administrator asks: does it work, and which models does it serve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import build
from support.client import Reply
from support.proxy import PASSWORD, Proxy
from support.upstream import Upstream, answer, hang_up, stall

Json = dict[str, Any]
Admin = Callable[..., Reply]


def test_a_good_provider_is_found_good(admin: Admin, proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"object": "list", "data": [{"id": "m-1"}, {"id": "m-2"}]})
    found = admin("POST", "/providers/acme/test").json
    assert set(found) == {"ok", "status", "latencyMs", "message"}
    assert (found["ok"], found["status"]) == (True, 200)
    assert found["latencyMs"] >= 0
    assert "2 models" in found["message"]
    asked = upstream.history[-1]
    assert (asked.method, asked.path) == ("GET", "/v1/models")
    assert asked.header("authorization") == "Bearer acme-secret-key-0123456789"


@pytest.mark.parametrize(
    ("script", "ok", "words"),
    [
        (answer(401, build.error("Incorrect API key provided: acme-secret-key-0123456789")), False, "key"),
        (answer(403, {"detail": "no"}), False, "key"),
        (answer(404, build.error("No such route.")), True, "base URL"),
        (answer(404, "<html>nginx</html>"), False, "base URL"),
        (answer(301, b"", headers=[("location", "https://elsewhere.example/")]), False, "redirect"),
        (answer(429, build.error("Slow down.")), False, "Slow down."),
        (answer(500, build.error("Broken at acme-secret-key-0123456789.")), False, "500"),
        (answer(502, build.HTML_ERROR), False, "502"),
        (answer(200, "<html>Welcome!</html>"), False, "JSON"),
        (answer(200, {"error": {"message": "Account closed."}}), False, "Account closed."),
        (answer(200, {"hello": "world"}), True, "not with a list"),
        (answer(200, b"", hang_up, headers=[("content-length", "10")]), False, "acme"),
    ],
    ids=lambda value: None,
)
def test_a_check_says_in_words_what_is_wrong(
    admin: Admin, upstream: Upstream, script: Any, ok: bool, words: str
) -> None:
    upstream.will(script)
    reply = admin("POST", "/providers/acme/test")
    assert reply.status == 200
    found = reply.json
    assert (found["ok"], words in found["message"]) == (ok, True), found
    for hidden in ("acme-secret-key", "127.0.0.1", str(upstream.port), "nginx", "elsewhere", "Traceback"):
        assert hidden not in found["message"]


def test_a_provider_that_cannot_be_reached_is_found_so(admin: Admin, proxy: Proxy) -> None:
    proxy.add_provider("http://127.0.0.1:1/v1", "unreachable")
    found = admin("POST", "/providers/unreachable/test").json
    assert (found["ok"], found["status"]) == (False, 0)
    assert "refused" in found["message"]
    assert "127.0.0.1" not in found["message"]


def test_a_provider_without_its_key_is_found_so(admin: Admin, proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_provider(upstream.base_url, "keyless", apiKey="env:MISSING_API_KEY")
    found = admin("POST", "/providers/keyless/test").json
    assert found["ok"] is False
    assert "env:MISSING_API_KEY" in found["message"]
    assert upstream.history == []


def test_a_provider_that_wants_a_key_says_so(admin: Admin, proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_provider(upstream.base_url, "bare", apiKey="")
    upstream.will_answer(401, build.error("No key."))
    assert "has none" in admin("POST", "/providers/bare/test").json["message"]
    assert upstream.history[-1].header("authorization") is None


def test_leaving_ends_the_question(proxy: Proxy, upstream: Upstream) -> None:
    token = proxy.post("/api/admin/login", {"username": "admin", "password": PASSWORD}).json["token"]
    upstream.will_say(stall)
    wire = proxy.raw(
        f"POST /api/admin/providers/acme/test HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    upstream.wait_paused()
    wire.close()
    upstream.wait_closed()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"data": [{"id": "org/a", "name": "A", "context_length": 8192}, {"id": "b"}, {"id": "b"}, {}, 5]},
            [{"id": "org/a", "name": "A", "contextWindow": 8192}, {"id": "b", "name": "b"}],
        ),
        ([{"id": "x", "display_name": "X"}, "y"], [{"id": "x", "name": "X"}, {"id": "y", "name": "y"}]),
        ({"models": [{"name": "llama3:8b", "model": "llama3:8b"}]}, [{"id": "llama3:8b", "name": "llama3:8b"}]),
        (
            {"models": [{"name": "models/g-1", "displayName": "G One", "inputTokenLimit": 5}]},
            [{"id": "g-1", "name": "G One", "contextWindow": 5}],
        ),
        ({"object": "list", "data": [{"id": "models/g-1"}]}, [{"id": "g-1", "name": "g-1"}]),
        ({"data": []}, []),
        ({"object": "list", "data": None}, []),
    ],
    ids=["openai", "bare", "ollama", "gemini", "gemini-openai", "empty", "ollama-without-models"],
)
def test_the_models_of_a_provider_are_read_in_any_shape(
    admin: Admin, upstream: Upstream, body: object, expected: list[Json]
) -> None:
    upstream.will_answer(200, body)
    assert admin("GET", "/providers/acme/models").json == {"models": expected}


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (answer(401, build.error("No.")), 502, "upstream_auth_failed"),
        (answer(429, build.error("Slow down.")), 429, None),
        (answer(200, "<html></html>"), 502, "upstream_invalid_response"),
        (answer(200, {"data": [{"object": "nothing"}]}), 502, "upstream_invalid_response"),
        (answer(200, {"code": 401, "msg": "No.", "data": None}), 502, "upstream_invalid_response"),
        (answer(200, {"error": {"message": "Closed."}}), 502, "upstream_invalid_response"),
    ],
    ids=["auth", "limit", "html", "no-list", "no-data", "error-in-200"],
)
def test_a_list_that_cannot_be_had_is_an_error(
    admin: Admin, upstream: Upstream, script: Any, status: int, code: str | None
) -> None:
    upstream.will(script)
    reply = admin("GET", "/providers/acme/models")
    assert (reply.status, reply.error["code"]) == (status, code)


def test_a_provider_that_is_not_there_is_404(admin: Admin) -> None:
    assert admin("POST", "/providers/nobody/test").status == 404
    assert admin("GET", "/providers/nobody/models").status == 404


def test_the_demo_can_be_stored_and_always_answers(admin: Admin) -> None:
    assert admin("POST", "/providers", {"id": "demo-stored", "type": "demo"}).status == 201
    assert admin("POST", "/providers/demo-stored/test").json["ok"] is True
    assert admin("GET", "/providers/demo-stored/models").json["models"][0]["id"] == "demo"
