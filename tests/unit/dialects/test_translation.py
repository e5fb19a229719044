"""The pipe of a stream that changes its dialect, with steps of its own."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest
from support.proxy import KEY

from ipin_proxy.call import CHAT, Bill, Call, Caller, Deployment
from ipin_proxy.dialects.translation import Decoding, Translation, chars_said, encode_stream
from ipin_proxy.errors import ProxyError, UpstreamError, UpstreamRefused
from ipin_proxy.records import Model, Provider

Json = dict[str, Any]
DEPLOYMENT = Deployment(Model(id="m", provider_id="acme"), Provider(id="acme", base_url="http://a.test"), "m", KEY, 1.0)


def chunk(char: str) -> Json:
    return {"choices": [{"index": 0, "delta": {"content": char}}]}


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
                chunks.append(chunk(char))
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

    decoding = Decoding(words.decode(), lambda: words.is_complete)
    return Translation(decoding, encode_stream(CHAT), bill, b": still here\n\n"), bill


def told(message: str, type: str, code: str) -> bytes:
    error = {"message": message, "type": type, "param": None, "code": code}
    return b"data: " + json.dumps({"error": error}).encode() + b"\n\n"


BROKEN = told("Broken.", "upstream_error", "x")
SILENT = told("Provider 'acme' went silent in the middle of its answer.", "upstream_error", "upstream_timeout")


def frames(text: str) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(chunk(char)).encode() for char in text)


END = b"data: [DONE]\n\n"


def test_chunks_become_frames_and_the_last_word_an_end() -> None:
    made, bill = pipe()
    assert made.feed(b"~") == b"" and bill.first_chunk_ms is None
    assert made.feed(b"ab") == frames("ab") and bill.first_chunk_ms is not None
    assert made.idle() == b": still here\n\n"
    assert made.feed(b"c.") == frames("c.") + END
    assert made.feed(b"more!") == made.finish() == b""
    assert made.fail(OSError()) == b""
    assert made.idle() is None


def test_an_error_alone_at_the_beginning_is_raised() -> None:
    made, bill = pipe()
    with pytest.raises(UpstreamRefused) as raised:
        made.feed(b"~!")
    assert made.fail(raised.value) == BROKEN
    assert bill.first_chunk_ms is None


@pytest.mark.parametrize("pieces", [[b"ab!c."], [b"a", b"b!", b"c."], [b"a", b"b", b"!", b"c."]])
def test_an_error_behind_words_is_the_last_word_however_it_comes(pieces: list[bytes]) -> None:
    made, bill = pipe()
    assert b"".join(map(made.feed, pieces)) == frames("ab") + BROKEN
    assert isinstance(bill.error, UpstreamRefused)
    assert made.finish() == b""


def test_a_stream_that_was_cut_does_not_end_well() -> None:
    made, _ = pipe()
    made.feed(b"a")
    with pytest.raises(UpstreamError, match="Cut"):
        made.finish()
    other, bill = pipe()
    other.feed(b"a")
    assert other.fail(TimeoutError()) == SILENT
    assert other.feed(b"b.") == b""
    assert bill.error is not None


def test_what_ends_before_it_began_is_no_answer() -> None:
    made, _ = pipe()
    with pytest.raises(UpstreamError, match="Cut"):
        made.finish()


def test_the_bill_counts_what_came_and_is_closed_with_the_last_word() -> None:
    made, bill = pipe()
    bill.has_answered = True
    out = made.feed(b"ab")
    assert (bill.frames, bill.heard_bytes, bill.bytes_out) == (3, 2, len(out))
    assert not bill.settled
    made.feed(b".")
    assert bill.settled and bill.is_complete


@pytest.mark.parametrize(
    ("delta", "chars"),
    [
        ({"content": "abc", "reasoning_content": "de"}, 5),
        ({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}]}, 3),
        ({"tool_calls": [{"function": {"arguments": {"a": 1}}}, None, {"function": None}]}, 1),
        ({"content": [{"type": "text", "text": "a"}]}, 1),
        ({"role": "assistant", "content": ""}, 0),
        (None, 0),
    ],
)
def test_of_a_chunk_only_what_the_model_says_counts(delta: Any, chars: int) -> None:
    assert chars_said({"choices": [{"delta": delta}]}) == chars


def test_what_is_no_chunk_says_nothing() -> None:
    assert [chars_said(each) for each in ({}, {"choices": None}, {"choices": [None, {"delta": 5}]})] == [0, 0, 0]
