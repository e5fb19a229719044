"""Anthropic's Messages over the hub: errors in their words, counts, and the pipe that drives a stream."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from support.messages_checker import read_messages_stream
from support.pictures import png

from ipin_proxy.call import CHAT, Bill, Call, Caller, Deployment
from ipin_proxy.dialects import openai
from ipin_proxy.dialects.messages import Client
from ipin_proxy.dialects.messages_count import estimate
from ipin_proxy.dialects.messages_errors import overflow, overflow_message
from ipin_proxy.dialects.messages_reply import Asked
from ipin_proxy.dialects.messages_request import decode_request
from ipin_proxy.dialects.messages_stream import encode_stream
from ipin_proxy.dialects.messages_tools import Names
from ipin_proxy.dialects.openai_chunks import decoding
from ipin_proxy.dialects.translation import Translation
from ipin_proxy.errors import (
    BadRequest,
    BudgetExceeded,
    Conflict,
    Forbidden,
    ModelNotFound,
    NotConfigured,
    PayloadTooLarge,
    ProxyError,
    RateLimited,
    Unauthorized,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    draining,
)
from ipin_proxy.records import Model, Provider

Json = dict[str, Any]
PROVIDER = Provider.from_json({"id": "acme", "baseUrl": "https://acme.test/v1"})
DEPLOYMENT = Deployment(Model(id="m", provider_id="acme"), PROVIDER, "m", "acme-secret-key-0123456789", 1.0)
PNG = base64.b64encode(png(280, 56)).decode()
CLIENT = Client()


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("x"), "invalid_request_error"),
        (Unauthorized("x"), "authentication_error"),
        (UpstreamRefused("x", status=402), "billing_error"),
        (Forbidden("x"), "permission_error"),
        (ModelNotFound("x"), "not_found_error"),
        (Conflict("x"), "conflict_error"),
        (PayloadTooLarge("x"), "request_too_large"),
        (UpstreamRefused("x", status=422), "invalid_request_error"),
        (RateLimited("x"), "rate_limit_error"),
        (BudgetExceeded("x"), "rate_limit_error"),
        (ProxyError("x"), "api_error"),
        (UpstreamError("x"), "api_error"),
        (NotConfigured("x"), "api_error"),
        (UpstreamTimeout("x"), "timeout_error"),
        (UpstreamRefused("x", status=529), "overloaded_error"),
    ],
)
def test_an_error_has_the_type_of_its_status(error: ProxyError, kind: str):
    told = CLIENT.encode_error(error, "req_1")
    assert told == {"type": "error", "error": {"type": kind, "message": "x"}, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RateLimited("x"), "overloaded_error"),
        (draining(), "overloaded_error"),
        (UpstreamRefused("x", status=529), "overloaded_error"),
        (UpstreamTimeout("x"), "api_error"),
        (UpstreamError("This model's maximum context length is 9 tokens"), "invalid_request_error"),
    ],
)
def test_an_error_in_a_stream_says_whether_it_will_pass(error: ProxyError, kind: str):
    message = read_messages_stream(CLIENT.encode_stream_error(error, call_of()))
    assert message.error is not None and message.error["type"] == kind


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("prompt is too long: 200251 tokens > 200000 maximum", "prompt is too long: 200251 tokens > 200000 maximum"),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
        ),
        (
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130421 tokens (130000 in the messages, 421 in the functions). Please reduce the length.",
            "prompt is too long: 130421 tokens > 128000 maximum",
        ),
        (
            "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens (39000 in the messages, 1000 in the completion).",
            "prompt is too long: 39000 tokens > 32768 maximum",
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 64000. This model's maximum context length is 32768 tokens and your request has 1000 input tokens (64000 > 32768 - 1000).",
            "input length and `max_tokens` exceed context limit: 1000 + 64000 > 32768, decrease input length or `max_tokens` and try again",
        ),
        (
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens (135000 of text input, 3000 of tool input, 2000 in the output). Please reduce the length of either one.",
            "prompt is too long: 135000 tokens > 131072 maximum",
        ),
        (
            "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of 50000 tokens: 49000 tokens from the input messages and 1000 tokens for the completion.",
            "prompt is too long: 49000 tokens > 32768 maximum",
        ),
        (
            "request (9,021 tokens) exceeds the available context size (8,192 tokens), try increasing it",
            "prompt is too long: 9021 tokens > 8192 maximum",
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "prompt is too long: 1200000 tokens > 1048576 maximum",
        ),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "prompt is too long: 40000 tokens > 32768 maximum",
        ),
        (
            "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
            "prompt is too long: 200000 tokens > 131072 maximum",
        ),
        (
            "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
            "prompt is too long: 9000 tokens > 8192 maximum",
        ),
        (
            "the request exceeds the available context size, try increasing it",
            "prompt is too long: the request exceeds the available context size, try increasing it",
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_told_in_the_words_clients_know(said: str, told: str):
    error = overflow(UpstreamRefused(said, status=400))
    assert error is not None and (error.status, error.message) == (400, told)


@pytest.mark.parametrize(
    "said", ["max_tokens must be at least 1", "Invalid image in messages", "Too many requests", ""]
)
def test_other_refusals_keep_their_words(said: str):
    assert overflow_message(said) is None


def test_only_a_provider_can_say_that_a_prompt_is_too_long():
    assert overflow(BadRequest("'tools[0].name' is 'prompt is too long'.")) is None
    assert overflow(UpstreamRefused("prompt is too long", status=429)) is None
    told = overflow(UpstreamRefused("no", status=400, code="context_length_exceeded"))
    assert told is not None and told.message == "prompt is too long: no"


def test_a_message_of_any_length_is_searched_at_once():
    assert overflow_message("maximum context length is 1 tokens " * 20_000) is not None
    assert overflow_message("(9 tokens " * 20_000) is None


def test_a_thread_is_refused_in_the_way_the_runners_of_tools_understand():
    with pytest.raises(BadRequest) as caught:
        decode_request({"thread": {"type": "create"}, "messages": []})
    error = CLIENT.encode_error(caught.value, "req_1")["error"]
    assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


@pytest.mark.parametrize("depth", [200, 20_000])
def test_a_body_of_any_depth_is_read_or_refused(depth: int):
    deep: Any = {}
    for _ in range(depth):
        deep = {"a": deep}
    call = {"type": "tool_use", "id": "a", "name": "x", "input": deep}
    body = {"max_tokens": 1, "messages": [{"role": "assistant", "content": [call]}]}
    if depth == 200:
        assert decode_request(body)
    else:
        with pytest.raises(BadRequest):
            decode_request(body)
    assert estimate(body)


@pytest.mark.parametrize("ids", [1, 20_000])
def test_any_number_of_calls_is_read_in_one_go(ids: int):
    calls = [{"type": "tool_use", "id": f"a{at % ids}", "name": "x", "input": {}} for at in range(20_000)]
    results = [{"type": "tool_result", "tool_use_id": f"a{at % ids}", "content": str(at)} for at in range(30_000)]
    messages = [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    chat = decode_request({"max_tokens": 1, "messages": messages}).body["messages"]
    assert [message["content"] for message in chat[1:20_001]] == [str(at) for at in range(20_000)]


# ---- counts ----------------------------------------------------------------------------------------------------------


def test_four_bytes_of_text_are_a_token():
    text = {"messages": [{"role": "user", "content": "a" * 4000}]}
    more = {"messages": [{"role": "user", "content": [{"type": "text", "text": "ü" * 4000}]}]}
    assert 1000 <= estimate(text) <= 1020
    assert 2000 <= estimate(more) <= 2020


def test_tools_count_as_the_json_they_are_and_the_system_counts():
    alone = estimate({"messages": []})
    tools = [{"name": "x", "input_schema": {"type": "object", "description": "y" * 400}}]
    assert estimate({"messages": [], "tools": tools}) >= alone + 100
    assert estimate({"messages": [], "system": [{"type": "text", "text": "y" * 400}]}) == alone + 100


def test_an_image_counts_by_its_size_wherever_it_stands():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [image]}
    alone = estimate({"messages": [{"role": "user", "content": []}]})
    assert estimate({"messages": [{"role": "user", "content": [image]}]}) == alone + 10 * 2
    assert estimate({"messages": [{"role": "user", "content": [result]}]}) == alone + 10 * 2
    broken = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "###"}}
    assert estimate({"messages": [{"role": "user", "content": [broken]}]}) == alone + 1568


# ---- the pipe --------------------------------------------------------------------------------------------------------


def call_of() -> Call:
    return Call("req_1", Caller("test"), CHAT, "m", True, None, 0.0, "messages")  # type: ignore[arg-type]


def pipe_of() -> tuple[Translation, Bill]:
    bill = Bill(call_of(), deployment=DEPLOYMENT)
    step = encode_stream(Asked("m", Names(), request_id="req_1"))
    return Translation(decoding(bill, DEPLOYMENT, openai.raise_if_error), step, bill, CLIENT.keep_alive), bill


def said(*chunks: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def chunk(text: str = "", finish: str | None = None) -> Json:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def test_the_bill_hears_what_the_stream_tells():
    pipe, bill = pipe_of()
    usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    out = pipe.feed(said(chunk("Hi"), chunk(finish="stop"), usage)) + pipe.finish()
    assert read_messages_stream(out).text == "Hi"
    assert bill.usage is not None and (bill.usage.input_tokens, bill.usage.output_tokens) == (9, 1)
    assert bill.finish_reason == "stop" and bill.first_chunk_ms is not None and bill.error is None


def test_before_the_first_word_an_error_is_raised_and_may_still_be_told():
    pipe, _ = pipe_of()
    with pytest.raises(UpstreamError, match="Busy") as caught:
        pipe.feed(said({"error": {"message": "Busy", "code": 503}}))
    assert caught.value.status == 503
    message = read_messages_stream(pipe.fail(caught.value) or b"")
    assert message.error == {"type": "overloaded_error", "message": "Busy"}


def test_a_stream_without_a_word_is_no_answer():
    pipe, _ = pipe_of()
    assert pipe.feed(b"data: [DONE]\n\n") == b""
    with pytest.raises(UpstreamError):
        pipe.finish()


def test_silence_is_bridged_with_a_ping():
    pipe, _ = pipe_of()
    assert pipe.idle() == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_behind_an_error_nothing_is_said():
    pipe, bill = pipe_of()
    out = pipe.feed(said(chunk("Hi"), {"error": {"message": "Gone"}}, chunk("more")))
    out += pipe.feed(said(chunk("more", "stop"))) + pipe.finish() + (pipe.fail(OSError()) or b"")
    message = read_messages_stream(out)
    assert message.text == "Hi" and message.error is not None
    assert bill.error is not None and out.count(b"event: error") == 1


def test_a_broken_connection_is_an_error_until_the_last_word_was_said():
    pipe, _ = pipe_of()
    out = pipe.feed(said(chunk("Hi"))) + (pipe.fail(ConnectionResetError()) or b"")
    assert read_messages_stream(out).error is not None
    pipe, _ = pipe_of()
    out = pipe.feed(said(chunk("Hi", "stop"))) + (pipe.fail(ConnectionResetError()) or b"")
    assert read_messages_stream(out).is_whole


def test_an_event_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ipin_proxy.web.sse.MAX_FRAME", 1000)
    pipe, _ = pipe_of()
    with pytest.raises(UpstreamError):
        pipe.feed(b"data: " + b"x" * 2000)


def test_calls_and_arguments_have_an_end():
    step = encode_stream(Asked("m", Names(), request_id="req_1"))
    next(step)
    calls = [{"index": at, "id": f"c{at}", "function": {"name": "x", "arguments": "{}"}} for at in range(600)]
    out = step.send([{"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}]) + step.send(None)
    assert read_messages_stream(out).error is not None


# ---- the house -------------------------------------------------------------------------------------------------------


def test_nobody_loads_it_who_does_not_speak_it():
    code = (
        "import sys, ipin_proxy.start; print([name for name in sys.modules if 'messages' in name or 'tastes' in name])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
