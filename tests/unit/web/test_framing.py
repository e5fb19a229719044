"""Where bodies end, in any cut, and which ends are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ipin_proxy.web.framing import (
    LAST_CHUNK,
    MAX_EXTENSION_BYTES,
    MAX_TRAILER_BYTES,
    Body,
    ChunkedBody,
    FramingError,
    LengthBody,
    NoBody,
    UntilCloseBody,
    chunk,
    reply_body,
    request_body,
)
from ipin_proxy.web.head import Headers

CHUNKED = b'5\r\nhello\r\n1;a="b"\r\n \r\n00006\r\nworld!\r\n0\r\nDigest: x\r\nB: y\r\n\r\n'


def read(body: Body, *pieces: bytes) -> bytes:
    return b"".join([body.feed(piece) for piece in pieces])


def cuts(data: bytes) -> list[tuple[bytes, ...]]:
    """All in one, every cut in two, and every byte alone."""
    return [
        (data,),
        *((data[:at], data[at:]) for at in range(len(data) + 1)),
        tuple(data[i : i + 1] for i in range(len(data))),
    ]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_chunks_in_every_cut(strict: bool, kind: Callable[[bytes], bytes]):
    for pieces in cuts(CHUNKED + b"next"):
        body = ChunkedBody(strict)
        assert b"".join([body.feed(kind(piece)) for piece in pieces]) == b"hello world!"
        assert body.done
        assert body.rest == b"next"
        assert body.received == 12
        body.end()


def test_payload_is_given_out_as_it_comes():
    body = ChunkedBody()
    assert body.feed(b"5\r\nhe") == b"he"
    assert body.feed(b"llo\r\n") == b"llo"
    assert (body.received, body.done, body.rest) == (5, False, b"")
    assert body.feed(chunk(b"x") + chunk(b"yz") + b"3\r\n12") == b"xyz12"
    assert body.feed(b"3") == b"3"
    assert body.feed(b"\r\n" + LAST_CHUNK + b"GET") == b""
    assert body.done
    assert body.feed(b" /") == b""
    assert body.rest == b"GET /"


def test_large_pieces_pass_uncopied():
    data = bytes(100_000)
    body = ChunkedBody()
    body.feed(b"%x\r\n" % (2 * len(data)))
    assert body.feed(data) is data
    assert LengthBody(len(data)).feed(data) is data
    assert UntilCloseBody().feed(data) is data


def test_a_buffer_that_is_used_again_does_no_harm():
    for body in (ChunkedBody(), LengthBody(5), UntilCloseBody()):
        if isinstance(body, ChunkedBody):
            body.feed(b"5\r\n")
        buffer = bytearray(b"hello")
        payload = body.feed(memoryview(buffer))
        buffer[:] = b"?????"
        assert payload == b"hello"


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\n",
        b"-5\r\nhello\r\n",
        b"\xd9\xa5\r\nhello\r\n",
        b"11111111111111111\r\n",
        b"5\nhello\r\n",
        b"5\rhello\r\n",
        b"5;a=\x00\r\nhello\r\n",
        b"5;a=\rb\r\nhello\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello\r\r\n",
        b"0\r\n\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nA: b\n\r\n",
        b"5;" + b"x" * 300 + b"\r\nhello\r\n",
        b"0" * 300,
        (b"1;" + b"x" * 200 + b"\r\n.\r\n") * (MAX_EXTENSION_BYTES // 200 + 1),
        b"0\r\n" + b"A: b\r\n" * (MAX_TRAILER_BYTES // 6 + 1),
        b"0\r\nA: " + b"b" * MAX_TRAILER_BYTES,
    ],
)
def test_chunks_that_are_refused_in_a_request(data: bytes):
    for pieces in ((data,), tuple(data[i : i + 1] for i in range(len(data)))):
        body = ChunkedBody()
        with pytest.raises(FramingError) as caught:
            read(body, *pieces)
        assert caught.value.message.isprintable()
        assert not body.done


@pytest.mark.parametrize(
    "data", [b"5\nhello\n0\n\n", b"5  \r\nhello\r\n0 \r\n\r\n", b"5 ; a\r\nhello\r\n0\r\nwhat\r\n\n"]
)
def test_what_is_forgiven_in_a_reply(data: bytes):
    for pieces in cuts(data):
        body = ChunkedBody(strict=False)
        assert read(body, *pieces) == b"hello"
        assert body.done


def test_an_upstream_may_forget_the_last_line_end():
    body = ChunkedBody(strict=False)
    assert read(body, b"5\r\nhello\r\n0\r\n") == b"hello"
    body.end()
    assert body.done
    with pytest.raises(FramingError):
        strict = ChunkedBody()
        read(strict, b"5\r\nhello\r\n0\r\n")
        strict.end()


def test_bodies_that_are_cut_short():
    for body, data in ((ChunkedBody(), b"5\r\nhel"), (ChunkedBody(False), b"5\r\nhello\r\n"), (LengthBody(5), b"hel")):
        read(body, data)
        assert not body.done
        with pytest.raises(FramingError) as caught:
            body.end()
        assert str(body.received) in caught.value.message


def test_a_length_in_every_cut():
    for pieces in cuts(b"hello" + b"next"):
        body = LengthBody(5)
        assert read(body, *pieces) == b"hello"
        assert (body.done, body.rest, body.received) == (True, b"next", 5)
        body.end()


def test_until_the_connection_closes():
    body = UntilCloseBody()
    assert read(body, b"a", b"b") == b"ab"
    assert not body.done
    body.end()
    assert (body.done, body.received, body.rest) == (True, 2, b"")


def test_no_body_leaves_all_to_the_next_message():
    body = NoBody()
    assert body.done
    assert read(body, b"GET", b" /") == b""
    assert body.rest == b"GET /"
    body.end()


def test_which_body_a_request_has():
    assert isinstance(request_body(Headers([])), NoBody)
    assert isinstance(request_body(Headers([("content-length", "0")])), NoBody)
    sized = request_body(Headers([("content-length", "0012")]))
    assert isinstance(sized, LengthBody) and sized.length == 12
    body = request_body(Headers([("transfer-encoding", "Chunked")]))
    with pytest.raises(FramingError):
        body.feed(b"5\nhello\n")


def test_which_body_a_reply_has():
    sized = Headers([("content-length", "5")])
    for method, status in (("HEAD", 200), ("GET", 100), ("GET", 103), ("POST", 204), ("GET", 304)):
        assert isinstance(reply_body(method, status, sized), NoBody)
    assert isinstance(reply_body("GET", 200, sized), LengthBody)
    assert reply_body("GET", 200, Headers([("content-length", "0")])).done
    assert isinstance(reply_body("GET", 200, Headers([])), UntilCloseBody)
    assert isinstance(reply_body("GET", 200, Headers([("transfer-encoding", "identity"), *sized.pairs])), LengthBody)
    chunked = reply_body("GET", 200, Headers([("transfer-encoding", " CHUNKED")]))
    assert chunked.feed(b"5\nhello\n") == b"hello"
    for coding in ("gzip, chunked", "gzip", "chunked, chunked", ""):
        with pytest.raises(FramingError):
            reply_body("GET", 200, Headers([("transfer-encoding", coding)]))


def test_writing_chunks():
    assert chunk(b"hello") == b"5\r\nhello\r\n"
    assert chunk(b"") == b""  # an empty chunk would be the end
    assert read(ChunkedBody(), chunk(bytes(1000)), LAST_CHUNK) == bytes(1000)
