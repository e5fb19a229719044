"""What is sent: pieces of a body that lie in a file are as long as they say, whatever their size, and as often as they are asked; and
what the other side says meanwhile is heard, however it is cut.
"""

from __future__ import annotations

import base64
import contextlib
import io
import socket
from contextlib import closing
from typing import Any

import pytest

from ipin_proxy.connections import Origin
from ipin_proxy.upstream import (
    BASE64_PIECE_BYTES,
    FILE_PIECE_BYTES,
    Base64Range,
    EarlyAnswer,
    FileRange,
    Outbound,
    Reply,
    send_request,
)
from ipin_proxy.web.framing import UntilCloseBody
from ipin_proxy.web.head import Headers
from ipin_proxy.web.task import Wait

SIZES = [0, 1, 2, 3, 4, 57, *(BASE64_PIECE_BYTES + more for more in (-2, -1, 0, 1, 2, 3)), 3 * BASE64_PIECE_BYTES + 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("begin", [0, 7])
def test_a_stretch_as_base64(size: int, begin: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    file = io.BytesIO(b"x" * begin + content[:size] + b"behind")
    piece = Base64Range(file, begin, begin + size)
    for _ in range(2):  # a second provider is sent the same
        assert b"".join(piece.pieces()) == base64.b64encode(content[:size])
    assert len(piece) == len(base64.b64encode(content[:size]))


@pytest.mark.parametrize("size", [0, 1, FILE_PIECE_BYTES, 2 * FILE_PIECE_BYTES + 1])
def test_a_stretch_as_it_lies(size: int) -> None:
    file = io.BytesIO(b"x" + bytes(size) + b"behind")
    piece = FileRange(file, 1, 1 + size)
    for _ in range(2):
        assert b"".join(piece.pieces()) == bytes(size)
    assert len(piece) == size


PIECE_BYTES = 4_000_000  # more than any socket takes at once
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
REFUSAL = b"HTTP/1.1 413 Too Long\r\nContent-Length: 0\r\n\r\n"


def heard_of(*words: bytes) -> bytes:
    """What is heard of an other side that says these, each while it takes another piece of the body. Raises EarlyAnswer."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.setblocking(False)
        theirs.setblocking(False)
        body = [bytes(PIECE_BYTES) for _ in words]
        steps = send_request(ours, Outbound("acme", Origin("http", "x", 80), "POST", "/", {}, body), 60.0, lambda: 0.0)
        taken, said = 0, 0
        while True:
            try:
                wanted = next(steps)
            except StopIteration as end:
                return bytes(end.value)
            if not isinstance(wanted, Wait):
                continue
            if said < len(words) and taken >= said * PIECE_BYTES:
                theirs.send(words[said])
                said += 1
                continue
            with contextlib.suppress(BlockingIOError):
                while data := theirs.recv(1_000_000):
                    taken += len(data)


@pytest.mark.parametrize("cut", range(1, len(INTERIM)))
def test_an_interim_answer_is_none_however_it_is_cut(cut: int) -> None:
    assert heard_of(INTERIM[:cut], INTERIM[cut:]) == INTERIM


@pytest.mark.parametrize("before", [b"", INTERIM, 3 * INTERIM], ids=["alone", "behind one", "behind three"])
def test_an_answer_to_a_part_of_the_request_ends_it(before: bytes) -> None:
    with pytest.raises(EarlyAnswer) as caught:
        heard_of(before + REFUSAL)
    assert caught.value.heard == before + REFUSAL


@pytest.mark.parametrize(
    ("event", "media_type", "expected"),
    [
        (b":\n\n", "text/event-stream", 1024),
        (b"data: " + b"x" * 92 + b"\r\n\r\n", "text/event-stream", 20_000),
        (b"data: " + b"x" * 992 + b"\n\n", "text/event-stream", 65_536),
        (b":\n\n", "application/json", 65_536),
    ],
)
def test_of_a_stream_of_very_short_events_little_is_read_at_once(event: bytes, media_type: str, expected: int) -> None:
    """What is read is worked on in one go, in which nobody else is served."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        theirs.setblocking(False)
        said = theirs.send(event * (130_000 // len(event)))
        unused: Any = None
        reply = Reply(unused, unused, ours, 200, Headers([]), UntilCloseBody(), b"", 0.0, True, media_type)
        pieces = [reply.read_ready() or b"" for _ in range(2)]
        assert said > 100_000 and len(pieces[0]) == 65_536
        assert expected * 0.9 < len(pieces[1]) <= expected * 1.1
