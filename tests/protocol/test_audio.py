"""Transcription and translation in front of providers that speak OpenAI's format: a recording in, words out.

The form goes on as it came, field by field and byte by byte, be it in memory or on disk; what comes back keeps its type. What
cannot be a recording is refused before a provider hears of it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build, sounds
from support.client import Reply, multipart, request
from support.proxy import KEY, Proxy
from support.script import frame
from support.upstream import Seen, Upstream, answer, hang_up, pause, split, stall

Json = dict[str, Any]
PATHS = ("/v1/audio/transcriptions", "/v1/audio/translations")
HEAR = PATHS[0]
SPEECH = build.wav(1.5)
TOKENS = {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 10}, "output_tokens": 5}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    url = shared_upstream.base_url
    providers = [
        build.provider(url),
        build.provider(url, "second"),
        build.provider("http://demo.test", "pretend", type="demo"),
    ]
    models = [
        build.model("hears-same", type="transcription", upstreamModel=None),
        build.model("hears-renamed", type="transcription"),
        build.model("hears-twice", type="transcription", deployments=[{"providerId": "second", "weight": 0}]),
        build.model("hears-nothing", "pretend", type="transcription"),
        build.model("chats", type="chat"),
    ]
    keys = [
        build.key(KEY),
        build.key("sk-chat-only-0123456789", "key-9", scopes=["chat"]),
        build.key("sk-one-model-0123456789", "key-1m", allowedModels=["hears-renamed"]),
    ]
    proxy = Proxy.start(tmp_path_factory.mktemp("audio"), providers=providers, models=models, keys=keys)
    yield proxy
    proxy.stop()


def recording(content: bytes = SPEECH, name: str = "a.wav", media_type: str = "audio/wav") -> tuple[str, object]:
    return "file", (name, content, media_type)


def hear(proxy: Proxy, *fields: tuple[str, object], model: str = "hears-same", path: str = HEAR) -> Reply:
    return proxy.form(path, [("model", model), *(fields or [recording()])], KEY)


def line_of(proxy: Proxy, reply: Reply) -> Json:
    """What is written down of the call."""
    reply.read()
    id_ = reply.header("x-request-id")
    (line,) = proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)
    return line


@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("content", [b"no recording", b"", SPEECH])
def test_what_is_wrong_with_the_model_is_said_before_the_recording_is_looked_at(
    proxy: Proxy, upstream: Upstream, content: bytes, stream: str
) -> None:
    for key, model, told in (
        ("sk-one-model-0123456789", "hears-same", (403, "model_not_allowed")),
        (KEY, "nobody's", (404, "model_not_found")),
        (KEY, "chats", (400, "invalid_model_type")),
    ):
        reply = proxy.form(HEAR, [("model", model), recording(content, "a.txt"), ("stream", stream)], key)
        assert (reply.status, reply.error["code"]) == told
        assert line_of(proxy, reply)["model"] == model
    assert upstream.history == []


def test_a_recording_that_is_refused_is_written_down_with_its_model(proxy: Proxy, upstream: Upstream) -> None:
    reply = hear(proxy, recording(b"no recording", "a.txt"))
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
    assert line_of(proxy, reply)["model"] == "hears-same"
    assert upstream.history == []


# What goes out.


@pytest.mark.parametrize("size", [1000, 3_000_000], ids=["in memory", "on disk"])
@pytest.mark.parametrize("path", PATHS)
def test_the_form_goes_on_byte_for_byte(proxy: Proxy, upstream: Upstream, path: str, size: int) -> None:
    boundary = "----a'b(c)+_,-./:=?d"
    content = SPEECH + bytes(range(256)) * (size // 256) + b"\r\n--almost-the-boundary\r\n"

    def form(model: str) -> bytes:
        fields = [
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
            ("timestamp_granularities", "word"),
            ("include[]", "logprobs"),
            ("chunking_strategy[type]", "server_vad"),
            ("x_new", "é 日本語 👩‍👩‍👧"),
            ("prompt", ' "quoted"\r\n'),
            ("prompt", ""),
        ]
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields
        )
        return (
            f"{head}--{boundary}\r\ncontent-disposition: form-data; name=model\r\nX-Odd: 1\r\n\r\n{model}\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="c ü;\\".WAV"\r\n'
            "Content-Type: audio/x-odd; a=b\r\n\r\n"
        ).encode() + (content + f"\r\n--{boundary}--\r\nepilogue".encode())

    media_type = f'multipart/form-data; boundary="{boundary}"'
    for model, sent in (("hears-same", "hears-same"), ("hears-renamed", "gpt-upstream")):
        upstream.will_answer(200, {"text": "hello"})
        reply = proxy.post(path, form(model), KEY, {"content-type": media_type})
        assert (reply.status, reply.json) == (200, {"text": "hello"})
        seen = upstream.history[-1]
        assert (seen.method, seen.path, seen.header("content-type")) == ("POST", path, media_type)
        assert seen.body == form(sent)
        assert seen.header("authorization") == "Bearer acme-secret-key-0123456789"


def test_every_field_arrives_under_its_name(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"text": ""})
    fields: list[tuple[str, object]] = [("known_speaker_names[]", "a"), ("known_speaker_names[]", "b")]
    hear(
        proxy,
        *fields,
        ("stream", "false"),
        recording(name="Ünï code.mp3", media_type="audio/mpeg"),
        model="hears-renamed",
    )
    parts = [(part.name, part.filename, part.media_type) for part in upstream.history[0].form]
    assert parts == [
        ("model", None, ""),
        ("known_speaker_names[]", None, ""),
        ("known_speaker_names[]", None, ""),
        ("stream", None, ""),
        ("file", "Ünï code.mp3", "audio/mpeg"),
    ]
    assert upstream.history[0].field("model").text == "gpt-upstream"
    assert upstream.history[0].field("file").data == SPEECH


def test_known_speakers_are_sent_along_without_compression(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"text": ""})
    ten_seconds = "data:audio/wav;base64," + "A" * (10 * 48_000 * 2 * 3 * 4 // 3)
    fields: list[tuple[str, object]] = [("known_speaker_names[]", "a"), ("known_speaker_references[]", ten_seconds)]
    assert hear(proxy, *fields, recording(), model="hears-renamed").status == 200
    assert upstream.history[0].field("known_speaker_references[]").text == ten_seconds


def test_a_provider_that_fails_is_followed_by_the_next_with_the_whole_upload(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(503, {"detail": "No instances available (yet)"})
    upstream.will_answer(200, {"text": "second"})
    content = SPEECH + bytes(2_000_000)
    reply = hear(proxy, recording(content), model="hears-twice")
    assert (reply.json, reply.header("x-ipin-provider")) == ({"text": "second"}, "second")
    assert [seen.field("file").data for seen in upstream.history] == [content, content]


def test_behind_the_name_of_a_provider(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"text": "x"})
    reply = hear(proxy, model="hears-twice", path="/second" + HEAR)
    assert (reply.status, reply.header("x-ipin-provider")) == (200, "second")


# What comes back.

REPLIES: dict[str, tuple[str, bytes]] = {
    "json": ("application/json", b'{"text":"Hello.", "x_new":1e-7}\n'),
    "json of a charset": ("application/json; charset=utf-8", '{"text":"Grüße"}'.encode()),
    "verbose_json": (
        "application/json",
        json.dumps(
            {"task": "transcribe", "language": "english", "duration": 2.1, "text": "Hi", "segments": []}
        ).encode(),
    ),
    "diarized_json": ("application/json", b'{"task":"transcribe","text":"","segments":[]}'),
    "text": ("text/plain; charset=utf-8", "Grüße 👋\n".encode()),
    "nothing heard": ("text/plain; charset=utf-8", b""),
    "text that looks like JSON": ("text/plain", b'{"name": "a dictated object"}\n'),
    "srt": ("text/plain; charset=utf-8", b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n"),
    "subrip": ("application/x-subrip", b"1\r\n00:00:00,000 --> 00:00:01,000\r\nHello.\r\n\r\n"),
    "vtt": ("text/vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello.\n\n"),
    "a text as JSON": ("application/json", b'"Hello."'),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("media_type", "body"), REPLIES.values(), ids=REPLIES)
def test_an_answer_keeps_its_type_and_its_bytes(
    proxy: Proxy, upstream: Upstream, path: str, media_type: str, body: bytes
) -> None:
    upstream.will_answer(200, body, split(7), headers={"content-type": media_type})
    reply = hear(proxy, path=path)
    assert (reply.status, reply.header("content-type"), reply.body) == (200, media_type, body)


def test_usage_is_read_in_both_shapes(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"text": "x", "usage": TOKENS})
    line = line_of(proxy, hear(proxy))
    assert (line["endpoint"], line["input_tokens"], line["output_tokens"]) == (PATHS[0], 14, 5)
    assert line["seconds"] == 1.5
    upstream.will_answer(200, {"text": "x", "usage": {"type": "duration", "seconds": 9}})
    line = line_of(proxy, hear(proxy, path=PATHS[1]))
    assert (line["endpoint"], line["seconds"]) == (PATHS[1], 9.0)


def test_seconds_are_measured_where_the_provider_does_not_tell_them(proxy: Proxy, upstream: Upstream) -> None:
    for told, seconds in (
        ({"text": "x"}, 1.5),
        ({"text": "x", "duration": 7.25}, 7.25),
        ({"text": "x", "duration": 7.25, "usage": {"type": "duration", "seconds": 8}}, 8.0),
        ({"text": "x", "duration": "7.25"}, 1.5),
        ({"text": "x", "usage": {"type": "duration", "seconds": -1}}, 1.5),
        ("x", 1.5),
    ):
        upstream.will_answer(200, told)
        assert line_of(proxy, hear(proxy))["seconds"] == seconds, told


@pytest.mark.parametrize("name", ["wav", "mp3-vbr", "opus", "flac", "m4a", "mp4-fragmented", "webm-live"])
def test_real_audio_is_measured_on_its_way(proxy: Proxy, upstream: Upstream, name: str) -> None:
    path = sounds.real(name)
    upstream.will_answer(200, {"text": "The quick brown fox"})
    line = line_of(proxy, hear(proxy, recording(path.read_bytes(), path.name)))
    assert line["seconds"] == pytest.approx(sounds.SECONDS, abs=0.15)
    assert upstream.history[0].field("file").data == path.read_bytes()


def test_a_refused_call_has_no_seconds(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, build.error("Too noisy."))
    assert "seconds" not in line_of(proxy, hear(proxy))


def test_a_provider_refuses_in_its_own_words(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, build.error("response_format 'srt' is not compatible", "invalid_request_error", "bad"))
    reply = hear(proxy, ("response_format", "srt"), recording())
    assert (reply.status, reply.error["code"]) == (400, "bad")
    assert reply.error["message"] == "response_format 'srt' is not compatible"


@pytest.mark.parametrize("media_type", ["text/html", "Text/HTML; charset=utf-8"])
def test_a_text_that_is_called_a_page_is_a_text(proxy: Proxy, upstream: Upstream, media_type: str) -> None:
    """whisper.cpp calls them so."""
    body = b" And so, my fellow Americans,\n 1 < 2 & <b>3</b>\n"
    upstream.will_answer(200, body, headers={"content-type": media_type})
    reply = hear(proxy, ("response_format", "text"), recording())
    assert (reply.status, reply.header("content-type"), reply.body) == (200, "text/plain; charset=utf-8", body)
    assert line_of(proxy, reply)["seconds"] == 1.5
    upstream.will_answer(200, body, headers={"content-type": media_type})
    events = hear(proxy, ("stream", "true"), recording()).events()
    assert [event.json.get("delta") or event.json["text"] for event in events] == [body.decode()] * 2


@pytest.mark.parametrize(
    ("media_type", "body", "message"),
    [
        ("application/json", b'{"error":{"message":"No credits."}}', "No credits."),
        ("application/json", b'{"detail":"cold"}', "cold"),
        ("text/plain", b'{"error":"broken"}', "broken"),
        ("", b'{"error":"broken"}', "broken"),
        ("application/json", b"[1]", "not a JSON object"),
        ("application/json", b"", "not a JSON object"),
        ("application/json", b'{"no":"words"}', "has no text"),
        ("text/html", b"<html>ok</html>", "web page"),
        ("text/html; charset=utf-8", b"\r\n <!DOCTYPE html>\n<title>hello</title>", "web page"),
        ("text/event-stream", b'data: {"type":"transcript.text.done","text":""}\n\n', "not asked for"),
    ],
)
def test_what_is_no_answer_is_an_error(
    proxy: Proxy, upstream: Upstream, media_type: str, body: bytes, message: str
) -> None:
    upstream.will_answer(200, body, headers={"content-type": media_type} if media_type else {})
    reply = hear(proxy)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    assert message in reply.error["message"]


# Streams.


def spoken(*words: str, **done: Any) -> list[Json]:
    deltas = [{"type": "transcript.text.delta", "delta": word, "logprobs": []} for word in words]
    return [*deltas, {"type": "transcript.text.done", "text": "".join(words), **done}]


@pytest.mark.parametrize("size", [0, 1, 33])
@pytest.mark.parametrize("path", PATHS)
def test_a_stream_arrives_frame_for_frame(proxy: Proxy, upstream: Upstream, path: str, size: int) -> None:
    events = b"".join(map(frame, spoken("Hel", 'lo "error"', " [DONE]", usage=TOKENS)))
    upstream.will_stream(events, split(size), done=False)
    reply = hear(proxy, ("stream", "true"), recording(), path=path)
    assert (reply.status, reply.header("content-type"), reply.body) == (200, "text/event-stream", events)
    line = line_of(proxy, reply)
    assert (line["stream"], line["input_tokens"], line["output_tokens"], line["seconds"]) == (True, 14, 5, 1.5)


def test_the_first_word_does_not_wait_for_the_last(proxy: Proxy, upstream: Upstream) -> None:
    first, *rest = map(frame, spoken("Hel", "lo"))
    upstream.will_stream(first, pause, *rest, done=False)
    reply = hear(proxy, ("stream", "true"), recording())
    frames = reply.frames()
    assert next(each for each in frames if not each.startswith(b":")) == first
    upstream.resume()
    assert b"".join(each for each in frames if not each.startswith(b":")) == b"".join(rest)


def test_a_stream_in_the_manner_of_chats_is_whole_with_its_last_frame(proxy: Proxy, upstream: Upstream) -> None:
    """vLLM's transcriptions are streams of chunks that end in [DONE]."""
    chunk = {"object": "transcription.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    upstream.will_stream(chunk, {**chunk, "choices": [], "usage": build.usage_of(9, 4)})
    reply = hear(proxy, ("stream", "true"), recording())
    assert [event.data for event in reply.events()][-1] == "[DONE]"
    assert "error" not in line_of(proxy, reply)


@pytest.mark.parametrize("ending", [(), (hang_up,)], ids=["clean end", "broken"])
def test_a_cut_stream_ends_in_an_error(proxy: Proxy, upstream: Upstream, ending: tuple[Any, ...]) -> None:
    upstream.will_stream(*spoken("Hel", "lo")[:-1], *ending, done=False)
    reply = hear(proxy, ("stream", "true"), recording())
    *words, last = [event.json for event in reply.events()]
    assert [word["delta"] for word in words] == ["Hel", "lo"]
    assert last["error"]["code"] == "upstream_stream_interrupted"
    assert line_of(proxy, reply)["error"] == "upstream_stream_interrupted"
    upstream.will_stream(
        {"object": "transcription.chunk", "choices": [{"delta": {"content": "Hel"}}]}, *ending, done=False
    )
    assert b"upstream_stream_interrupted" in hear(proxy, ("stream", "true"), recording()).body


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize(
    "events",
    [
        b'data: {"text":" Hello"}\n\ndata: {"text":" there."}\n\n',
        b"data:  Hello\n\ndata:  there.\n\n",
        b"data: 1\ndata: 00:00:00,000 --> 00:00:01,000\ndata: Hello\n\n: bye\n\n",
        b'data: {"text":" Hello"}\n\ndata: {"text":" there."}\n',
    ],
)
def test_a_stream_of_events_without_a_type_is_whole_when_it_ends(
    proxy: Proxy, upstream: Upstream, events: bytes, size: int
) -> None:
    """As faster-whisper-server has it: there is no last event."""
    upstream.will_stream(events, split(size), done=False)
    reply = hear(proxy, ("stream", "true"), recording())
    assert (reply.status, reply.body.rstrip()) == (200, events.rstrip())
    line = line_of(proxy, reply)
    assert (line["seconds"], "error" in line) == (1.5, False)
    upstream.will_stream(events, hang_up, done=False)
    assert b"upstream_stream_interrupted" in hear(proxy, ("stream", "true"), recording()).body


@pytest.mark.parametrize("seconds", [3, {}, None])
def test_a_stream_of_mistrals_is_whole_with_its_own_last_event(proxy: Proxy, upstream: Upstream, seconds: Any) -> None:
    usage = {"prompt_audio_seconds": seconds, "prompt_tokens": 8, "total_tokens": 12, "completion_tokens": 4}
    told = [
        {"type": "transcription.language", "audio_language": "en"},
        {"type": "transcription.text.delta", "text": "Hello"},
        {"type": "transcription.done", "text": "Hello", "segments": [], "usage": usage},
    ]
    events = b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in told)
    upstream.will_stream(events, done=False)
    reply = hear(proxy, ("stream", "true"), recording())
    assert (reply.status, reply.body) == (200, events)
    line = line_of(proxy, reply)
    assert (line["seconds"], line["input_tokens"], line["output_tokens"]) == (3 if seconds == 3 else 1.5, 8, 4)
    assert "error" not in line


def test_a_stream_of_which_nothing_came_was_cut(proxy: Proxy, upstream: Upstream) -> None:
    for nothing in (b"", b": warming up\n\n", b"\n\n"):
        upstream.will_stream(nothing, done=False)
        reply = hear(proxy, ("stream", "true"), recording())
        assert b"upstream_stream_interrupted" in reply.body


def test_an_error_before_the_first_word_is_a_status(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream({"error": {"message": "Overloaded."}}, done=False)
    reply = hear(proxy, ("stream", "true"), recording())
    assert (reply.status, reply.error["message"]) == (502, "Overloaded.")


@pytest.mark.parametrize(
    ("told", "text", "usage"),
    [
        ({"text": "Grüße", "usage": TOKENS}, "Grüße", TOKENS),
        ({"text": ""}, "", None),
        ("Just words.\n", "Just words.\n", None),
        ("1\n00:00:00,000 --> 00:00:01,000\nHi\n\n", "1\n00:00:00,000 --> 00:00:01,000\nHi\n\n", None),
        (b'"quoted"', "quoted", None),
    ],
)
@pytest.mark.parametrize("wish", ["true", "True", "1"])
def test_a_whole_answer_becomes_the_stream_that_was_asked_for(
    proxy: Proxy, upstream: Upstream, told: Any, text: str, usage: Any, wish: str
) -> None:
    media_type = {"content-type": "application/json"} if isinstance(told, bytes) else {}
    upstream.will_answer(200, told, headers=media_type)
    reply = hear(proxy, ("stream", wish), recording())
    assert (reply.status, reply.header("content-type")) == (200, "text/event-stream")
    delta, done = [event.json for event in reply.events()]
    assert delta == {"type": "transcript.text.delta", "delta": text}
    assert done == {"type": "transcript.text.done", "text": text, **({"usage": usage} if usage else {})}


def test_a_whole_answer_without_a_text_cannot_become_a_stream(proxy: Proxy, upstream: Upstream) -> None:
    for told in ({"text": None}, {"segments": []}, {"text": 1}):
        upstream.will_answer(200, told)
        assert hear(proxy, ("stream", "true"), recording()).error["code"] == "upstream_invalid_response"


def test_a_caller_hears_something_while_a_long_recording_is_listened_to(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    models = [build.model("hears-same", type="transcription")]
    proxy = start_proxy(models=models, env={"KEEPALIVE_S": "0.2"})
    upstream.will_stream(pause, *spoken("at last"), done=False)
    reply = hear(proxy, ("stream", "true"), recording())
    assert next(reply.frames()) == b": keep-alive\n\n"
    upstream.resume()
    assert [event.json["type"] for event in reply.events()] == ["transcript.text.delta", "transcript.text.done"]


# What is refused before a provider hears of it.

HUGE = SPEECH + bytes(25 * 1024 * 1024)
REFUSED: dict[str, tuple[list[tuple[str, object]], int, str, str]] = {
    "no model": ([recording()], 400, "missing_model", "model"),
    "an empty model": ([("model", ""), recording()], 400, "missing_model", "model"),
    "no file": ([("model", "hears-same")], 400, "missing_file", "file"),
    "a file of another name": (
        [("model", "hears-same"), ("audio", ("a.wav", SPEECH, "audio/wav"))],
        400,
        "missing_file",
        "file",
    ),
    "a text for a file": ([("model", "hears-same"), ("file", "a.wav")], 400, "missing_file", "file"),
    "an empty file": ([("model", "hears-same"), recording(b"")], 400, "missing_file", "file"),
    "two files": ([("model", "hears-same"), recording(), recording()], 400, "invalid_value", "file"),
    "a second file by another spelling": (
        [("model", "hears-same"), recording(), ("File", ("b.wav", SPEECH, "audio/wav"))],
        400,
        "invalid_value",
        "file",
    ),
    "a list of files": (
        [("model", "hears-same"), ("file[]", ("a.wav", SPEECH, "audio/wav"))],
        400,
        "invalid_value",
        "file",
    ),
    "two models": ([("model", "hears-same"), ("model", "chats"), recording()], 400, "invalid_value", "model"),
    "a model by two spellings": (
        [("model", "hears-same"), ("Model", "chats"), recording()],
        400,
        "invalid_value",
        "model",
    ),
    "too large": ([("model", "hears-same"), recording(HUGE)], 413, "request_too_large", "file"),
    "a text file": (
        [("model", "hears-same"), recording(b"hello", "a.txt", "audio/wav")],
        415,
        "unsupported_media_type",
        "file",
    ),
    "a picture": ([("model", "hears-same"), recording(build.PNG, "a.png")], 415, "unsupported_media_type", "file"),
    "no extension": ([("model", "hears-same"), recording(b"hello", "wav")], 415, "unsupported_media_type", "file"),
    "no name at all": ([("model", "hears-same"), recording(b"hello", "")], 415, "unsupported_media_type", "file"),
    "another type of model": ([("model", "chats"), recording()], 400, "invalid_model_type", "model"),
    "no such model": ([("model", "nothing"), recording()], 404, "model_not_found", "model"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("fields", "status", "code", "param"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_heard_is_refused_at_once(
    proxy: Proxy, upstream: Upstream, path: str, fields: list[tuple[str, object]], status: int, code: str, param: str
) -> None:
    reply = proxy.form(path, fields, KEY)
    error = reply.error
    assert (reply.status, error["type"], error["code"], error["param"]) == (
        status,
        "invalid_request_error",
        code,
        param,
    )
    assert upstream.started == 0


def test_a_name_or_the_bytes_suffice_to_be_a_recording(proxy: Proxy, upstream: Upstream) -> None:
    given = [(SPEECH, "blob"), (SPEECH, ""), (SPEECH, "a.txt"), (b"no header", "a.MP3"), (b"no header", "a.b.m4a")]
    for content, name in given:
        upstream.will_answer(200, {"text": "x"})
        assert hear(proxy, recording(content, name)).status == 200, name
    assert len(upstream.history) == len(given)


@pytest.mark.parametrize("size", [100, 2_000_000], ids=["in memory", "on disk"])
def test_a_body_that_is_no_whole_form_is_refused(proxy: Proxy, upstream: Upstream, size: int) -> None:
    media_type, body = multipart([("model", "hears-same"), recording(SPEECH + bytes(size))])
    json_body = json.dumps({"model": "hears-same", "file": "x" * size}).encode()
    for given, sent in (
        ("application/json", json_body),
        ("application/x-www-form-urlencoded", b"model=hears-same&file=x"),
        ("audio/wav", SPEECH),
        ("multipart/form-data", body),
        ("multipart/mixed; boundary=b", body),
        (media_type, body[: len(body) // 2]),
        (media_type, body[:-10]),
        (media_type, b""),
        (media_type.replace("tests", "other"), body),
        (media_type, body.replace(b"model", b"mod\0el")),
    ):
        reply = proxy.post(HEAR, sent, KEY, {"content-type": given})
        assert (reply.status, reply.error["code"]) == (400, "invalid_multipart_data"), (given, sent[-20:])
    assert upstream.started == 0


def test_a_boundary_that_is_in_the_new_name_of_the_model_is_refused(proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_model("hears-oddly", type="transcription", upstreamModel="a--cut-b")
    media_type, body = multipart([("model", "hears-oddly"), recording()], boundary="cut")
    reply = proxy.post(HEAR, body, KEY, {"content-type": media_type})
    assert (reply.status, reply.error["code"]) == (400, "invalid_multipart_data")
    assert "boundary" in reply.error["message"]
    assert upstream.started == 0


def test_a_key_without_the_scope_is_refused(proxy: Proxy, upstream: Upstream) -> None:
    reply = proxy.form(HEAR, [("model", "hears-same"), recording()], "sk-chat-only-0123456789")
    assert (reply.status, reply.error["code"]) == (403, "scope_not_allowed")
    assert upstream.started == 0


def test_the_demo_says_that_it_cannot_hear(proxy: Proxy) -> None:
    reply = hear(proxy, recording(SPEECH + bytes(3_000_000)), model="hears-nothing")
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert "only chats" in reply.error["message"]


def test_where_there_is_only_the_demo_it_says_what_it_is(start_proxy: Callable[..., Proxy]) -> None:
    reply = hear(start_proxy(providers=[], models=[]), model="demo")
    assert (reply.status, reply.error["code"]) == (400, "invalid_model_type")


# Sizes and times.


def test_the_largest_recording_is_a_setting(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy(models=[build.model("hears-same", type="transcription")], env={"MAX_AUDIO_MB": "1"})
    upstream.will_answer(200, {"text": "x"})
    mb = 1024 * 1024
    assert hear(proxy, recording(SPEECH + bytes(mb - len(SPEECH)))).status == 200
    reply = hear(proxy, recording(SPEECH + bytes(mb - len(SPEECH) + 1)))
    assert (reply.status, reply.error["param"]) == (413, "file")
    assert "1 MB" in reply.error["message"] and "MAX_AUDIO_MB" in reply.error["message"]
    assert len(upstream.history) == 1


@pytest.mark.parametrize("streams", ["false", "true"])
def test_audio_has_a_patience_of_its_own(start_proxy: Callable[..., Proxy], upstream: Upstream, streams: str) -> None:
    models = [build.model("hears-same", type="transcription"), build.model("chats")]
    patient = start_proxy(models=models, env={"AUDIO_TIMEOUT_S": "60", "REQUEST_TIMEOUT_S": "0.1"})
    upstream.will_say(
        pause, b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"text":1}\n'
    )
    upstream.will_say(stall)
    wire = patient.raw(raw_form("hears-same"))
    upstream.wait_requests(1)
    assert patient.post("/v1/chat/completions", build.hello(model="chats"), KEY).status == 504  # the patience of others
    upstream.resume()
    assert wire.final("POST").status == 200
    hasty = start_proxy(models=models, env={"AUDIO_TIMEOUT_S": "0.1", "REQUEST_TIMEOUT_S": "60"})
    upstream.will_say(stall)
    reply = hear(hasty, ("stream", streams), recording())
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")


def raw_form(model: str, content: bytes = SPEECH, **headers: str) -> bytes:
    media_type, body = multipart([("model", model), recording(content)])
    return request("POST", HEAR, body, KEY, {"content-type": media_type, **headers})


def test_a_slow_upload_is_waited_for(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"text": "patience"})
    data = raw_form("hears-same")
    wire = proxy.open()
    for at in range(0, len(data), 997):
        wire.send(data[at : at + 997])
    assert wire.final("POST").json == {"text": "patience"}
    assert upstream.history[0].field("file").data == SPEECH


def test_a_caller_who_leaves_in_mid_upload_leaves_nothing(proxy: Proxy, upstream: Upstream) -> None:
    data = raw_form("hears-same", SPEECH + bytes(3_000_000))
    for end in (100, 2000, 2_000_000, len(data) - 1):
        proxy.raw(data[:end]).close()
    upstream.will_answer(200, {"text": "next"})
    assert hear(proxy).json == {"text": "next"}
    assert len(upstream.history) == 1


def test_a_caller_who_leaves_during_the_answer_is_noticed(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_say(stall)
    wire = proxy.raw(raw_form("hears-same", SPEECH + bytes(2_000_000)))
    upstream.wait_requests(1)
    wire.close()
    upstream.wait_closed()


def test_twenty_at_once_get_their_own_answers(proxy: Proxy, upstream: Upstream) -> None:
    def told(seen: Seen) -> Any:
        return answer(200, {"text": f"{seen.field('prompt').text} {len(seen.field('file').data)}"})

    upstream.default(told)
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        content = SPEECH + bytes([number]) * (number * 100_000)
        found[number] = hear(proxy, ("prompt", str(number)), recording(content)).json

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: {"text": f"{number} {len(SPEECH) + number * 100_000}"} for number in range(20)}
