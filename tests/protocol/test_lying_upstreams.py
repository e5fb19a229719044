"""Upstreams that hang, break off, lie and ramble: the caller gets an honest answer, and only its own.

Before the first byte of an answer a failure is a status (502, 504) with an error object; after it, an error event in the
stream, or for a body that cannot hold one a broken connection. Never a clean end, never another caller's bytes, never a
second request for one call, and nothing of the provider's host or key.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish, hello, spoken, usage
from support.client import Cut, Reply, request
from support.proxy import KEY, Proxy
from support.responses_checker import check
from support.script import frame
from support.upstream import (
    Drip,
    Script,
    Step,
    Upstream,
    answer,
    close_delimited,
    goodbye,
    hang_up,
    lie_about_length,
    pause,
    raw,
    reset,
    split,
    stall,
    stream,
)

CHAT = "/v1/chat/completions"
OK = b"HTTP/1.1 200 OK\r\n"
JSON_HEAD = OK + b"Content-Type: application/json\r\n"
STREAM_HEAD = OK + b"Content-Type: text/event-stream\r\n"
BROKEN = ("upstream_unreachable", "upstream_invalid_response")
POISON = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"poison":1}'


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy whose provider is given half a second to answer, and "quick" less by its own record."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed_port = listener.getsockname()[1]
    url = shared_upstream.base_url
    providers = [
        build.provider(url),
        build.provider(url, "quick", timeoutSeconds=0.3),
        build.provider(f"http://127.0.0.1:{closed_port}/v1", "dead"),
    ]
    models = [build.model(), build.model("quick-model", "quick"), build.model("dead-model", "dead")]
    folder = tmp_path_factory.mktemp("hasty")
    proxy = Proxy.start(folder, providers=providers, models=models, env={"REQUEST_TIMEOUT_S": "0.5"})
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.output


def ask(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(**more), KEY)


def failed(reply: Reply, status: int, *codes: str) -> dict[str, Any]:
    """The reply is an upstream's failure, told in our words: no host, no key, none of its own text."""
    error = reply.error
    assert (reply.status, error["type"]) == (status, "upstream_error"), error
    assert error["code"] in codes, error
    assert_nothing_given_away(reply)
    return error


def assert_nothing_given_away(reply: Reply) -> None:
    shown = reply.head + reply.body
    for secret in (b"127.0.0.1", b"acme-secret", b"edge-7", b"<html", b"Traceback", KEY.encode()):
        assert secret not in shown, shown


def interrupted(reply: Reply) -> list[str]:
    """The stream ended with an error event, and without `[DONE]`. Returns the texts before it."""
    assert reply.status == 200
    events = list(reply.events())
    error = events[-1].json["error"]
    assert error["code"] in ("upstream_stream_interrupted", "upstream_timeout"), error
    assert error["message"] and error["type"] == "upstream_error"
    assert all(event.data != "[DONE]" for event in events)
    assert_nothing_given_away(reply)
    chunks = [event.json for event in events[:-1]]
    return [choice["delta"]["content"] for each in chunks for choice in each["choices"] if "content" in choice["delta"]]


# Streams in every cut.

FRAMES: list[bytes] = [
    b": OPENROUTER PROCESSING\n\n",
    *(
        b"data: " + json.dumps(each, ensure_ascii=False).encode() + b"\n\n"
        for each in spoken("Grüße ", "👩‍👩‍👧‍👦", "\u2028", " 日本語")
    ),
    b'data:{"choices":[],"x_unknown":{"\xc3\xa9":"\\u0000"}}\r\n\r\n',
    b'event: vendor.progress\ndata: {"choices": [], "percent": 50}\n\n',
    b": keep-alive\n\n",
]
USAGE = b"data: " + json.dumps(usage(3, 2)).encode() + b"\n\n"
DONE = b"data: [DONE]\n\n"
SIZES = [1, 2, 3, 5, 7, 16, 64, 1000, 100_000]


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_arrives_as_it_was_sent_however_it_is_cut(proxy: Proxy, upstream: Upstream, size: int) -> None:
    upstream.will_stream(*FRAMES, USAGE, split(size))
    reply = ask(proxy, stream=True, stream_options={"include_usage": True})
    assert reply.body == b"".join(FRAMES) + USAGE + DONE


@pytest.mark.parametrize("size", SIZES)
def test_only_usage_that_was_not_asked_for_is_taken_out(proxy: Proxy, upstream: Upstream, size: int) -> None:
    upstream.will_stream(*FRAMES, USAGE, split(size))
    assert ask(proxy, stream=True).body == b"".join(FRAMES) + DONE


def test_every_cut_of_an_emoji_with_a_rest_in_between(proxy: Proxy, upstream: Upstream) -> None:
    """The stream rests at each byte of a frame in turn, so that the cut is seen by whoever reads it."""
    frame = b"data: " + json.dumps(chunk("a👩‍👩‍👧‍👦é"), ensure_ascii=False).encode() + b"\n\n"
    middle = frame.index("👩".encode())
    for cut in [*range(1, 9), *range(middle - 1, len(frame))]:
        upstream.will_stream(chunk("first"), frame[:cut], pause, frame[cut:], finish())
        reply = ask(proxy, stream=True)
        upstream.resume()
        assert list(reply.texts()) == ["first", "a👩‍👩‍👧‍👦é"]


def test_the_first_chunk_does_not_wait_for_the_last(proxy: Proxy, upstream: Upstream, key: str) -> None:
    upstream.will_stream(chunk("Hel"), pause, chunk("lo"), usage(3, 2))
    reply = proxy.post(CHAT, hello(stream=True), key)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    assert "".join(reply.texts()) == "lo"
    assert upstream.history[0].json["model"] == "gpt-upstream"


def test_no_chunk_waits_for_the_next(proxy: Proxy, upstream: Upstream) -> None:
    words = [f"word {n}" for n in range(20)]
    steps: list[Step] = []
    for word in words:
        steps += [chunk(word), pause]
    upstream.will_stream(b": warming up\n\n", pause, *steps)
    reply = ask(proxy, stream=True)
    assert next(reply.frames()) == b": warming up\n\n"
    upstream.resume()
    for word in words:
        assert next(reply.texts()) == word
        upstream.resume()
    assert reply.body.endswith(DONE)


def test_a_long_stream_to_a_caller_who_reads_late(proxy: Proxy, upstream: Upstream) -> None:
    frames = [chunk("x" * 10_000 + str(n)) for n in range(400)]
    upstream.will_stream(*frames)
    reply = ask(proxy, stream=True)
    first = next(reply.texts())
    assert [first, *reply.texts()] == [each["choices"][0]["delta"]["content"] for each in frames]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_streams_without_a_length_or_chunks(proxy: Proxy, upstream: Upstream, line_end: bytes) -> None:
    upstream.will_stream(*(each.replace(b"\n", line_end) for each in (*FRAMES[:5], DONE)), close_delimited, done=False)
    assert ask(proxy, stream=True).body == b"".join(FRAMES[:5]).replace(b"\n", line_end) + DONE.replace(b"\n", line_end)


# The end of a stream.


@pytest.mark.parametrize("manner", [split(0), close_delimited])
def test_a_stream_without_done_is_complete_after_its_finish_reason(
    proxy: Proxy, upstream: Upstream, manner: Step
) -> None:
    upstream.will_stream(*spoken("Hel", "lo"), manner, done=False)
    reply = ask(proxy, stream=True)
    assert "".join(reply.texts()) == "Hello"
    assert b'"error"' not in reply.body


@pytest.mark.parametrize("ending", [(hang_up,), (reset,), (raw(b"zz\r\n"), hang_up), (b'data: {"cho', hang_up)])
def test_a_stream_that_breaks_off_says_so(proxy: Proxy, upstream: Upstream, ending: tuple[Step, ...]) -> None:
    upstream.will_stream(chunk("Hel"), pause, *ending)
    reply = ask(proxy, stream=True)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    assert interrupted(reply) == []
    assert len(upstream.history) == 1


def test_a_cut_that_looks_like_an_end_says_so(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hel"), close_delimited, done=False)
    assert interrupted(ask(proxy, stream=True)) == ["Hel"]


def test_an_error_frame_passes_and_is_the_last_word(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hel"), pause, build.error("The model fell over.", code="overloaded"), hang_up)
    reply = ask(proxy, stream=True)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    events = list(reply.events())
    assert events[0].json == build.error("The model fell over.", code="overloaded")
    assert [event for event in events if event.data == "[DONE]"] == []


@pytest.mark.parametrize(
    "told",
    [
        {"object": "error", "message": "Out of memory.", "type": "InternalServerError", "param": None, "code": 500},
        {"detail": "Out of memory."},
        {"detail": [{"loc": ["body"], "msg": "Out of memory.", "type": "x"}]},
        b'data: [{"error": {"code": 500, "message": "Out of memory.", "status": "INTERNAL"}}]\n\n',
    ],
)
def test_an_error_frame_of_another_shape_is_one(proxy: Proxy, upstream: Upstream, told: Step) -> None:
    """vLLM's older servers, FastAPI's and Gemini's end their streams so, properly; to SDKs it is a chunk without choices."""
    upstream.will_stream(chunk("Hel"), pause, told)
    reply = ask(proxy, stream=True)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    assert "Out of memory." in next(iter(reply.events())).json["error"]["message"]
    upstream.will_stream(told)
    early = ask(proxy, stream=True)
    assert early.status == 502 and "Out of memory." in early.error["message"]


def test_an_error_that_concerns_our_key_is_not_told_as_the_callers(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(
        chunk("Hel"), pause, build.error("Bad key.", "authentication_error", "invalid_api_key"), hang_up
    )
    reply = ask(proxy, stream=True)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    error = next(iter(reply.events())).json["error"]
    assert (error["type"], error["code"]) == ("upstream_error", "upstream_invalid_response")


FLAT = {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None}


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ((hang_up,), "upstream_stream_interrupted"),
        ((b": keep-alive\n\n", hang_up), "upstream_stream_interrupted"),
        ((build.named_event("error", FLAT),), "rate_limit_exceeded"),
        ((build.error("Slow down.", "rate_limit_error", "rate_limit_exceeded"),), "rate_limit_exceeded"),
        ((b": keep-alive\n\n", pause, build.named_event("error", FLAT)), "rate_limit_exceeded"),
    ],
)
def test_the_error_that_ends_a_response_is_numbered_as_the_event_that_it_is(
    proxy: Proxy, upstream: Upstream, ending: tuple[Step, ...], code: str
) -> None:
    events = build.response_events("Hel", "lo")[:6]
    upstream.will_stream(*events[:4], pause, *events[4:], *ending, done=False)
    reply = proxy.post("/v1/responses", {"model": build.PUBLIC_MODEL, "input": "Say hello.", "stream": True}, KEY)
    upstream.resume(2)
    told = list(reply.events())
    assert [event.json["sequence_number"] for event in told] == [0, 1, 2, 3, 4, 5, 6]
    assert (told[-1].name, told[-1].json["type"], told[-1].json["code"]) == ("error", "error", code)


def test_an_error_line_outside_any_frame_becomes_an_error_event(proxy: Proxy, upstream: Upstream) -> None:
    """Chutes can emit a bare line of JSON in the middle of a stream; clients ignore such a line without a word."""
    upstream.will_stream(chunk("Hel"), pause, b'{"error": "no instances left"}\n\n', hang_up)
    reply = ask(proxy, stream=True)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    assert any("error" in event.json for event in reply.events())


def test_a_broken_frame_does_not_take_the_others_with_it(proxy: Proxy, upstream: Upstream) -> None:
    deep = b"data: " + b'{"usage":' * 100_000 + b"\n\n"
    broken = [b"data: {broken\n\n", b"data:\n\n", b"data: \xff\xfe\n\n", b'data: {"usage":[[\n\n', b"\n\n\n"]
    upstream.will_stream(chunk("a"), *broken, deep, chunk("b"))
    body = ask(proxy, stream=True).body
    assert b'"a"' in body and b'"b"' in body and body.endswith(DONE)


@pytest.mark.parametrize("ending", [hang_up, reset, split(0), close_delimited])
def test_a_stream_that_ends_before_it_began_is_an_honest_status(proxy: Proxy, upstream: Upstream, ending: Step) -> None:
    upstream.will_stream(ending, done=False)
    failed(ask(proxy, stream=True), 502, *BROKEN, "upstream_stream_interrupted")


def test_a_stream_that_begins_with_an_error_is_an_honest_status(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(b": connected\n\n", build.error("No capacity."))
    reply = ask(proxy, stream=True)
    if reply.status == 200:  # the comment was worth passing on at once; then the event tells it
        assert "No capacity." in [event.json["error"]["message"] for event in reply.events() if event.data != "[DONE]"]
    else:
        assert (reply.status, reply.error["message"]) == (502, "No capacity.")
    upstream.will_stream(build.error("No capacity."))
    assert ask(proxy, stream=True).status == 502


def test_a_whole_answer_to_a_request_for_a_stream(proxy: Proxy, upstream: Upstream) -> None:
    """Clients read a body that is no event stream as an empty one, without an error."""
    upstream.will_answer(200, completion("Hello!"))
    reply = ask(proxy, stream=True)
    assert (reply.header("content-type") or "").startswith("text/event-stream")
    assert "".join(reply.texts()) == "Hello!"
    upstream.will_answer(200, build.error("No capacity."))
    assert ask(proxy, stream=True).status == 502


@pytest.mark.parametrize("media_type", ["", "text/plain;charset=UTF-8", "application/octet-stream"])
def test_a_whole_answer_that_does_not_say_that_it_is_one(proxy: Proxy, upstream: Upstream, media_type: str) -> None:
    """Workers of Cloudflare's answer so unless they are told otherwise."""

    def answered(path: str, told: object, before: str = "") -> Reply:
        upstream.will_answer(200, before + json.dumps(told, indent=2), headers={"content-type": media_type})
        return proxy.post(path, hello(stream=True, max_tokens=9, input="Say hello."), KEY)

    reply = answered(CHAT, completion("Hello!"), "\n\n")
    assert ("".join(reply.texts()), reply.body.count(DONE)) == ("Hello!", 1)
    line = proxy.log_lines(lambda line: line.get("request_id") == reply.header("x-request-id"))[0]
    assert (line["input_tokens"], line["output_tokens"], line["finish_reason"]) == (3, 2, "stop")
    assert b'"text":"Hello!"' in answered("/v1/messages", completion("Hello!")).body
    told = build.response("Hello!") | {"text": {"format": {"type": "text"}}}
    assert check(answered("/v1/responses", told).body) == told
    for path in (CHAT, "/v1/messages", "/v1/responses"):
        reply = answered(path, build.error("No capacity."))
        assert (reply.status, reply.json["error"]["message"]) == (502, "No capacity.")


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
def test_an_error_on_several_lines_where_events_were_announced_is_told(
    proxy: Proxy, upstream: Upstream, path: str
) -> None:
    upstream.will_stream(json.dumps(build.error("No capacity."), indent=2), done=False)
    reply = proxy.post(path, hello(stream=True, max_tokens=9), KEY)
    assert (reply.status, reply.json["error"]["message"]) == (502, "No capacity.")


@pytest.mark.parametrize("media_type", ["", "application/json", "text/html; charset=utf-8", "application/stream+json"])
def test_a_stream_that_is_called_something_else_is_one(proxy: Proxy, upstream: Upstream, media_type: str) -> None:
    """SDKs that asked for a stream do not look at what it is called; servers made by hand call it whatever comes first."""
    for before in (b"", b"\n", b": warming up\n\n", b"event: message\n"):
        first = before + frame(chunk("Hel"))
        for cut in (*range(1, 7), len(first)):
            upstream.will_stream(first[:cut], pause, first[cut:], finish(), headers={"content-type": media_type})
            wire = proxy.raw(request("POST", CHAT, hello(stream=True), KEY))
            upstream.wait_paused()
            upstream.resume()
            assert "".join(wire.reply().texts()) == "Hel"
            upstream.clear()
        upstream.will_stream(before, chunk("Hel"), pause, chunk("lo"), finish(), headers={"content-type": media_type})
        reply = ask(proxy, stream=True)
        assert (reply.status, reply.header("content-type")) == (200, "text/event-stream")
        assert next(reply.texts()) == "Hel"
        upstream.resume()
        assert ("".join(reply.texts()), reply.body.count(DONE)) == ("lo", 1)
    upstream.will_stream(*spoken("Hello"), headers={"content-type": media_type})
    message = proxy.post("/v1/messages", hello(stream=True, max_tokens=9), KEY)
    assert b'"text":"Hello"' in message.body and b"message_stop" in message.body
    upstream.will_stream(chunk("Hel"), stall, headers={"content-type": media_type})
    reply = ask(proxy, stream=True)
    assert next(reply.texts()) == "Hel"
    reply.close()
    upstream.wait_closed()


def test_a_whole_response_to_a_request_for_a_stream_comes_in_deltas(proxy: Proxy, upstream: Upstream) -> None:
    """Who shows an answer while it comes looks at nothing else."""
    call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    refusal = {"type": "refusal", "refusal": "No."}
    told = build.response("Hello!") | {"text": {"format": {"type": "text"}}}
    told["output"][0]["content"].append(refusal)
    told["output"].append({**call, "status": "completed"})
    upstream.will_answer(200, told)
    reply = proxy.post("/v1/responses", {"model": build.PUBLIC_MODEL, "input": "Say hello.", "stream": True}, KEY)
    assert check(reply.body) == told
    events = [json.loads(line[6:]) for line in reply.body.splitlines() if line.startswith(b"data: ")]
    assert [event["delta"] for event in events if "delta" in event] == ["Hello!", "No.", '{"a":1}']


def test_a_binary_body_that_breaks_off_breaks_the_connection(proxy: Proxy, upstream: Upstream) -> None:
    speech = {"model": "speech-public", "input": "Hello", "voice": "alloy"}
    upstream.will_answer(200, b"RIFF" + b"\0" * 5000, lie_about_length(+1), headers={"content-type": "audio/wav"})
    with pytest.raises(Cut):
        proxy.post("/v1/audio/speech", speech, KEY).read()


# Silence.


@pytest.mark.parametrize("model", ["gpt-public", "quick-model"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_never_answers(hasty: Proxy, upstream: Upstream, model: str, stream: bool) -> None:
    upstream.will_say(stall)
    failed(ask(hasty, model=model, stream=stream), 504, "upstream_timeout")
    upstream.wait_closed()
    assert len(upstream.history) == 1


def test_an_upstream_that_stops_in_its_head_or_body(hasty: Proxy, upstream: Upstream) -> None:
    beginnings = (b"HTTP/1.1 200", JSON_HEAD, JSON_HEAD + b"Content-Length: 500\r\n\r\n{")
    for beginning in beginnings:
        upstream.will_say(beginning, stall)
    for wire in [hasty.raw(request("POST", CHAT, hello(model="quick-model"), KEY)) for _ in beginnings]:
        failed(wire.reply(), 504, "upstream_timeout")
    upstream.wait_ended()


def test_an_upstream_that_drips(hasty: Proxy, upstream: Upstream) -> None:
    """A limit for each read would never be reached; the limit is for the whole answer."""
    for beginning in (JSON_HEAD + b"X-Slow: ", JSON_HEAD + b"Content-Length: 5000\r\n\r\n"):
        upstream.will_say(beginning, Drip(b"a" * 5000))
        failed(ask(hasty, model="quick-model"), 504, "upstream_timeout")
        upstream.wait_closed()


def test_a_stream_that_falls_silent(hasty: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hel"), stall)
    assert interrupted(ask(hasty, stream=True, model="quick-model")) == ["Hel"]
    upstream.wait_closed()


def test_nobody_is_listening(hasty: Proxy) -> None:
    failed(ask(hasty, model="dead-model"), 502, "upstream_unreachable")


# Answers that are none.

GARBAGE: dict[str, tuple[Step, ...]] = {
    "nothing": (hang_up,),
    "reset": (reset,),
    "text": (b"garbage\r\n\r\n",),
    "text without an end": (b"garbage",),
    "zeros": (b"\0" * 1000,),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x28",),
    "no status": (b"HTTP/1.1 \r\n\r\n",),
    "status no number": (b"HTTP/1.1 abc OK\r\n\r\n",),
    "status too small": (b"HTTP/1.1 99 Odd\r\n\r\n",),
    "status too large": (b"HTTP/1.1 2000 Odd\r\n\r\n",),
    "other protocol": (b"ICY 200 OK\r\n\r\n",),
    "head cut": (JSON_HEAD + b"Content-Len", hang_up),
    "length no number": (JSON_HEAD + b"Content-Length: many\r\n\r\n{}",),
    "length negative": (JSON_HEAD + b"Content-Length: -1\r\n\r\n{}",),
    "two lengths": (JSON_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",),
    "chunk size": (JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",),
    "chunk cut": (JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n50\r\n{}", hang_up),
    "last chunk missing": (JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", hang_up),
    "enormous header": (JSON_HEAD + b"X-Big: " + b"a" * 1_000_000 + b"\r\n\r\n", hang_up),
    "ten thousand headers": (JSON_HEAD + b"X-Many: 1\r\n" * 10_000 + b"\r\n", hang_up),
    "switched protocols": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", stall),
    "nothing but 1xx": (b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000, hang_up),
}


@pytest.mark.parametrize("steps", GARBAGE.values(), ids=GARBAGE)
def test_an_answer_that_is_not_http(proxy: Proxy, upstream: Upstream, steps: tuple[Step, ...]) -> None:
    upstream.will_say(*steps)
    failed(ask(proxy), 502, *BROKEN)
    assert len(upstream.history) == 1, "one call is one request"
    upstream.will_answer(200, completion())
    assert ask(proxy).status == 200


def test_a_body_shorter_than_announced(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion(), lie_about_length(+10))
    reply = ask(proxy)
    failed(reply, 502, *BROKEN, "upstream_stream_interrupted")
    assert re.search(r"[a-z]\.$", reply.error["message"]), "one full stop ends it"


def test_small_oddities_are_forgiven(proxy: Proxy, upstream: Upstream) -> None:
    body = json.dumps(completion()).encode()
    length = b"content-length: %d" % len(body)
    for head in (
        b"HTTP/1.1 200\r\nContent-Type: application/json\r\n" + length + b"\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Type:application/json\n" + length + b"\n\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        + JSON_HEAD
        + length
        + b"\r\n\r\n",
        JSON_HEAD + length + b"\r\nX-Gr\xc3\xb6\xc3\x9fe: \xff\r\n\r\n",
    ):
        upstream.will_say(head, body)
        reply = ask(proxy)
        assert reply.status == 200, reply.body
        assert reply.json == json.loads(body)
        upstream.wait_ended()  # it closes after what it was told to say, and must not do so in the next request


# What is left over.


def hello_from(reply: Reply) -> str:
    assert reply.status == 200, reply.body
    return str(reply.json["choices"][0]["message"]["content"])


def test_bytes_after_an_answer_never_reach_the_next_caller(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("one"), raw(POISON))
    upstream.will_answer(200, completion("two") | {"pad": "x" * 100}, lie_about_length(0), raw(POISON * 3))
    upstream.will_answer(200, completion("three"), raw(b"\n"))
    upstream.will_answer(200, completion("four"))
    assert [hello_from(ask(proxy)) for _ in range(4)] == ["one", "two", "three", "four"]


def test_bytes_that_come_late_never_reach_the_next_caller(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("one"), pause, raw(POISON))
    upstream.will_answer(200, completion("two"))
    assert hello_from(ask(proxy)) == "one"
    upstream.resume()
    upstream.wait_answered()
    assert hello_from(ask(proxy)) == "two"
    assert upstream.history[0].connection != upstream.history[1].connection


def test_more_than_the_announced_length_never_reaches_the_next_caller(proxy: Proxy, upstream: Upstream) -> None:
    body = json.dumps(completion("one")).encode()
    upstream.will_answer(
        200, body + POISON, lie_about_length(-len(POISON)), headers={"content-type": "application/json"}
    )
    upstream.will_answer(200, completion("two"))
    assert [hello_from(ask(proxy)) for _ in range(2)] == ["one", "two"]


def test_bytes_after_a_stream_never_reach_the_next_caller(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(*spoken("one"), raw(b"0\r\n\r\n" + POISON))
    upstream.will_answer(200, completion("two"))
    assert list(ask(proxy, stream=True).texts()) == ["one"]
    assert hello_from(ask(proxy)) == "two"


@pytest.mark.parametrize(
    ("streams", "nonsense"),
    [(False, answer(200, {})), (True, answer(200, "?")), (True, stream(done=False)), (True, answer(204))],
    ids=["a body", "a text for a stream", "an empty stream", "no body"],
)
def test_nobody_is_asked_over_the_connection_of_an_answer_that_made_no_sense(
    proxy: Proxy, upstream: Upstream, streams: bool, nonsense: Script
) -> None:
    """It may have been left over from the answer before, and what was meant for this caller is yet to come."""
    upstream.will(nonsense, answer(200, completion("two")))
    assert ask(proxy, stream=streams).status == 502
    assert hello_from(ask(proxy)) == "two"
    assert upstream.history[0].connection != upstream.history[1].connection


def test_a_connection_closed_while_it_was_idle_costs_nothing(proxy: Proxy, upstream: Upstream) -> None:
    for ending in (hang_up, reset, goodbye):
        upstream.clear()
        upstream.will_answer(200, completion("one"), ending)
        upstream.will_answer(200, completion("two"))
        assert hello_from(ask(proxy)) == "one"
        upstream.wait_ended()
        assert hello_from(ask(proxy)) == "two"
        assert len(upstream.history) == 2


@pytest.mark.parametrize("ending", [hang_up, reset])
def test_a_call_that_was_delivered_is_not_sent_again(proxy: Proxy, upstream: Upstream, ending: Step) -> None:
    """The upstream had the whole request, on a connection that had served before, and may have acted on it."""
    upstream.will_answer(200, completion("one"))
    upstream.will_say(ending)
    upstream.will_answer(200, completion("twice"))
    assert hello_from(ask(proxy)) == "one"
    failed(ask(proxy), 502, *BROKEN)
    assert len(upstream.history) == 2


def test_connections_are_used_again(proxy: Proxy, upstream: Upstream) -> None:
    for _ in range(3):
        upstream.will_answer(200, completion())
        upstream.will_stream(*spoken("a"))
        assert ask(proxy).read() and ask(proxy, stream=True).read()
    assert len({seen.connection for seen in upstream.history}) == 1


# Callers who leave.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_leaving_before_the_first_byte_closes_the_upstream(
    proxy: Proxy, upstream: Upstream, stream: bool, leave: str
) -> None:
    upstream.will_say(stall)
    wire = proxy.raw(request("POST", CHAT, hello(stream=stream), KEY))
    upstream.wait_paused()
    getattr(wire, leave)()
    upstream.wait_closed()


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_leaving_in_mid_stream_closes_the_upstream(proxy: Proxy, upstream: Upstream, leave: str) -> None:
    upstream.will_stream(chunk("Hel"), stall)
    reply = ask(proxy, stream=True)
    assert next(reply.texts()) == "Hel"
    getattr(reply.wire, leave)()
    upstream.wait_closed()


def test_leaving_in_the_middle_of_a_whole_answer_closes_the_upstream(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, b'{"choices": [', pause, b"]}", headers={"content-type": "application/json"})
    wire = proxy.raw(request("POST", CHAT, hello(), KEY))
    upstream.wait_paused()
    wire.close()
    upstream.wait_closed()


def test_many_who_leave_do_no_harm(proxy: Proxy, upstream: Upstream) -> None:
    for _ in range(30):
        upstream.will_stream(chunk("Hel"), stall)
    replies = [ask(proxy, stream=True) for _ in range(30)]
    assert len(upstream.history) == 30
    for reply in replies:
        reply.close()
    upstream.wait_ended()
    upstream.will_answer(200, completion())
    assert ask(proxy).status == 200


NO_ANSWERS = {
    "a flat error": {"object": "error", "message": "No capacity.", "code": 503},
    "a detail": {"detail": "No capacity.", "status": 1},
    "nothing": {},
    "no choices": {"choices": [], "usage": {"prompt_tokens": 1}},
    "null choices": {"choices": None},
    "a choice that failed": {"choices": [{"index": 0, "finish_reason": "error", "error": {"message": "No capacity."}}]},
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("told", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_a_200_that_is_no_answer(proxy: Proxy, upstream: Upstream, told: dict[str, Any], streams: bool) -> None:
    upstream.will_answer(200, told)
    reply = proxy.post(CHAT, hello(stream=streams), KEY)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
