"""Pieces of a request's body that lie in a file: as long as they say, whatever their size, and as often as they are asked."""

from __future__ import annotations

import base64
import io

import pytest

from ipin_proxy.upstream import BASE64_PIECE_BYTES, FILE_PIECE_BYTES, Base64Range, FileRange

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
