"""What is left when it is over: nothing; and one who behaves badly does not hold up the rest.

Callers who send too much or leave at the wrong moment, providers that answer too early, too much or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish, hello
from support.client import Reply, Wire, multipart, request
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer, pause, say, split, stall, stream

CHAT = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"
MB = 1_000_000

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, or counts on Linux's queues")


@pytest.fixture
def own(start_proxy: Callable[..., Proxy]) -> Proxy:
    """A proxy nobody else has used."""
    return start_proxy(models=[build.model(), build.model("speech-public", type="speech")])


def ask(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(**more), KEY)


def descriptors(proxy: Proxy) -> int:
    """Of connections and uploads. The files in its own folder it opens when there is something to write."""
    folder, found = f"/proc/{proxy._process.pid}/fd", 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            found += not os.readlink(f"{folder}/{name}").startswith(str(proxy.folder))
    return found


def wait_descriptors(proxy: Proxy, most: int) -> None:
    """Leave, and wait until it has noticed."""
    proxy.client.close()
    deadline = time.monotonic() + 10
    while (found := descriptors(proxy)) > most:
        assert time.monotonic() < deadline, f"{found} descriptors, and not {most}"
        proxy.get("/health").read()
        proxy.client.close()


# Frames without an end.


def test_a_stream_whose_first_frame_has_no_end_is_the_providers_fault(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(b"data: ", *[b"x" * MB] * 70, done=False)
    reply = ask(proxy, stream=True)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


def test_a_frame_without_an_end_ends_the_stream(proxy: Proxy, upstream: Upstream) -> None:
    before = len(proxy.output)
    upstream.will_stream(chunk("Hel"), *[b"x" * MB] * 70, done=False)
    reply = ask(proxy, stream=True)
    assert "error" in list(reply.events())[-1].json
    id_ = reply.header("x-request-id")
    proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)
    assert "internal_error" not in proxy.output[before:]


# Descriptors and threads.


@on_linux
def test_whoever_leaves_whenever_leaves_no_descriptor_behind(own: Proxy, upstream: Upstream) -> None:
    def beginnings() -> Iterator[Wire]:
        whole = request("POST", CHAT, hello(pad="x" * 200_000), KEY)
        yield own.raw(b"")
        yield own.raw(b"POST /v1/chat/comp")
        yield own.raw(whole[:1000])
        yield own.raw(whole[:150_000])
        upstream.will_say(stall)
        yield own.raw(request("POST", CHAT, hello(), KEY))
        upstream.wait_paused()
        upstream.will_answer(200, b'{"choices": [', stall, b"]}", headers={"content-type": "application/json"})
        yield own.raw(whole)
        upstream.wait_paused(2)
        upstream.will_stream(chunk("Hel"), stall)
        streaming = own.raw(request("POST", CHAT, hello(stream=True), KEY))
        assert next(streaming.reply().texts()) == "Hel"
        yield streaming
        upstream.will_stream(*[chunk("x" * 50_000)] * 200)
        unread = own.raw(request("POST", CHAT, hello(stream=True), KEY))
        unread.until(b"\r\n\r\n")
        yield unread
        yield own.raw(request("GET", "/v1/models", None, KEY))

    own.get("/health").read()
    own.client.close()
    before = descriptors(own)
    for number in range(3):
        wires = list(beginnings())
        for wire in wires:
            wire.reset() if number % 2 else wire.close()
        upstream.wait_ended()
        upstream.clear()
    wait_descriptors(own, before + 2)  # one to the provider, and that of the last question


@on_linux
def test_a_thousand_connections_come_and_go(own: Proxy) -> None:
    own.get("/health").read()
    before = descriptors(own)
    wires = [own.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n" if n % 2 else b"") for n in range(400)]
    assert own.get("/health").status == 200
    assert descriptors(own) >= before + 390
    for wire in wires[::2]:
        wire.send(request("GET", "/health"))
    for wire in wires[1::2]:
        wire.send(b"\r\n")
    assert [wire.reply().status for wire in wires] == [200] * 400
    wait_descriptors(own, before + 2)


# Callers.


@pytest.mark.parametrize("streams", [False, True])
def test_who_sends_ahead_and_leaves_is_noticed(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    upstream.will(stream(chunk("Hel"), stall) if streams else say(stall))
    wire = proxy.raw(request("POST", CHAT, hello(stream=streams), KEY))
    upstream.wait_paused()
    wire.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 6000)
    wire.close()
    upstream.wait_closed()


def test_a_body_in_single_byte_chunks_is_a_body(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    body = json.dumps(hello(pad="x" * 50_000)).encode()
    head = request("POST", CHAT, None, KEY, {"content-type": "application/json"}).removesuffix(b"\r\n")
    wire = proxy.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % each for each in body))
    assert wire.send(b"0\r\n\r\n").reply().status == 200
    assert upstream.history[0].json["pad"] == "x" * 50_000


# Providers.


def test_a_frame_of_many_blank_lines_holds_nobody_up(proxy: Proxy, upstream: Upstream) -> None:
    """Looked at line by line it takes no time; looked at again from every line it would take minutes."""
    odd = b'x "error"\n' + b" \n" * 100_000 + b"\n"
    upstream.will_stream(chunk("a"), odd, chunk("b"), finish())
    reply = ask(proxy, stream=True)
    assert proxy.get("/health").status == 200
    assert b'"b"' in reply.body


FORM_TYPE, FORM = multipart([("model", "hole-words"), ("file", ("a.wav", b"RIFF", "audio/wav"))])


@on_linux
@pytest.mark.parametrize(
    "asked",
    [
        request("POST", CHAT, hello(model="hole-model"), KEY),
        request("POST", "/v1/audio/transcriptions", FORM, KEY, [("content-type", FORM_TYPE)]),
    ],
    ids=["chats", "uploads, which threads look at"],
)
def test_a_provider_nobody_can_connect_to_holds_up_nobody_else(own: Proxy, upstream: Upstream, asked: bytes) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        own.add_provider(f"http://127.0.0.1:{hole.getsockname()[1]}/v1", "hole", timeoutSeconds=600)
        own.add_model("hole-model", "hole")
        own.add_model("hole-words", "hole", type="transcription")
        own.get("/health").read()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # from the second on they wait for ever, as does whoever comes after them
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        waiting = [own.raw(asked) for _ in range(300)]
        assert own.get("/health").status == 200
        upstream.will_answer(200, completion())
        assert ask(own).status == 200, "to another provider a new connection can be made"
        answered = [wire for wire in waiting if wire.ended(timeout_s=0.001) or wire.buffer]
        for filler in fillers:
            filler.close()
    assert answered == [], "none of them had its answer yet"


@on_linux
def test_connections_that_are_only_kept_make_room_for_those_that_are_needed(own: Proxy, upstream: Upstream) -> None:
    """A rush to one provider is followed by one to another, where the limit on open files leaves room for one of them."""
    import resource

    own.add_provider(upstream.base_url.replace("127.0.0.1", "localhost"), "other")
    own.add_model("other-model", "other")
    wires = [own.open() for _ in range(60)]
    for model in ("gpt-public", "other-model"):
        upstream.clear()
        upstream.will(*[stream(pause, chunk("a"), finish()) for _ in wires])
        for wire in wires:
            wire.send(request("POST", CHAT, hello(model=model, stream=True), KEY))
        upstream.wait_paused(len(wires))
        upstream.resume(len(wires))
        assert ["".join(wire.final().texts()) for wire in wires] == ["a"] * len(wires)
        most = max(map(int, os.listdir(f"/proc/{own._process.pid}/fd"))) + 40  # names are looked up with some of them
        _, hard = resource.prlimit(own._process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(own._process.pid, resource.RLIMIT_NOFILE, (most, hard))  # the hard one nobody may raise again


def test_a_refusal_that_comes_before_the_body_was_taken_is_heard(own: Proxy) -> None:
    """Providers refuse a body that is too long by its head, and do not read it."""
    told = json.dumps(build.error("Too long.", "invalid_request_error", "too_long")).encode()
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            sock, _ = listener.accept()
            held.append(sock)
            sock.recv(100)
            sock.sendall(
                b"HTTP/1.1 413 Too Long\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(told)
                + told
            )

        thread = threading.Thread(target=refuse)
        thread.start()
        own.add_provider(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "early", timeoutSeconds=1)
        own.add_model("early-model", "early")
        reply = ask(own, model="early-model", pad="x" * 20 * MB)
        thread.join()
        held[0].close()
    assert (reply.status, reply.error["code"]) == (413, "too_long")


def test_a_kept_connection_that_closes_before_it_has_the_request_is_no_failure(own: Proxy) -> None:
    """Nobody can have acted on half a request, so it is sent again, once, to the same provider."""
    told = json.dumps(completion("two")).encode()
    answered = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(told) + told
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            kept, _ = listener.accept()
            with kept:
                whole_request(kept)
                kept.sendall(answered)
                kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                kept.recv(100)
            fresh, _ = listener.accept()
            with fresh:
                whole_request(fresh)
                fresh.sendall(answered)

        thread = threading.Thread(target=serve)
        thread.start()
        own.add_provider(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "closing")
        own.add_model("closing-model", "closing")
        replies = [ask(own, model="closing-model"), ask(own, model="closing-model", pad="x" * 20 * MB)]
        assert [reply.status for reply in replies] == [200, 200]
        thread.join()


def whole_request(sock: socket.socket) -> None:
    """Read a request with its body, and forget it."""
    with sock.makefile("rb") as stream:
        length = 0
        while (line := stream.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        while length:
            length -= len(stream.read(min(length, MB)))


def test_an_answer_in_single_bytes_is_an_answer(proxy: Proxy, upstream: Upstream) -> None:
    told = completion("x" * 30_000)
    upstream.will_stream(json.dumps(told).encode(), split(1), headers={"content-type": "application/json"}, done=False)
    assert ask(proxy).json == told
    upstream.will_stream(chunk("x" * 30_000), split(1), finish())
    assert "".join(ask(proxy, stream=True).texts()) == "x" * 30_000


def test_slow_readers_do_not_hold_up_the_others(proxy: Proxy, upstream: Upstream) -> None:
    long, short = stream(*[chunk("x" * 100_000)] * 80, finish()), answer(200, completion())
    upstream.default(lambda seen: long if seen.json.get("stream") else short)
    slow = [ask(proxy, stream=True) for _ in range(6)]
    for _ in range(5):
        assert ask(proxy).json["choices"]
    assert "".join(slow[0].texts()) == "x" * 8 * MB
    for reply in slow[1:]:
        reply.wire.reset()
    assert ask(proxy).json["choices"]


def test_a_pause_in_the_middle_of_a_character_costs_nothing(proxy: Proxy, upstream: Upstream) -> None:
    whole = b'data: {"choices":[{"index":0,"delta":{"content":"\xf0\x9f\x99\x82"}}]}\n\n'
    cut = whole.index(b"\xf0") + 2
    upstream.will_stream(whole[:cut], pause, whole[cut:], finish())
    upstream.resume()
    assert list(ask(proxy, stream=True).texts()) == ["🙂"]
