"""Chutes behind OpenAI's routes: what a chute is sent, and what its callers get.

The chute is scripted from what is publicly known of the templates: strict schemas, answers of several shapes, FastAPI's errors.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import build
from support.build import EMOJI, completion, embeddings, hello, spoken
from support.client import Cut, Reply, multipart, request
from support.proxy import KEY, Proxy
from support.subtitles import Cue, read_srt, read_vtt
from support.upstream import Seen, Upstream, answer, hang_up, pause, split, stream

Json = dict[str, Any]
HEAR, TRANSLATE, SPEAK = "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech"
DRAW, EDIT = "/v1/images/generations", "/v1/images/edits"
RECORDING = build.wav(4.0)
SOUND = build.wav(0.25, 24_000)
SEGMENTS = [{"start": 0.0, "end": 2.1, "text": " Hello"}, {"start": 2.1, "end": None, "text": f" {EMOJI}"}]
TEXT = f"Hello {EMOJI}"
EXTRA = "Extra inputs are not permitted"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A provider for each thing that is found out about one, so that no test knows what another has learnt."""
    bare, v1 = shared_upstream.origin, shared_upstream.base_url
    names = ("chute", "strict", "strict-too", "vague", "choosy", "no-language", "embeds", "plain")
    providers = [build.provider(v1 if name == "strict" else bare, name, type="chutes") for name in names]
    providers.append(build.provider(v1, "other"))
    models = [
        *(build.model(f"hears-{name}", name, type="transcription") for name in names),
        build.model("hears-either", "chute", type="transcription", deployments=[{"providerId": "other", "weight": 0}]),
        build.model("speaks", "chute", type="speech"),
        build.model("draws", "chute", type="image", price={"perImage": 0.02}),
        build.model("draws-either", "chute", type="image", deployments=[{"providerId": "other", "weight": 0}]),
        build.model("embeds", "embeds", type="embedding", upstreamModel="Qwen/Qwen3-Embedding-8B"),
        build.model("embeds-wrongly", "embeds", type="embedding", upstreamModel="wrong"),
        build.model("embeds-plainly", "plain", type="embedding", upstreamModel="wrong"),
        build.model("embeds-nothing", "embeds", type="embedding", upstreamModel="lost"),
        build.model("chats", "chute"),
    ]
    proxy = Proxy.start(tmp_path_factory.mktemp("chutes"), providers=providers, models=models)
    yield proxy
    proxy.stop()


def hear(proxy: Proxy, *fields: tuple[str, object], model: str = "hears-chute", path: str = HEAR) -> Reply:
    file = ("file", ("speech.wav", RECORDING, "audio/wav"))
    return proxy.form(path, [("model", model), *fields, file], KEY)


def refused(reply: Reply, param: str, code: str | None = None) -> str:
    error = reply.error
    assert (reply.status, error["type"], error["param"]) == (400, "invalid_request_error", param), error
    assert code in (None, error["code"])
    return str(error["message"])


def line_of(proxy: Proxy, reply: Reply) -> Json:
    reply.read()
    id_ = reply.header("x-request-id")
    (line,) = proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)
    return line


def unknown_member(*names: str) -> Json:
    return {
        "detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": EXTRA, "input": "x"} for name in names]
    }


# Hearing.


@pytest.mark.parametrize("size", [0, 1, 2, 3, 200_000, 3_000_000])
def test_the_recording_is_sent_as_base64(proxy: Proxy, upstream: Upstream, size: int) -> None:
    content = RECORDING + bytes([7]) * size
    upstream.will_answer(200, SEGMENTS)
    file = ("file", ("speech.wav", content, "audio/wav"))
    reply = proxy.form(HEAR, [("model", "hears-chute"), file, ("temperature", "0"), ("user", "x")], KEY)
    assert (reply.status, reply.json["text"]) == (200, TEXT)
    (seen,) = upstream.history
    assert (seen.method, seen.path, seen.header("content-type")) == ("POST", "/transcribe", "application/json")
    assert seen.json == {"audio_b64": base64.b64encode(content).decode()}
    assert seen.header("content-length") == str(len(seen.body))
    assert seen.header("authorization") == "Bearer chute-secret-key-0123456789"


def test_a_base_url_with_v1_leads_to_the_same_place(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, SEGMENTS)
    assert hear(proxy, model="hears-strict").status == 200
    assert upstream.history[0].path == "/transcribe"


@pytest.mark.parametrize("path", [HEAR, TRANSLATE])
def test_every_format(proxy: Proxy, upstream: Upstream, path: str) -> None:
    upstream.default(lambda seen: answer(200, SEGMENTS))
    usage = {"usage": {"type": "duration", "seconds": 4.0}}
    expected = [Cue(0, 2100, "Hello"), Cue(2100, 4000, EMOJI)]
    for wish in ((), (("response_format", "json"),)):
        reply = hear(proxy, *wish, path=path)
        assert (reply.header("content-type"), reply.json) == ("application/json", {"text": TEXT, **usage})
    reply = hear(proxy, ("response_format", "text"), path=path)
    assert (reply.header("content-type"), reply.body.decode()) == ("text/plain; charset=utf-8", TEXT + "\n")
    reply = hear(proxy, ("response_format", "srt"), path=path)
    assert (reply.header("content-type"), read_srt(reply.body)) == ("text/plain; charset=utf-8", expected)
    reply = hear(proxy, ("response_format", "vtt"), path=path)
    assert (reply.header("content-type"), read_vtt(reply.body)) == ("text/vtt; charset=utf-8", expected)
    reply = hear(proxy, ("response_format", "verbose_json"), ("timestamp_granularities[]", "segment"), path=path)
    told = reply.json
    assert (told["text"], told["duration"], told["usage"]) == (TEXT, 4.0, usage["usage"])
    assert [(each["id"], each["start"], each["end"]) for each in told["segments"]] == [(0, 0.0, 2.1), (1, 2.1, 4.0)]
    task, language = ("translate", "english") if path == TRANSLATE else ("transcribe", "unknown")
    assert (told["task"], told["language"], "words" in told) == (task, language, False)


def test_the_language_is_the_callers_where_the_chute_tells_none(proxy: Proxy, upstream: Upstream) -> None:
    for told, language in ((SEGMENTS, "de"), ({"segments": SEGMENTS, "language": "nl"}, "nl")):
        upstream.will_answer(200, told)
        reply = hear(proxy, ("response_format", "verbose_json"), ("language", "de"))
        assert reply.json["language"] == language


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ([], ""),
        ({"text": " Hi ", "chunks": SEGMENTS}, "Hi"),
        ({"segments": SEGMENTS}, TEXT),
        ({"text": "Hi"}, "Hi"),
        ({"transcription": "Hi"}, "Hi"),
        (b'"Hi"', "Hi"),
        ({"chunks": [{"timestamp": [0, 2.1], "text": "Hi"}]}, "Hi"),
    ],
)
def test_every_shape_of_answer(proxy: Proxy, upstream: Upstream, told: Any, text: str) -> None:
    upstream.will_answer(200, told, split(5), headers={"content-type": "application/json"})
    reply = hear(proxy)
    assert (reply.status, reply.json["text"]) == (200, text)
    assert line_of(proxy, reply)["seconds"] == 4.0


def test_the_length_of_what_cannot_be_measured_is_the_last_end(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, [{"start": 0, "end": 2.5, "text": "x"}])
    reply = proxy.form(HEAR, [("model", "hears-chute"), ("file", ("a.m4a", b"?", "audio/mp4"))], KEY)
    assert reply.json == {"text": "x"}
    assert line_of(proxy, reply)["seconds"] == 2.5


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"detail": "No such audio"}, "No such audio"),
        ({"error": "Out of memory"}, "Out of memory"),
        ({"error": {"message": "Out of memory"}}, "Out of memory"),
        ({"detail": {"message": "Quota used up"}}, "Quota used up"),
        ({"result": 1}, "a shape nobody knows"),
        ([1], "a shape nobody knows"),
        (b"Internal error", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_a_failure_that_calls_itself_200(proxy: Proxy, upstream: Upstream, told: Any, message: str) -> None:
    upstream.will_answer(200, told)
    reply = hear(proxy)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    assert message in reply.error["message"]


def test_a_cold_chute_says_when_to_come_back(proxy: Proxy, upstream: Upstream) -> None:
    told = {"detail": "No instances available (yet) for chute_id='x'"}
    upstream.will_answer(503, told, headers={"retry-after": "20", "content-type": "application/json"})
    reply = hear(proxy)
    assert (reply.status, reply.header("retry-after"), reply.error["message"]) == (503, "20", told["detail"])


def test_a_refused_key_is_the_administrators_affair(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(401, {"detail": "Invalid authentication chute-secret-key-0123456789"})
    reply = hear(proxy)
    assert (reply.status, reply.error["code"]) == (502, "upstream_auth_failed")
    assert b"secret" not in reply.body


def test_what_the_caller_said_goes_with_it(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, SEGMENTS)
    hear(proxy, ("language", "de"), ("prompt", 'Namen: "Ünï" \\'))
    upstream.will_answer(200, SEGMENTS)
    hear(proxy, ("language", ""), ("prompt", ""))
    first, second = [
        {name: value for name, value in seen.json.items() if name != "audio_b64"} for seen in upstream.history
    ]
    assert (first, second) == ({"language": "de", "prompt": 'Namen: "Ünï" \\'}, {})


def test_a_member_the_schema_does_not_know_is_left_out_and_that_is_remembered(proxy: Proxy, upstream: Upstream) -> None:
    fields = (("language", "de"), ("prompt", "names"))
    upstream.will_answer(422, unknown_member("prompt"))
    upstream.will_answer(422, unknown_member("language"))
    upstream.default(lambda seen: answer(200, SEGMENTS))
    reply = hear(proxy, *fields, model="hears-strict")
    assert (reply.status, reply.json["text"]) == (200, TEXT)
    assert hear(proxy, *fields, model="hears-strict").status == 200
    assert [seen.json.keys() - {"audio_b64"} for seen in upstream.history] == [
        {"language", "prompt"},
        {"language"},
        set(),
        set(),
    ]
    assert [seen.json["audio_b64"] for seen in upstream.history] == [base64.b64encode(RECORDING).decode()] * 4


def test_a_refusal_in_words_is_understood(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, {"detail": "Unexpected field 'language'"})
    upstream.default(lambda seen: answer(200, SEGMENTS))
    assert hear(proxy, ("language", "de"), ("prompt", "x"), model="hears-strict-too").status == 200
    assert hear(proxy, ("language", "de"), ("prompt", "x"), model="hears-strict-too").status == 200
    assert [sorted(seen.json.keys() - {"audio_b64"}) for seen in upstream.history] == [
        ["language", "prompt"],
        ["prompt"],
        ["prompt"],
    ]


def test_a_refusal_that_may_mean_the_value_is_tried_again_but_not_remembered(proxy: Proxy, upstream: Upstream) -> None:
    for _ in range(2):
        upstream.will_answer(400, {"detail": "language 'xx' is not supported"})
        upstream.will_answer(200, SEGMENTS)
        assert hear(proxy, ("language", "xx"), model="hears-vague").status == 200
    assert ["language" in seen.json for seen in upstream.history] == [True, False, True, False]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (422, {"detail": [{"type": "string_type", "loc": ["body", "language"], "msg": "Input should be a string"}]}),
        (422, unknown_member("audio_b64")),
        (422, {"detail": [{"loc": None, "msg": EXTRA}, 7]}),
        (400, {"detail": "The audio is too short."}),
        (413, {"detail": "language and prompt are too long"}),
        (500, {"detail": "language crashed"}),
    ],
)
def test_any_other_refusal_stands(proxy: Proxy, upstream: Upstream, status: int, told: Any) -> None:
    upstream.will_answer(status, told)
    assert hear(proxy, ("language", "de"), ("prompt", "x"), model="hears-choosy").status == status
    assert len(upstream.history) == 1


def test_a_failure_of_the_second_try_is_told_as_it_is(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, {"detail": "prompt?"})
    upstream.will_answer(503, {"detail": "cold"}, headers={"retry-after": "7", "content-type": "application/json"})
    reply = hear(proxy, ("prompt", "x"))
    assert (reply.status, reply.error["message"], reply.header("retry-after")) == (503, "cold", "7")


def test_a_translation_always_tells_a_language(proxy: Proxy, upstream: Upstream) -> None:
    upstream.default(lambda seen: answer(200, SEGMENTS))
    hear(proxy, path=TRANSLATE)
    hear(proxy, ("language", "fr"), ("prompt", "x"), path=TRANSLATE)
    members = [{name: value for name, value in seen.json.items() if name != "audio_b64"} for seen in upstream.history]
    assert members == [{"language": "en"}, {"language": "fr", "prompt": "x"}]


def test_a_chute_that_takes_no_language_cannot_translate(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(422, unknown_member("language"))
    for _ in range(2):
        reply = hear(proxy, path=TRANSLATE, model="hears-no-language")
        assert "cannot translate" in refused(reply, "model", "unsupported_parameter")
    assert len(upstream.history) == 1
    upstream.will_answer(200, SEGMENTS)
    assert hear(proxy, ("language", "de"), model="hears-no-language").status == 200
    assert "language" not in upstream.history[-1].json


def test_a_value_that_is_refused_does_not_mean_that_it_cannot_translate(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, {"detail": "language 'xx' is not supported"})
    reply = hear(proxy, ("language", "xx"), path=TRANSLATE)
    assert (reply.status, reply.error["message"]) == (400, "language 'xx' is not supported")
    upstream.will_answer(200, SEGMENTS)
    assert hear(proxy, path=TRANSLATE).status == 200


IMPOSSIBLE: dict[str, tuple[list[tuple[str, object]], str]] = {
    "speakers": ([("response_format", "diarized_json")], "response_format"),
    "no format": ([("response_format", "xml")], "response_format"),
    "a stream of subtitles": ([("response_format", "srt"), ("stream", "true")], "response_format"),
    "a stream that is neither": ([("stream", "maybe")], "stream"),
    "words in a format without": ([("timestamp_granularities[]", "word")], "timestamp_granularities"),
    "words in subtitles": (
        [("response_format", "vtt"), ("timestamp_granularities[]", "segment"), ("timestamp_granularities[]", "word")],
        "timestamp_granularities",
    ),
    "words in a stream": (
        [("response_format", "verbose_json"), ("timestamp_granularities", "word"), ("stream", "1")],
        "timestamp_granularities",
    ),
    "times of sentences": (
        [("response_format", "verbose_json"), ("timestamp_granularities[]", "sentence")],
        "timestamp_granularities",
    ),
}


@pytest.mark.parametrize(("fields", "param"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_no_chute_can_answer_is_said_at_once(
    proxy: Proxy, upstream: Upstream, fields: list[tuple[str, object]], param: str
) -> None:
    refused(hear(proxy, *fields), param)
    assert upstream.started == 0


def test_words_are_told_where_the_chute_tells_them(proxy: Proxy, upstream: Upstream) -> None:
    wish = (("response_format", "verbose_json"), ("timestamp_granularities[]", "word"))
    words = [{"word": "Hello", "start": 0.0, "end": 1.0}]
    upstream.will_answer(200, {"segments": SEGMENTS, "words": words})
    assert hear(proxy, *wish).json["words"] == words
    upstream.will_answer(200, {"segments": SEGMENTS, "words": words})
    assert "words" not in hear(proxy, wish[0]).json
    upstream.will_answer(200, [])
    assert hear(proxy, *wish).json["words"] == []
    upstream.will_answer(200, SEGMENTS)
    assert "does not tell when each word" in refused(hear(proxy, *wish), "timestamp_granularities")


def test_another_provider_is_asked_for_what_a_chute_cannot(proxy: Proxy, upstream: Upstream) -> None:
    told = {"task": "transcribe", "text": "x", "segments": []}
    upstream.will_answer(200, told)
    reply = hear(proxy, ("response_format", "diarized_json"), model="hears-either")
    assert (reply.status, reply.json, reply.header("x-ipin-provider")) == (200, told, "other")
    assert [seen.path for seen in upstream.history] == [HEAR]
    upstream.will_answer(503, {"detail": "busy"})
    reply = hear(proxy, ("response_format", "diarized_json"), model="hears-either")
    assert (reply.status, reply.error["message"]) == (503, "busy")
    upstream.will_answer(200, SEGMENTS)  # and a chute that could not is no chute that failed
    assert hear(proxy, model="hears-either").header("x-ipin-provider") == "chute"


def test_a_stream_is_made_of_the_whole(proxy: Proxy, upstream: Upstream) -> None:
    for wish in ((), (("response_format", "verbose_json"),), (("response_format", "text"),)):
        upstream.will_answer(200, SEGMENTS)
        reply = hear(proxy, ("stream", "true"), *wish)
        assert (reply.status, reply.header("content-type")) == (200, "text/event-stream")
        delta, done = [event.json for event in reply.events()]
        assert delta == {"type": "transcript.text.delta", "delta": TEXT}
        usage = {"type": "duration", "seconds": 4.0}
        assert done == {"type": "transcript.text.done", "text": TEXT, "usage": usage}
    assert all("stream" not in seen.json for seen in upstream.history)


def test_a_stream_from_a_cold_chute_is_an_honest_status(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(503, {"detail": "cold"})
    assert hear(proxy, ("stream", "true")).status == 503


def test_a_caller_who_leaves_while_the_recording_is_sent(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_say(pause)
    wire = proxy.open()
    media_type, body = multipart([("model", "hears-chute"), ("file", ("a.wav", RECORDING, "audio/wav"))])
    wire.send(request("POST", HEAR, body, KEY, {"content-type": media_type}))
    upstream.wait_paused()
    wire.close()
    upstream.wait_closed()


# Speaking.


def speak(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post(SPEAK, {"model": "speaks", "input": "Grüß Gott", "voice": "alloy", **more}, KEY)


def wav_answer(sound: bytes = SOUND, media_type: str = "audio/wav") -> Any:
    return answer(200, sound, headers={"content-type": media_type})


@pytest.mark.parametrize("wish", [None, "wav", "mp3", "opus", "aac", "flac"])
def test_speech_is_the_wav_it_is(proxy: Proxy, upstream: Upstream, wish: str | None) -> None:
    for told, media_type in (
        ("audio/wav", "audio/wav"),
        ("audio/x-wav", "audio/x-wav"),
        ("application/octet-stream", "audio/wav"),
    ):
        upstream.will(wav_answer(media_type=told))
        reply = speak(proxy, **({"response_format": wish} if wish else {}))
        assert (reply.status, reply.header("content-type"), reply.body) == (200, media_type, SOUND)
    seen = upstream.history[0]
    assert (seen.path, seen.json) == ("/speak", {"text": "Grüß Gott", "voice": "af_heart"})


@pytest.mark.parametrize("size", [0, 1, 7])
def test_samples_alone(proxy: Proxy, upstream: Upstream, size: int) -> None:
    upstream.will_answer(200, SOUND, split(size), headers={"content-type": "audio/wav"})
    reply = speak(proxy, response_format="pcm")
    assert (reply.status, reply.header("content-type"), reply.body) == (200, "audio/pcm", SOUND[44:])


def test_samples_do_not_wait_for_the_end(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(stream(SOUND[:60], pause, SOUND[60:], headers={"content-type": "audio/wav"}, done=False))
    reply = speak(proxy, response_format="pcm")
    assert next(reply.pieces()) == SOUND[44:60]
    upstream.resume()
    assert reply.body == SOUND[44:]


def test_sound_that_breaks_off_breaks_off(proxy: Proxy, upstream: Upstream) -> None:
    for wish in ("wav", "pcm"):
        upstream.will(stream(SOUND[:100], hang_up, headers={"content-type": "audio/wav"}, done=False))
        reply = speak(proxy, response_format=wish)
        with pytest.raises(Cut):
            reply.read()


@pytest.mark.parametrize("told", [b"ID3 not a wav", b"", SOUND[:30], {"audio": "x"}, {"detail": "too long"}])
def test_what_is_no_sound_is_an_error(proxy: Proxy, upstream: Upstream, told: Any) -> None:
    upstream.will_answer(200, told, headers={} if isinstance(told, dict) else {"content-type": "audio/wav"})
    reply = speak(proxy, response_format="pcm")
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


def test_a_failure_that_is_called_sound_is_an_error(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, b'{"detail":"too long"}', headers={"content-type": "audio/wav"})
    reply = speak(proxy)
    assert (reply.status, reply.error["message"]) == (502, "too long")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"voice": "nova"}, {"voice": "af_bella"}),
        ({"voice": "bf_emma"}, {"voice": "bf_emma"}),
        ({"voice": {"id": "onyx"}}, {"voice": "am_adam"}),
        ({"voice": None}, {"voice": "af_heart"}),
        ({"voice": {"id": None}}, {"voice": "af_heart"}),
        ({"speed": 1.25}, {"voice": "af_heart", "speed": 1.25}),
        ({"instructions": "whisper", "user": "me"}, {"voice": "af_heart"}),
        ({"stream_format": "audio"}, {"voice": "af_heart"}),
    ],
)
def test_only_what_the_schema_knows_is_said(proxy: Proxy, upstream: Upstream, more: Json, said: Json) -> None:
    upstream.will(wav_answer())
    assert speak(proxy, **more).status == 200
    assert upstream.history[0].json == {"text": "Grüß Gott", **said}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"response_format": "midi"}, "response_format"),
        ({"response_format": 1}, "response_format"),
        ({"response_format": []}, "response_format"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"voice": 7}, "voice"),
        ({"speed": "fast"}, "speed"),
        ({"speed": True}, "speed"),
        ({"input": ["a"]}, "input"),
    ],
)
def test_speech_that_cannot_be(proxy: Proxy, upstream: Upstream, more: Json, param: str) -> None:
    refused(speak(proxy, **more), param)
    assert upstream.started == 0


def test_a_long_text_is_said_whole(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(wav_answer())
    text = "word " * 120_000
    assert speak(proxy, input=text).status == 200
    assert upstream.history[0].json["text"] == text


# Drawing.


def draw(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post(DRAW, {"model": "draws", "prompt": "a lighthouse", **more}, KEY)


def picture(content: bytes = build.PNG, media_type: str = "image/jpeg") -> Any:
    return answer(200, content, headers={"content-type": media_type})


ROW = {"b64_json": base64.b64encode(build.PNG).decode()}


@pytest.mark.parametrize(
    "told", [build.PNG, {"image": ROW["b64_json"]}, {"images": [ROW]}, {"data": [ROW], "created": 1}]
)
def test_a_picture_is_the_answer_openai_gives(proxy: Proxy, upstream: Upstream, told: Any) -> None:
    upstream.will_answer(
        200, told, split(10), headers={"content-type": "image/jpeg"} if isinstance(told, bytes) else {}
    )
    reply = draw(proxy)
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert reply.json["data"] == [ROW] and reply.json["created"] > 1_700_000_000
    seen = upstream.history[0]
    assert (seen.path, seen.json) == ("/generate", {"prompt": "a lighthouse"})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"size": "1024x768"}, {"width": 1024, "height": 768}),
        ({"size": "auto", "n": 1, "quality": "hd", "style": "vivid", "background": "opaque", "user": "me"}, {}),
        ({"size": None, "n": None, "stream": False, "response_format": "b64_json"}, {}),
        (
            {"negative_prompt": "fog", "num_inference_steps": 20, "guidance_scale": 7.5, "seed": 0},
            {"negative_prompt": "fog", "num_inference_steps": 20, "guidance_scale": 7.5, "seed": 0},
        ),
        ({"width": 640, "height": 480, "image_b64": ["aGk="]}, {"width": 640, "height": 480, "image_b64": ["aGk="]}),
    ],
)
def test_what_a_picture_is_asked_for_with(proxy: Proxy, upstream: Upstream, more: Json, said: Json) -> None:
    upstream.will(picture())
    assert draw(proxy, **more).status == 200
    assert upstream.history[0].json == {"prompt": "a lighthouse", **said}


def test_several_pictures_are_several_requests(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(*(picture(b"\xff\xd8\xff" + bytes([number])) for number in range(4)))
    reply = draw(proxy, n=4, seed=41)
    assert [base64.b64decode(row["b64_json"])[-1] for row in reply.json["data"]] == [0, 1, 2, 3]
    assert [seen.json["seed"] for seen in upstream.history] == [41, 42, 43, 44]


def test_the_pictures_that_came_are_what_is_charged(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"images": [ROW, ROW, ROW]})
    reply = draw(proxy)
    assert len(reply.json["data"]) == 3
    row = proxy.admin("GET", f"/requests/{reply.header('x-request-id')}").json
    assert (row["images"], row["costUsd"], row["costBasis"]) == (3, pytest.approx(0.06), "priced")
    assert (row["inputTokens"], row["outputTokens"]) == (0, 0)


def test_a_picture_that_fails_fails_them_all(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(picture(), answer(503, {"detail": "cold"}, headers={"retry-after": "9"}))
    reply = draw(proxy, n=3)
    assert (reply.status, reply.error["message"], reply.header("retry-after")) == (503, "cold", "9")
    assert len(upstream.history) == 2
    upstream.will(picture(), stream(b"\xff\xd8\xff", hang_up, headers={"content-type": "image/jpeg"}, done=False))
    assert draw(proxy, n=2).error["code"] == "upstream_invalid_response"


@pytest.mark.parametrize("told", [{"detail": "nsfw"}, {"error": "nsfw"}, {}, b"text", b""])
def test_what_is_no_picture_is_an_error(proxy: Proxy, upstream: Upstream, told: Any) -> None:
    upstream.will_answer(200, told)
    reply = draw(proxy)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": "2"}, "n"),
        ({"n": True}, "n"),
        ({"n": 1.5}, "n"),
        ({"size": "large"}, "size"),
        ({"size": "0x0"}, "size"),
        ({"size": [1, 2]}, "size"),
        ({"stream": True}, "stream"),
        ({"response_format": "url"}, "response_format"),
        ({"prompt": ["a"]}, "prompt"),
    ],
)
def test_a_picture_that_cannot_be(proxy: Proxy, upstream: Upstream, more: Json, param: str) -> None:
    refused(draw(proxy, **more), param)
    assert upstream.started == 0


def test_another_provider_is_asked_for_a_stream_of_pictures(proxy: Proxy, upstream: Upstream) -> None:
    event = build.named_event("image_generation.completed", {"type": "image_generation.completed", "b64_json": "aGk="})
    upstream.will_stream(event, done=False)
    reply = draw(proxy, model="draws-either", stream=True)
    assert (reply.body, reply.header("x-ipin-provider")) == (event, "other")


@pytest.mark.parametrize("size", [10, 2_500_000], ids=["in memory", "on disk"])
def test_an_edit_sends_the_pictures_along(proxy: Proxy, upstream: Upstream, size: int) -> None:
    first, second = build.PNG + bytes(size), b"\xff\xd8\xff" + bytes(size + 1)
    upstream.will(picture())
    fields: list[tuple[str, object]] = [
        ("model", "draws"),
        ("image[]", ("a.png", first, "image/png")),
        ("prompt", 'at "night"'),
        ("size", "512x256"),
        ("seed", "5"),
        ("guidance_scale", "2.5"),
        ("image[]", ("b.jpg", second, "image/jpeg")),
        ("n", "1"),
        ("quality", "high"),
    ]
    reply = proxy.form(EDIT, fields, KEY)
    assert (reply.status, reply.json["data"]) == (200, [ROW])
    told = upstream.history[0].json
    assert [base64.b64decode(each) for each in told.pop("image_b64")] == [first, second]
    assert told == {"prompt": 'at "night"', "width": 512, "height": 256, "seed": 5, "guidance_scale": 2.5}
    upstream.will(picture(), picture())
    assert len(proxy.form(EDIT, [*fields[:-2], ("n", "2")], KEY).json["data"]) == 2


@pytest.mark.parametrize(
    ("field", "param"),
    [
        (("n", "eleven"), "n"),
        (("n", "11"), "n"),
        (("seed", "x"), "seed"),
        (("guidance_scale", "nan"), "guidance_scale"),
        (("stream", "true"), "stream"),
        (("mask", ("m.png", build.PNG, "image/png")), "mask"),
        (("response_format", "url"), "response_format"),
    ],
)
def test_an_edit_that_cannot_be(proxy: Proxy, upstream: Upstream, field: tuple[str, object], param: str) -> None:
    image = ("image", ("a.png", build.PNG, "image/png"))
    refused(proxy.form(EDIT, [("model", "draws"), ("prompt", "x"), image, field], KEY), param)
    assert upstream.started == 0


# What is OpenAI's there too.


def test_chat_is_openais(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("Hi"))
    assert proxy.post("/v1/chat/completions", hello(model="chats"), KEY).json == completion("Hi")
    upstream.will_stream(*spoken("Hi"))
    assert list(proxy.post("/v1/chat/completions", hello(model="chats", stream=True), KEY).texts()) == ["Hi"]
    assert [seen.path for seen in upstream.history] == ["/v1/chat/completions"] * 2


def embed(proxy: Proxy, model: str = "embeds") -> Reply:
    return proxy.post("/v1/embeddings", {"model": model, "input": "x"}, KEY)


def test_embeddings_are_openais(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, embeddings([0.5]))
    assert embed(proxy).json == embeddings([0.5])
    assert (upstream.history[0].path, upstream.history[0].json["model"]) == (
        "/v1/embeddings",
        "Qwen/Qwen3-Embedding-8B",
    )


def test_a_wrong_name_is_put_right_once(proxy: Proxy, upstream: Upstream) -> None:
    def chute(seen: Seen) -> Any:
        if seen.method == "GET":
            return answer(200, {"object": "list", "data": [{"id": "right", "object": "model"}]})
        if seen.json["model"] != "right":
            return answer(404, {"detail": "model not found"})
        return answer(200, embeddings([0.5]))

    upstream.default(chute)
    for _ in range(2):
        reply = embed(proxy, "embeds-wrongly")
        assert (reply.status, reply.json) == (200, embeddings([0.5]))
    assert [(seen.method, seen.path) for seen in upstream.history] == [
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/embeddings"),
    ]
    assert upstream.history[1].header("authorization") == "Bearer embeds-secret-key-0123456789"
    assert upstream.history[1].body == b""


@pytest.mark.parametrize(
    "listed",
    [
        answer(404, {"detail": "No matching cord found!"}),
        answer(200, {"data": []}),
        answer(200, {"data": [{"id": "a"}, {"id": "b"}]}),
        answer(200, {"data": [{"id": "lost"}]}),
        answer(200, b"<html>"),
        answer(503, {"detail": "cold"}),
    ],
)
def test_a_wrong_name_that_cannot_be_put_right_stays_one(proxy: Proxy, upstream: Upstream, listed: Any) -> None:
    upstream.will(answer(404, {"detail": "model not found"}), listed)
    reply = embed(proxy, "embeds-nothing")
    assert (reply.status, reply.error["message"]) == (404, "model not found")
    assert len(upstream.history) == 2


def test_a_chute_that_wants_neither_the_name_nor_the_encoding_is_asked_as_it_likes(
    proxy: Proxy, upstream: Upstream
) -> None:
    def chute(seen: Seen) -> Any:
        if seen.method == "GET":
            return answer(200, {"object": "list", "data": [{"id": "right", "object": "model"}]})
        if "encoding_format" in seen.json:
            return answer(422, unknown_member("encoding_format"))
        return answer(200, embeddings([1.0])) if seen.json["model"] == "right" else answer(404, {"detail": "no model"})

    upstream.default(chute)
    for asked in (4, 5):
        body = {"model": "embeds-plainly", "input": "x", "encoding_format": "base64"}
        reply = proxy.post("/v1/embeddings", body, KEY)
        assert (reply.status, reply.json["data"][0]["embedding"]) == (200, "AACAPw==")
        assert len(upstream.history) == asked
    assert upstream.history[-1].json == {"model": "right", "input": "x"}


def test_a_provider_of_a_single_chute_can_be_tested(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"object": "list", "data": [{"id": "Qwen/Qwen3-Embedding-8B"}]})
    assert proxy.admin("POST", "/providers/chute/test").json["ok"] is True
    upstream.will_answer(200, {"object": "list", "data": [{"id": "Qwen/Qwen3-Embedding-8B"}]})
    assert [each["id"] for each in proxy.admin("GET", "/providers/chute/models").json["models"]] == [
        "Qwen/Qwen3-Embedding-8B"
    ]
    assert [seen.path for seen in upstream.history] == ["/v1/models"] * 2
    upstream.will_answer(404, {"detail": "No matching cord found!"})
    told = proxy.admin("POST", "/providers/chute/test").json
    assert (told["ok"], told["status"]) == (True, 404)


def test_errors_of_a_chute_are_openais(proxy: Proxy, upstream: Upstream) -> None:
    for status, told, message in (
        (402, {"detail": {"message": "Quota exceeded", "quota_reset_timestamp": 1}}, "Quota exceeded"),
        (404, {"detail": "No matching cord found!"}, "No matching cord found!"),
        (429, {"detail": "Infrastructure is at maximum capacity"}, "Infrastructure is at maximum capacity"),
    ):
        for ask in (hear, speak, draw):
            upstream.will_answer(status, told)
            reply = ask(proxy)
            assert (reply.status, reply.error["message"]) == (status, message), json.dumps(told)
