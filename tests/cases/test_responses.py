"""The Responses API over providers that only chat, situation by situation: requests there, answers and streams back."""

from __future__ import annotations

from typing import Any

import pytest
from support.cases import Case, cases, error_told, frames_in, hub_chunks, splits
from support.responses_checker import check

from ipin_proxy.dialects.responses_reply import Asked, encode_response
from ipin_proxy.dialects.responses_request import Decoded, decode_request
from ipin_proxy.dialects.responses_stream import encode_stream
from ipin_proxy.errors import ProxyError

Json = dict[str, Any]

FOLDERS = cases("responses")


def decoded(case: Case) -> Decoded:
    options = case.options.get("options", {})
    recall = case.options.get("items", {}).get
    return decode_request(
        case.json("client_request.json"), earlier=case.options.get("earlier"), recall=recall, **options
    )


def asked(case: Case) -> Asked:
    body = case.json("client_request.json") or {}
    tools = decoded(case).tools if body else {}
    return Asked("resp_5f3e", 1_790_000_000, body.get("model", "big"), body, tools)


def played(case: Case, chunks: list[Json | ProxyError | None]) -> bytes:
    """The stream that a caller gets."""
    step = encode_stream(asked(case))
    out = next(step)
    for chunk in chunks:
        out += step.throw(chunk) if isinstance(chunk, ProxyError) else step.send(chunk)
    return out


def named(which: list[Case]) -> Any:
    return pytest.mark.parametrize("case", which, ids=lambda case: case.folder.name)


@named([case for case in FOLDERS if case.json("client_request.json") is not None])
def test_a_request_becomes_this_chat(case: Case) -> None:
    try:
        found = decoded(case)
    except ProxyError as error:
        case.expect_options(error=error_told(error))
        return
    case.expect_options(error=None, notes=list(found.notes))
    case.expect_json("upstream_request.json", found.chat)


@named([case for case in FOLDERS if case.json("upstream_reply.json") is not None])
def test_a_reply_becomes_this_response(case: Case) -> None:
    try:
        found = encode_response(case.json("upstream_reply.json"), asked(case))
    except ProxyError as error:
        case.expect_options(reply_error=error_told(error))
        return
    case.expect_options(reply_error=None)
    case.expect_json("client_reply.json", found)


@named([case for case in FOLDERS if case.bytes("upstream_reply.sse") is not None])
def test_a_stream_becomes_this_stream_however_its_bytes_come(case: Case) -> None:
    data = case.bytes("upstream_reply.sse")
    assert data is not None
    frames = frames_in([data])
    out = played(case, hub_chunks(frames))
    check(out)
    case.expect_bytes("client_reply.sse", out)
    for pieces in splits(
        data
    ):  # a step hears frames that are whole, and nothing of bytes: the same ones are the same stream
        assert frames_in(pieces) == frames


@named([case for case in FOLDERS if case.bytes("upstream_reply.sse") is not None])
def test_a_stream_that_is_cut_anywhere_ends_as_failed(case: Case) -> None:
    data = case.bytes("upstream_reply.sse")
    assert data is not None
    chunks = hub_chunks(frames_in([data]))
    cut = hub_chunks([])
    for at in range(len(chunks) - 1):
        response = check(played(case, [*chunks[:at], *cut]))
        assert response["status"] == "failed" and response["error"]["code"] == "upstream_stream_interrupted"
