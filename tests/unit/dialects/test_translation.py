"""The pipe of a stream that changes its dialect, with steps of its own."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from support.proxy import KEY

from ipin_proxy.call import CHAT, Bill, Call, Caller, Deployment
from ipin_proxy.dialects.translation import Translation, encode_stream
from ipin_proxy.errors import ProxyError, UpstreamError, UpstreamRefused
from ipin_proxy.records import Model, Provider

Json = dict[str, Any]
DEPLOYMENT = Deployment(Model(id="m", provider_id="acme"), Provider(id="acme", base_url="http://a.test"), "m", KEY, 1.0)


class Words:
    """A decoding step: each byte is a chunk, but "!" is an error, "." the last word, and "~" nothing."""

    def __init__(self) -> None:
        self.is_complete = False

    def decode(self) -> Generator[list[Json], bytes | None, None]:
        chunks: list[Json] = []
        failure: ProxyError | None = None
        while (data := (yield chunks)) is not None and failure is None:
            chunks = []
            for char in data.decode().replace("~", ""):
                if char == "!":
                    failure = UpstreamRefused("Broken.", status=529, code="x")
                    break
                self.is_complete = self.is_complete or char == "."
                chunks.append({"c": char})
            if failure is not None and not chunks:
                raise failure
        if failure is not None:
            raise failure
        if not self.is_complete:
            raise UpstreamError("Cut.", code="upstream_stream_interrupted")
        yield []


def pipe() -> tuple[Translation, Bill]:
    nobody: Any = None
    call = Call("r", Caller("ann"), CHAT, "m", True, nobody, 0.0, "openai")
    bill, words = Bill(call, deployment=DEPLOYMENT), Words()

    def tell(error: ProxyError) -> bytes:
        return f"ERROR {error.code}".encode()

    return Translation(
        words.decode(), encode_stream(), bill, lambda: words.is_complete, tell, b": still here\n\n"
    ), bill


def frames(text: str) -> bytes:
    return b"".join(b'data: {"c": "%b"}\n\n' % char.encode() for char in text)


END = b"data: [DONE]\n\n"


def test_chunks_become_frames_and_the_last_word_an_end() -> None:
    made, bill = pipe()
    assert made.feed(b"~") == b"" and bill.first_chunk_ms is None
    assert made.feed(b"ab") == frames("ab") and bill.first_chunk_ms is not None
    assert made.feed(b"c.") == frames("c.") + END
    assert made.feed(b"more!") == made.finish() == b""
    assert made.fail(OSError()) == b""
    assert made.idle() == b": still here\n\n"


def test_an_error_alone_at_the_beginning_is_raised() -> None:
    made, bill = pipe()
    with pytest.raises(UpstreamRefused) as raised:
        made.feed(b"~!")
    assert made.fail(raised.value) == b"ERROR x"
    assert bill.first_chunk_ms is None


@pytest.mark.parametrize("pieces", [[b"ab!c."], [b"a", b"b!", b"c."], [b"a", b"b", b"!", b"c."]])
def test_an_error_behind_words_is_the_last_word_however_it_comes(pieces: list[bytes]) -> None:
    made, bill = pipe()
    assert b"".join(map(made.feed, pieces)) == frames("ab") + b"ERROR x"
    assert isinstance(bill.error, UpstreamRefused)
    assert made.finish() == b""


def test_a_stream_that_was_cut_does_not_end_well() -> None:
    made, _ = pipe()
    made.feed(b"a")
    with pytest.raises(UpstreamError, match="Cut"):
        made.finish()
    other, bill = pipe()
    other.feed(b"a")
    assert other.fail(TimeoutError()) == b"ERROR upstream_timeout"
    assert other.feed(b"b.") == b""
    assert bill.error is not None
