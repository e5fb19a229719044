"""Bodies that come compressed: unfolded step by step, whole at the end, and no further than they go."""

from __future__ import annotations

import gzip
import zlib

import pytest

from ipin_proxy.web.framing import FramingError, LengthBody
from ipin_proxy.web.head import Headers
from ipin_proxy.web.inflate import STEP_BYTES, inflated

PLAIN = bytes(range(256)) * 40_000
CODED = gzip.compress(PLAIN)


def body_of(coded: bytes, coding: str = "gzip"):
    return inflated(LengthBody(len(coded)), Headers([("content-encoding", coding)]))


def drained(body, coded: bytes, size: int) -> list[bytes]:
    pieces = []
    for at in range(0, len(coded), size):
        pieces.append(body.feed(coded[at : at + size]))
        while body.pending:
            pieces.append(body.feed(b""))
    return pieces


@pytest.mark.parametrize("size", [1, 1000, 10**9])
@pytest.mark.parametrize(("coding", "coded"), [("gzip", CODED), ("deflate", zlib.compress(PLAIN))])
def test_the_whole_body_in_steps_of_no_great_size(coding: str, coded: bytes, size: int):
    body = body_of(coded, coding)
    pieces = drained(body, coded, size)
    assert b"".join(pieces) == PLAIN
    assert max(map(len, pieces)) <= STEP_BYTES
    assert body.done and not body.pending
    assert body.received == len(PLAIN)


@pytest.mark.parametrize("size", [STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 2 * STEP_BYTES])
def test_a_body_of_just_a_step(size: int):
    coded = gzip.compress(b"x" * size)
    body = body_of(coded)
    assert b"".join(drained(body, coded, 10**9)) == b"x" * size
    assert body.done


def test_a_body_that_is_cut_or_broken():
    with pytest.raises(FramingError):
        drained(body_of(CODED[:-9]), CODED[:-9], 10**9)
    with pytest.raises(FramingError):
        body_of(PLAIN[:100]).feed(PLAIN[:100])


def test_a_coding_nobody_asked_for():
    with pytest.raises(FramingError):
        body_of(CODED, "br")
