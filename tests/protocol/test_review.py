"""Corners where two parts of the house meet: pins and keys, pipes and loops, workers and callers who have left."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from support import build
from support.build import chunk, completion, delta, hello
from support.client import Wire, request
from support.proxy import KEY, PASSWORD, Proxy
from support.script import Json
from support.upstream import CERTIFICATE, Script, Seen, Upstream, answer, hang_up

CHAT = "/v1/chat/completions"
SPEECH = {"model": "speech-public", "input": "hi", "voice": "a"}
DEAR_KEY = KEY + "-dear"


@pytest.fixture(scope="module")
def pinned(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Two providers. What "other" calls "cheap" is not the public model of that name, it is the public "dear"."""
    proxy = Proxy.start(
        tmp_path_factory.mktemp("pinned"),
        providers=[build.provider(shared_upstream.base_url, name) for name in ("acme", "other")],
        models=[
            build.model("cheap"),
            build.model("dear", "other", upstreamModel="cheap"),
            build.model("shared", deployments=[{"providerId": "other", "upstreamModel": "shared-too"}]),
        ],
        keys=[build.key(KEY, allowedModels=["cheap"]), build.key(DEAR_KEY, "key-2", allowedModels=["dear"])],
    )
    yield proxy
    proxy.stop()


def test_a_key_is_held_to_the_model_that_answers(pinned: Proxy, upstream: Upstream) -> None:
    reply = pinned.post("/other/v1/chat/completions", hello(model="cheap"), KEY)
    assert (reply.status, reply.error["code"]) == (403, "model_not_allowed")
    assert "dear" not in reply.error["message"]
    assert upstream.started == 0


def test_a_pinned_provider_knows_a_model_by_its_own_name(pinned: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    reply = pinned.post("/other/v1/chat/completions", hello(model="cheap"), DEAR_KEY)
    assert (reply.status, reply.header("x-ipin-model")) == (200, "dear")


def test_a_pinned_list_names_what_a_pinned_call_reaches(pinned: Proxy, upstream: Upstream) -> None:
    master = pinned.master_key
    assert {row["id"] for row in pinned.get("/other/v1/models", master).json["data"]} == {"dear", "shared"}
    assert pinned.get("/other/v1/models/shared", master).status == 200
    assert pinned.get("/other/v1/models/cheap", master).status == 404
    upstream.will_answer(200, completion())
    assert pinned.post("/other/v1/chat/completions", hello(model="shared"), master).status == 200


# What callers send.


@pytest.mark.parametrize("options", ["text", [1], 5, True])
def test_stream_options_that_are_none_are_the_providers_to_refuse(
    proxy: Proxy, upstream: Upstream, options: object
) -> None:
    told = {
        "message": "It must be an object.",
        "type": "invalid_request_error",
        "param": "stream_options",
        "code": None,
    }
    upstream.will_answer(400, {"error": told})
    reply = proxy.post(CHAT, hello(stream=True, stream_options=options), KEY)
    assert (reply.status, reply.error["param"]) == (400, "stream_options")
    assert upstream.history[0].json["stream_options"] == options


def test_json_that_was_called_a_form_reaches_the_provider_as_json(proxy: Proxy, upstream: Upstream) -> None:
    """curl -d says so by itself, and many servers refuse JSON under that name."""
    upstream.will_answer(200, completion())
    proxy.post(CHAT, hello(), KEY, {"content-type": "application/x-www-form-urlencoded"}).read()
    assert upstream.history[0].header("content-type") == "application/json"


def test_http_1_0_is_told_that_the_connection_stays(proxy: Proxy) -> None:
    wire = proxy.raw(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert wire.reply().header("connection") == "keep-alive"
    assert wire.send(b"GET /health HTTP/1.0\r\n\r\n").reply().header("connection") == "close"


def test_the_log_says_where_a_wrong_key_came_from(proxy: Proxy) -> None:
    reply = proxy.post(CHAT, hello(), "sk-wrong")
    assert reply.status == 401
    id_ = reply.header("x-request-id")
    (line,) = proxy.log_lines(lambda each: each["event"] == "refused" and each["request_id"] == id_)
    assert line["address"] == "127.0.0.1"


# What providers answer.


def test_a_stream_of_one_frame_without_its_empty_line_is_passed_on_once(proxy: Proxy, upstream: Upstream) -> None:
    told = b"data: " + json.dumps(delta("stop", content="Hi")).encode()
    upstream.will_answer(200, told, headers={"content-type": "text/event-stream"})
    assert proxy.post(CHAT, hello(stream=True), KEY).read() == told + b"\n\ndata: [DONE]\n\n"


def test_a_compressed_body_that_is_cut_is_no_answer(proxy: Proxy, upstream: Upstream) -> None:
    """It is as long as it says; what is in it is not."""
    sound = gzip.compress(random.Random(1).randbytes(5000))
    headers = {"content-type": "audio/mpeg", "content-encoding": "gzip"}
    upstream.will_answer(200, sound, headers=headers)
    assert len(proxy.post("/v1/audio/speech", SPEECH, KEY).read()) == 5000
    upstream.will_answer(200, sound[:3000], headers=headers)
    reply = proxy.post("/v1/audio/speech", SPEECH, KEY)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


def test_no_member_of_an_error_gives_host_or_credentials_away(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    base_url = f"{upstream.base_url}?api_key=in-the-query-0123456789"
    proxy = start_proxy(providers=[build.provider(base_url, apiKey="sk-provider-0123456789")])
    told: Json = {
        "message": "Bad token sk-provider-0123456789 at ?api_key=in-the-query-0123456789.",
        "type": f"{upstream.origin}/errors/quota",
        "code": "sk-provider-0123456789",
        "param": "127.0.0.1",
    }
    upstream.will_answer(400, {"error": told})
    error = proxy.post(CHAT, hello(), KEY).error
    assert error == {
        "message": "Bad token [key] at ?api_key=[key].",
        "type": "[provider]/errors/quota",
        "code": "[key]",
        "param": "[provider]",
    }


def test_a_key_that_stands_for_none_leaves_messages_alone(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    proxy = start_proxy(providers=[build.provider(upstream.base_url, apiKey="x")])
    upstream.will_answer(400, build.error("max_tokens exceeds the context"))
    assert proxy.post(CHAT, hello(), KEY).error["message"] == "max_tokens exceeds the context"


def test_a_host_that_is_no_name_cannot_be_reached(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy(providers=[build.provider("http://a..b/v1")])
    reply = proxy.post(CHAT, hello(), KEY)
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert "Traceback" not in proxy.output


# Connections to providers.


def test_idle_connections_of_a_past_rush_are_closed(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion(), headers={"keep-alive": "timeout=1"})
    proxy.post(CHAT, hello(), KEY).read()
    upstream.wait_closed()


def test_who_leaves_while_we_connect_has_asked_nothing(start_proxy: Callable[..., Proxy]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        base_url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        proxy = start_proxy(providers=[build.provider(base_url, verify=False)])
        with closing(proxy.raw(request("POST", CHAT, hello(), KEY))):
            sock, _ = listener.accept()
            sock.settimeout(10)
        assert proxy.get("/health").status == 200  # whoever reads this request has read that the other caller left
        # It closes before they have agreed, or with session tickets unread.
        gone = contextlib.suppress(ConnectionResetError, ssl.SSLEOFError)
        with sock, gone, context.wrap_socket(sock, server_side=True) as secure:
            assert secure.recv(65536) == b""
        (line,) = proxy.log_lines(lambda each: each["event"] == "call")
        assert line["status"] == 499
        assert "input_tokens" not in line, "what was not asked is not charged"


# Who asks, when the body takes its time.


def begun(proxy: Proxy, method: str, path: str, body: bytes, headers: dict[str, str]) -> Wire:
    """A request of which all but the last byte of the body has been sent, and let in."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    wire = proxy.raw(head.encode())
    wire.until(b"100 Continue\r\n\r\n")
    wire.send(body[:-1])
    return wire


def test_a_key_that_is_deleted_meanwhile_opens_nothing(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy()
    made = proxy.admin("POST", "/apikeys", {"name": "short-lived"}).json
    body = json.dumps(hello()).encode()
    wire = begun(proxy, "POST", CHAT, body, {"Authorization": f"Bearer {made['key']}"})
    assert proxy.admin("DELETE", f"/apikeys/{made['id']}").status == 200
    reply = wire.send(body[-1:]).reply()
    assert (reply.status, reply.error["code"], upstream.started) == (401, "invalid_api_key", 0)


def test_a_session_that_has_ended_brings_back_no_database(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    body = json.dumps(proxy.admin("GET", "/export").json).encode()
    token = proxy.post("/api/admin/login", {"username": "admin", "password": PASSWORD}).json["token"]
    old = {"Authorization": f"Bearer {token}"}
    wire = begun(proxy, "POST", "/api/admin/import", body, old)
    changed = proxy.admin("PUT", "/users/admin", {"password": "another-password-entirely"})
    assert changed.status == 200, changed.body
    assert wire.send(body[-1:]).reply().status == 401
    assert proxy.get("/api/admin/users", headers=old).status == 401


# Further models than the one that is asked for.


def test_a_fallback_is_for_those_who_may_use_it(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy(
        models=[build.model("m", fallbacks=["m2"]), build.model("m2", upstreamModel="m2")],
        keys=[build.key(KEY, allowedModels=["m"]), build.key(DEAR_KEY, "key-2")],
    )
    upstream.default(
        lambda seen: answer(200, completion()) if seen.json["model"] == "m2" else answer(500, build.error())
    )
    assert proxy.post(CHAT, hello(model="m"), KEY).status == 500
    assert proxy.post(CHAT, hello(model="m"), DEAR_KEY).header("x-ipin-model") == "m2"


@pytest.mark.parametrize(
    "more", [{"models": ["dear"]}, {"fallbacks": [{"model": "dear"}]}, {"models": ["cheap", "dear"]}]
)
def test_a_list_holds_for_all_models_a_body_names(pinned: Proxy, upstream: Upstream, more: Json) -> None:
    reply = pinned.post(CHAT, hello(model="cheap", **more), KEY)
    assert (reply.status, reply.error["code"], upstream.started) == (403, "model_not_allowed", 0)


def test_what_a_caller_refers_to_is_not_the_deployments_fault(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    proxy = start_proxy(models=[build.model("m", fallbacks=["m2"]), build.model("m2")])
    upstream.will_answer(404, build.error("Previous response with id 'resp_1' not found."))
    reply = proxy.post("/v1/responses", {"model": "m", "input": "x", "previous_response_id": "resp_1"}, KEY)
    assert (reply.status, len(upstream.history)) == (404, 1)


def test_a_conversation_is_gone_on_with_where_it_was_begun(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    """Each provider keeps its own answers, and which of several is asked first is left to chance."""
    begun: dict[str, str] = {}

    def serve(seen: Seen) -> Script:
        where, previous = seen.path.split("/")[1], seen.json.get("previous_response_id")
        if previous is not None and begun.get(previous) != where:
            return answer(400, build.error("It is not found.", "invalid_request_error", "previous_response_not_found"))
        made = {**build.response(), "id": f"resp_{len(begun)}"}
        begun[made["id"]] = where
        return answer(200, made)

    names = ("first", "second", "third")
    proxy = start_proxy(
        providers=[build.provider(f"{upstream.origin}/{each}/v1", each) for each in names],
        models=[build.model("m", "first", deployments=[{"providerId": each} for each in names[1:]])],
    )
    upstream.default(serve)
    ask = {"model": "m", "input": "x"}
    for _ in range(10):
        first = proxy.post("/v1/responses", ask, KEY).json
        second = proxy.post("/v1/responses", {**ask, "previous_response_id": first["id"]}, KEY)
        assert (second.status, begun[second.json["id"]]) == (200, begun[first["id"]])
    reply = proxy.post("/v1/responses", {**ask, "previous_response_id": "resp_gone"}, KEY)
    assert (reply.status, reply.error["code"]) == (400, "previous_response_not_found")
    usual = proxy.admin("GET", "/requests?sort=time&order=desc").json["items"]
    assert "cooling_down" not in json.dumps(usual), "who does not know a conversation has not failed"


# Much in little.


def test_a_stream_that_unfolds_to_ever_more_passes(proxy: Proxy, upstream: Upstream) -> None:
    plain = b": warming up\n\n" + b"\n" * 3_000_000 + json_frame("Hi") + b"data: [DONE]\n\n"
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    upstream.will_answer(200, gzip.compress(plain), headers=headers)
    assert proxy.post(CHAT, hello(stream=True), KEY).body == plain


def test_a_refusal_of_many_megabytes_is_a_refusal(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(422, {"detail": [{"loc": ["body"], "msg": "no", "input": "x" * 3_000_000}]})
    reply = proxy.post(CHAT, hello(), KEY)
    assert (reply.status, reply.error["type"]) == (422, "invalid_request_error")
    upstream.will_answer(200, completion("still here"))
    assert proxy.post(CHAT, hello(), KEY).status == 200


def json_frame(text: str) -> bytes:
    return f"data: {json.dumps(delta(content=text))}\n\n".encode()


def test_a_logged_body_holds_no_providers_key(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy(env={"LOG_BODIES": "on"})
    secret = build.provider("")["apiKey"]
    upstream.will_answer(200, completion(f"the answer is {secret}"))
    proxy.post(CHAT, hello(user=f"the question is {secret}"), KEY).read()
    proxy.log_lines(lambda line: line.get("event") == "call")
    assert "the question is [redacted]" in proxy.output and "the answer is [redacted]" in proxy.output
    assert secret not in proxy.output


def test_a_stream_that_breaks_off_says_so_although_it_is_logged(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    proxy = start_proxy(env={"LOG_BODIES": "on"})
    upstream.will_stream(chunk("the first word"), hang_up)
    reply = proxy.post(CHAT, hello(stream=True), KEY)
    assert list(reply.events())[-1].json["error"]["code"] == "upstream_stream_interrupted"
    about = {"direction": "reply", "request_id": reply.header("x-request-id")}
    (logged,) = proxy.log_lines(lambda line: about.items() <= line.items())
    assert "the first word" in logged["body"] and "upstream_stream_interrupted" in logged["body"]
