"""Requests that are proper HTTP and odd otherwise: bodies, credentials, paths, names. A clear 4xx, never a 500.

Whatever is let through reaches the upstream as the caller wrote it; whatever is refused does not reach it at all.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import random
from typing import Any

import pytest
from support import build
from support.build import completion, hello
from support.client import Cut, Reply, request
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer

CHAT = "/v1/chat/completions"
SAME = "gpt-same"


@pytest.fixture(autouse=True)
def an_upstream_that_would_answer(upstream: Upstream) -> None:
    upstream.default(lambda seen: answer(200, completion()))


def refused(reply: Reply, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    error = reply.error
    assert (reply.status, error["code"]) == (status, code), error
    if param is not None:
        assert error["param"] == param
    return error


# Bodies.

NOT_JSON: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \r\n",
    "text": b"hello",
    "cut": b'{"model": "gpt-public", "messages": [',
    "two values": b'{"model": "gpt-public"}{"model": "gpt-public"}',
    "trailing comma": b'{"model": "gpt-public",}',
    "single quotes": b"{'model': 'gpt-public'}",
    "NaN": b'{"model": "gpt-public", "temperature": NaN}',
    "Infinity": b'{"model": "gpt-public", "temperature": -Infinity}',
    "not UTF-8": b'{"model": "gpt-public", "user": "\xff\xfe"}',
    "UTF-16": '{"model": "gpt-public"}'.encode("utf-16"),
    "control character": b'{"model": "gpt-public", "user": "a\nb"}',
    "list": b'[{"model": "gpt-public"}]',
    "string": b'"gpt-public"',
    "number": b"17",
    "null": b"null",
    "true": b"true",
    "deep list": b"[" * 300_000,
    "deep object": b'{"a":' * 300_000,
    "NUL": b'{"model": "gpt-public"}\0',
    "too many members": b"{" + b",".join(b'"m%d":0' % number for number in range(1_001)) + b"}",
    "too much in it": b'{"model": "gpt-public", "messages": [' + b"{}," * 1_000_000 + b"{}]}",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_no_json_object(proxy: Proxy, upstream: Upstream, body: bytes) -> None:
    refused(proxy.post(CHAT, body, KEY), 400, "invalid_json")
    assert upstream.started == 0


def chat_with(rest: bytes, model: bytes = b'"gpt-same"') -> bytes:
    return b'{"model":' + model + b',"messages":[{"role":"user","content":"hi"}],' + rest + b"}"


STRANGE: dict[str, bytes] = {
    "deep nesting": chat_with(b'"metadata":' + b"[" * 100_000 + b"]" * 100_000),
    "deep objects": chat_with(b'"metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "long integer": chat_with(b'"seed":' + b"9" * 5000),
    "long exponent": chat_with(b'"temperature":1e999999'),
    "lone surrogate": chat_with(b'"user":"\\ud800"'),
    "escaped NUL": chat_with(b'"user":"\\u0000"'),
    "escaped member": chat_with(b'"us\\u0065r":"a"'),
    "blanks and line ends": b' \r\n\t{ "model" : "gpt-same" ,\r\n "messages" : [ ] }\n',
    "unknown members": chat_with(b'"next_month":{"new":[1,2.50,1E2,-0.0]},"\xc3\xa9":null'),
    "the word model inside": chat_with(b'"tools":[{"model":"other","}":"{\\"model\\":1"}]'),
    "repeated member inside": chat_with(b'"metadata":{"a":1,"a":2}'),
}


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
def test_strange_json_goes_out_byte_for_byte_or_not_at_all(proxy: Proxy, upstream: Upstream, body: bytes) -> None:
    reply = proxy.post(CHAT, body, KEY)
    if reply.status == 200:
        assert upstream.history[0].body == body
    else:
        refused(reply, 400, "invalid_json")
        assert upstream.started == 0


@pytest.mark.parametrize("name", ["blanks and line ends", "unknown members", "the word model inside", "escaped member"])
def test_what_people_really_send_goes_out_byte_for_byte(proxy: Proxy, upstream: Upstream, name: str) -> None:
    assert proxy.post(CHAT, STRANGE[name], KEY).status == 200
    assert upstream.history[0].body == STRANGE[name]


def test_only_the_model_is_replaced(proxy: Proxy, upstream: Upstream) -> None:
    for name in ("blanks and line ends", "unknown members", "the word model inside"):
        body = STRANGE[name].replace(b'"gpt-same"', b'"gpt-public"')
        assert proxy.post(CHAT, body, KEY).status == 200
        assert upstream.history[-1].body == STRANGE[name].replace(b'"gpt-same"', b'"gpt-upstream"')


def test_a_byte_order_mark(proxy: Proxy) -> None:
    reply = proxy.post(CHAT, b"\xef\xbb\xbf" + json.dumps(hello()).encode(), KEY)
    assert reply.status in (200, 400)


@pytest.mark.parametrize("model", ['"gpt-same"', '"gpt-public"', '"none"', "null", '""'])
def test_two_models_are_none(proxy: Proxy, upstream: Upstream, model: str) -> None:
    for body in (chat_with(b'"model":' + model.encode()), chat_with(b'"mod\\u0065l":' + model.encode())):
        refused(proxy.post(CHAT, body, KEY), 400, "invalid_json", "model")
    assert upstream.started == 0


def test_a_member_that_comes_twice_is_named(proxy: Proxy, upstream: Upstream) -> None:
    for rest, param in ((b'"stream":true,"stream":false', "stream"), (b'"\\ud800":1,"\\ud800":2', "\ud800")):
        refused(proxy.post(CHAT, chat_with(rest), KEY), 400, "invalid_json", param)
    refused(proxy.admin("POST", "/models", b'{"id":"a","id":"b"}'), 400, "invalid_json", "id")
    assert upstream.started == 0


@pytest.mark.parametrize("model", ["null", "17", "true", '""', "[]", '["gpt-same"]', '{"id":"gpt-same"}'])
def test_a_model_that_is_no_name(proxy: Proxy, upstream: Upstream, model: str) -> None:
    refused(proxy.post(CHAT, chat_with(b'"n":1', model.encode()), KEY), 400, "missing_model", "model")
    assert upstream.started == 0


def test_no_model(proxy: Proxy, upstream: Upstream) -> None:
    bodies: list[object] = [{}, {"messages": []}, {"Model": SAME}, {"messages": [{"model": SAME}]}]
    for body in bodies:
        refused(proxy.post(CHAT, body, KEY), 400, "missing_model", "model")
    assert upstream.started == 0


NAMES = [
    "none",
    "gpt-same ",
    " gpt-same",
    "GPT-SAME",
    "gpt-same\u0000",
    "a\r\nx-evil: 1",
    "🙂",
    "x" * 100_000,
    "../gpt-same",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_model_nobody_has(proxy: Proxy, upstream: Upstream, name: str) -> None:
    reply = proxy.post(CHAT, hello(model=name), KEY)
    error = refused(reply, 404, "model_not_found")
    assert len(error["message"]) < 5000
    assert reply.header("x-evil") is None
    assert upstream.started == 0


def test_a_model_name_of_lone_surrogates(proxy: Proxy, upstream: Upstream) -> None:
    assert proxy.post(CHAT, chat_with(b'"n":1', b'"\\ud800"'), KEY).status in (400, 404)
    assert upstream.started == 0


def test_a_broken_frame_is_told_in_one_sentence(proxy: Proxy) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    message = refused(proxy.raw(head + b"5\r\nhello, world\r\n").reply(), 400, "bad_request")["message"]
    assert message.startswith("The request body cannot be read: a chunk") and message.endswith("a line end.")


@pytest.mark.parametrize("media_type", ["application/vnd.api+json", "Application/Problem+JSON; charset=utf-8"])
def test_what_calls_itself_a_kind_of_json_is_json(proxy: Proxy, upstream: Upstream, media_type: str) -> None:
    body = json.dumps(hello(model=SAME)).encode()
    assert proxy.post(CHAT, body, KEY, {"content-type": media_type}).status == 200
    assert upstream.history[0].body == body


@pytest.mark.parametrize(
    "media_type",
    [
        "text/xml",
        "application/json-patch",
        "application/+json",
        "application/a/b+json",
        "image/svg+xml",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
    ],
)
def test_a_type_the_route_cannot_take(proxy: Proxy, upstream: Upstream, media_type: str) -> None:
    reply = proxy.post(CHAT, b"<model>gpt-same</model>", KEY, {"content-type": media_type})
    refused(reply, 415, "unsupported_media_type")
    assert upstream.started == 0


def test_an_encoded_body(proxy: Proxy, upstream: Upstream) -> None:
    body = gzip.compress(json.dumps(hello()).encode())
    refused(proxy.post(CHAT, body, KEY, {"content-encoding": "gzip"}), 415, "unsupported_media_type")
    assert upstream.started == 0


def test_json_by_another_name(proxy: Proxy) -> None:
    for media_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=UTF-8"):
        assert proxy.post(CHAT, hello(), KEY, {"content-type": media_type}).status == 200


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"username":' * 5_000, b'{"username":"admin"', b"null", b"\xff"])
@pytest.mark.parametrize("path", ["/api/admin/login", "/api/user/login"])
def test_a_sign_in_that_is_no_json(proxy: Proxy, path: str, body: bytes) -> None:
    """Open to everybody, so nobody may bring the server down here."""
    assert refused(proxy.post(path, body), 400, "invalid_json")
    assert proxy.is_healthy()


# Credentials.

WRONG: dict[str, dict[str, str]] = {
    "absent": {},
    "unknown": {"authorization": "Bearer sk-unknown"},
    "empty": {"authorization": ""},
    "scheme alone": {"authorization": "Bearer"},
    "blank key": {"authorization": "Bearer  "},
    "other scheme": {"authorization": f"Basic {KEY}"},
    "two words": {"authorization": f"Bearer {KEY} more"},
    "a list": {"authorization": f"Bearer {KEY}, Bearer {KEY}"},
    "longer": {"authorization": f"Bearer {KEY}x"},
    "shorter": {"authorization": f"Bearer {KEY[:-1]}"},
    "other case": {"authorization": f"Bearer {KEY.upper()}"},
    "latin-1": {"authorization": "Bearer clé"},
    "long": {"authorization": "Bearer " + "a" * 20_000},
    "x-api-key": {"x-api-key": "sk-unknown"},
    "in a cookie": {"cookie": f"key={KEY}"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_a_key_that_is_none(proxy: Proxy, upstream: Upstream, headers: dict[str, str]) -> None:
    reply = proxy.post(CHAT, hello(), None, headers)
    error = refused(reply, 401, "invalid_api_key")
    assert error["message"] == proxy.post(CHAT, hello()).error["message"], "one message for all, so nobody can probe"
    assert error["type"] == "invalid_request_error"
    assert reply.header("x-should-retry") == "false"
    assert upstream.started == 0


def test_keys_that_are_good(proxy: Proxy) -> None:
    for headers in (
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"authorization": f"Bearer   {KEY}"},
        {"x-api-key": KEY},
        {"x-api-key": KEY, "authorization": "Bearer sk-unknown"},
        {"x-api-key": "sk-unknown", "authorization": f"Bearer {KEY}"},
        {"authorization": f"Bearer {proxy.master_key}"},
    ):
        assert proxy.post(CHAT, hello(), None, headers).status == 200, headers


def test_a_key_in_the_query_opens_nothing(proxy: Proxy, upstream: Upstream) -> None:
    for name in ("key", "api_key", "api-key", "token", "authorization", "access_token"):
        assert proxy.post(f"{CHAT}?{name}={KEY}", hello()).status == 401
    assert upstream.started == 0


# Paths.


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/v1",
        "/v1/chat",
        "/v1/chat/completions/more",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/V1/chat/completions",
        "/v1%2Fchat%2Fcompletions%00",
        "/%2e%2e/v1/chat/completions",
        "/v1/%zz",
        "/v1/%",
        "/v1/%ff",
        "/none/v1/chat/completions/x",
        "/" + "a/" * 1000,
        "/.env",
        "/ipin-proxy.db",
        "/server.py",
        "/..%2f..%2fetc%2fpasswd",
        "/../../etc/passwd",
        "/static/../server.py",
    ],
)
def test_a_path_that_leads_nowhere(proxy: Proxy, upstream: Upstream, path: str) -> None:
    for method in ("GET", "POST"):
        reply = proxy.request(method, path, hello() if method == "POST" else None, KEY)
        assert reply.status in (400, 404, 405), (reply.status, reply.body)
        assert reply.error
        assert b"root:" not in reply.body
    assert upstream.started == 0


@pytest.mark.parametrize(
    "path",
    [
        "/api/admin/providers",
        "/api/%61dmin/providers",
        "/%61pi/admin/providers",
        "/api/admin/./providers",
        "/v1/../api/admin/providers",
        "/v1/%2e%2e/api/admin/providers",
        "//api/admin/providers",
        "/api//admin/providers",
        "/api/admin/providers/",
        "/api/admin/providers?x=/v1/models",
        "/acme/v1/../../api/admin/providers",
        "/health/../api/admin/providers",
        "/health;/api/admin/providers",
        "/API/ADMIN/PROVIDERS",
    ],
)
def test_no_spelling_of_a_path_gets_around_the_door(proxy: Proxy, path: str) -> None:
    for bearer in (None, KEY):
        reply = proxy.get(path, bearer)
        assert reply.status in (301, 308, 400, 401, 403, 404, 405), (reply.status, reply.body)
        assert b"secret" not in reply.body and b"baseUrl" not in reply.body


def test_a_query_changes_nothing(proxy: Proxy) -> None:
    for query in ("?", "?beta=true", "?model=other&key=x", "?/v1/models", "?%00%zz", "?" + "a" * 3000):
        assert proxy.post(CHAT + query, hello(), KEY).status == 200


def test_a_query_without_end_is_refused_where_it_is_read(proxy: Proxy) -> None:
    query = "?" + "&".join(f"a{number}=1" for number in range(101))
    admin = "/api/admin"
    for method, path in (
        ("POST", "/api/logout"),
        ("GET", f"{admin}/export"),
        ("POST", f"{admin}/import"),
        ("POST", f"{admin}/backups/x/restore"),
    ):
        body = {} if method == "POST" else None
        refused(proxy.request(method, path + query, body, proxy.master_key), 400, "bad_request")
    assert proxy.post(CHAT + query, hello(), KEY).status == 200


# The request id.


def test_a_callers_own_request_id_is_kept_if_it_is_sane(proxy: Proxy, upstream: Upstream) -> None:
    reply = proxy.post(CHAT, hello(), KEY, {"x-request-id": "abc-123_X.9"})
    assert reply.header_all("x-request-id") == ["abc-123_X.9"]
    odd = ["<script>", "a b", "é", "a" * 1000, '"; drop', "{}", ""]
    given = {str(proxy.get("/health", None, {"x-request-id": each}).header("x-request-id")) for each in odd}
    assert len(given) == len(odd)
    assert given.isdisjoint(odd)


def test_every_answer_has_an_id(proxy: Proxy) -> None:
    for reply in (
        proxy.get("/health"),
        proxy.get("/nowhere"),
        proxy.post(CHAT, hello()),
        proxy.post(CHAT, hello(), KEY),
        proxy.request("OPTIONS", CHAT),
        proxy.raw(b"garbage\r\n\r\n").reply(),
    ):
        assert len(reply.header_all("x-request-id")) == 1


def test_health_says_nothing_more_without_a_key(proxy: Proxy) -> None:
    health = proxy.get("/health").json
    assert set(health) == {"status", "service", "timestamp"}
    assert (health["status"], health["service"]) == ("healthy", "ipin-proxy")


# Anything at all.


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The same request with a few bytes changed, lost, doubled or swapped."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(changed))
        kind = dice.randrange(5)
        if kind == 0:
            changed[at] = dice.randrange(256)
        elif kind == 1:
            del changed[at : at + dice.randint(1, 20)]
        elif kind == 2:
            changed[at:at] = changed[at : at + dice.randint(1, 40)]
        elif kind == 3:
            changed[at:at] = dice.choice([b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\xff", b"%", b'"'])
        else:
            changed[at : at + 1] = bytes([changed[at] ^ (1 << dice.randrange(8))])
    return bytes(changed)


@pytest.mark.parametrize("seed", range(5))
def test_no_accident_on_the_way_does_harm(proxy: Proxy, upstream: Upstream, seed: int) -> None:
    """Whatever becomes of a request: an answer or a closed connection, and never a 5xx of ours."""
    dice = random.Random(seed)
    chunked = request("POST", CHAT, None, KEY, {"transfer-encoding": "chunked", "content-type": "application/json"})
    body = json.dumps(hello()).encode()
    originals = [request("POST", CHAT, hello(), KEY), chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)]
    for _ in range(60):
        wire = proxy.raw(mutated(dice.choice(originals), dice)).finish_sending()
        with contextlib.suppress(Cut):
            reply = wire.reply()
            assert reply.status < 500 or reply.status in (501, 505), reply.body
        proxy.client.close()
    assert proxy.is_healthy()
    assert all(seen.header("authorization") == f"Bearer {build.provider('')['apiKey']}" for seen in upstream.history)
