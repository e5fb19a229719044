"""What counts as a request, what is forgiven in a reply, and why the rest is refused."""

from __future__ import annotations

import pytest

from ipin_proxy.web.head import (
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    MAX_HEAD,
    MAX_LINE,
    MAX_REPLY_HEAD,
    HeadError,
    Headers,
    HeadReader,
    find_end,
    find_reply_end,
    parse_reply,
    parse_request,
    refuse_early,
)


def request(*lines: str | bytes, host: bool = True) -> bytes:
    """A head of these lines, the first being the request line; Host is added unless a test is about it."""
    encoded = [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]
    if host:
        encoded.insert(1, b"Host: proxy.test")
    return b"".join(line + b"\r\n" for line in encoded) + b"\r\n"


def refusal(data: bytes) -> HeadError:
    with pytest.raises(HeadError) as caught:
        parse_request(data)
    assert caught.value.message == str(caught.value)
    assert caught.value.message.isprintable()
    return caught.value


# ---- requests that are good ------------------------------------------------------------------------------------------


def test_a_typical_request():
    head = parse_request(
        request(
            "POST /v1/chat/completions?beta=1 HTTP/1.1",
            "Content-Type: application/json",
            "AUTHORIZATION:Bearer sk-1",
            "X-Empty:",
            "Accept: \t text/event-stream \t",
            "Content-Length: 12",
        )
    )
    assert (head.method, head.target, head.minor) == ("POST", "/v1/chat/completions?beta=1", 1)
    assert head.headers.pairs == [
        ("host", "proxy.test"),
        ("content-type", "application/json"),
        ("authorization", "Bearer sk-1"),
        ("x-empty", ""),
        ("accept", "text/event-stream"),
        ("content-length", "12"),
    ]


def test_headers_find_the_first_value_and_all_of_them():
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    assert headers.get("a") == "1"
    assert headers.all("a") == ["1", "3"]
    assert headers.get("c") is None
    assert headers.get("c", "none") == "none"
    assert headers.all("c") == []
    assert "b" in headers and "c" not in headers
    assert headers.pairs == [("a", "1"), ("b", "2"), ("a", "3")]
    assert headers.repeats


def test_bytes_above_ascii_in_values_are_kept_as_latin_1():
    head = parse_request(request("GET / HTTP/1.1", "X-Name: Zo\xeb\xa0"))
    assert head.headers.get("x-name") == "Zo\xeb\xa0"  # the no-break space is part of the value, not a blank around it


@pytest.mark.parametrize(
    "host", ["a", "proxy.test:3000", "127.0.0.1:80", "[::1]:3000", "[::ffff:1.2.3.4]", "my_box", "a:"]
)
def test_hosts_that_are_good(host: str):
    assert parse_request(request("GET / HTTP/1.1", f"Host: {host}", host=False)).headers.get("host") == host


def test_http_1_0_may_come_without_a_host():
    head = parse_request(request("GET / HTTP/1.0", host=False))
    assert head.minor == 0


@pytest.mark.parametrize(
    ("target", "reduced", "host"),
    [
        ("http://other.test/v1/models?x=1", "/v1/models?x=1", "other.test"),
        ("HTTPS://other.test:8443/a", "/a", "other.test:8443"),
        ("http://other.test", "/", "other.test"),
        ("http://other.test?x=/y", "/?x=/y", "other.test"),
    ],
)
def test_absolute_targets_are_reduced_and_name_the_host(target: str, reduced: str, host: str):
    head = parse_request(request(f"GET {target} HTTP/1.1"))
    assert head.target == reduced
    assert head.headers.all("host") == [host]


def test_the_asterisk_is_for_options():
    assert parse_request(request("OPTIONS * HTTP/1.1")).target == "*"
    assert parse_request(request("OPTIONS http://other.test HTTP/1.1")).target == "*"
    assert refusal(request("GET * HTTP/1.1")).status == 400


def test_one_empty_line_before_the_request_is_skipped():
    assert parse_request(b"\r\n" + request("GET /a HTTP/1.1")).target == "/a"
    assert refusal(b"\r\n\r\n" + request("GET /a HTTP/1.1")).status == 400


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("1.1", [], True),
        ("1.1", ["close"], False),
        ("1.1", ["Keep-Alive, CLOSE"], False),
        ("1.1", ["keep-alive", "close"], False),
        ("1.1", ["upgrade"], True),
        ("1.0", [], False),
        ("1.0", ["Keep-Alive"], True),
    ],
)
def test_whether_the_connection_stays_open(version: str, connection: list[str], expected: bool):
    lines = [f"Connection: {value}" for value in connection]
    assert parse_request(request(f"GET / HTTP/{version}", *lines)).keeps_alive is expected


# ---- requests that are not -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("GET /", 400, "HTTP/0.9"),
        ("GET / HTTP/0.9", 400, "HTTP/0.9"),
        ("GET / HTTP/2.0", 505, "HTTP/2.0"),
        ("GET / HTTP/1.2", 505, "HTTP/1.2"),
        ("GET / HTTP/11.1", 400, "request line"),
        ("GET / http/1.1", 400, "request line"),
        ("GET  / HTTP/1.1", 400, "request line"),
        ("GET / HTTP/1.1 ", 400, "request line"),
        ("GET /a b HTTP/1.1", 400, "request line"),
        ("GET\t/ HTTP/1.1", 400, "request line"),
        (" GET / HTTP/1.1", 400, "not an HTTP request"),
        ("G(T / HTTP/1.1", 400, "request line"),
        ("GET /caf\xe9 HTTP/1.1", 400, "percent-encoded"),
        ("GET /a\x00b HTTP/1.1", 400, "percent-encoded"),
        ("GET /a\x7fb HTTP/1.1", 400, "percent-encoded"),
        ("GET /a#b HTTP/1.1", 400, "fragment"),
        ("GET a HTTP/1.1", 400, "slash"),
        ("GET ftp://a/b HTTP/1.1", 400, "slash"),
        ("GET http:///b HTTP/1.1", 400, "slash"),
        ("GET http://user@a/b HTTP/1.1", 400, "slash"),
        ("CONNECT a:443 HTTP/1.1", 501, "CONNECT"),
        ("CONNECT /a HTTP/1.1", 501, "CONNECT"),
        ("", 400, "request line"),
        ("\x16\x03\x01\x02", 400, "TLS"),
    ],
)
def test_request_lines_that_are_refused(line: str, status: int, says: str):
    error = refusal(request(line))
    assert error.status == status
    assert says in error.message


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (b"X-Key : v", "blank before the colon"),
        (b"X-Key\t: v", "blank before the colon"),
        (b"no colon", "colon"),
        (b"X Key: v", "name"),
        (b": v", "name"),
        (b"X-\xe9: v", "name"),
        (b"X-Key: a\x00b", "control character"),
        (b"X-Key: a\x7fb", "control character"),
        (b"X-Key: a\rb", "bare CR or LF"),
        (b"X-Key: a\nb: c", "bare CR or LF"),
        (b"X-Key: a\r\r\nX-B: c", "bare CR or LF"),
        (b"X-Key: a\r\n folded", "folded"),
        (b" X-Key: a", "folded"),
    ],
)
def test_header_lines_that_are_refused(field: bytes, says: str):
    error = refusal(request("GET / HTTP/1.1", field, "Authorization: Bearer sk-1"))
    assert error.status == 400
    assert says in error.message


@pytest.mark.parametrize(
    "hosts",
    [[], ["a", "a"], [""], ["a b"], ["a/b"], ["a?b"], ["a#b"], ["u@a"], ["[::1"], ["a:b"], ["a:123456"], ["%zz"]],
)
def test_hosts_that_are_refused(hosts: list[str]):
    error = refusal(request("GET / HTTP/1.1", *(f"Host: {host}" for host in hosts), host=False))
    assert error.status == 400
    assert "Host" in error.message


def test_http_1_0_with_a_bad_host_is_refused():
    assert refusal(request("GET / HTTP/1.0", "Host: a", "Host: b", host=False)).status == 400
    assert refusal(request("GET / HTTP/1.0", "Host: a/b", host=False)).status == 400


@pytest.mark.parametrize("value", ["", "-1", "+5", "5, 5", "9_5", "5 5", "0x5", "\xa05", "\xb2", "5.0", "1" * 20])
def test_lengths_that_are_refused(value: str):
    error = refusal(request("POST / HTTP/1.1", f"Content-Length: {value}"))
    assert error.status == 400
    assert "Content-Length" in error.message


@pytest.mark.parametrize(
    ("version", "fields", "status"),
    [
        ("1.1", ["Content-Length: 5", "Content-Length: 5"], 400),
        ("1.1", ["Content-Length: 5", "Content-Length: 6"], 400),
        ("1.1", ["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
        ("1.1", ["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
        ("1.1", ["Transfer-Encoding: gzip, chunked"], 501),
        ("1.1", ["Transfer-Encoding: chunked, identity"], 501),
        ("1.1", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 501),
        ("1.1", ["Transfer-Encoding: xchunked"], 501),
        ("1.1", ["Transfer-Encoding: "], 501),
        ("1.1", ["Transfer-Encoding: \x0bchunked"], 400),
        ("1.0", ["Transfer-Encoding: chunked"], 400),
    ],
)
def test_framing_that_is_refused(version: str, fields: list[str], status: int):
    assert refusal(request(f"POST / HTTP/{version}", *fields)).status == status


def test_chunked_is_understood_in_any_case():
    head = parse_request(request("POST / HTTP/1.1", "Transfer-Encoding:\t Chunked "))
    assert head.headers.get("transfer-encoding") == "Chunked"


def test_limits_of_size():
    path = "/" + "a" * (MAX_LINE - len("GET / HTTP/1.1"))
    assert parse_request(request(f"GET {path} HTTP/1.1")).target == path
    assert refusal(request(f"GET {path}a HTTP/1.1")).status == 414
    fits = [f"x-{n}: v" for n in range(MAX_FIELDS - 1)]
    assert len(parse_request(request("GET / HTTP/1.1", *fits)).headers) == MAX_FIELDS
    assert refusal(request("GET / HTTP/1.1", *fits, "one: more")).status == 431
    assert refusal(request("GET / HTTP/1.1", "x: " + "v" * MAX_FIELD_BYTES)).status == 431
    assert refusal(request("GET / HTTP/1.1", *["a:"] * 10_000)).status == 431
    assert refusal(request("GET / HTTP/1.1", "x y: " + "v" * MAX_FIELD_BYTES)).status == 431


def test_the_largest_head_fits_in_what_callers_buffer():
    path = "/" + "a" * (MAX_LINE - len("GET / HTTP/1.1"))
    line = f"GET {path} HTTP/1.1\r\n".encode()
    fields = b"Host: a\r\n"
    fields += b"x: " + b"v" * (MAX_FIELD_BYTES - len(fields) - 5) + b"\r\n"
    data = b"\r\n" + line + fields + b"\r\n"
    assert parse_request(data).target == path
    assert len(data) <= MAX_HEAD
    refuse_early(data[:-1])


# ---- before the head is whole ----------------------------------------------------------------------------------------


def test_find_end_in_any_cut():
    head = request("GET / HTTP/1.1")
    for size in range(1, len(head)):
        assert find_end(head[:size], size - 1) == -1
    for searched in range(len(head)):  # as much as can have been searched without finding it
        assert find_end(bytearray(head + b"body\r\n\r\n"), searched) == len(head)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\na: b\r\n\r\n", b"HTTP/1.1 200 OK\na: b\n\n", b"HTTP/1.1 200 OK\na: b\r\n\n"]
)
def test_find_reply_end_knows_both_line_ends(head: bytes):
    for behind in (b"", b"x", b"\n\n", b"\r\n\r\n"):
        assert find_reply_end(head + behind, 0) == len(head)
    for size in range(1, len(head)):
        assert find_reply_end(head[:size], size - 1) == -1
    assert find_reply_end(head, len(head) - 1) == len(head)


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"{", 400),
        (b"GET /\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"PRI * HTTP/2.0\r\n", 505),
        (b"GET /" + b"a" * MAX_LINE, 414),
        (b"GET / HTTP/1.1\r\nx: " + b"v" * MAX_HEAD, 431),
    ],
)
def test_hopeless_beginnings_are_refused_at_once(begin: bytes, status: int):
    with pytest.raises(HeadError) as caught:
        refuse_early(bytearray(begin))
    assert caught.value.status == status


def test_hopeful_beginnings_may_go_on():
    data = b"\r\n" + request("GET / HTTP/1.1", "X-Key: \xe9")
    for size in range(len(data)):
        refuse_early(data[:size])


# ---- replies ---------------------------------------------------------------------------------------------------------


def test_a_typical_reply():
    head = parse_reply(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (head.status, head.minor, head.is_sound, head.keeps_alive) == (200, 1, True, True)
    assert head.headers.get("content-type") == "text/event-stream"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200\r\nA: b c\r\n\r\n",
        b"HTTP/1.1 200 \r\nA: b c\r\n\r\n",
        b"HTTP/1.1 200\nA: b c\n\n",
        b"HTTP/1.1  200  \nA : b c\n\n",
        b"HTTP/1.1 200\r\nA: b\r\n  c\r\n\r\n",
        b"HTTP/1.1 200\r\nA: b\r\n\tc \r\n\r\n",
        b"HTTP/1.1 200\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200\r\nA: b\rc\r\n\r\n",
        b"HTTP/1.1 200\r\n folded\r\nno colon\r\n: none\r\nA: b c\r\n\r\n",
        b"HTTP/1.9 200\r\nA: b c\r\n\r\n",
    ],
)
def test_what_is_forgiven_in_a_reply(data: bytes):
    head = parse_reply(data)
    assert (head.status, head.minor) == (200, 1)
    assert head.headers.pairs == [("a", "b c")]


@pytest.mark.parametrize(
    "line",
    [b"", b"HTTP/1.1", b"HTTP/1.1 OK", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 099", b"HTTP/2 200", b"ICY 200 OK"],
)
def test_status_lines_that_are_refused(line: bytes):
    with pytest.raises(HeadError):
        parse_reply(line + b"\r\nA: b\r\n\r\n")


def test_equal_lengths_are_one_and_different_ones_an_error():
    head = parse_reply(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nA: b\r\nContent-Length: 5\r\n\r\n")
    assert head.headers.all("content-length") == ["5"]
    assert head.headers.get("a") == "b"
    for value in (b"5\r\nContent-Length: 6", b"5, 6", b"-1", b"", b"x", b"5 6"):
        with pytest.raises(HeadError):
            parse_reply(b"HTTP/1.1 200 OK\r\nContent-Length: " + value + b"\r\n\r\n")


def test_chunked_wins_over_a_length_and_the_connection_is_given_up():
    head = parse_reply(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert "content-length" not in head.headers
    assert not head.is_sound
    assert not head.keeps_alive
    assert not parse_reply(
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
    ).keeps_alive


def test_replies_of_http_1_0_close_unless_they_say_otherwise():
    assert not parse_reply(b"HTTP/1.0 200 OK\r\n\r\n").keeps_alive
    assert parse_reply(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").keeps_alive
    assert not parse_reply(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").keeps_alive


def test_a_reply_head_has_its_limit():
    with pytest.raises(HeadError):
        parse_reply(b"HTTP/1.1 200 OK\r\nA: " + b"b" * MAX_REPLY_HEAD + b"\r\n\r\n")


# ---- heads that repeat themselves ------------------------------------------------------------------------------------


def test_a_head_that_differs_in_its_length_alone_says_the_same_but_for_the_length() -> None:
    lines = ("POST /v1/x HTTP/1.1", "X-Twice: a", "Content-Length: 5", "X-Twice: b", "Authorization: Bearer k")
    reader = HeadReader()
    reader.read(request(*lines))
    reader.note = "known"
    longer = request(*(line.replace(": 5", ": 1234") for line in lines))
    head = reader.read(longer)
    assert head == parse_request(longer)
    assert head.headers.pairs == parse_request(longer).headers.pairs
    assert head.headers.all("x-twice") == ["a", "b"]
    assert reader.note == "known"
    assert reader.read(request(*lines)) == parse_request(request(*lines))
    assert reader.note == "known"


@pytest.mark.parametrize(
    "other",
    [
        request("POST /v1/x HTTP/1.1", "Content-Length: 5", "Authorization: Bearer other"),
        request("POST /v1/y HTTP/1.1", "Content-Length: 5", "Authorization: Bearer k"),
        request("POST /v1/x HTTP/1.1", "content-length: 5", "Authorization: Bearer k"),
        request("POST /v1/x HTTP/1.1", "Content-Length: 5", "Authorization: Bearer k", "X-More: 1"),
        request("POST /v1/x HTTP/1.1", "Content-Length:  5", "Authorization: Bearer k"),
        request("POST /v1/x HTTP/1.1", "Authorization: Bearer k"),
    ],
)
def test_a_head_that_differs_in_anything_else_is_read_anew(other: bytes) -> None:
    reader = HeadReader()
    reader.read(request("POST /v1/x HTTP/1.1", "Content-Length: 5", "Authorization: Bearer k"))
    reader.note = "known"
    assert reader.read(other) == parse_request(other)
    assert reader.note is None


@pytest.mark.parametrize("length", ["", "-1", "+5", "5, 5", "5\r\nContent-Length: 6", "1_0", "\xb2", "9" * 20, "0x5"])
def test_a_bad_length_is_refused_in_a_repeated_head_too(length: str) -> None:
    lines = ("POST /v1/x HTTP/1.1", "Content-Length: 5", "Authorization: Bearer k")
    reader = HeadReader()
    reader.read(request(*lines))
    with pytest.raises(HeadError):
        reader.read(request(*(line.replace(": 5", f": {length}") for line in lines)))
    assert reader.read(request(*lines)) == parse_request(request(*lines))


def test_a_head_in_which_the_ends_of_the_last_one_overlap_is_read_anew() -> None:
    reader = HeadReader()
    reader.read(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Type: 1\r\n\r\n")
    shorter = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\nContent-Type: 1\r\n\r\n"
    with pytest.raises(HeadError):
        reader.read(shorter)
