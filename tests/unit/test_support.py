"""The tests' own tools: what the scripted upstream does is really on the wire, and what the client reports is true."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection

import pytest
from support import build
from support.build import chunk, completion, hello, usage
from support.cases import cuts, splits
from support.client import Client, Cut, request
from support.messages_checker import read_messages_stream
from support.upstream import (
    CERTIFICATE,
    Upstream,
    answer,
    bytewise,
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


@pytest.fixture
def server() -> Iterator[Upstream]:
    with closing(Upstream()) as upstream:
        yield upstream


@pytest.fixture
def client(server: Upstream) -> Iterator[Client]:
    with closing(Client(server.port, timeout_s=5)) as client:
        yield client


def test_an_answer_and_its_history(server: Upstream, client: Client) -> None:
    server.will_answer(201, completion("Hi"), headers=[("x-a", "1"), ("x-a", "2")])
    reply = client.post("/v1/chat/completions?x=1", hello(), "secret")
    assert (reply.status, reply.reason) == (201, "Created")
    assert reply.header_all("X-A") == ["1", "2"]
    assert reply.json["choices"][0]["message"]["content"] == "Hi"
    seen = server.history[0]
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions?x=1")
    assert seen.json == hello()
    assert seen.header("authorization") == "Bearer secret"


def test_the_standard_library_agrees(server: Upstream) -> None:
    server.will_answer(200, {"a": 1})
    server.will_stream(chunk("a"), split(3), bytewise)
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request("POST", "/x", iter([b"ab", b"c"]), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        assert connection.getresponse().read() == b'{"a": 1}'
        connection.request("GET", "/y")
        assert connection.getresponse().read().endswith(b"data: [DONE]\n\n")
    assert server.history[0].body == b"abc"
    assert server.history[0].connection == server.history[1].connection


def test_tls() -> None:
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    with closing(Upstream(tls=True)) as upstream:
        upstream.will_stream(chunk("a"), pause, chunk("b"))
        with closing(HTTPSConnection("127.0.0.1", upstream.port, timeout=5, context=context)) as connection:
            connection.request("GET", "/")
            upstream.wait_paused()
            upstream.resume()
            assert b'"b"' in connection.getresponse().read()


def test_a_stream_is_read_as_it_arrives(server: Upstream, client: Client) -> None:
    server.will_stream(chunk("Hel"), pause, chunk("lo"), usage(3, 2))
    reply = client.post("/", hello(stream=True))
    assert next(reply.texts()) == "Hel"
    server.resume()
    assert "".join(reply.texts()) == "lo"
    assert reply.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("manner", [bytewise, split(1), split(7), close_delimited])
def test_every_manner_delivers_the_same(server: Upstream, client: Client, manner: object) -> None:
    server.will_stream(chunk(build.EMOJI), ": a comment\r\n\r\n", manner)  # type: ignore[arg-type]
    reply = client.get("/")
    assert list(reply.texts()) == [build.EMOJI]
    assert [frame[:1] for frame in client_frames(reply.body)] == [b"d", b":", b"d"]


def client_frames(body: bytes) -> list[bytes]:
    return [frame for frame in body.replace(b"\r\n", b"\n").split(b"\n\n") if frame]


@pytest.mark.parametrize("ending", [hang_up, reset])
def test_a_broken_stream_is_told_from_a_complete_one(server: Upstream, client: Client, ending: object) -> None:
    server.will_stream(chunk("a"), pause, ending)  # type: ignore[arg-type]
    reply = client.get("/")
    assert next(reply.texts()) == "a"
    server.resume()
    with pytest.raises(Cut):
        reply.read()


def test_lies_about_the_length(server: Upstream, client: Client) -> None:
    server.will_answer(200, b"abc", lie_about_length(+2))
    with pytest.raises(Cut) as cut:
        client.get("/").read()
    assert cut.value.seen == b"abc"
    server.will_answer(200, b"abcdef", lie_about_length(-2))
    reply = client.get("/")
    assert reply.read() == b"abcd"
    assert reply.wire.buffer == b"ef"


def test_bytes_outside_the_framing(server: Upstream, client: Client) -> None:
    server.will_answer(200, b"abc", raw(b"left over"), goodbye, before=b"HTTP/1.1 103 Early Hints\r\n\r\n")
    wire = client.raw(request("GET", "/"))
    assert wire.reply().status == 103
    assert wire.reply().body == b"abc"
    assert wire.read_all() == b"left over"
    server.will_say(b"garbage")
    assert client.raw(request("GET", "/")).read_all() == b"garbage"


@pytest.mark.parametrize("step", [stall, pause])
def test_a_caller_who_leaves_is_noticed(server: Upstream, client: Client, step: object) -> None:
    server.will_stream(chunk("a"), step)  # type: ignore[arg-type]
    wire = client.raw(request("GET", "/"))
    server.wait_paused()
    wire.close()
    assert server.wait_closed().what == "closed by peer"


def test_clear_ends_what_is_under_way_and_keeps_idle_connections(server: Upstream, client: Client) -> None:
    server.will_answer(200, b"ok")
    idle = client.raw(request("GET", "/"))
    assert idle.reply().read() == b"ok"
    server.wait_answered()
    server.will_stream(chunk("a"), stall)
    busy = client.get("/")
    server.wait_paused()
    server.clear()
    with pytest.raises(Cut):
        busy.read()
    assert server.history == []
    server.will_answer(200, b"again")
    assert idle.send(request("GET", "/")).reply().read() == b"again"


def test_an_unscripted_request_says_so(server: Upstream, client: Client) -> None:
    assert client.get("/").status == 500
    server.default(lambda seen: answer(200, {"path": seen.path}))
    assert client.get("/here").json == {"path": "/here"}
    server.default(lambda seen: stream(chunk("x")))
    assert list(client.get("/").texts()) == ["x"]


def test_what_a_proxy_must_not_send_is_written_down(server: Upstream, client: Client) -> None:
    client.get("/", headers=[("host", "twice"), ("keep-alive", "1"), ("accept-encoding", "gzip")])
    client.raw(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n").read_all()
    assert len(server.complaints) == 4


def test_forms(server: Upstream, client: Client) -> None:
    server.will_answer(200)
    client.form("/", [("model", "m"), ("image", ("a.png", build.PNG, "image/png"))]).read()
    seen = server.history[0]
    assert seen.field("model").text == "m"
    assert seen.field("image").data == build.PNG
    assert (seen.field("image").filename, seen.field("image").media_type) == ("a.png", "image/png")


def test_pipelined_replies_are_told_apart(server: Upstream, client: Client) -> None:
    server.will_answer(200, b"one")
    server.will_answer(204)
    server.will_answer(200, b"three")
    wire = client.raw(request("GET", "/") * 3)
    assert [wire.reply().body for _ in range(3)] == [b"one", b"", b"three"]


def test_waiting_in_vain_fails(server: Upstream) -> None:
    with pytest.raises(AssertionError, match="2 requests"):
        server.wait_requests(2, timeout_s=0.01)


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    upstream = Upstream()
    upstream.will_stream(chunk("a"), stall)
    with closing(Client(upstream.port)) as client:
        client.get("/")
        upstream.close()
    assert threading.active_count() == before


# ---- the checker of Anthropic's streams ------------------------------------------------------------------------------

EVENTS = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":0,'
    b'"cache_creation_input_tokens":0,"cache_read_input_tokens":0}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Hi"}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
]
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def test_the_checker_takes_a_stream_by_the_rules():
    message = read_messages_stream(PING.join(EVENTS))
    assert message.is_whole and message.text == "Hi" and message.stop_reason == "end_turn"


@pytest.mark.parametrize("at", [0, 1, 3, 4, 5])
def test_the_checker_misses_an_event_that_is_left_out(at: int):
    with pytest.raises(AssertionError):
        read_messages_stream(b"".join(EVENTS[:at] + EVENTS[at + 1 :]))


@pytest.mark.parametrize("at", [0, 1, 3, 4, 5])
def test_the_checker_hears_an_event_twice(at: int):
    with pytest.raises(AssertionError):
        read_messages_stream(b"".join(EVENTS[: at + 1] + EVENTS[at:]))


@pytest.mark.parametrize("at", range(5))
def test_the_checker_knows_the_order(at: int):
    swapped = [*EVENTS[:at], EVENTS[at + 1], EVENTS[at], *EVENTS[at + 2 :]]
    with pytest.raises(AssertionError):
        read_messages_stream(b"".join(swapped))


@pytest.mark.parametrize(
    ("told", "instead"),
    [
        (b'"index":0', b'"index":1'),
        (b"text_delta", b"input_json_delta"),
        (b"end_turn", b"stop"),
        (b"end_turn", b"tool_use"),
        (b'"output_tokens":1', b'"output_tokens":null'),
        (b"event: message_stop\n", b""),
        (b'"Hi"', b"NaN"),
        (b'"Hi"', b'""'),
    ],
)
def test_the_checker_looks_into_events(told: bytes, instead: bytes):
    with pytest.raises(AssertionError):
        read_messages_stream(b"".join(EVENTS).replace(told, instead))


# Streams in pieces.


def test_a_short_stream_is_cut_everywhere():
    assert cuts(b"x" * 300) == list(range(1, 300))


def test_a_long_stream_is_cut_where_it_can_matter():
    data = b"x" * 300 + "é".encode() + b"x" * 300 + b"\r\n\r\n" + b"x" * 300
    assert cuts(data) == [*range(1, 5), *range(296, 306), *range(598, 610), *range(902, 906)]


def test_nothing_is_lost_in_pieces():
    assert all(b"".join(pieces) == b"ab\n\nc" for pieces in splits(b"ab\n\nc"))
