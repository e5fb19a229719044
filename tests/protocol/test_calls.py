"""Calls: what a provider is sent, what the caller gets back, and what is written down of it.

Each operation over real sockets. A body goes out byte for byte unless something in it has to change, and then only that
changes; an answer comes back as it was, unless the caller asked for another form of it. Usage is on the log's line of the
call, whatever shape the provider told it in, and never what no provider could mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, delta, embeddings, finish, hello, packed, spoken, usage
from support.client import Reply, multipart, request
from support.proxy import KEY, Proxy
from support.script import frame
from support.upstream import Script, Seen, Upstream, answer, hang_up, pause, split, stall, stream

Json = dict[str, Any]
CHAT = "/v1/chat/completions"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
WAV = b"RIFF\x24\x00\x00\x00WAVE" + bytes(range(256)) * 40
JSON_TYPE = {"content-type": "application/json"}

# The operations whose body is JSON: path behind /v1 → (type of model, the body behind "model", an answer).
OPERATIONS: dict[str, tuple[str, Json, Json]] = {
    "/chat/completions": ("chat", {"messages": [{"role": "user", "content": "hi"}]}, completion("Grüße")),
    "/completions": ("chat", {"prompt": ["Once", "upon"]}, build.text_completion("a time")),
    "/responses": ("chat", {"input": "hi", "tools": [{"type": "web_search"}]}, build.response("Hello")),
    "/embeddings": ("embedding", {"input": ["a", "b"]}, embeddings([0.1, -2.5e-8], [1, 2])),
    "/rerank": ("reranking", {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}, build.reranked(0.9)),
    "/moderations": ("moderation", {"input": [{"type": "text", "text": "hm"}]}, build.moderation()),
    "/images/generations": ("image", {"prompt": "a cat", "size": "1024x768"}, build.images(build.PNG)),
}
# A model of each type that has another name upstream; `{type}-same` keeps its own.
RENAMED = {kind: f"{kind}-renamed" for kind in ("chat", "embedding", "reranking", "moderation", "image", "speech")}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """For every type a model that keeps its name upstream and one that changes it; and providers with ways of their own."""
    url = shared_upstream.base_url
    providers = [
        build.provider(url),
        build.provider(url, "quiet", includeUsage=False),
        build.provider(url, "older"),
        build.provider(url, "stricter"),
    ]
    models = [
        *(build.model(f"{kind}-same", type=kind, upstreamModel=None) for kind in RENAMED),
        *(build.model(name, type=kind) for kind, name in RENAMED.items()),
        *(build.model(f"{each['id']}-model", each["id"]) for each in providers),
        build.model("omni-moderation-latest", type="moderation", upstreamModel="omni-moderation-2024"),
    ]
    proxy = Proxy.start(tmp_path_factory.mktemp("calls"), providers=providers, models=models)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy that says something a few times a second to those whose provider is silent."""
    models = [build.model(), build.model("speech-same", type="speech")]
    providers = [build.provider(shared_upstream.base_url)]
    folder = tmp_path_factory.mktemp("talking")
    proxy = Proxy.start(folder, providers=providers, models=models, env={"KEEPALIVE_S": "0.1"})
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.output


def ask(proxy: Proxy, model: str = "chat-same", **more: Any) -> Reply:
    return proxy.post(CHAT, hello(model=model, **more), KEY)


def speak(proxy: Proxy, model: str = "speech-same", **more: Any) -> Reply:
    return proxy.post("/v1/audio/speech", {"model": model, "input": "hi", "voice": "alloy", **more}, KEY)


def line_of(proxy: Proxy, reply: Reply) -> Json:
    """The log's line of the call that was answered with `reply`; there is exactly one."""
    reply.read()
    id_ = reply.header("x-request-id")
    lines = proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)
    assert len(lines) == 1
    return lines[0]


def frames_of(*events: Json) -> bytes:
    return b"".join(frame(each) for each in events)


def with_usage(told: bytes) -> bytes:
    """A whole completion with exactly these bytes as its usage."""
    return json.dumps(completion() | {"usage": 0}).encode().replace(b'"usage": 0', b'"usage": ' + told)


# Every operation.


@pytest.mark.parametrize("path", OPERATIONS)
def test_what_need_not_change_passes_byte_for_byte(proxy: Proxy, upstream: Upstream, path: str) -> None:
    kind, more, told = OPERATIONS[path]
    body = b' {"x_new" : [1.0, "\\u00e9"],\r\n' + json.dumps({"model": f"{kind}-same", **more}, indent=1).encode()[1:]
    answered = b"\n" + json.dumps(told | {"x_new": 1e-7}, indent=3, ensure_ascii=False).encode() + b"\n"
    upstream.will_answer(200, answered, headers={"content-type": "application/json; charset=utf-8"})
    reply = proxy.post(f"/v1{path}", body, KEY)
    assert (reply.status, reply.body) == (200, answered)
    assert (reply.header("content-type") or "").startswith("application/json")
    seen = upstream.history[0]
    assert (seen.method, seen.path, seen.body) == ("POST", f"/v1{path}", body)
    assert seen.header("content-type") == "application/json"


@pytest.mark.parametrize("path", OPERATIONS)
def test_of_a_renamed_model_only_the_name_changes(proxy: Proxy, upstream: Upstream, path: str) -> None:
    kind, more, told = OPERATIONS[path]
    before, name, after = b'{"user":"\\u00fc", "model" : ', json.dumps(RENAMED[kind]).encode(), b" , "
    rest = json.dumps(more).encode()[1:]
    upstream.will_answer(200, told)
    reply = proxy.post(f"/v1{path}", before + name + after + rest, KEY)
    assert (reply.status, reply.json) == (200, told)
    assert upstream.history[0].body == before + b'"gpt-upstream"' + after + rest
    assert (reply.header("x-ipin-provider"), reply.header("x-ipin-model")) == ("acme", RENAMED[kind])
    line = line_of(proxy, reply)
    assert (line["model"], line["upstream_model"], line["status"]) == (RENAMED[kind], "gpt-upstream", 200)


def test_speech_is_bytes(proxy: Proxy, upstream: Upstream) -> None:
    for media_type in ("audio/wav", "audio/mpeg", "application/octet-stream"):
        upstream.will_answer(200, WAV, split(777), headers={"content-type": media_type})
        reply = speak(proxy, "speech-renamed")
        assert (reply.status, reply.header("content-type"), reply.body) == (200, media_type, WAV)
    assert upstream.history[0].json == {"model": "gpt-upstream", "input": "hi", "voice": "alloy"}


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("media_type", ["audio/mpeg", "application/octet-stream", "text/plain"])
def test_an_error_that_is_called_speech_is_an_error(
    proxy: Proxy, upstream: Upstream, media_type: str, size: int
) -> None:
    headers = {"content-type": media_type}
    for said in (b'{"error":{"message":"No such voice."}}', b' \n{"detail": "No such voice."}'):
        upstream.will_answer(200, said, split(size), headers=headers)
        reply = speak(proxy)
        assert (reply.status, reply.error["message"]) == (502, "No such voice.")
    for sound in (b"", b"{", b"  ", b"{\x7f\x00\x01" * 10, b"{" * 200_000, b'{"audio": "aGk="}'):
        upstream.will_answer(200, sound, split(size and 1000), headers=headers)
        reply = speak(proxy)
        assert (reply.status, reply.body) == (200, sound)


def test_speech_does_not_wait_for_its_end(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(WAV[:100], pause, WAV[100:], headers={"content-type": "audio/pcm"}, done=False)
    reply = speak(proxy)
    assert next(reply.pieces()) == WAV[:100]
    upstream.resume()
    assert reply.body == WAV


@pytest.mark.parametrize(("kind", "more"), [("speech", {"stream_format": "sse"}), ("image", {"stream": True})])
def test_who_makes_no_events_of_it_sends_bytes(proxy: Proxy, upstream: Upstream, kind: str, more: Json) -> None:
    """Else all behind the last empty line in them was lost, and an error stood in its place."""
    made = b"fLaC\n\n" + bytes(range(256)) * 20
    for media_type in ("audio/mpeg", "application/octet-stream"):
        upstream.will_answer(200, made, split(777), headers={"content-type": media_type})
        path = "/v1/audio/speech" if kind == "speech" else "/v1/images/generations"
        body = {"model": f"{kind}-same", "input": "hi", "prompt": "hi", "voice": "alloy", **more}
        reply = proxy.post(path, body, KEY)
        assert (reply.status, reply.header("content-type"), reply.body) == (200, media_type, made)


@pytest.mark.parametrize("size", [0, 1, 50])
def test_speech_as_events(proxy: Proxy, upstream: Upstream, size: int) -> None:
    told = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    events = frames_of(
        {"type": "speech.audio.delta", "audio": packed([0.5] * 30)}, {"type": "speech.audio.done", "usage": told}
    )
    upstream.will_stream(events, split(size), done=False)
    reply = speak(proxy, stream_format="sse")
    assert (reply.header("content-type"), reply.body) == ("text/event-stream", events)
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["output_tokens"], line["stream"]) == (14, 101, True)
    assert "stream_options" not in upstream.history[0].json


def test_images_as_events(proxy: Proxy, upstream: Upstream) -> None:
    events = [
        build.named_event("image_generation.partial_image", {"b64_json": "aGk=", "partial_image_index": 0}),
        build.named_event("image_generation.completed", {"b64_json": "aGkh", "usage": {"input_tokens": 5}}),
    ]
    upstream.will_stream(*events, done=False)
    body = {"model": "image-same", "prompt": "a cat", "stream": True, "partial_images": 1}
    reply = proxy.post("/v1/images/generations", body, KEY)
    assert reply.body == b"".join(events)
    assert line_of(proxy, reply)["input_tokens"] == 5


@pytest.mark.parametrize("is_edit", [False, True], ids=["drawn", "edited"])
def test_pictures_that_come_whole_where_a_stream_was_asked_for_are_events(
    proxy: Proxy, upstream: Upstream, is_edit: bool
) -> None:
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    pictures = [{"b64_json": "aGkh", "revised_prompt": "a black cat"}, {"b64_json": "aGk="}]
    upstream.will_answer(200, {"created": 7, "size": "1024x1024", "data": pictures, "usage": usage})
    if is_edit:
        fields: list[tuple[str, object]] = [("model", "image-same"), ("prompt", "a cat"), ("n", 2), ("stream", "true")]
        reply = proxy.form("/v1/images/edits", [*fields, ("image", ("a.png", build.PNG, "image/png"))], KEY)
    else:
        body = {"model": "image-same", "prompt": "a cat", "n": 2, "stream": True}
        reply = proxy.post("/v1/images/generations", body, KEY)
    assert (reply.status, reply.header("content-type")) == (200, "text/event-stream")
    kind = "image_edit.completed" if is_edit else "image_generation.completed"
    common = {"type": kind, "size": "1024x1024", "created_at": 7}
    assert [(event.name, event.json) for event in reply.events()] == [
        (kind, {**common, **pictures[0]}),
        (kind, {**common, **pictures[1], "usage": usage}),
    ]
    upstream.will_answer(200, {"created": 7, "data": []})
    body = {"model": "image-same", "prompt": "a cat", "stream": True}
    reply = proxy.post("/v1/images/generations", body, KEY)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


@pytest.mark.parametrize("size", [10, 3_000_000], ids=["in memory", "on disk"])
def test_an_upload_passes_byte_for_byte(proxy: Proxy, upstream: Upstream, size: int) -> None:
    """Above one megabyte it waits in a file. Part headers, odd names and the bytes themselves come out as they went in."""
    picture = bytes(range(256)) * (size // 256 + 1) + b"\r\n--almost-the-boundary\r\n"
    boundary = "----a'b(c)+_,-./:=?d"

    def form(model: str) -> bytes:
        return (
            f'--{boundary}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na "cat" ü\r\n'
            f"--{boundary}\r\ncontent-disposition: form-data; name=model\r\nX-Odd: 1\r\n\r\n{model}\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="image[]"; filename="c ü;\\".png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode() + (picture + f"\r\n--{boundary}--\r\nepilogue".encode())

    media_type = f'multipart/form-data; boundary="{boundary}"'
    for model, sent in (("image-same", "image-same"), ("image-renamed", "gpt-upstream")):
        upstream.will_answer(200, build.images(build.PNG))
        reply = proxy.post("/v1/images/edits", form(model), KEY, {"content-type": media_type})
        assert (reply.status, reply.json) == (200, build.images(build.PNG))
        seen = upstream.history[-1]
        assert (seen.path, seen.header("content-type")) == ("/v1/images/edits", media_type)
        assert seen.body == form(sent)


def test_an_upload_in_chunks_is_sent_on_with_its_length(proxy: Proxy, upstream: Upstream) -> None:
    fields: list[tuple[str, object]] = [("model", "image-same"), ("prompt", "x")]
    media_type, body = multipart([*fields, ("image", ("a.png", b"\0" * 1_500_000, "image/png"))])
    head = request("POST", "/v1/images/edits", None, KEY, {"content-type": media_type})
    head = head.removesuffix(b"\r\n") + b"Transfer-Encoding: chunked\r\n\r\n"
    pieces = [body[at : at + 70_000] for at in range(0, len(body), 70_000)]
    upstream.will_answer(200, build.images(build.PNG))
    wire = proxy.raw(head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n")
    assert wire.reply().status == 200
    assert upstream.history[0].body == body
    assert upstream.history[0].header("content-length") == str(len(body))


PICTURE: tuple[str, object] = ("image", ("a.png", b"1", "image/png"))


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ([("prompt", "x"), PICTURE], "missing_model", "model"),
        ([("model", "image-same"), PICTURE], "missing_prompt", "prompt"),
        ([("model", "image-same"), ("prompt", "x")], "missing_file", "image"),
        ([("model", "chat-same"), ("prompt", "x"), PICTURE], "invalid_model_type", "model"),
        ([("model", "image-same"), ("model", "image-renamed"), ("prompt", "x"), PICTURE], "invalid_value", "model"),
        ([("model", "image-same"), ("model", ("m", b"image-renamed", "text/plain"))], "invalid_value", "model"),
    ],
)
def test_an_upload_that_lacks_something(
    proxy: Proxy, upstream: Upstream, fields: list[tuple[str, object]], code: str, param: str
) -> None:
    reply = proxy.form("/v1/images/edits", fields, KEY)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, param)
    assert upstream.started == 0


@pytest.mark.parametrize(
    "name", ["Model", "model[0]", "model[]", "model ", "\tmodel", "mode\\l", "mod%65l", "\ufeffmodel", "MODEL[a][b]"]
)
def test_an_upload_whose_model_another_server_may_read_elsewhere(proxy: Proxy, upstream: Upstream, name: str) -> None:
    others: list[tuple[str, object]] = [("prompt", "x"), PICTURE]
    for fields in (
        [("model", "image-same"), (name, "image-renamed")],
        [(name, "image-renamed"), ("model", "image-same")],
        [(name, "image-same")],
        [("model", "image-same"), (name, ("m", b"image-renamed", "text/plain"))],
    ):
        reply = proxy.form("/v1/images/edits", fields + others, KEY)
        assert (reply.status, reply.error["param"]) == (400, "model"), fields
    assert upstream.started == 0


def test_an_upload_that_is_no_form(proxy: Proxy, upstream: Upstream) -> None:
    for media_type, body in (
        ("multipart/form-data; boundary=b", b"no form at all"),
        ("multipart/form-data; boundary=b", b"no form at all" * 100_000),
        ("multipart/form-data", b"--b--"),
    ):
        reply = proxy.post("/v1/images/edits", body, KEY, {"content-type": media_type})
        assert (reply.status, reply.error["code"]) == (400, "invalid_multipart_data")
    assert proxy.post("/v1/images/edits", {"model": "image-same", "prompt": "x"}, KEY).status in (400, 415)
    assert upstream.started == 0


MISSING: dict[str, tuple[str, Json, str, str]] = {
    "chat": ("/chat/completions", {"model": "chat-same"}, "missing_input", "messages"),
    "completion": ("/completions", {"model": "chat-same"}, "missing_prompt", "prompt"),
    "response": ("/responses", {"model": "chat-same"}, "missing_input", "input"),
    "embedding": ("/embeddings", {"model": "embedding-same"}, "missing_input", "input"),
    "empty input": ("/embeddings", {"model": "embedding-same", "input": ""}, "missing_input", "input"),
    "rerank": ("/rerank", {"model": "reranking-same", "documents": ["a"]}, "missing_query", "query"),
    "no documents": ("/rerank", {"model": "reranking-same", "query": "q"}, "missing_documents", "documents"),
    "empty documents": (
        "/rerank",
        {"model": "reranking-same", "query": "q", "documents": []},
        "missing_documents",
        "documents",
    ),
    "moderation": ("/moderations", {"model": "moderation-same"}, "missing_input", "input"),
    "image": ("/images/generations", {"model": "image-same"}, "missing_prompt", "prompt"),
    "speech": ("/audio/speech", {"model": "speech-same", "voice": "alloy"}, "missing_input", "input"),
}


def test_a_completion_may_begin_with_nothing(proxy: Proxy, upstream: Upstream) -> None:
    """Editors ask so at the top of a file, for what comes before a suffix."""
    upstream.will_answer(200, build.text_completion("import os"))
    body = {"model": "chat-same", "prompt": "", "suffix": "os.getcwd()"}
    assert proxy.post("/v1/completions", body, KEY).status == 200
    assert upstream.history[0].json["prompt"] == ""


def test_who_names_no_model_for_a_moderation_means_the_apis_own(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, build.moderation())
    assert proxy.post("/v1/moderations", {"input": "hm"}, KEY).status == 200
    [seen] = upstream.wait_requests()
    assert seen.json == {"input": "hm", "model": "omni-moderation-2024"}


@pytest.mark.parametrize(("path", "body", "code", "param"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_named(
    proxy: Proxy, upstream: Upstream, path: str, body: Json, code: str, param: str
) -> None:
    reply = proxy.post(f"/v1{path}", body, KEY)
    error = reply.error
    assert (reply.status, error["type"], error["code"], error["param"]) == (400, "invalid_request_error", code, param)
    assert upstream.started == 0


def test_a_model_of_another_type_is_refused_with_what_would_do(proxy: Proxy, upstream: Upstream) -> None:
    for path, (kind, more, _) in OPERATIONS.items():
        for other in RENAMED.keys() - {kind}:
            reply = proxy.post(f"/v1{path}", {"model": f"{other}-same", **more}, KEY)
            error = reply.error
            assert (reply.status, error["code"], error["param"]) == (400, "invalid_model_type", "model")
            assert other in error["message"] and kind in error["message"]
    assert upstream.started == 0


def test_a_stream_member_that_is_no_switch_is_refused(proxy: Proxy, upstream: Upstream) -> None:
    odd: list[Any] = ["true", 1, 0, [], {}]
    for value in odd:
        reply = ask(proxy, stream=value)
        assert (reply.status, reply.error["param"]) == (400, "stream"), value
    assert upstream.started == 0
    upstream.will_answer(200, completion())
    assert ask(proxy, stream=None).status == 200


def test_headers_that_providers_may_need_are_sent_on(proxy: Proxy, upstream: Upstream) -> None:
    kept = {"openai-beta": "a=v2", "idempotency-key": "k-1", "http-referer": "https://a.test", "x-title": "Tests"}
    upstream.will_answer(200, completion())
    proxy.post(CHAT, hello(model="chat-same"), KEY, {**kept, "x-stainless-lang": "python", "x-other": "1"}).read()
    seen = upstream.history[0]
    assert {name: seen.header(name) for name in kept} == kept
    assert (seen.header("x-other"), seen.header("x-stainless-lang")) == (None, None)


def test_one_id_is_in_the_answer_and_in_the_log(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    reply = proxy.post(CHAT, hello(model="chat-same"), KEY, {"x-request-id": "my-own-id.7"})
    assert reply.header("x-request-id") == "my-own-id.7"
    line = line_of(proxy, reply)
    assert (line["caller"], line["provider"], line["endpoint"], line["stream"]) == ("key-1", "acme", CHAT, False)


def test_with_the_level_debug_every_answer_has_its_line(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(env={"LOG_LEVEL": "debug"})
    for path, status in (("/v1/models", 200), ("/nothing/there", 404)):
        reply = proxy.get(f"{path}?key=sk-0123456789", KEY)
        lines = proxy.log_lines(lambda line, reply=reply: line.get("request_id") == reply.header("x-request-id"))  # type: ignore[misc]
        told = {name: lines[0][name] for name in ("event", "address", "method", "path", "status")}
        assert told == {"event": "answered", "address": "127.0.0.1", "method": "GET", "path": path, "status": status}
    wire = proxy.raw(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n bad\r\n\r\n")
    id_ = wire.reply().header("x-request-id")
    assert proxy.log_lines(lambda line: line.get("request_id") == id_)[0]["status"] == 400


# Usage in streams: asked for on the caller's behalf, and taken out again.


def asked(upstream: Upstream) -> Any:
    """What the last request said of stream_options."""
    return upstream.history[-1].json.get("stream_options")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": True}),
        (
            {"stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False, "include_usage": True},
        ),
    ],
)
def test_usage_is_asked_for_and_kept_from_a_caller_who_did_not(
    proxy: Proxy, upstream: Upstream, options: Json, expected: Json
) -> None:
    body = hello(model="chat-same", stream=True, temperature=0.5, **options)
    upstream.will_stream(*spoken("Hel", "lo"), usage(11, 7))
    reply = proxy.post(CHAT, body, KEY)
    assert reply.body == frames_of(*spoken("Hel", "lo")) + DONE
    sent = upstream.history[0].json
    assert sent == {**body, "stream_options": expected}
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["output_tokens"], line["finish_reason"]) == (11, 7, "stop")


@pytest.mark.parametrize("choices", [{}, {"choices": None}], ids=["absent", "null"])
def test_usage_is_kept_from_a_caller_too_where_its_chunk_has_no_list_of_choices(
    proxy: Proxy, upstream: Upstream, choices: Json
) -> None:
    def without_choices(chunk: Json) -> Json:
        return {name: value for name, value in chunk.items() if name != "choices"} | choices

    upstream.will_stream(*spoken("Hi"), without_choices(usage(11, 7)))
    reply = ask(proxy, stream=True)
    assert reply.body == frames_of(*spoken("Hi")) + DONE
    assert line_of(proxy, reply)["input_tokens"] == 11
    upstream.will_stream(build.text_completion("Hi"), without_choices(build.text_completion("")))
    reply = proxy.post("/v1/completions", {"model": "chat-same", "prompt": "p", "stream": True}, KEY)
    assert reply.body == frames_of(build.text_completion("Hi")) + DONE
    asking = {"stream": True, "stream_options": {"include_usage": True}}
    upstream.will_stream(*spoken("Hi"), without_choices(usage(11, 7)))
    assert ask(proxy, **asking).body == frames_of(*spoken("Hi"), without_choices(usage(11, 7))) + DONE


def test_a_caller_who_asks_for_usage_gets_it_and_the_body_stays(proxy: Proxy, upstream: Upstream) -> None:
    body = json.dumps(hello(model="chat-same", stream=True, stream_options={"include_usage": True}), indent=2).encode()
    upstream.will_stream(*spoken("Hi"), usage(11, 7))
    reply = proxy.post(CHAT, body, KEY)
    assert reply.body == frames_of(*spoken("Hi"), usage(11, 7)) + DONE
    assert upstream.history[0].body == body
    assert line_of(proxy, reply)["input_tokens"] == 11


def test_older_completions_are_treated_alike(proxy: Proxy, upstream: Upstream) -> None:
    pieces = [build.text_completion("Hel", None), build.text_completion("lo", None) | {"usage": None}]
    ending, last = {**build.text_completion(""), "usage": None}, {**build.text_completion(""), "choices": []}
    upstream.will_stream(*pieces, ending, last)
    reply = proxy.post("/v1/completions", {"model": "chat-same", "prompt": "p", "stream": True}, KEY)
    assert reply.body == frames_of(*pieces, ending) + DONE
    assert asked(upstream) == {"include_usage": True}
    assert line_of(proxy, reply)["output_tokens"] == 2


def test_usage_is_not_asked_for_where_it_makes_no_sense(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    ask(proxy).read()
    assert asked(upstream) is None
    upstream.will_stream(*build.response_events("Hi"), done=False)
    reply = proxy.post("/v1/responses", {"model": "chat-same", "input": "hi", "stream": True}, KEY)
    assert reply.body == b"".join(build.response_events("Hi"))
    assert asked(upstream) is None
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["output_tokens"]) == (3, 2)


def test_a_provider_that_is_not_to_be_asked_is_not(proxy: Proxy, upstream: Upstream) -> None:
    body = json.dumps(hello(model="quiet-model", stream=True)).encode()
    upstream.will_stream(*spoken("Hi"))
    assert "".join(proxy.post(CHAT, body, KEY).texts()) == "Hi"
    assert upstream.history[0].body == body.replace(b"quiet-model", b"gpt-upstream")


REFUSAL = build.error("Unknown parameter: stream_options.include_usage", "invalid_request_error")


FORBIDDEN = {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}


@pytest.mark.parametrize(
    ("provider", "status", "refusal"),
    [
        ("older", 400, REFUSAL),
        pytest.param(
            "stricter",
            422,
            {"detail": [FORBIDDEN]},
        ),
    ],
)
def test_a_provider_that_refuses_to_be_asked_is_asked_once(
    proxy: Proxy, upstream: Upstream, provider: str, status: int, refusal: Json
) -> None:
    upstream.will_answer(status, refusal)
    for _ in range(2):
        upstream.will_stream(*spoken("Hi"))
        reply = ask(proxy, f"{provider}-model", stream=True)
        assert (reply.status, "".join(reply.texts())) == (200, "Hi")
    assert [seen.json.get("stream_options") for seen in upstream.history] == [{"include_usage": True}, None, None]
    upstream.will_stream(*spoken("Hi"))
    ask(proxy, stream=True).read()
    assert asked(upstream) == {"include_usage": True}, "what one provider refuses says nothing of another"


def test_any_other_refusal_stands(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, build.error("Too long.", "invalid_request_error", "too_long"))
    reply = ask(proxy, stream=True)
    assert (reply.status, reply.error["code"], len(upstream.history)) == (400, "too_long", 1)
    upstream.will_answer(400, REFUSAL)
    reply = ask(proxy, stream=True, stream_options={"include_usage": True})
    assert (reply.status, len(upstream.history)) == (400, 2), "the caller's own wish is the caller's to withdraw"


def test_a_refusal_that_repeats_what_was_asked_says_nothing_of_its_members(proxy: Proxy, upstream: Upstream) -> None:
    """FastAPI tells the whole body with a member that is missing. Whoever leaves one out must not decide what is asked for others."""
    missing = {"type": "missing", "loc": ["body", "x"], "msg": "Field required"}
    upstream.default(lambda seen: answer(422, {"detail": [{**missing, "input": seen.json}]}))
    assert ask(proxy, stream=True).status == 422
    assert embed(proxy, encoding_format="base64").status == 422
    upstream.will_stream(*spoken("Hi"))
    ask(proxy, stream=True).read()
    assert asked(upstream) == {"include_usage": True}
    upstream.will_answer(200, embeddings(*VECTORS))
    assert embed(proxy, encoding_format="base64").status == 200
    assert upstream.history[-1].json["encoding_format"] == "base64"


def test_usage_beside_a_delta_is_read_and_stays(proxy: Proxy, upstream: Upstream) -> None:
    """Some providers count up on every chunk: the last number holds, and no frame with words in it is taken out."""
    counting = [chunk(word) | {"usage": build.usage_of(9, n + 1)} for n, word in enumerate(("a", "b", "c"))]
    upstream.will_stream(*counting, finish())
    reply = ask(proxy, stream=True)
    assert reply.body == frames_of(*counting, finish()) + DONE
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["output_tokens"]) == (9, 3)


def test_a_chunk_without_choices_is_only_taken_out_for_its_usage(proxy: Proxy, upstream: Upstream) -> None:
    filters = {**chunk(""), "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    empty = {**chunk(""), "choices": [], "usage": None}
    upstream.will_stream(filters, empty, *spoken("Hi"), usage(1, 1))
    assert ask(proxy, stream=True).body == frames_of(filters, empty, *spoken("Hi")) + DONE


# Usage, in every shape.

USAGES: dict[str, tuple[Json, Json]] = {
    "plain": ({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}, {"input": 12, "output": 5}),
    "cached and reasoning": (
        {
            **build.usage_of(100, 50),
            "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
        {"input": 100, "output": 50, "cached": 80, "reasoning": 40},
    ),
    "responses": (
        {
            "input_tokens": 9,
            "output_tokens": 8,
            "input_tokens_details": {"cached_tokens": 7},
            "output_tokens_details": {"reasoning_tokens": 6},
        },
        {"input": 9, "output": 8, "cached": 7, "reasoning": 6},
    ),
    "cache hit and miss": (
        {**build.usage_of(30, 4), "prompt_cache_hit_tokens": 20, "prompt_cache_miss_tokens": 10},
        {"input": 30, "output": 4, "cached": 20},
    ),
    "cache counted apart": (
        {"input_tokens": 10, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 50, "output_tokens": 4},
        {"input": 360, "output": 4, "cached": 300},
    ),
    "a price": ({**build.usage_of(1, 1), "cost": 0.00014}, {"input": 1, "output": 1, "cost": 140_000}),
    "a price in small change": ({**build.usage_of(1, 1), "cost": 1.23e-7}, {"input": 1, "output": 1, "cost": 123}),
    "a price as a text": ({**build.usage_of(1, 1), "cost": "0.1"}, {"input": 1, "output": 1, "cost": 100_000_000}),
    "for nothing": ({**build.usage_of(1, 1), "cost": 0}, {"input": 1, "output": 1, "cost": 0}),
    "by a key of one's own": (
        {**build.usage_of(1, 1), "cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}},
        {"input": 1, "output": 1, "cost": 21_000_000},
    ),
    "a total alone": ({"total_tokens": 7}, {"input": 7, "output": 0}),
    "whole numbers with a point": ({"prompt_tokens": 12.0, "completion_tokens": 5.0}, {"input": 12, "output": 5}),
}
COUNTED = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cached_tokens",
    "reasoning": "reasoning_tokens",
    "cost": "cost_nano_usd",
}


def counted(line: Json) -> Json:
    """What the provider told; what we had to guess is none of it."""
    return {} if line.get("estimated") else {short: line[name] for short, name in COUNTED.items() if name in line}


@pytest.mark.parametrize(("told", "expected"), USAGES.values(), ids=USAGES)
def test_usage_is_read_in_every_shape(proxy: Proxy, upstream: Upstream, told: Json, expected: Json) -> None:
    upstream.will_answer(200, completion() | {"usage": told})
    assert counted(line_of(proxy, ask(proxy))) == expected
    upstream.will_stream(*spoken("Hi"), {**chunk(""), "choices": [], "usage": told})
    assert counted(line_of(proxy, ask(proxy, stream=True))) == expected


def test_usage_in_its_odd_places(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hi"), finish() | {"x_groq": {"id": "r", "usage": build.usage_of(21, 3)}})
    assert counted(line_of(proxy, ask(proxy, stream=True))) == {"input": 21, "output": 3}
    upstream.will_answer(200, embeddings([1.0]))
    reply = proxy.post("/v1/embeddings", {"model": "embedding-same", "input": "x"}, KEY)
    assert counted(line_of(proxy, reply)) == {"input": 4, "output": 0}
    upstream.will_answer(200, build.reranked(0.5))
    reply = proxy.post("/v1/rerank", {"model": "reranking-same", "query": "q", "documents": ["d"]}, KEY)
    assert counted(line_of(proxy, reply)) == {"input": 7, "output": 0}


NONSENSE = [
    *(b"NaN", b"Infinity", b"-Infinity", b"-5", b"-0.5", b"1e300", b"1e-300", b"10000000000000000", b"3.7"),
    *(b'"12"', b"true", b"null", b"[12]", b'{"a":1}', b"9" * 4000),
]


@pytest.mark.parametrize("number", NONSENSE, ids=lambda number: number[:12].decode())
def test_what_no_provider_can_mean_is_never_counted(proxy: Proxy, upstream: Upstream, number: bytes) -> None:
    members = (b"prompt_tokens", b"completion_tokens", b"total_tokens", b"input_tokens", b"output_tokens")
    details = b'"prompt_tokens_details":{"cached_tokens":%b},"completion_tokens_details":{"reasoning_tokens":%b}'
    told = b"{" + b",".join(b'"%b":%b' % (name, number) for name in members) + b"," + details % (number, number) + b"}"
    upstream.will_answer(200, with_usage(told), headers=JSON_TYPE)
    reply = ask(proxy)
    assert (reply.status, reply.body) == (200, with_usage(told))
    assert not any(counted(line_of(proxy, reply)).values())
    upstream.will_stream(*spoken("Hi"), b'data: {"choices":[],"usage":' + told + b"}\n\n")
    reply = ask(proxy, stream=True)
    assert "".join(reply.texts()) == "Hi"
    assert not any(counted(line_of(proxy, reply)).values())


@pytest.mark.parametrize("cost", [b"NaN", b"-1", b"1e9", b'"a lot"', b"true", b"[1]", b'"1e99999999"', b'"-0.1"'])
def test_a_price_nobody_can_mean_is_none(proxy: Proxy, upstream: Upstream, cost: bytes) -> None:
    told = b'{"prompt_tokens":2,"completion_tokens":1,"cost":%b}' % cost
    upstream.will_answer(200, with_usage(told), headers=JSON_TYPE)
    assert counted(line_of(proxy, ask(proxy))) == {"input": 2, "output": 1}


def test_details_are_never_more_than_the_whole(proxy: Proxy, upstream: Upstream) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 999}, "completion_tokens_details": {"reasoning_tokens": 999}}
    upstream.will_answer(200, completion() | {"usage": {**build.usage_of(5, 2), **details}})
    assert counted(line_of(proxy, ask(proxy))) == {"input": 5, "output": 2, "cached": 5, "reasoning": 2}


@pytest.mark.parametrize("told", [b"null", b"17", b'"x"', b"[]", b"{}", b'{"prompt_tokens_details":[1]}'])
def test_usage_that_is_none(proxy: Proxy, upstream: Upstream, told: bytes) -> None:
    upstream.will_answer(200, with_usage(told), headers=JSON_TYPE)
    reply = ask(proxy)
    assert reply.body == with_usage(told)
    assert counted(line_of(proxy, reply)) == {}


# Embeddings.

VECTORS: list[list[float]] = [[0.5, -1.25, 3e-5, 0.0], [1, 2, 3, 4]]


def embed(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post("/v1/embeddings", {"model": "embedding-same", "input": ["a", "b"], **more}, KEY)


def test_numbers_become_base64_where_that_was_asked_for(proxy: Proxy, upstream: Upstream) -> None:
    told = embeddings(*VECTORS) | {"x_new": {"a": 1}}
    upstream.will_answer(200, told)
    got = embed(proxy, encoding_format="base64").json
    assert [row["embedding"] for row in got["data"]] == [packed(vector) for vector in VECTORS]
    assert [{**row, "embedding": 0} for row in got["data"]] == [{**row, "embedding": 0} for row in told["data"]]
    assert {**got, "data": 0} == {**told, "data": 0}
    assert upstream.history[0].json["encoding_format"] == "base64"


@pytest.mark.parametrize("wish", [{}, {"encoding_format": "float"}])
def test_numbers_stay_numbers_where_they_were_asked_for(proxy: Proxy, upstream: Upstream, wish: Json) -> None:
    told = json.dumps(embeddings(*VECTORS), indent=1).encode()
    upstream.will_answer(200, told, headers=JSON_TYPE)
    assert embed(proxy, **wish).body == told


@pytest.mark.parametrize("wish", ["base64", "float"])
def test_a_provider_that_refuses_to_be_told_how_to_write_numbers(
    start_proxy: Callable[..., Proxy], upstream: Upstream, wish: str
) -> None:
    """SDKs say it by themselves. It is found out once."""
    provider, model = build.provider(upstream.base_url), build.model("embedding-same", type="embedding")
    proxy = start_proxy(providers=[provider], models=[model])
    refusal = build.error("Unknown parameter: encoding_format", "invalid_request_error")
    upstream.will(answer(400, refusal), answer(200, embeddings(*VECTORS)), answer(200, embeddings(*VECTORS)))
    for _ in range(2):
        got = [row["embedding"] for row in embed(proxy, encoding_format=wish, user="u").json["data"]]
        assert got == ([packed(vector) for vector in VECTORS] if wish == "base64" else VECTORS)
    assert [seen.json.get("encoding_format") for seen in upstream.history] == [wish, None, None]
    assert [seen.json["user"] for seen in upstream.history] == ["u", "u", "u"]


@pytest.mark.parametrize("wish", [None, "int8"])
def test_a_refusal_of_a_wish_for_other_numbers_is_the_callers(
    proxy: Proxy, upstream: Upstream, wish: str | None
) -> None:
    upstream.will_answer(400, build.error("Bad encoding_format.", "invalid_request_error"))
    assert embed(proxy, **({"encoding_format": wish} if wish else {})).status == 400
    assert len(upstream.history) == 1


@pytest.mark.parametrize("wish", [{}, {"encoding_format": "base64"}, {"encoding_format": "float"}])
def test_base64_stays_base64(proxy: Proxy, upstream: Upstream, wish: Json) -> None:
    told = json.dumps(embeddings(*VECTORS, as_base64=True), indent=1).encode()
    upstream.will_answer(200, told, headers=JSON_TYPE)
    assert embed(proxy, **wish).body == told


def test_a_long_answer_of_numbers_is_packed_whole(proxy: Proxy, upstream: Upstream) -> None:
    vectors = [[n / 7 + m for m in range(500)] for n in range(300)]
    upstream.will_answer(200, embeddings(*vectors))
    got = embed(proxy, encoding_format="base64").json["data"]
    assert [row["embedding"] for row in got] == [packed(vector) for vector in vectors]


@pytest.mark.parametrize("vector", [[0.1, None], [0.1, "x"], [1e39], [0.1, [0.2]]])
def test_a_vector_that_is_none_is_never_passed_on_as_an_empty_one(
    proxy: Proxy, upstream: Upstream, vector: list[Any]
) -> None:
    upstream.will_answer(200, embeddings(vector))
    reply = embed(proxy, encoding_format="base64")
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


# One kind of answer to a wish for the other.


def test_a_whole_chat_answer_becomes_the_stream_that_was_asked_for(proxy: Proxy, upstream: Upstream) -> None:
    calls = [build.tool_call("weather", '{"city":"Bonn"}'), build.tool_call("time", "{}", id="call_2")]
    upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=calls))
    reply = ask(proxy, stream=True)
    events = [event.data for event in reply.events()]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(data) for data in events[:-1]]
    assert {each["object"] for each in chunks} == {"chat.completion.chunk"}
    told = [call for each in chunks for choice in each["choices"] for call in choice["delta"].get("tool_calls", ())]
    assert told == [{"index": n, **call} for n, call in enumerate(calls)]
    assert [c["finish_reason"] for each in chunks for c in each["choices"] if c["finish_reason"]] == ["tool_calls"]
    line = line_of(proxy, reply)
    assert (counted(line), line["finish_reason"]) == ({"input": 3, "output": 2}, "tool_calls")


def test_a_whole_completion_becomes_a_stream(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, build.text_completion("Hello"))
    reply = proxy.post("/v1/completions", {"model": "chat-same", "prompt": "p", "stream": True}, KEY)
    events = [event.data for event in reply.events()]
    texts = [choice["text"] for data in events[:-1] for choice in json.loads(data)["choices"]]
    assert ("".join(texts), events[-1]) == ("Hello", "[DONE]")


def test_a_whole_response_becomes_a_stream(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, build.response("Hello"))
    reply = proxy.post("/v1/responses", {"model": "chat-same", "input": "hi", "stream": True}, KEY)
    events = list(reply.events())
    assert (events[0].name, events[-1].name) == ("response.created", "response.completed")
    assert events[-1].json["response"]["output"][0]["content"][0]["text"] == "Hello"
    assert [event.json["sequence_number"] for event in events] == list(range(len(events)))
    assert all(event.name == event.json["type"] for event in events)


ODD_ANSWERS: dict[str, tuple[str, bytes]] = {
    "choices a number": (CHAT, b'{"choices":5}'),
    "choices true": (CHAT, b'{"choices":true}'),
    "tool calls of texts": (CHAT, b'{"choices":[{"message":{"tool_calls":["x"]}}]}'),
    "tool calls of nothing": (CHAT, b'{"choices":[{"message":{"tool_calls":[null]}}]}'),
    "output a number": ("/v1/responses", b'{"object":"response","output":5,"status":"completed"}'),
}


@pytest.mark.parametrize(("path", "told"), ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_a_whole_answer_of_an_odd_shape_is_the_providers_fault(
    proxy: Proxy, upstream: Upstream, path: str, told: bytes
) -> None:
    upstream.will_answer(200, told, headers=JSON_TYPE)
    reply = proxy.post(path, {**hello(model="chat-same"), "input": "hi", "stream": True}, KEY)
    assert reply.status in (200, 502)


@pytest.mark.parametrize("choices", [b"5", b"true"])
def test_a_frame_of_an_odd_shape_does_not_take_the_others_with_it(
    proxy: Proxy, upstream: Upstream, choices: bytes
) -> None:
    odd = b'data: {"choices":%b,"usage":{"prompt_tokens":1}}\n\n' % choices
    upstream.will_stream(chunk("a"), odd, chunk("b"), finish())
    body = ask(proxy, stream=True).body
    assert b'"b"' in body and body.endswith(DONE)


def test_a_stream_that_nobody_asked_for_is_no_answer(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(*spoken("Hi"))
    reply = ask(proxy)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    upstream.wait_closed()


def test_a_stream_by_another_name_is_a_stream(proxy: Proxy, upstream: Upstream) -> None:
    for media_type in ("text/plain", "application/octet-stream", "TEXT/EVENT-STREAM; charset=UTF-8"):
        upstream.will_stream(*spoken("Hi"), headers={"content-type": media_type})
        reply = ask(proxy, stream=True)
        assert reply.header("content-type") == "text/event-stream"
        assert "".join(reply.texts()) == "Hi"


def test_of_several_choices_all_must_be_whole(proxy: Proxy, upstream: Upstream) -> None:
    """One has finished, the other breaks off: nobody may take that for a whole answer."""
    other = delta(content="x")
    other["choices"][0]["index"] = 1
    upstream.will_stream(chunk("Hel"), other, finish(), pause, hang_up)
    reply = ask(proxy, stream=True, n=2)
    assert next(reply.texts()) == "Hel"
    upstream.resume()
    assert "error" in list(reply.events())[-1].json


@pytest.mark.parametrize(("path", "more"), [("/v1/audio/speech", {}), ("/v1/images/generations", {"stream": True})])
def test_an_answer_without_a_body_does_not_disturb_the_next(
    proxy: Proxy, upstream: Upstream, path: str, more: Json
) -> None:
    kind = "speech" if "speech" in path else "image"
    upstream.will_answer(204)
    wire = proxy.raw(request("POST", path, {"model": f"{kind}-same", "input": "x", "prompt": "x", **more}, KEY))
    reply = wire.reply()
    assert reply.header("transfer-encoding") is None
    reply.read()
    assert wire.send(request("GET", "/health")).reply().json["status"] == "healthy"


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_chat_answer_without_a_body_is_none(proxy: Proxy, upstream: Upstream, status: int) -> None:
    for streams in (False, True):
        upstream.will_answer(status)
        reply = ask(proxy, stream=streams)
        assert (reply.status, reply.error["type"]) == (502, "upstream_error")


# Silence, and what is said meanwhile.


def listen(talking: Proxy) -> Reply:
    return talking.post(CHAT, hello(stream=True), KEY)


def test_a_silent_stream_is_kept_alive_after_its_first_bytes(talking: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hel"), pause, chunk("lo"), finish())
    frames = listen(talking).frames()
    assert next(frames) == frame(chunk("Hel"))
    assert [next(frames), next(frames)] == [KEEP_ALIVE] * 2
    upstream.resume()
    assert [each for each in frames if each != KEEP_ALIVE] == [frame(chunk("lo")), frame(finish()), DONE]


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
def test_nobody_waits_after_the_last_word(talking: Proxy, upstream: Upstream, path: str) -> None:
    """Some providers forget to close a stream; who reads it to its end would wait as long as for one that says nothing."""
    upstream.will_stream(*spoken("Hi"), DONE, stall, done=False)
    reply = talking.post(path, hello(stream=True, max_tokens=9), KEY)
    last = DONE if path == CHAT else b'data: {"type":"message_stop"}\n\n'
    assert reply.body.endswith(last)
    upstream.wait_closed()


def test_a_silent_stream_is_kept_alive_before_its_first_bytes(talking: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(pause, chunk("Hi"), finish())
    reply = listen(talking)
    assert (reply.status, reply.header("content-type")) == (200, "text/event-stream")
    frames = reply.frames()
    assert [next(frames), next(frames)] == [KEEP_ALIVE] * 2
    upstream.resume()
    assert "".join(reply.texts()) == "Hi"


def test_a_comment_never_cuts_a_frame_in_two(talking: Proxy, upstream: Upstream) -> None:
    whole = frame(chunk("Grüße"))
    upstream.will_stream(whole[:40], pause, whole[40:], finish())
    frames = listen(talking).frames()
    assert [next(frames), next(frames)] == [KEEP_ALIVE] * 2
    upstream.resume()
    assert [each for each in frames if each != KEEP_ALIVE] == [whole, frame(finish()), DONE]


@pytest.mark.parametrize("ending", [build.error("No capacity."), hang_up, b""])
def test_a_failure_after_a_comment_is_an_event(talking: Proxy, upstream: Upstream, ending: Any) -> None:
    """The status is out, so the failure must be told in the stream, although the provider has not said a word."""
    upstream.will_stream(pause, ending, done=False)
    reply = listen(talking)
    assert next(reply.frames()) == KEEP_ALIVE
    upstream.resume()
    events = list(reply.events())
    assert len(events) == 1
    assert events[0].json["error"]["message"]


def test_silence_in_a_binary_answer_stays_silence(talking: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(WAV[:50], pause, WAV[50:], headers={"content-type": "audio/wav"}, done=False)
    upstream.will_stream(chunk("a"), pause, finish())
    reply = speak(talking)
    assert next(reply.pieces()) == WAV[:50]
    others = listen(talking).frames()
    assert [next(others) for _ in range(3)][1:] == [KEEP_ALIVE] * 2, "so much time has passed"
    upstream.resume(2)
    assert reply.body == WAV


def test_a_caller_who_leaves_during_the_silence_is_noticed(talking: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(stall)
    reply = listen(talking)
    assert next(reply.frames()) == KEEP_ALIVE
    reply.close()
    upstream.wait_closed()
    id_ = reply.header("x-request-id")
    lines = talking.log_lines(lambda line: line.get("request_id") == id_ and line.get("event") == "call")
    assert lines[0]["status"] == 499


# Many at once, and one after the other.


def test_calls_do_not_get_each_others_answers(proxy: Proxy, upstream: Upstream) -> None:
    def echo(seen: Seen) -> Script:
        said = seen.json["messages"][0]["content"]
        if seen.json.get("stream"):
            return stream(chunk(said), chunk("!"), finish())
        return answer(200, completion(said + "!"))

    upstream.default(echo)
    calls = [
        (f"n{number}", proxy.raw(request("POST", CHAT, hello(f"n{number}", model="chat-same", stream=streams), KEY)))
        for number in range(60)
        for streams in (False, True)
    ]
    for said, wire in calls:
        reply = wire.reply()
        if reply.header("content-type") == "text/event-stream":
            assert "".join(reply.texts()) == said + "!"
        else:
            assert reply.json["choices"][0]["message"]["content"] == said + "!"


def test_one_connection_carries_calls_of_every_kind(proxy: Proxy, upstream: Upstream) -> None:
    wire = proxy.open()
    for _ in range(3):
        upstream.will_answer(200, completion("a"))
        upstream.will_stream(*spoken("b"))
        upstream.will_answer(429, build.error("Slow down."))
        upstream.will_answer(200, WAV, headers={"content-type": "audio/wav"})
        wire.send(request("POST", CHAT, hello(model="chat-same"), KEY))
        assert wire.reply().json["choices"][0]["message"]["content"] == "a"
        wire.send(request("POST", CHAT, hello(model="chat-same", stream=True), KEY))
        assert "".join(wire.reply().texts()) == "b"
        wire.send(request("POST", CHAT, hello(model="chat-same"), KEY))
        assert wire.reply().status == 429
        wire.send(request("POST", "/v1/audio/speech", {"model": "speech-same", "input": "x", "voice": "v"}, KEY))
        assert wire.reply().body == WAV
        wire.send(request("GET", "/v1/models", None, KEY))
        assert wire.reply().status == 200


# Whose refusal it is.


def test_a_refusal_says_whose_it_is(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(429, build.error("Slow down."))
    reply = ask(proxy)
    assert (reply.status, reply.header("x-ipin-provider"), reply.header("x-ipin-model")) == (429, "acme", "chat-same")
    assert float(reply.header("x-ipin-overhead-ms")) >= 0
