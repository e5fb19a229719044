"""Long answers, piece by piece: whole or broken, never more at once than there are places, and none is lost."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Any

import pytest

from ipin_proxy import downloads
from ipin_proxy.errors import ProxyError, Unavailable
from ipin_proxy.web.response import Response, Source


def pieces(count: int, error: Exception | None = None, ended: list[str] | None = None) -> Iterator[bytes]:
    try:
        for number in range(count):
            yield b"%d\n" % number + b"x" * 100_000
        if error is not None:
            raise error
    finally:
        if ended is not None:
            ended.append("ended")


def source_of(response: Response) -> Source:
    assert response.stream is not None
    return response.stream.source


def read(source: Any) -> Iterator[bytes]:
    """All of it, as the loop reads."""
    while True:
        select.select([source.sock], [], [], 10)
        data = source.read_ready()
        if data is None:
            source.close()
            return
        yield data


def test_all_pieces_arrive_in_their_order() -> None:
    response = downloads.answer(pieces(30), {"content-type": "text/csv"})
    assert (response.status, response.headers) == (200, {"content-type": "text/csv"})
    assert b"".join(read(source_of(response))) == b"".join(pieces(30))


def test_nothing_at_all_is_a_whole_answer() -> None:
    assert b"".join(read(source_of(downloads.answer(pieces(0), {})))) == b""


def test_what_fails_at_once_is_raised_and_what_fails_later_breaks_off() -> None:
    error = ProxyError("The disk is gone.")
    with pytest.raises(ProxyError, match="disk is gone"):
        downloads.answer(pieces(0, error), {})
    response = downloads.answer(pieces(20, error), {})
    with pytest.raises(ProxyError, match="disk is gone"):
        list(read(source_of(response)))
    assert response.stream is not None and response.stream.pipe.fail(error) is None
    source_of(response).close()


def test_who_leaves_ends_the_making_and_frees_the_place() -> None:
    ended: list[str] = []
    made = [downloads.answer(pieces(1_000, None, ended), {}) for _ in range(downloads.MOST_AT_ONCE)]
    with pytest.raises(Unavailable) as refused:
        downloads.answer(pieces(1), {})
    assert refused.value.code == "overloaded"
    for each in made:
        source_of(each).close()
    for _ in made:
        assert downloads._places.acquire(timeout=10)
    for _ in made:
        downloads._places.release()
    assert ended == ["ended"] * downloads.MOST_AT_ONCE
