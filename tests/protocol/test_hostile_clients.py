"""Requests that are wrong as HTTP: each is refused with a proper answer, and nothing of it reaches an upstream.

Rules: RFC 9112 (request line, fields, framing), RFC 9110 (Host, Expect). A refusal is an HTTP/1.1 status line and an
error object in JSON. Where the end of the request is not certain the connection closes after it, so that no byte of it
can become another request. The requests are complete and authorised but for the one thing that is wrong.
"""

from __future__ import annotations

import json

import pytest
from support.build import completion, hello
from support.client import Reply, Wire, request
from support.proxy import KEY, Proxy
from support.upstream import Script, Seen, Upstream, answer

CHAT = "/v1/chat/completions"
BODY = json.dumps(hello()).encode()
GOOD_LINE = f"POST {CHAT} HTTP/1.1"


def crafted(
    *fields: bytes | str,
    line: bytes | str = GOOD_LINE,
    host: str | None = "Host: proxy.test",
    length: bool = True,
    body: bytes = BODY,
    key: bool = True,
) -> bytes:
    """An authorised chat request with these header lines added, and whatever else is asked for changed."""
    lines: list[bytes | str] = [line]
    lines += [host] if host is not None else []
    lines += [f"Authorization: Bearer {KEY}"] if key else []
    lines += ["Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}"] if length else []
    lines += fields
    encoded = [each.encode("utf-8") if isinstance(each, str) else each for each in lines]
    return b"\r\n".join([*encoded, b"", b""]) + body


def chunked(payload: bytes, *fields: str, key: bool = True) -> bytes:
    """The same with a body that is framed, rightly or wrongly, by hand."""
    return crafted("Transfer-Encoding: chunked", *fields, length=False, body=payload, key=key)


def whole(body: bytes = BODY) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def refused(wire: Wire, *statuses: int) -> Reply:
    """The next reply is a refusal with one of these statuses, in JSON, and the last thing on the connection."""
    reply = wire.reply()
    assert reply.status in statuses, reply.head
    assert reply.error["type"] in ("invalid_request_error", "server_error")
    assert (reply.header("connection") or "").lower() == "close"
    assert wire.ended(), "the connection stays open although nobody knows where the next request begins"
    return reply


@pytest.fixture(autouse=True)
def an_upstream_that_would_answer(upstream: Upstream) -> None:
    upstream.default(lambda seen: answer(200, completion()))


def assert_untouched(proxy: Proxy, upstream: Upstream) -> None:
    assert upstream.started == 0, upstream.history
    assert proxy.is_healthy()


def test_the_crafted_requests_are_good_when_nothing_is_wrong(proxy: Proxy, upstream: Upstream) -> None:
    for good in (crafted(), chunked(whole()), chunked(whole()).replace(b": chunked", b": Chunked ")):
        assert proxy.raw(good).reply().status == 200
    assert [seen.json["messages"] for seen in upstream.history] == [hello()["messages"]] * 3


# The length of the body.

LENGTHS: dict[str, bytes] = {
    "negative": b"Content-Length: -1",
    "plus sign": b"Content-Length: +%d" % len(BODY),
    "underscore": b"Content-Length: 9_5",
    "no-break space": b"Content-Length: \xa0%d" % len(BODY),
    "inner blank": b"Content-Length: 1 2",
    "hexadecimal": b"Content-Length: 0x10",
    "decimal point": b"Content-Length: 5.0",
    "exponent": b"Content-Length: 1e1",
    "full-width digits": "Content-Length: ９５".encode(),
    "empty": b"Content-Length:",
    "list": b"Content-Length: %d, %d" % (len(BODY), len(BODY)),
    "list of two": b"Content-Length: %d, 0" % len(BODY),
    "name with blank": b"Content-Length : %d" % len(BODY),
    "twice, different": b"Content-Length: %d\r\nContent-Length: 0" % len(BODY),
    "twice, the same": b"Content-Length: %d\r\nContent-Length: %d" % (len(BODY), len(BODY)),
}


@pytest.mark.parametrize("field", LENGTHS.values(), ids=LENGTHS)
def test_a_length_that_is_no_plain_number(proxy: Proxy, upstream: Upstream, field: bytes) -> None:
    refused(proxy.raw(crafted(field, length=False)), 400)
    assert_untouched(proxy, upstream)


def test_a_length_beyond_all_numbers(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(crafted("Content-Length: " + "9" * 30, length=False)), 400, 413)
    assert_untouched(proxy, upstream)


CODINGS = {
    "identity": "Transfer-Encoding: identity",
    "gzip": "Transfer-Encoding: gzip",
    "gzip before chunked": "Transfer-Encoding: gzip, chunked",
    "chunked twice": "Transfer-Encoding: chunked, chunked",
    "chunked not last": "Transfer-Encoding: chunked, gzip",
    "prefixed": "Transfer-Encoding: xchunked",
    "with a parameter": "Transfer-Encoding: chunked;q=1",
    "quoted": 'Transfer-Encoding: "chunked"',
    "vertical tab": "Transfer-Encoding: \x0bchunked",
    "empty": "Transfer-Encoding:",
    "two fields": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "two fields, the same": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "folded": "Transfer-Encoding:\r\n chunked",
    "name with blank": "Transfer-Encoding : chunked",
}


@pytest.mark.parametrize("field", CODINGS.values(), ids=CODINGS)
def test_a_transfer_coding_other_than_chunked(proxy: Proxy, upstream: Upstream, field: str) -> None:
    """RFC 9112 6.1: a coding that is not understood is answered with 501; 400 for what is no coding at all."""
    refused(proxy.raw(crafted(field, length=False, body=whole())), 400, 501)
    assert_untouched(proxy, upstream)


@pytest.mark.parametrize("order", [True, False])
def test_a_length_beside_chunks(proxy: Proxy, upstream: Upstream, order: bool) -> None:
    fields = ["Transfer-Encoding: chunked", f"Content-Length: {len(whole())}"]
    refused(proxy.raw(crafted(*(fields if order else fields[::-1]), length=False, body=whole())), 400)
    assert_untouched(proxy, upstream)


def test_chunks_in_http_1_0(proxy: Proxy, upstream: Upstream) -> None:
    line = f"POST {CHAT} HTTP/1.0"
    refused(proxy.raw(crafted("Transfer-Encoding: chunked", line=line, length=False, body=whole())), 400)
    assert_untouched(proxy, upstream)


SIZE = b"%x" % len(BODY)
CHUNKS: dict[str, bytes] = {
    "size not hexadecimal": b"zz\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size missing": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size negative": b"-" + SIZE + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size with a plus": b"+" + SIZE + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size with 0x": b"0x" + SIZE + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size with an underscore": SIZE[:1] + b"_" + SIZE[1:] + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size beyond all numbers": b"f" * 40 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "size after a blank": b" " + SIZE + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
    "line feed alone": SIZE + b"\n" + BODY + b"\r\n0\r\n\r\n",
    "carriage return alone": SIZE + b"\r" + BODY + b"\r\n0\r\n\r\n",
    "chunk longer than its size": SIZE + b"\r\n" + BODY + b"more\r\n0\r\n\r\n",
    "no line end after the chunk": SIZE + b"\r\n" + BODY + b"0\r\n\r\n",
    "line feed in the extension": SIZE + b";a=\n0\r\n" + BODY + b"\r\n0\r\n\r\n",
    "endless extension": SIZE + b";" + b"a" * 100_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("payload", CHUNKS.values(), ids=CHUNKS)
def test_a_broken_chunk(proxy: Proxy, upstream: Upstream, payload: bytes) -> None:
    refused(proxy.raw(chunked(payload)), 400, 413)
    assert_untouched(proxy, upstream)


def test_endless_trailers(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(chunked(SIZE + b"\r\n" + BODY + b"\r\n0\r\n" + b"X-T: 1\r\n" * 50_000)), 400, 413, 431)
    assert_untouched(proxy, upstream)


def test_extensions_and_trailers_are_skipped(proxy: Proxy, upstream: Upstream) -> None:
    payload = SIZE + b";name=value\r\n" + BODY + b"\r\n000\r\nX-Checksum: 1\r\nAuthorization: Bearer other\r\n\r\n"
    wire = proxy.raw(chunked(payload))
    assert wire.reply().status == 200
    assert upstream.history[0].json["messages"] == hello()["messages"]
    assert upstream.history[0].header("x-checksum") is None
    assert wire.send(request("GET", "/health")).reply().status == 200


def test_a_body_that_ends_early_is_not_forwarded(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(crafted()[:-1]).finish_sending(), 400)
    refused(proxy.raw(chunked(whole()[:-1])).finish_sending(), 400)
    assert_untouched(proxy, upstream)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_caller_who_leaves_in_the_middle_of_a_request(proxy: Proxy, upstream: Upstream, leave: str) -> None:
    for size in (0, 1, 20, len(crafted()) - len(BODY), len(crafted()) - 1):
        getattr(proxy.raw(crafted()[:size]), leave)()
    assert_untouched(proxy, upstream)


def test_no_part_of_a_request_is_taken_for_a_whole_one(proxy: Proxy, upstream: Upstream) -> None:
    """Cut behind every byte: an error or silence, and never a call upstream."""
    data = chunked(whole())
    for end in range(len(data)):
        answered = proxy.raw(data[:end]).finish_sending().read_all()
        assert answered == b"" or answered.startswith(b"HTTP/1.1 400 "), (end, answered)
        proxy.client.close()
    assert_untouched(proxy, upstream)


# Header lines.

FIELDS: dict[str, bytes] = {
    "no colon": b"this is no header",
    "empty line of blanks": b"  ",
    "no name": b": value",
    "blank before the colon": b"X-Odd : 1",
    "tab before the colon": b"X-Odd\t: 1",
    "blank in the name": b"X Odd: 1",
    "parenthesis in the name": b"X(Odd): 1",
    "non-ASCII name": "X-Größe: 1".encode(),
    "NUL in the name": b"X\0Odd: 1",
    "NUL in the value": b"X-Odd: a\0b",
    "control byte in the value": b"X-Odd: a\x01b",
    "DEL in the value": b"X-Odd: a\x7fb",
    "CR in the value": b"X-Odd: a\rb",
    "CR CR LF": b"X-Odd: a\r",
    "LF in the value": b"X-Odd: a\nX-Other: b",
    "folded line": b"X-Odd: a\r\n b",
    "folded with a tab": b"X-Odd: a\r\n\tb",
}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_a_broken_header_line(proxy: Proxy, upstream: Upstream, field: bytes) -> None:
    refused(proxy.raw(crafted(field)), 400)
    assert_untouched(proxy, upstream)


def test_a_folded_first_header(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(crafted(line=GOOD_LINE + "\r\n folded")), 400)
    assert_untouched(proxy, upstream)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\0", b"\x0b", b"\x85", b"\r\r\n", "\u2028".encode()])
def test_a_key_hidden_in_another_header_opens_nothing(proxy: Proxy, upstream: Upstream, end: bytes) -> None:
    hidden = b"X-Odd: a" + end + f"Authorization: Bearer {KEY}".encode()
    reply = proxy.raw(crafted(hidden, key=False)).reply()
    assert reply.status in (400, 401)
    assert reply.error
    assert_untouched(proxy, upstream)


# The request line.

LINES: dict[str, bytes] = {
    "two blanks": b"GET  /health HTTP/1.1",
    "tab": b"GET\t/health HTTP/1.1",
    "blank first": b" GET /health HTTP/1.1",
    "blank last": b"GET /health HTTP/1.1 ",
    "a word too many": b"GET /health HTTP/1.1 more",
    "blank in the target": b"GET /he alth HTTP/1.1",
    "no version": b"GET /health",
    "small letters": b"GET /health http/1.1",
    "two-digit minor": b"GET /health HTTP/1.10",
    "version without a dot": b"GET /health HTTP/11",
    "other protocol": b"GET /health SIP/1.1",
    "method no token": b"G@T /health HTTP/1.1",
    "method missing": b"/health HTTP/1.1",
    "target without slash": b"GET health HTTP/1.1",
    "NUL in the target": b"GET /he\0alth HTTP/1.1",
    "raw UTF-8 in the target": "GET /héalth HTTP/1.1".encode(),
    "CR in the target": b"GET /he\ralth HTTP/1.1",
    "one word": b"hello",
    "colons only": b"::::",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_broken_request_line(proxy: Proxy, upstream: Upstream, line: bytes) -> None:
    refused(proxy.raw(line + b"\r\nHost: proxy.test\r\n\r\n"), 400)
    assert_untouched(proxy, upstream)


@pytest.mark.parametrize("version", ["HTTP/0.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"])
def test_another_version(proxy: Proxy, upstream: Upstream, version: str) -> None:
    refused(proxy.raw(crafted(line=f"POST {CHAT} {version}")), 400, 505)
    assert_untouched(proxy, upstream)


def test_other_protocols_on_the_port(proxy: Proxy, upstream: Upstream) -> None:
    for hello_of_another in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500,  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",  # HTTP/2
        b"GET /\r\n\r\n",  # HTTP/0.9
        b"\x05\x01\x00",  # SOCKS
        b"*1\r\n$4\r\nPING\r\n",  # Redis
        b"\0" * 64,
    ):
        wire = proxy.raw(hello_of_another)
        if not hello_of_another.endswith(b"\n"):
            wire.finish_sending()
        refused(wire, 400, 505)
    assert_untouched(proxy, upstream)


def test_targets_in_their_other_legal_forms(proxy: Proxy) -> None:
    assert proxy.raw(b"GET http://proxy.test/health HTTP/1.1\r\nHost: proxy.test\r\n\r\n").reply().status == 200
    assert proxy.raw(b"GET /%68ealth?x=%zz HTTP/1.1\r\nHost: proxy.test\r\n\r\n").reply().status == 200
    assert proxy.raw(b"\r\nGET /health HTTP/1.1\r\nHost: proxy.test\r\n\r\n").reply().status == 200
    assert proxy.raw(b"OPTIONS * HTTP/1.1\r\nHost: proxy.test\r\n\r\n").reply().status in (200, 204)
    assert proxy.raw(b"CONNECT proxy.test:443 HTTP/1.1\r\nHost: proxy.test:443\r\n\r\n").reply().status in (
        400,
        404,
        405,
        501,
    )


# Host.

HOSTS: dict[str, str | None] = {
    "missing": None,
    "doubled": "Host: proxy.test\r\nHost: proxy.test",
    "doubled, different": "Host: proxy.test\r\nhost: other.test",
    "question mark": "Host: proxy.test?x",
    "number sign": "Host: proxy.test#x",
    "slash": "Host: proxy.test/x",
    "user part": "Host: user@proxy.test",
    "blank inside": "Host: proxy test",
    "list": "Host: proxy.test, other.test",
    "port no number": "Host: proxy.test:http",
    "port negative": "Host: proxy.test:-1",
    "backslash": "Host: proxy.test\\x",
    "broken address": "Host: [::1",
}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_host_that_is_none(proxy: Proxy, upstream: Upstream, host: str | None) -> None:
    refused(proxy.raw(crafted(host=host)), 400)
    assert_untouched(proxy, upstream)


def test_hosts_that_are_fine(proxy: Proxy) -> None:
    for host in (
        "Host: 127.0.0.1:8080",
        "Host: [::1]:3000",
        "Host: UPPER.test",
        "host:no-blank.test",
        "Host: under_score",
    ):
        assert proxy.raw(crafted(host=host)).reply().status == 200
    assert proxy.raw(b"GET /health HTTP/1.0\r\n\r\n").reply().status == 200


# Too much.


def test_ten_thousand_headers(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(crafted(*(f"X-{n}: {n}" for n in range(10_000)))), 431)
    assert_untouched(proxy, upstream)


def test_one_enormous_header(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(crafted("X-Big: " + "a" * 1_000_000)), 431)
    assert_untouched(proxy, upstream)


def test_headers_without_an_end(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(GOOD_LINE.encode() + b"\r\n" + b"X-Filler: 0123456789\r\n" * 120_000), 431)
    assert_untouched(proxy, upstream)


def test_an_enormous_request_line(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(crafted(line=f"POST {CHAT}?{'a' * 100_000} HTTP/1.1")), 414, 431)
    refused(proxy.raw(b"A" * 100_000), 400, 414, 431)
    assert_untouched(proxy, upstream)


def test_a_request_in_single_bytes(proxy: Proxy, upstream: Upstream) -> None:
    wire = proxy.open()
    for byte in chunked(whole()):
        wire.send(bytes([byte]))
    assert wire.reply().status == 200
    assert upstream.history[0].json["messages"] == hello()["messages"]


# What is left on the connection.

UNREAD: dict[str, tuple[str, str, bool]] = {
    "GET": ("GET", "/health", False),
    "HEAD": ("HEAD", "/health", False),
    "OPTIONS": ("OPTIONS", "/v1/models", False),
    "DELETE": ("DELETE", "/v1/models", True),
    "PUT, not allowed": ("PUT", CHAT, True),
    "unknown path": ("POST", "/nowhere", True),
    "unknown path, no key": ("POST", "/v1/nowhere", False),
    "no key": ("POST", CHAT, False),
    "no key, GET": ("GET", "/v1/models", False),
    "no session": ("DELETE", "/api/admin/providers/acme", False),
}


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize(("method", "path", "with_key"), UNREAD.values(), ids=UNREAD)
def test_an_unread_body_never_becomes_a_request(
    proxy: Proxy, upstream: Upstream, method: str, path: str, with_key: bool, framing: str
) -> None:
    """The body is a whole request of its own. Two answers at most: to the request and to the one sent after it."""
    inner = crafted()
    line = f"{method} {path} HTTP/1.1"
    if framing == "length":
        outer = crafted(line=line, key=with_key, body=inner)
    else:
        outer = crafted("Transfer-Encoding: chunked", line=line, key=with_key, length=False, body=whole(inner))
    wire = proxy.raw(outer)
    first = wire.reply(method)
    first.read()
    wire.send(request("GET", "/health", headers={"Connection": "close", "x-request-id": "the-second"}))
    rest = wire.read_all()
    if rest:
        assert rest.startswith(b"HTTP/1.1 200 ") and b"the-second" in rest, rest
    assert rest.count(b"HTTP/1.1 ") <= 1
    assert_untouched(proxy, upstream)


def test_pipelined_requests_are_answered_in_order(proxy: Proxy, upstream: Upstream) -> None:
    def by_content(seen: Seen) -> Script:
        return answer(200, completion(seen.json["messages"][0]["content"]))

    upstream.default(by_content)
    calls = [request("POST", CHAT, hello(f"number {n}"), KEY) for n in range(5)]
    wire = proxy.raw(b"".join([*calls[:3], request("GET", "/health"), *calls[3:]]))
    texts = []
    for _ in range(6):
        reply = wire.reply()
        assert reply.status == 200
        texts.append(reply.json.get("status") or reply.json["choices"][0]["message"]["content"])
    assert texts == ["number 0", "number 1", "number 2", "healthy", "number 3", "number 4"]


def test_requests_behind_a_refused_one_are_not_served(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.raw(crafted("no colon") + crafted()), 400)
    assert_untouched(proxy, upstream)


def test_requests_behind_connection_close_are_not_served(proxy: Proxy, upstream: Upstream) -> None:
    wire = proxy.raw(crafted("Connection: close") + crafted())
    assert wire.reply().status == 200
    assert wire.ended()
    assert len(upstream.history) == 1


def test_the_connection_stays_for_the_next_request(proxy: Proxy) -> None:
    wire = proxy.open()
    for path, status in (("/health", 200), ("/nowhere", 404), (CHAT, 401), ("/health", 200)):
        data = request("GET", path) if path != CHAT else request("POST", path, b"")
        assert wire.send(data).reply().status == status
