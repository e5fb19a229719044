"""The Responses API over providers that only chat, situation by situation: requests there, answers and streams back.

`notes.json` is what a request leaves out; what is refused, there or back, stands in `client_reply.json`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.cases import Case, cases_in, splits
from support.responses_checker import check

from ipin_proxy.dialects.openai_client import error_object
from ipin_proxy.dialects.responses_reply import Asked, encode_response
from ipin_proxy.dialects.responses_request import Decoded, decode_request
from ipin_proxy.dialects.responses_stream import encode_stream
from ipin_proxy.errors import ProxyError, UpstreamError
from ipin_proxy.web.sse import FrameSplitter, parse_event

Json = dict[str, Any]

DIRECTION = "responses"
CREATED = 1_790_000_000


def each(having: str) -> Any:
    return pytest.mark.parametrize("case", cases_in(DIRECTION, having=having), ids=lambda case: case.name)


def decoded(case: Case) -> Decoded:
    options = case.options
    items = options.get("items", {})
    body = case.json("client_request.json")
    return decode_request(body, earlier=options.get("earlier"), look_up=lambda _: items, **options.get("options", {}))


def asked(case: Case) -> Asked:
    body = case.json("client_request.json")
    found = decoded(case)
    return Asked("resp_5f3e", CREATED, body["model"], body, found.tools, compacts=found.compacts)


def error_json(error: ProxyError) -> Json:
    return {"status": error.status, "error": error_object(error)}


@each("client_request.json")
def test_a_request_becomes_this_chat(case: Case) -> None:
    try:
        found = decoded(case)
    except ProxyError as error:
        case.expect("client_reply.json", error_json(error))
        return
    case.expect("upstream_request.json", found.chat)
    if found.notes or case.has("notes.json"):
        case.expect("notes.json", list(found.notes))


@each("upstream_reply.json")
def test_a_reply_becomes_this_response(case: Case) -> None:
    try:
        found = encode_response(case.json("upstream_reply.json"), asked(case))
    except ProxyError as error:
        found = error_json(error)
    case.expect("client_reply.json", found)


@each("upstream_reply.sse")
def test_a_stream_becomes_this_stream_however_its_bytes_come(case: Case) -> None:
    data = case.bytes("upstream_reply.sse")
    frames = frames_in([data])
    out = played(case, hub_chunks(frames))
    check(out)
    case.expect("client_reply.sse", out)
    for pieces in splits(
        data
    ):  # the step hears chunks, and nothing of bytes: of the same frames it makes the same stream
        assert frames_in(pieces) == frames


@each("upstream_reply.sse")
def test_a_stream_that_is_cut_anywhere_ends_as_failed(case: Case) -> None:
    chunks = hub_chunks(frames_in([case.bytes("upstream_reply.sse")]))
    for at in range(len(chunks) - 1):
        response = check(played(case, [*chunks[:at], *hub_chunks([])]))
        assert response["status"] == "failed" and response["error"]["code"] == "upstream_stream_interrupted"


def played(case: Case, chunks: list[Json | ProxyError | None]) -> bytes:
    """The stream that a caller gets."""
    step = encode_stream(asked(case))
    out = next(step)
    for chunk in chunks:
        out += step.throw(chunk) if isinstance(chunk, ProxyError) else step.send(None if chunk is None else [chunk])
    return out


def frames_in(pieces: list[bytes]) -> list[bytes]:
    """The frames that bytes are, in whatever pieces they come."""
    splitter = FrameSplitter()
    frames = [frame for piece in pieces for frame in splitter.feed(piece)]
    return [*frames, splitter.rest] if splitter.rest.strip() else frames


def hub_chunks(frames: list[bytes]) -> list[Json | ProxyError | None]:
    """What the step is told of them: each chunk, then None for the proper end, or what ended it early."""
    found: list[Json | ProxyError | None] = []
    is_complete = False
    for raw in frames:
        data = parse_event(raw).data
        if data is None or data.strip() == b"[DONE]":
            is_complete = is_complete or data is not None
            continue
        chunk = json.loads(data)
        if chunk.get("error"):
            return [*found, UpstreamError(chunk["error"]["message"])]
        found.append(chunk)
        is_complete = is_complete or any(choice.get("finish_reason") for choice in chunk.get("choices") or ())
    if is_complete:
        return [*found, None]
    code = "upstream_stream_interrupted"
    return [*found, UpstreamError("Provider 'acme' broke off its answer before the end.", code=code)]
