"""Where a call goes, and whether it may: deployments and fallbacks, pins, offers, the demo; allow-lists, scopes, addresses.

A deployment that fails before its first byte hands over to the next; what the request itself is to blame for goes
nowhere else. A key's list is a wall: behind it nobody learns which names exist.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish, hello, spoken
from support.client import Reply, multipart
from support.proxy import KEY, ROOT, Proxy
from support.upstream import Script, Upstream, answer, hang_up, pause, reset, say, stream

Json = dict[str, Any]
CHAT = "/v1/chat/completions"
HOUR_MS = 3_600_000
numbers = itertools.count(1)

# Keys with a rule of their own; `secret(name)` is the key itself.
KEYS: dict[str, Json] = {
    "listed": {"allowedModels": ["gpt-public", "embed-public", "not-yet-there"]},
    "patterned": {"allowedModels": ["gpt-pub*", "embed-*"]},
    "chat-only": {"scopes": ["chat"]},
    "no-chat": {"scopes": ["embeddings", "models"]},
    "here": {"allowedIps": ["127.0.0.0/8", "2001:db8::/32"]},
    "elsewhere": {"allowedIps": ["192.0.2.0/24"]},
    "disabled": {"enabled": False},
    "expired": {"expiresAt": int(time.time() * 1000) - HOUR_MS},
    "expired-iso": {"expiresAt": "2001-01-31T12:00:00Z"},
    "not-yet-expired": {"expiresAt": int(time.time() * 1000) + HOUR_MS},
}


def secret(name: str) -> str:
    return f"sk-key-of-{name}-0123456789"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy with providers in every condition; all those that answer are one upstream, told apart by their path."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed_port = listener.getsockname()[1]
    secrets_dir = tmp_path_factory.mktemp("secrets")
    (secrets_dir / "in-file").write_text("from-the-file\n")
    origin = shared_upstream.origin
    providers = [
        build.provider(f"{origin}/v1"),
        *(build.provider(f"{origin}/{each}/v1", each) for each in ("first", "second", "third")),
        build.provider(f"http://127.0.0.1:{closed_port}/v1", "dead"),
        build.provider(f"{origin}/v1", "switched-off", enabled=False),
        build.provider(f"{origin}/v1", "unkeyed", apiKey="env:NOBODY_SET_THIS_KEY"),
        build.provider(f"{origin}/v1", "unsendable", apiKey="env:COPIED_WITH_ITS_QUOTES_KEY"),
        build.provider(f"{origin}/v1", "in-file", apiKey="file:in-file"),
        build.provider(f"{origin}/v1", "file-gone", apiKey="file:not-there"),
        build.provider(f"{origin}/v1", "keyless", apiKey="", auth="none"),
    ]
    models = [
        build.model(),
        build.model("gpt-other"),
        build.model("embed-public", type="embedding"),
        build.model("gpt-off", enabled=False),
        *(build.model(f"{each['id']}-model", each["id"]) for each in providers),
    ]
    keys = [build.key(KEY), *(build.key(secret(name), name, **fields) for name, fields in KEYS.items())]
    env = {
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "SECRETS_DIR": str(secrets_dir),
        "COPIED_WITH_ITS_QUOTES_KEY": "“not-for-a-header”",
    }
    proxy = Proxy.start(tmp_path_factory.mktemp("routing"), providers=providers, models=models, keys=keys, env=env)
    yield proxy
    proxy.stop()


def ask(proxy: Proxy, model: str = "gpt-public", key: str = KEY, path: str = CHAT, **more: Any) -> Reply:
    return proxy.post(path, hello(model=model, **more), key)


def refused(reply: Reply, status: int, code: str) -> Json:
    error = reply.error
    assert (reply.status, error["code"]) == (status, code), error
    return error


def line_of(proxy: Proxy, id_: str | None) -> Json:
    """The log's line of a call. One call is one line, however many were asked."""
    lines = proxy.log_lines(lambda line: line.get("request_id") == id_ and line.get("event") == "call")
    assert len(lines) == 1
    return lines[0]


def places(upstream: Upstream) -> list[str]:
    """Which providers were asked, in order."""
    return [seen.path.split("/")[1] for seen in upstream.history]


def served_by(proxy: Proxy, *providers: str, **fields: Any) -> str:
    """A new model that these providers serve, tried in this order; its name, also upstream."""
    name = f"model-{next(numbers)}"
    # Of the further ones only the weights decide: one that is a million times another's is as good as always first.
    rows = [{"providerId": each, "weight": 0 if each == providers[-1] else 1e-6} for each in providers[1:]]
    proxy.add_model(name, providers[0], upstreamModel=name, deployments=rows, **fields)
    return name


def both(proxy: Proxy, **fields: Any) -> str:
    return served_by(proxy, "first", "second", **fields)


# One deployment after the other.

FAILURES: dict[str, Script] = {
    "500": answer(500, build.error()),
    "503": answer(503, build.error(), headers={"retry-after": "60"}),
    "529": answer(529, build.error()),
    "429": answer(429, build.error()),
    "408": answer(408, build.error()),
    "402": answer(402, build.error()),
    "404": answer(404, build.error("No such model.")),
    "401": answer(401, build.error()),
    "403": answer(403, build.error()),
    "redirect": answer(302, b"", headers={"location": "http://elsewhere.test/"}),
    "closed": say(hang_up),
    "reset": say(reset),
    "no HTTP": say(b"garbage\r\n\r\n"),
    "half an answer": answer(200, b'{"choices": [', hang_up, headers={"content-type": "application/json"}),
    "a page": answer(200, "<html>hello</html>", headers={"content-type": "text/html"}),
    "an error in a 200": answer(200, build.error("No capacity.")),
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_when_the_first_fails_the_second_answers(
    proxy: Proxy, upstream: Upstream, failure: Script, streams: bool
) -> None:
    name = both(proxy)
    upstream.will(failure, stream(*spoken("Hi")) if streams else answer(200, completion("Hi")))
    reply = ask(proxy, name, stream=streams)
    assert reply.status == 200
    text = "".join(reply.texts()) if streams else reply.json["choices"][0]["message"]["content"]
    assert (text, reply.header("x-ipin-provider"), reply.header("retry-after")) == ("Hi", "second", None)
    assert places(upstream) == ["first", "second"]
    assert [seen.json["model"] for seen in upstream.history] == [name, name]
    line = line_of(proxy, reply.header("x-request-id"))
    assert (line["provider"], len(line["attempts"])) == ("second", 2)


def test_a_provider_that_is_not_there_costs_one_try(proxy: Proxy, upstream: Upstream) -> None:
    name = served_by(proxy, "dead", "second")
    for _ in range(2):
        upstream.will_answer(200, completion("Hi"))
        assert ask(proxy, name).header("x-ipin-provider") == "second"
    refused(ask(proxy, "dead-model"), 502, "upstream_unreachable")


@pytest.mark.parametrize(
    "beginning",
    [stream(build.error("No capacity.")), stream(done=False), stream(b"data: {", hang_up, done=False)],
    ids=["error frame", "nothing", "cut"],
)
def test_a_stream_that_fails_before_its_first_word_goes_elsewhere(
    proxy: Proxy, upstream: Upstream, beginning: Script
) -> None:
    name = both(proxy)
    upstream.will(beginning, stream(*spoken("Hi")))
    reply = ask(proxy, name, stream=True)
    assert ("".join(reply.texts()), reply.header("x-ipin-provider")) == ("Hi", "second")
    assert places(upstream) == ["first", "second"]


def test_after_the_first_word_nobody_else_is_asked(proxy: Proxy, upstream: Upstream) -> None:
    name = both(proxy)
    upstream.will(stream(chunk("Hel"), pause, hang_up), stream(*spoken("never")))
    reply = ask(proxy, name, stream=True)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    assert list(reply.events())[-1].json["error"]["code"] == "upstream_stream_interrupted"
    assert places(upstream) == ["first"]


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_what_the_request_is_to_blame_for_goes_nowhere_else(
    proxy: Proxy, upstream: Upstream, status: int, streams: bool
) -> None:
    name = both(proxy, fallbacks=["gpt-public"])
    upstream.will_answer(status, build.error("Too long.", "invalid_request_error", "too_long"))
    refused(ask(proxy, name, stream=streams), status, "too_long")
    assert places(upstream) == ["first"]
    upstream.will_answer(200, completion())
    assert ask(proxy, name).header("x-ipin-provider") == "first", "it did nothing wrong"


def test_when_all_fail_the_last_one_is_heard(proxy: Proxy, upstream: Upstream) -> None:
    name = served_by(proxy, "first", "second", "third")
    last = answer(503, build.error("three", code="busy"), headers={"retry-after": "3"})
    upstream.will(answer(500, build.error("one")), answer(429, build.error("two")), last)
    reply = ask(proxy, name)
    assert refused(reply, 503, "busy")["message"] == "three"
    assert reply.header("retry-after") == "3"
    assert places(upstream) == ["first", "second", "third"]


def test_what_failed_is_tried_last_for_a_while_and_never_refused(proxy: Proxy, upstream: Upstream) -> None:
    name = both(proxy)
    upstream.will(answer(500, build.error()), answer(200, completion()), answer(200, completion()))
    assert [ask(proxy, name).header("x-ipin-provider") for _ in range(2)] == ["second", "second"]
    assert places(upstream) == ["first", "second", "second"]
    upstream.will(answer(500, build.error()), answer(200, completion()), answer(200, completion()))
    assert ask(proxy, name).header("x-ipin-provider") == "first", "both have failed by now"
    assert places(upstream)[3:] == ["second", "first"]
    assert ask(proxy, name).header("x-ipin-provider") == "first", "an answer is the end of its cooling down"


def test_one_model_that_fails_says_nothing_of_the_others(proxy: Proxy, upstream: Upstream) -> None:
    failing, well = both(proxy), both(proxy)
    upstream.will(answer(500, build.error()), answer(200, completion()), answer(200, completion()))
    ask(proxy, failing).read()
    assert ask(proxy, well).header("x-ipin-provider") == "first"


def test_a_deployment_has_its_own_name_for_the_model_and_its_own_key(proxy: Proxy, upstream: Upstream) -> None:
    name = f"model-{next(numbers)}"
    row = {"providerId": "second", "upstreamModel": "known-as-this", "weight": 0}
    proxy.add_model(name, "first", upstreamModel="known-as-that", deployments=[row])
    upstream.will(answer(500, build.error()), answer(200, completion()))
    assert ask(proxy, name).header("x-ipin-model") == name
    assert [(seen.json["model"], seen.header("authorization")) for seen in upstream.history] == [
        ("known-as-that", "Bearer first-secret-key-0123456789"),
        ("known-as-this", "Bearer second-secret-key-0123456789"),
    ]


def test_all_deployments_get_their_share(proxy: Proxy, upstream: Upstream) -> None:
    name = f"model-{next(numbers)}"
    proxy.add_model(name, "first", upstreamModel=name, deployments=[{"providerId": "second"}])
    upstream.default(lambda seen: answer(200, completion()))
    for _ in range(60):
        ask(proxy, name).read()
    assert set(places(upstream)) == {"first", "second"}, "that one is never drawn happens once in 10^18"


def test_a_large_upload_arrives_whole_at_the_second(proxy: Proxy, upstream: Upstream) -> None:
    name = both(proxy, type="image")
    picture = bytes(range(256)) * 8000
    media_type, body = multipart([("model", name), ("prompt", "x"), ("image", ("a.png", picture, "image/png"))])
    upstream.will(answer(503, build.error()), answer(200, build.images(build.PNG)))
    assert proxy.post("/v1/images/edits", body, KEY, {"content-type": media_type}).status == 200
    assert [seen.body for seen in upstream.history] == [body, body]


# Fallbacks.


def test_a_fallback_takes_over_with_its_own_name(proxy: Proxy, upstream: Upstream) -> None:
    other = served_by(proxy, "third")
    name = both(proxy, fallbacks=["not-there", "gpt-off", "embed-public", other])
    upstream.will(answer(500, build.error()), answer(500, build.error()), answer(200, completion("Hi")))
    reply = ask(proxy, name)
    assert (reply.status, reply.header("x-ipin-model"), reply.header("x-ipin-provider")) == (200, other, "third")
    assert places(upstream) == ["first", "second", "third"]
    assert [seen.json["model"] for seen in upstream.history] == [name, name, other]


def test_a_fallback_goes_no_further(proxy: Proxy, upstream: Upstream) -> None:
    last = served_by(proxy, "third")
    middle = served_by(proxy, "second", fallbacks=[last])
    name = served_by(proxy, "first", fallbacks=[middle])
    proxy.admin("PUT", f"/models/{last}", {"fallbacks": [name]})
    upstream.will(answer(500, build.error()), answer(502, build.error("end")))
    assert ask(proxy, name).error["message"] == "end"
    assert places(upstream) == ["first", "second"]


def test_a_model_whose_own_provider_has_no_key_goes_to_its_fallback(proxy: Proxy, upstream: Upstream) -> None:
    name = served_by(proxy, "unkeyed", fallbacks=["gpt-public"])
    upstream.will_answer(200, completion("Hi"))
    assert ask(proxy, name).header("x-ipin-model") == "gpt-public"


# What cannot be served.


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("name", ["switched-off-model", "unkeyed-model", "file-gone-model"])
def test_a_provider_that_cannot_serve_is_the_administrators_affair(
    proxy: Proxy, upstream: Upstream, name: str, streams: bool
) -> None:
    reply = ask(proxy, name, stream=streams)
    error = refused(reply, 503, "provider_not_configured")
    assert error["type"] == "server_error"
    assert (reply.header("x-should-retry"), reply.header("retry-after")) == ("false", None)
    assert "NOBODY_SET" not in error["message"] and "not-there" not in error["message"]
    assert upstream.started == 0


def test_a_key_no_header_can_carry_is_told_to_whoever_can_mend_it(proxy: Proxy, upstream: Upstream) -> None:
    """Copied with its typographic quotes, say."""
    for reply in (ask(proxy, "unsendable-model"), ask(proxy, "unsendable-model", stream=True)):
        assert "unsendable" in refused(reply, 502, "upstream_auth_failed")["message"]
        assert reply.header("x-should-retry") == "false"
        assert "not-for-a-header" not in reply.body.decode() + proxy.output
    assert upstream.started == 0


@pytest.mark.parametrize("name", ["switched-off-model", "unkeyed-model"])
def test_what_a_caller_can_mend_is_told_before_what_an_administrator_has_to(
    proxy: Proxy, upstream: Upstream, name: str
) -> None:
    reply = proxy.post("/v1/embeddings", {"model": name, "input": "x"}, KEY)
    assert refused(reply, 400, "invalid_model_type")["param"] == "model"
    assert upstream.started == 0


def test_a_model_that_is_switched_off_is_not_there(proxy: Proxy, upstream: Upstream) -> None:
    error = refused(ask(proxy, "gpt-off"), 404, "model_not_found")
    assert error["message"] == ask(proxy, "gpt-nil").error["message"].replace("gpt-nil", "gpt-off")
    assert "gpt-off" not in [row["id"] for row in proxy.get("/v1/models", KEY).json["data"]]
    assert proxy.get("/v1/models/gpt-off", KEY).status == 404
    assert upstream.started == 0


def test_a_key_in_a_file_is_read_where_secrets_are(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    assert ask(proxy, "in-file-model").status == 200
    assert upstream.history[0].header("authorization") == "Bearer from-the-file"


def test_a_provider_without_a_key_is_sent_none(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    assert ask(proxy, "keyless-model").status == 200
    assert upstream.history[0].header("authorization") is None


def test_a_secret_file_that_changes_is_read_anew(
    start_proxy: Callable[..., Proxy], upstream: Upstream, tmp_path: Path
) -> None:
    secrets_dir = tmp_path / "secrets"
    secrets_dir.mkdir()
    provider = build.provider(upstream.base_url, apiKey=f"file:{secrets_dir / 'acme'}")
    proxy = start_proxy(providers=[provider], env={"SECRETS_DIR": str(secrets_dir)})
    refused(ask(proxy), 503, "provider_not_configured")
    for value in ("one", "two"):
        (secrets_dir / "acme").write_text(f"  {value}\n")
        upstream.will_answer(200, completion())
        assert ask(proxy).status == 200
        assert upstream.history[-1].header("authorization") == f"Bearer {value}"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6, or not together with IPv4")
def test_who_comes_by_ipv4_to_a_server_for_both_has_one_address(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    """Whoever copies it from the log into a key's list means what the list means on any other server."""
    proxy = start_proxy(keys=[build.key(KEY, allowedIps=["127.0.0.1"])], arguments=("--host", "::"))
    upstream.will_answer(200, completion())
    assert ask(proxy).status == 200
    assert [row["address"] for row in proxy.admin("GET", "/requests").json["items"]] == ["127.0.0.1"]


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_a_provider_at_an_ipv6_address(
    start_proxy: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch, upstream: Upstream
) -> None:
    listen = socket.create_server
    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_server", lambda _, **more: listen(("::1", 0), family=socket.AF_INET6, **more))
        try:
            other = Upstream()
        except OSError:
            pytest.skip("this machine has no IPv6")
    try:
        proxy = start_proxy(providers=[build.provider(f"http://[::1]:{other.port}")])
        other.will_answer(200, completion())
        assert ask(proxy).status == 200
        assert other.history[0].header("host") == f"[::1]:{other.port}"
    finally:
        other.close()


# Pinned to a provider by the path.


OPERATIONS = ("chat/completions", "completions", "embeddings", "responses", "rerank", "moderations")
MEDIA = ("images/generations", "images/edits", "audio/speech")


@pytest.mark.parametrize("path", [f"/{path}" for path in (*OPERATIONS, *MEDIA)])
def test_every_operation_can_be_pinned(proxy: Proxy, path: str) -> None:
    for pinned in (f"/first/v1{path}", f"/v1{path}"):
        assert proxy.post(pinned, {}, KEY).status in (400, 415)
        assert proxy.post(pinned, {}).status == 401
        assert proxy.get(pinned, KEY).status == 405


def test_a_pinned_call_goes_to_its_provider_alone(proxy: Proxy, upstream: Upstream) -> None:
    name = served_by(proxy, "first", "second", fallbacks=["gpt-public"])
    for pin in ("first", "second"):
        upstream.will_answer(500, build.error("No."))
        assert ask(proxy, name, path=f"/{pin}{CHAT}").status == 500
    assert places(upstream) == ["first", "second"]


def test_a_model_of_another_provider_is_not_there(proxy: Proxy, upstream: Upstream) -> None:
    for name in ("gpt-public", "no-such-model", "second-model"):
        error = refused(ask(proxy, name, path=f"/first{CHAT}"), 404, "model_not_found")
        assert "'first'" in error["message"] and "first-model" in error["message"]
        assert "gpt-other" not in error["message"]
    assert (
        "/first/v1/models" in refused(proxy.get("/first/v1/models/gpt-public", KEY), 404, "model_not_found")["message"]
    )
    assert upstream.started == 0


def test_behind_a_pin_the_providers_own_name_is_known(proxy: Proxy, upstream: Upstream) -> None:
    name = f"model-{next(numbers)}"
    proxy.add_model(name, "first", upstreamModel=f"vendor/{name}")
    for asked in (name, f"vendor/{name}"):
        upstream.will_answer(200, completion())
        reply = ask(proxy, asked, path=f"/first{CHAT}")
        assert (reply.status, reply.header("x-ipin-model")) == (200, name)
        assert upstream.history[-1].json["model"] == f"vendor/{name}"
    refused(ask(proxy, f"vendor/{name}"), 404, "model_not_found")


def test_a_pinned_list_is_of_that_provider(proxy: Proxy) -> None:
    mine, shared = served_by(proxy, "second"), both(proxy)
    listed = [row["id"] for row in proxy.get("/second/v1/models", KEY).json["data"]]
    assert {mine, shared, "second-model"} <= set(listed)
    assert {"gpt-public", "first-model", "unkeyed-model"}.isdisjoint(listed)
    assert proxy.get("/second/v1/models/second-model", KEY).status == 200
    assert proxy.get("/second/v1/models/gpt-public", KEY).status == 404


def test_a_pin_opens_nothing_that_is_closed(proxy: Proxy, upstream: Upstream) -> None:
    for path in (f"/first{CHAT}", f"/none{CHAT}", f"/unkeyed{CHAT}"):
        refused(ask(proxy, key="sk-wrong", path=path), 401, "invalid_api_key")
    refused(ask(proxy, "gpt-upstream", secret("listed"), path=f"/first{CHAT}"), 403, "model_not_allowed")
    refused(ask(proxy, "unkeyed-model", path=f"/unkeyed{CHAT}"), 503, "provider_not_configured")
    assert upstream.started == 0


@pytest.mark.parametrize("path", ["chat/completions", "embeddings", "images/edits", "audio/speech"])
def test_a_pin_that_is_no_provider_is_told_so(proxy: Proxy, upstream: Upstream, path: str) -> None:
    for key in (KEY, secret("listed"), secret("chat-only")):
        for reply in (
            proxy.post(f"/nobody/v1/{path}", hello(), key),
            proxy.post(f"/nobody/v1/{path}", {}, key),
            proxy.get("/nobody/v1/models", key),
            proxy.get("/nobody/v1/models/gpt-public", key),
        ):
            assert "'nobody'" in refused(reply, 404, "not_found")["message"]
    refused(proxy.get("/nobody/v1/models", "sk-wrong"), 401, "invalid_api_key")
    assert len(refused(proxy.get(f"/{'n' * 3000}/v1/models", KEY), 404, "not_found")["message"]) < 400
    for known in ("demo", "switched-off", "unkeyed"):
        assert proxy.get(f"/{known}/v1/models", KEY).status == 200
    assert upstream.started == 0


@pytest.mark.parametrize("path", ["/api/v1/chat/completions", "/v1/v1/chat/completions", "/static/v1/chat/completions"])
def test_our_own_paths_are_no_pins(proxy: Proxy, path: str) -> None:
    assert proxy.post(path, hello(), KEY).status in (404, 405)


# What a key may.


def test_a_keys_list_is_a_wall(proxy: Proxy, upstream: Upstream) -> None:
    """Existing, disabled, misspelt or not there at all: outside the list every name gets one and the same answer."""
    told = set()
    for name in ("gpt-other", "gpt-off", "no-such-model", "GPT-PUBLIC", "gpt-public ", "../gpt-public"):
        for path in (CHAT, f"/acme{CHAT}"):
            error = refused(ask(proxy, name, secret("listed"), path), 403, "model_not_allowed")
            assert (error["type"], error["param"]) == ("permission_error", "model")
            told.add(error["message"].replace(name, "…"))
    assert len(told) == 1
    assert "gpt-other" not in told.pop()
    assert upstream.started == 0
    upstream.will_answer(200, completion())
    assert ask(proxy, key=secret("listed")).status == 200


@pytest.mark.parametrize(
    "named",
    [
        {"models": ["gpt-public", "gpt-other"]},
        {"fallbacks": ["gpt-other"]},
        {"fallbacks": [{"model": "gpt-other"}]},
        {"models": ["gpt-public"], "fallbacks": [{"model": "no-such-model"}]},
    ],
)
def test_the_wall_is_around_the_models_that_a_body_names_for_a_router(
    proxy: Proxy, upstream: Upstream, named: Json
) -> None:
    refused(proxy.post(CHAT, hello(**named), secret("listed")), 403, "model_not_allowed")
    assert upstream.started == 0
    for key, body in ((KEY, hello(**named)), (secret("listed"), hello(models=["gpt-public", "embed-public", 5]))):
        upstream.will_answer(200, completion())
        assert proxy.post(CHAT, body, key).status == 200


def test_a_listed_name_that_is_not_there_is_404_and_names_only_the_list(proxy: Proxy) -> None:
    message = refused(ask(proxy, "not-yet-there", secret("listed")), 404, "model_not_found")["message"]
    assert "gpt-public" in message
    assert "gpt-other" not in message and "first-model" not in message
    assert "gpt-other" in refused(ask(proxy, "not-yet-there"), 404, "model_not_found")["message"]


def test_a_list_of_models_shows_what_the_key_may_use(proxy: Proxy) -> None:
    listed = proxy.get("/v1/models", secret("listed")).json
    assert (listed["object"], [row["id"] for row in listed["data"]]) == ("list", ["gpt-public", "embed-public"])
    assert proxy.get("/v1/models/gpt-public", secret("listed")).json == listed["data"][0]
    for name in ("gpt-other", "no-such-model"):
        refused(proxy.get(f"/v1/models/{name}", secret("listed")), 403, "model_not_allowed")
    refused(proxy.get("/v1/models/no-such-model", KEY), 404, "model_not_found")
    row = listed["data"][1]
    shown = {"object": "model", "owned_by": "acme", "type": "embedding", "supports_image_upload": True}
    assert row == {**row, **shown, "supports_video_upload": False}
    assert isinstance(row["created"], int)


def test_a_list_of_models_may_have_patterns(proxy: Proxy, upstream: Upstream) -> None:
    key = secret("patterned")
    assert [row["id"] for row in proxy.get("/v1/models", key).json["data"]] == ["gpt-public", "embed-public"]
    assert proxy.get("/v1/models/embed-public", key).status == 200
    upstream.will_answer(200, build.completion())
    assert ask(proxy, key=key).status == 200
    for name in ("gpt-other", "no-such-model"):
        refused(ask(proxy, name, key), 403, "model_not_allowed")
        refused(proxy.get(f"/v1/models/{name}", key), 403, "model_not_allowed")
    message = refused(ask(proxy, "gpt-pub-no-such", key), 404, "model_not_found")["message"]
    assert "gpt-public" in message and "gpt-other" not in message


def test_the_wall_is_around_every_operation(proxy: Proxy, upstream: Upstream) -> None:
    for path, more in (
        ("/v1/embeddings", {"input": "x"}),
        ("/v1/responses", {"input": "x", "stream": True}),
        ("/v1/completions", {"prompt": "x"}),
        ("/v1/rerank", {"query": "x", "documents": ["x"]}),
        ("/v1/audio/speech", {"input": "x"}),
        ("/v1/images/generations", {"prompt": "x"}),
    ):
        refused(proxy.post(path, {"model": "gpt-other", **more}, secret("listed")), 403, "model_not_allowed")
    fields: list[tuple[str, object]] = [("model", "gpt-other"), ("prompt", "x"), ("image", ("a", b"1", "image/png"))]
    refused(proxy.form("/v1/images/edits", fields, secret("listed")), 403, "model_not_allowed")
    assert upstream.started == 0


@pytest.mark.parametrize("name", ["disabled", "expired", "expired-iso", "unknown"])
def test_keys_that_open_nothing_are_told_alike(proxy: Proxy, upstream: Upstream, name: str) -> None:
    reply = ask(proxy, key=secret(name))
    assert refused(reply, 401, "invalid_api_key") == ask(proxy, key="sk-nobody-has-this-one").error
    assert reply.header("x-should-retry") == "false"
    assert proxy.get("/v1/models", secret(name)).status == 401
    assert upstream.started == 0


def test_a_key_that_expires_later_is_good_until_then(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    assert ask(proxy, key=secret("not-yet-expired")).status == 200


def test_a_key_is_for_its_kinds_of_call(proxy: Proxy, upstream: Upstream) -> None:
    embedding = {"model": "embed-public", "input": "x"}
    for reply in (
        ask(proxy, key=secret("no-chat")),
        proxy.post("/v1/responses", {"model": "gpt-public", "input": "x"}, secret("no-chat")),
        proxy.get("/v1/models", secret("chat-only")),
        proxy.get("/v1/models/gpt-public", secret("chat-only")),
        proxy.post("/v1/embeddings", embedding, secret("chat-only")),
        proxy.post("/v1/audio/speech", {"model": "x", "input": "x"}, secret("chat-only")),
        proxy.post("/v1/images/generations", {"model": "x", "prompt": "x"}, secret("chat-only")),
        proxy.post("/v1/rerank", {"model": "x"}, secret("chat-only")),
        proxy.form("/v1/images/edits", [("model", "x")], secret("chat-only")),
    ):
        assert refused(reply, 403, "scope_not_allowed")["type"] == "permission_error"
    assert upstream.started == 0
    upstream.will_answer(200, build.embeddings([1.0]))
    assert proxy.post("/v1/embeddings", embedding, secret("no-chat")).status == 200
    assert proxy.get("/v1/models", secret("no-chat")).status == 200


def test_what_is_checked_first_is_told_first(proxy: Proxy) -> None:
    """Key, kind of call, address, model: nobody learns of a later thing by asking for an earlier one."""
    refused(proxy.post("/v1/embeddings", {"model": "no-such"}, secret("chat-only")), 403, "scope_not_allowed")
    refused(ask(proxy, "no-such-model", secret("elsewhere")), 403, "ip_not_allowed")
    refused(proxy.post("/v1/embeddings", {"model": "gpt-other", "input": ""}, secret("listed")), 400, "missing_input")


def test_a_key_is_for_its_addresses(proxy: Proxy, upstream: Upstream) -> None:
    def ask_from(key: str, address: str) -> Reply:
        return proxy.post(CHAT, hello(), secret(key), {"x-forwarded-for": address})

    refused(ask(proxy, key=secret("elsewhere")), 403, "ip_not_allowed")
    for address in ("192.0.2.7", "198.51.100.1, 192.0.2.7", "192.0.2.9, 127.0.0.1", "192.0.2.7:49152"):
        upstream.will_answer(200, completion())
        assert ask_from("elsewhere", address).status == 200, address
    for address in ("198.51.100.7", "192.0.2.7, 198.51.100.1", "nonsense", "192.0.2.7, nonsense", ""):
        refused(ask_from("elsewhere", address), 403, "ip_not_allowed")
    for address in ("127.0.0.9", "2001:db8:5::1", "::ffff:127.0.0.5", "[2001:db8:5::1]:443", "[2001:db8:5::1]"):
        upstream.will_answer(200, completion())
        assert ask_from("here", address).status == 200, address
    # "here" is also where the proxy in front is: whoever comes through it with a port is not taken for it.
    for address in ("2001:db9::1", "198.51.100.7:49152", "[2001:db9::1]:443", "127.0.0.9, 198.51.100.7:49152"):
        refused(ask_from("here", address), 403, "ip_not_allowed")


def test_what_a_stranger_says_of_its_address_is_not_believed(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    proxy = start_proxy(keys=[build.key(secret("elsewhere"), "elsewhere", **KEYS["elsewhere"])])
    for name in ("x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip"):
        reply = proxy.post(CHAT, hello(), secret("elsewhere"), {name: "192.0.2.7"})
        refused(reply, 403, "ip_not_allowed")
    assert upstream.started == 0


def test_of_two_credentials_one_good_one_is_enough(proxy: Proxy, upstream: Upstream) -> None:
    for headers in (
        {"authorization": f"Bearer {secret('expired')}", "x-api-key": KEY},
        {"authorization": f"Bearer {KEY}", "x-api-key": secret("disabled")},
    ):
        upstream.will_answer(200, completion())
        assert proxy.post(CHAT, hello(), None, headers).status == 200
    both_bad = {"authorization": f"Bearer {secret('expired')}", "x-api-key": secret("disabled")}
    refused(proxy.post(CHAT, hello(), None, both_bad), 401, "invalid_api_key")


# Offers of the environment.

OFFERED = {"OPENAI_API_KEY": "sk-of-the-environment-1", "CHUTES_API_TOKEN": "cpk_of-the-environment-2"}


def test_the_environment_offers_providers_without_storing_their_keys(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(env={**OFFERED, "GROQ_API_KEY": ""})
    rows = proxy.admin("GET", "/providers").json["providers"]
    assert {row["id"]: row["apiKey"] for row in rows if row["source"] == "environment"} == {
        "openai": "env:OPENAI_API_KEY",
        "chutes": "env:CHUTES_API_TOKEN",
    }
    shown = proxy.output + (proxy.folder / "ipin-proxy.db").read_text()
    assert "openai" in proxy.output
    assert not any(value in shown for value in OFFERED.values())


def test_a_stored_provider_takes_the_place_of_the_offered_one(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    stored = build.provider(upstream.base_url, "openai", apiKey="env:OPENAI_API_KEY")
    proxy = start_proxy(providers=[stored], models=[build.model("gpt-x", "openai")], env=OFFERED)
    upstream.will_answer(200, completion())
    assert ask(proxy, "gpt-x", path=f"/openai{CHAT}").status == 200
    assert upstream.history[0].header("authorization") == "Bearer sk-of-the-environment-1"
    refused(ask(proxy, "another", path=f"/openai{CHAT}"), 404, "model_not_found")
    refused(ask(proxy, "openai/another"), 404, "model_not_found")


ELSEWHERE = """
import sys
from pathlib import Path
root, url = Path(sys.argv[1]), sys.argv[2]
sys.path[:0] = str(root), str(root / "tests")
from ipin_proxy import presets
presets.PRESETS = tuple(each._replace(base_url=url) if each.id == "openai" else each for each in presets.PRESETS)
from support import program
sys.exit(program.run(sys.argv[3:], root))
"""


@pytest.fixture(scope="module")
def offering(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """The environment offers "openai", which is our upstream; two keys may use a part of it."""
    keys = [build.key(KEY), build.key(secret("some"), "some", allowedModels=["openai/gpt-a", "gpt-b"])]
    program = ("-c", ELSEWHERE, str(ROOT), shared_upstream.base_url)
    proxy = Proxy.start(tmp_path_factory.mktemp("offering"), keys=keys, env=OFFERED, program=program)
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.output


THEIR_LIST = {"object": "list", "data": [{"id": "gpt-a"}, {"id": "gpt-b", "name": "B"}, {"id": "org/gpt-c"}]}


def test_behind_the_prefix_of_an_offered_provider_its_own_list_is_given(offering: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, THEIR_LIST)
    found = offering.get("/openai/v1/models", KEY).json
    assert (found["object"], [row["id"] for row in found["data"]]) == ("list", ["gpt-a", "gpt-b", "org/gpt-c"])
    shown = {"id": "gpt-b", "object": "model", "created": 0, "owned_by": "openai", "name": "B"}
    assert found["data"][1] == {**shown, "supports_image_upload": False, "supports_video_upload": False}
    asked = upstream.history[0]
    assert (asked.method, asked.path) == ("GET", "/v1/models")
    assert asked.header("authorization") == f"Bearer {OFFERED['OPENAI_API_KEY']}"
    for name in ("gpt-a", "org/gpt-c"):
        upstream.will_answer(200, completion())
        assert ask(offering, name, path=f"/openai{CHAT}").status == 200
        assert upstream.history[-1].json["model"] == name, "what is listed can be asked for"
        upstream.will_answer(200, THEIR_LIST)
        assert offering.get(f"/openai/v1/models/{name}", KEY).json["id"] == name
    upstream.will_answer(200, THEIR_LIST)
    refused(offering.get("/openai/v1/models/gpt-z", KEY), 404, "model_not_found")


def test_a_key_in_the_place_of_a_name_that_is_passed_on_is_kept_nowhere(offering: Proxy, upstream: Upstream) -> None:
    pasted = "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz012345"
    upstream.will_answer(404, build.error(f"The model `{pasted}` does not exist.", code="model_not_found"))
    assert ask(offering, pasted, path=f"/openai{CHAT}").status == 404
    told = [offering.admin("GET", path).body for path in ("/requests", "/requests?format=csv", "/usage?by=model")]
    told.append(offering.get("/metrics", offering.master_key).body)
    told += [path.read_bytes() for path in offering.folder.iterdir() if "usage" in path.name]
    assert upstream.history[0].json["model"] == pasted
    assert not any(pasted.encode() in each for each in (*told, offering.output.encode()))


def test_a_key_with_a_list_sees_its_own_part_of_what_is_offered(offering: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, THEIR_LIST)
    some = secret("some")
    assert [row["id"] for row in offering.get("/openai/v1/models", some).json["data"]] == ["gpt-a"]
    assert len(upstream.history) == 1
    for name in ("gpt-b", "gpt-z"):
        refused(offering.get(f"/openai/v1/models/{name}", some), 403, "model_not_allowed")
    assert len(upstream.history) == 1, "nobody is asked about what the key may not use"


def test_an_offered_provider_that_does_not_list_says_why(offering: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(401, build.error("Incorrect API key provided."))
    refused(offering.get("/openai/v1/models", KEY), 502, "upstream_auth_failed")
    upstream.will_answer(200, "<html>Welcome</html>")
    refused(offering.get("/openai/v1/models", KEY), 502, "upstream_invalid_response")


def test_nobody_is_asked_where_the_list_is_our_own(offering: Proxy, upstream: Upstream) -> None:
    assert listed(offering) == ["demo"]
    refused(offering.get("/openai/v1/models", "sk-wrong"), 401, "invalid_api_key")
    offering.add_model("mine", "openai")
    assert [row["id"] for row in offering.get("/openai/v1/models", KEY).json["data"]] == ["mine"]
    refused(offering.get("/openai/v1/models/gpt-a", KEY), 404, "model_not_found")
    assert upstream.started == 0
    assert offering.admin("DELETE", "/models/mine").status == 200


# The demo.


@pytest.fixture
def fresh(start_proxy: Callable[..., Proxy]) -> Proxy:
    """Nothing is set up yet."""
    return start_proxy(providers=[], models=[])


def say_to_demo(proxy: Proxy, said: str, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(said, model="demo", **more), KEY)


def listed(proxy: Proxy) -> list[str]:
    return [row["id"] for row in proxy.get("/v1/models", KEY).json["data"]]


def test_the_demo_repeats_what_is_said(fresh: Proxy) -> None:
    assert listed(fresh) == ["demo"]
    assert "demo" in fresh.get("/v1/models/demo", KEY).json["name"].lower()
    said = "Good morning!  Two  blanks, Grüße 👩‍👩‍👧‍👦\nand a line"
    reply = say_to_demo(fresh, said)
    assert reply.json["choices"][0]["message"] == {"role": "assistant", "content": said}
    assert reply.json["usage"]["total_tokens"] > 0
    assert reply.header("x-ipin-provider") == "demo"
    assert "".join(say_to_demo(fresh, said, stream=True).texts()) == said


def test_the_demo_streams_word_by_word_and_tells_its_usage(fresh: Proxy) -> None:
    events = list(say_to_demo(fresh, "one two three", stream=True, stream_options={"include_usage": True}).events())
    chunks = [event.json for event in events[:-1]]
    texts = [choice["delta"].get("content") for each in chunks for choice in each["choices"]]
    assert [text for text in texts if text] == ["one", " two", " three"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"], events[-1].data) == ([], 3, "[DONE]")
    plain = say_to_demo(fresh, "one", stream=True)
    assert all("usage" not in event.json for event in plain.events() if event.data != "[DONE]")


def test_the_demo_says_what_it_cannot_do(fresh: Proxy) -> None:
    reply = fresh.post("/v1/completions", {"model": "demo", "prompt": "x"}, KEY)
    refused(reply, 400, "invalid_model_type")
    assert "demo" in reply.error["message"].lower()
    refused(fresh.post("/v1/embeddings", {"model": "demo", "input": "x"}, KEY), 400, "invalid_model_type")
    refused(ask(fresh, "gpt"), 404, "model_not_found")
    refused(ask(fresh, "demo", "sk-wrong"), 401, "invalid_api_key")


def test_the_demo_minds_no_long_headers(fresh: Proxy) -> None:
    body = json.dumps(hello("hi", model="demo")).encode()
    fields = f"Host: x\r\nx-api-key: {KEY}\r\nContent-Length: {len(body)}\r\nX-Title: "
    title = "a" * (32 * 1024 - len(fields) - 2)
    reply = fresh.raw(f"POST {CHAT} HTTP/1.1\r\n{fields}{title}\r\n\r\n".encode() + body).reply()
    assert (reply.status, reply.json["choices"][0]["message"]["content"]) == (200, "hi")
    assert "Traceback" not in fresh.output


def test_the_demo_goes_when_something_real_is_there_and_comes_back(fresh: Proxy, upstream: Upstream) -> None:
    fresh.add_provider(upstream.base_url)
    assert listed(fresh) == ["demo"], "a provider without a model serves nothing"
    fresh.add_model("real")
    assert listed(fresh) == ["real"]
    refused(ask(fresh, "demo"), 404, "model_not_found")
    fresh.admin("PUT", "/models/real", {"enabled": False})
    assert listed(fresh) == ["demo"]
    assert say_to_demo(fresh, "hi").json["choices"][0]["message"]["content"] == "hi"
    fresh.admin("PUT", "/models/real", {"enabled": True})
    assert listed(fresh) == ["real"]


def test_leaving_the_demo_in_mid_word_does_no_harm(fresh: Proxy) -> None:
    replies = [say_to_demo(fresh, "word " * 500, stream=True) for _ in range(10)]
    for reply in replies:
        assert next(reply.texts()) == "word"
        reply.close()
    fresh.wait_output(lambda text: text.count('"status":499') == 10, "ten calls that were left")
    assert "Traceback" not in fresh.output


# Changes while a call runs.


def test_a_stream_outlives_its_provider_and_model(proxy: Proxy, upstream: Upstream) -> None:
    """A call goes on with what it began with; the next one sees the change."""
    id_ = f"provider-{next(numbers)}"
    proxy.add_provider(f"{upstream.origin}/{id_}/v1", id_)
    proxy.add_model(f"{id_}-model", id_)
    upstream.will(*[stream(chunk("Hel"), pause, chunk("lo"), finish())] * 2)
    running = [ask(proxy, f"{id_}-model", stream=True) for _ in range(2)]
    assert [next(reply.texts()) for reply in running] == ["Hel", "Hel"]
    changed = {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "another-key"}
    assert proxy.admin("PUT", f"/providers/{id_}", changed).status == 200
    refused(ask(proxy, f"{id_}-model"), 502, "upstream_unreachable")
    assert proxy.admin("DELETE", f"/providers/{id_}").status == 200
    refused(ask(proxy, f"{id_}-model"), 404, "model_not_found")
    upstream.resume(2)
    assert ["".join(reply.texts()) for reply in running] == ["lo", "lo"]
    for reply in running:
        line = line_of(proxy, reply.header("x-request-id"))
        assert (line["status"], line["finish_reason"]) == (200, "stop")


def test_a_stream_outlives_its_key(proxy: Proxy, upstream: Upstream) -> None:
    key = f"sk-short-lived-{next(numbers):010d}"
    made = proxy.add_key(key, f"key-{next(numbers)}")
    upstream.will_stream(chunk("Hel"), pause, chunk("lo"), finish())
    reply = ask(proxy, key=key, stream=True)
    assert next(reply.texts()) == "Hel"
    assert proxy.admin("DELETE", f"/apikeys/{made['id']}").status == 200
    assert ask(proxy, key=key).status == 401
    upstream.resume()
    assert "".join(reply.texts()) == "lo"


# What a provider says of itself.


@pytest.mark.parametrize(
    ("fields", "secrets"),
    [
        ({"apiKey": "a-key-of-no-known-form"}, ["a-key-of-no-known-form"]),
        (
            {"apiKey": "user:a-pass-word", "auth": "basic"},
            ["user:a-pass-word", "dXNlcjphLXBhc3Mtd29yZA=="],
        ),
        ({"apiKey": "", "auth": "none", "headers": {"api-key": "in-its-own-header"}}, ["in-its-own-header"]),
    ],
    ids=["bearer", "basic", "headers"],
)
def test_a_provider_cannot_give_its_credentials_away(
    proxy: Proxy, upstream: Upstream, fields: Json, secrets: list[str]
) -> None:
    """Whatever it repeats of them in an error, whole or in a stream, the caller does not see."""
    id_ = f"provider-{next(numbers)}"
    proxy.add_provider(upstream.base_url, id_, **fields)
    proxy.add_model(id_, id_, fallbacks=[])
    told = build.error(f"Not accepted: {' '.join(secrets)}.")
    upstream.will(answer(400, told), stream(chunk("Hi"), told))
    for reply in (ask(proxy, id_), ask(proxy, id_, stream=True)):
        shown = reply.body.decode()
        assert "Not accepted" in shown
        assert [each for each in secrets if each in shown] == []


def test_of_models_that_share_a_providers_name_one_is_meant_that_fits(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    """One for each group of people, with a price of its own, and others for other kinds of calls."""
    models = [
        build.model("drawer", type="image"),
        build.model("for-staff"),
        build.model("for-class"),
        build.model("hearer", type="transcription"),
    ]
    alias = {"id": "cheap", "target": "acme"}
    keys = [build.key(KEY), build.key(secret("class"), "class", allowedModels=["for-class", "hearer"])]
    proxy = start_proxy(models=models, keys=keys)
    assert proxy.admin("POST", "/aliases", alias).status == 201
    upstream.default(lambda seen: answer(200, completion()))
    for prefix in ("/acme", "/cheap"):
        for who, meant in ((KEY, "for-staff"), (secret("class"), "for-class")):
            reply = proxy.post(prefix + CHAT, hello(model="gpt-upstream"), who)
            assert (reply.status, reply.header("x-ipin-model")) == (200, meant), reply.body
    reply = proxy.post("/acme/v1/embeddings", {"model": "gpt-upstream", "input": "x"}, KEY)
    assert (reply.status, reply.error["code"]) == (400, "invalid_model_type")
