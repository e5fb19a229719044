"""The fast path and the one that explains must agree, whatever comes."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

from hypothesis import example, given
from hypothesis import strategies as st

from ipin_proxy.web.head import HeadError, find_end, parse_reply, parse_request, refuse_early

GOOD = b"POST /v1/chat HTTP/1.1\r\nHost: a\r\nX-Key: b c\r\nContent-Length: 5\r\n\r\n"
PIECES = st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"\t", b"\xff", b"HTTP/1.1", b"Host: a\r\n", b"x"])


@given(st.integers(0, len(GOOD)), st.integers(0, 3), PIECES)
@example(0, 0, b"\r\n")
def test_a_damaged_request_is_read_or_refused_with_a_reason(at: int, gone: int, piece: bytes):
    data = GOOD[:at] + piece + GOOD[at + gone :]
    end = find_end(data, 0)
    if end < 0:
        return
    try:
        head = parse_request(data[:end])
    except HeadError as error:
        assert error.status in (400, 414, 431, 501, 505)
        assert error.message.isprintable()
        return
    # What was let through is the same message when it is written again: nothing was skipped on the way.
    again = f"{head.method} {head.target} HTTP/1.{head.minor}\r\n"
    again += "".join(f"{name}: {value}\r\n" for name, value in head.headers.pairs) + "\r\n"
    assert parse_request(again.encode("latin-1")).headers.pairs == head.headers.pairs
    assert len(head.headers.pairs) == data[:end].strip(b"\r\n").count(b"\r\n")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    for read in (parse_request, parse_reply, refuse_early):
        try:
            read(data)
        except HeadError as error:
            assert error.message.isprintable()
