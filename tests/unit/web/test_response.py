"""The head of a response."""

from __future__ import annotations

import pytest

from ipin_proxy.web.response import Response, head_bytes


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
def test_no_value_ends_its_line(end: str) -> None:
    response = Response(200, {"x-ipin-model": f"a{end}set-cookie: b=c"})
    lines = head_bytes(response, 0, keep_alive=True, chunked=False).split(b"\r\n")
    assert [line for line in lines if line.startswith(b"set-cookie")] == []
    assert not any(byte in line for line in lines for byte in b"\r\n\0")


def test_what_latin_1_does_not_have_is_replaced() -> None:
    assert b"x-ipin-model: mod\xe8le ?\r\n" in head_bytes(Response(200, {"x-ipin-model": "modèle 模"}), 0, True, False)
